//! A piece of the file: entries one after another, each the name of a call and its figures.
//!
//! All of it is words of 64 bits, read and written as atomics: a process that is killed at any
//! instant leaves a prefix of what it was about to do. An entry is written whole, then published by
//! the segment's length; only then is anything counted in it.

use std::fs::File;
use std::sync::atomic::{AtomicU64, Ordering};

use memmap2::{MmapOptions, MmapRaw};

use super::super::figures::{BUCKETS, Figures, Spent, bucket};
use super::super::{Batch, Call, OwnedCall};

/// How long a segment is, in words and in bytes: a multiple of every system's pages.
pub(super) const WORDS: usize = 32 * 1024;
pub(super) const BYTES: usize = WORDS * 8;

/// Where a segment says which batch it belongs to.
const NUMBER: usize = 0;
/// Where it says for which time it is in use.
const GENERATION: usize = 1;
/// Where it says how many of its words are entries.
const USED: usize = 2;
/// Where its entries begin.
const FIRST: usize = 3;

/// The number of a segment that nobody counts into.
const FREE: u64 = 0;
/// The number of a segment that is counted into and belongs to no batch yet.
const ACTIVE: u64 = u64::MAX;

/// Before an entry's text: a check, what the text is made of, the hour.
const HEAD: usize = 3;
/// Then its figures: the calls, the bytes in and out, and the steps of latency.
const FIGURES: usize = 3 + BUCKETS;
/// The longest piece of an entry's text, in bytes.
const LONGEST: usize = u8::MAX as usize;

/// A segment that is mapped.
#[derive(Debug)]
pub(crate) struct Segment(MmapRaw);

/// Entries that are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Damaged;

impl Segment {
    /// Maps the segment at this place of a file, which must be long enough.
    pub(super) fn map(file: &File, offset: u64) -> std::io::Result<Self> {
        let map = MmapOptions::new().offset(offset).len(BYTES).map_raw(file)?;
        Ok(Self(map))
    }

    /// A word of the segment.
    fn word(&self, at: usize) -> Option<&AtomicU64> {
        if at >= WORDS {
            return None;
        }
        #[expect(
            unsafe_code,
            clippy::cast_ptr_alignment,
            reason = "memory that outlives the process has no safe wrapper; a map begins at a page"
        )]
        // SAFETY: the map is `WORDS` words long, begins at a multiple of the page size and so of a
        // word's, lives as long as `self`, and is never touched in this process but as atomics. The
        // file is locked by this process and never made shorter; it was written to its full
        // length before, so that the pages are there.
        Some(unsafe { AtomicU64::from_ptr(self.0.as_mut_ptr().cast::<u64>().add(at)) })
    }

    fn get(&self, at: usize) -> u64 {
        self.word(at).map_or(0, |word| word.load(Ordering::Acquire))
    }

    fn set(&self, at: usize, value: u64) {
        if let Some(word) = self.word(at) {
            word.store(value, Ordering::Release);
        }
    }

    /// Begins to be counted into, empty.
    pub(super) fn open(&self) {
        self.set(USED, 0);
        self.set(GENERATION, self.get(GENERATION).wrapping_add(1));
        self.set(NUMBER, ACTIVE);
    }

    /// Becomes a part of this batch; nobody counts into it any more.
    pub(in crate::usage) fn seal(&self, batch: u64) {
        self.set(NUMBER, batch);
    }

    /// Is free again.
    pub(super) fn free(&self) {
        self.set(USED, 0);
        self.set(NUMBER, FREE);
    }

    /// Brings it to the disk, so that a power cut finds it as it is now.
    pub(in crate::usage) fn sync(&self) -> std::io::Result<()> {
        self.0.flush()
    }

    /// Writes an entry for this call, with nothing counted; where its figures are. `None` when
    /// there is no room.
    pub(in crate::usage) fn add(&self, call: &Call<'_>) -> Option<usize> {
        let used = usize::try_from(self.get(USED)).ok()?;
        let start = FIRST + used;
        let pieces = pieces(call);
        let length: usize = pieces.iter().map(|piece| piece.len()).sum();
        let end = start + HEAD + length.div_ceil(8) + FIGURES;
        if end > WORDS {
            return None;
        }
        let figures = start + HEAD;
        for at in figures..figures + FIGURES {
            self.set(at, 0);
        }
        let mut check = Check::new(self.get(GENERATION));
        let shape = shape(&pieces, call.status_class);
        for (at, word) in [(start + 1, shape), (start + 2, call.hour.cast_unsigned())] {
            self.set(at, word);
            check.add(word);
        }
        let mut at = figures + FIGURES;
        let mut word = [0; 8];
        let mut filled = 0;
        for &byte in pieces.iter().flat_map(|piece| piece.as_bytes()) {
            if let Some(place) = word.get_mut(filled) {
                *place = byte;
            }
            filled += 1;
            if filled == word.len() {
                let whole = u64::from_le_bytes(std::mem::take(&mut word));
                self.set(at, whole);
                check.add(whole);
                (at, filled) = (at + 1, 0);
            }
        }
        if filled > 0 {
            let last = u64::from_le_bytes(word);
            self.set(at, last);
            check.add(last);
        }
        self.set(start, check.0);
        self.set(USED, (end - FIRST) as u64);
        Some(figures)
    }

    /// Counts one more call in the entry with these figures.
    pub(in crate::usage) fn count(&self, figures: usize, spent: &Spent) {
        self.add_bytes(figures, spent.bytes_in, spent.bytes_out);
        self.raise(figures + 3 + bucket(spent.time), 1);
        self.raise(figures, 1);
    }

    /// Adds what bodies have come to.
    pub(in crate::usage) fn add_bytes(&self, figures: usize, bytes_in: u64, bytes_out: u64) {
        self.raise(figures + 1, bytes_in);
        self.raise(figures + 2, bytes_out);
    }

    /// Only the worker whose segment it is writes: nothing can come between.
    fn raise(&self, at: usize, by: u64) {
        if let Some(word) = self.word(at).filter(|_| by > 0) {
            let raised = word.load(Ordering::Relaxed).saturating_add(by);
            word.store(raised, Ordering::Relaxed);
        }
    }

    /// What was counted in it.
    pub(in crate::usage) fn entries(&self) -> Batch {
        let mut batch = Batch::new();
        // What this process wrote itself is whole.
        let _whole = read_entries(|at| (at < WORDS).then(|| self.get(at)), &mut batch);
        batch
    }
}

