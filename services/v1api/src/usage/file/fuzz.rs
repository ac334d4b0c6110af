//! What a file is found as, after whatever happened to the disk: entries that were written whole in this
//! use of their segment are counted as they stand there, up to the first that isn't, and nothing else.
//!
//! Figures have no check of their own, since they change with each call: a bit that the disk has turned in
//! one of them isn't found.

use super::super::figures::BUCKETS;
use super::super::tests::{NOTHING, call};
use super::super::{Batch, OwnedCall};
use super::{CountFile, HEADER, segment};

/// How long the words before the entries are, in bytes.
const BEFORE: usize = 3 * 8;

/// The segments of a file in its first and in its second use, each with the names in it.
fn segments() -> [Vec<u8>; 2] {
    let directory = tempfile::tempdir().unwrap();
    let file = CountFile::create(directory.path()).unwrap();
    let used = |endpoints: &[&str]| {
        let segment = file.segment().unwrap();
        for (at, endpoint) in endpoints.iter().enumerate() {
            let figures = segment.add(&call(endpoint)).unwrap();
            for _ in 0..=at {
                segment.count(figures, &NOTHING);
            }
        }
        segment.seal(1);
        let whole = std::fs::read(&file.path).unwrap();
        file.give_back(segment);
        let start = usize::try_from(HEADER).unwrap();
        let entries = whole[start..]
            .rchunks(8)
            .skip_while(|word| word.iter().all(|&byte| byte == 0));
        whole[start..start + entries.count() * 8].to_vec()
    };
    [
        used(&["/first", "/second/:id", "/naïve"]),
        used(&["/other", "/x", "/an/endpoint/with/a/longer/name", "/last"]),
    ]
}

fn word(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at * 8..at * 8 + 8)?;
    Some(u64::from_ne_bytes(bytes.try_into().ok()?))
}

fn entries(bytes: &[u8]) -> (Batch, bool) {
    let mut batch = Batch::new();
    let _number = segment::number(|at| word(bytes, at));
    let whole = segment::read_entries(|at| word(bytes, at), &mut batch).is_ok();
    (batch, whole)
}

/// How long an entry is, in bytes.
fn length(call: &OwnedCall) -> usize {
    let texts = [
        &call.user,
        &call.key,
        &call.service,
        &call.endpoint,
        &call.method,
    ];
    let text: usize = texts.iter().map(|text| text.len()).sum();
    (3 + 3 + BUCKETS + text.div_ceil(8)) * 8
}

/// The entries of a segment of which only so many bytes are as they were.
fn within(segment: &Batch, unharmed: usize) -> &[(OwnedCall, super::super::Figures)] {
    let mut end = BEFORE;
    let whole = segment.iter().take_while(|(call, _)| {
        end += length(call);
        end <= unharmed
    });
    &segment[..whole.count()]
}

#[test]
fn of_a_segment_that_ends_too_early_the_entries_before_its_end_are_counted() {
    for bytes in segments() {
        let (all, whole) = entries(&bytes);
        assert!(whole && all.len() >= 3);
        for end in BEFORE..bytes.len() {
            let (read, whole) = entries(&bytes[..end]);
            assert!(!whole, "{end} of {}", bytes.len());
            assert_eq!(read, within(&all, end), "{end}");
        }
    }
}

#[test]
fn damage_costs_what_stands_behind_it_and_invents_nothing() {
    let seeds = segments();
    let written = seeds.each_ref().map(|bytes| entries(bytes).0);
    let words: &[&[u8]] = &[
        &[0; 8],
        &[0xff; 8],
        &[0; 64],
        b"/first",
        &u64::MAX.to_ne_bytes(),
    ];
    fuzz::check(&seeds.each_ref().map(Vec::as_slice), words, |input| {
        let (read, _) = entries(&input.bytes);
        for (seed, all) in seeds.iter().zip(&written) {
            let pairs = seed.iter().zip(&input.bytes);
            let unharmed = pairs.take_while(|(one, other)| one == other).count();
            assert!(read.starts_with(within(all, unharmed)), "an entry is lost");
            // Of another use of the segment nothing is counted.
            if word(seed, 1) == word(&input.bytes, 1) {
                let known = |call: &OwnedCall| all.iter().any(|(other, _)| other == call);
                assert!(read.iter().all(|(call, _)| known(call)), "an entry is new");
            }
        }
    });
}