/// To which batch the segment of these words belongs: `None` if it is free, `u64::MAX` if to none yet.
pub(super) fn number(word: impl Fn(usize) -> Option<u64>) -> Option<u64> {
    word(NUMBER).filter(|&number| number != FREE)
}

/// Adds what was counted in the segment of these words. The entries before a damaged one are good.
pub(super) fn read_entries(
    word: impl Fn(usize) -> Option<u64>,
    batch: &mut Batch,
) -> Result<(), Damaged> {
    let used = word(USED).and_then(|used| usize::try_from(used).ok());
    let end = used.filter(|used| *used <= WORDS - FIRST).ok_or(Damaged)? + FIRST;
    let generation = word(GENERATION).ok_or(Damaged)?;
    let mut at = FIRST;
    while at < end {
        let (entry, length) = read_entry(&word, at, generation).ok_or(Damaged)?;
        if !entry.1.is_nothing() {
            batch.push(entry);
        }
        at += length;
    }
    Ok(())
}

fn read_entry(
    word: &impl Fn(usize) -> Option<u64>,
    start: usize,
    generation: u64,
) -> Option<((OwnedCall, Figures), usize)> {
    let mut check = Check::new(generation);
    let (shape, hour) = (word(start + 1)?, word(start + 2)?);
    check.add(shape);
    check.add(hour);
    let [user, key, service, endpoint, method, status_class, _, _] = shape.to_le_bytes();
    let lengths = [user, key, service, endpoint, method].map(usize::from);
    let text_at = start + HEAD + FIGURES;
    let words = lengths.iter().sum::<usize>().div_ceil(8);
    let mut text = Vec::with_capacity(words * 8);
    for at in text_at..text_at + words {
        let word = word(at)?;
        check.add(word);
        text.extend(word.to_le_bytes());
    }
    if word(start)? != check.0 {
        return None;
    }
    let mut rest = text.as_slice();
    let mut piece = |length: usize| {
        let (piece, after) = rest.split_at_checked(length)?;
        rest = after;
        String::from_utf8(piece.to_vec()).ok()
    };
    let [user, key, service, endpoint, method] = lengths;
    let call = OwnedCall {
        user: piece(user)?,
        key: piece(key)?,
        service: piece(service)?,
        endpoint: piece(endpoint)?,
        method: piece(method)?,
        status_class,
        hour: hour.cast_signed(),
    };
    let figure = |at: usize| i64::try_from(word(start + HEAD + at)?).ok();
    let mut figures = Figures {
        calls: figure(0)?,
        bytes_in: figure(1)?,
        bytes_out: figure(2)?,
        ..Figures::default()
    };
    for (at, step) in figures.latencies.0.iter_mut().enumerate() {
        *step = word(start + HEAD + 3 + at)?;
    }
    Some(((call, figures), HEAD + FIGURES + words))
}

/// The texts of a call, none longer than can be written.
fn pieces<'a>(call: &Call<'a>) -> [&'a str; 5] {
    [
        call.user,
        call.key,
        call.service,
        call.endpoint,
        call.method,
    ]
    .map(|text| {
        text.get(..text.floor_char_boundary(LONGEST))
            .unwrap_or(text)
    })
}

fn shape(pieces: &[&str; 5], status_class: u8) -> u64 {
    let lengths = pieces.map(|piece| u8::try_from(piece.len()).unwrap_or(u8::MAX));
    let parts = lengths.into_iter().chain([status_class]);
    let mut shape = [0; 8];
    for (byte, part) in shape.iter_mut().zip(parts) {
        *byte = part;
    }
    u64::from_le_bytes(shape)
}

/// Tells an entry that was written whole, in this use of its segment, from what a power cut may
/// have left.
struct Check(u64);

impl Check {
    const PRIME: u64 = 0x0000_0100_0000_01b3;

    fn new(generation: u64) -> Self {
        let mut check = Self(0xcbf2_9ce4_8422_2325);
        check.add(generation);
        check
    }

    /// FNV-1a's step, by words.
    fn add(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(Self::PRIME).rotate_left(23);
    }
}
