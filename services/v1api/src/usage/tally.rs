//! Where a worker counts.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::{Arc, Mutex, PoisonError};

use super::figures::{Figures, Spent};
use super::file::{CountFile, Segment};
use super::{Batch, Call, OTHER, OwnedCall};

/// How many calls of one batch a worker tells apart; the rest of that batch counts as
/// [`OTHER`], so that made-up paths can't fill memory and disk.
const MOST_ENTRIES: usize = 20_000;

/// How many calls a worker keeps in mind from batch to batch.
const MOST_KNOWN: usize = 10_000;

/// One worker's counts. Its lock is taken by that worker, and by the flush for a moment: no two
/// workers ever wait for one another.
pub(crate) struct Tally {
    counts: Mutex<Counts>,
    hasher: RandomState,
    file: Arc<CountFile>,
}

struct Counts {
    // By the hash of the borrowed call, so that a call seen before allocates nothing.
    known: HashMap<u64, Vec<Known>>,
    known_length: usize,
    segments: Vec<Segment>,
    in_memory: Batch,
    // Which batch is being counted, and how many entries it has.
    round: u64,
    entries: usize,
}

/// A call seen before, and where it was counted last.
struct Known {
    call: OwnedCall,
    round: u64,
    place: Place,
}

/// Where a call's figures are.
#[derive(Clone, Copy)]
enum Place {
    /// In this segment, from this word on.
    File(usize, usize),
    /// In memory, where the file has no room.
    Memory(usize),
}

/// What a worker has counted, as a part of a batch.
#[derive(Debug, Default)]
pub(crate) struct Sealed {
    pub(super) segments: Vec<Segment>,
    pub(super) in_memory: Batch,
}

impl Tally {
    fn new(file: Arc<CountFile>) -> Self {
        let counts = Counts {
            known: HashMap::new(),
            known_length: 0,
            segments: file.segment().into_iter().collect(),
            in_memory: Batch::new(),
            round: 0,
            entries: 0,
        };
        Self {
            counts: Mutex::new(counts),
            hasher: RandomState::new(),
            file,
        }
    }

    /// Counts one call: when this returns it is in the file.
    pub(crate) fn count(&self, call: &Call<'_>, spent: &Spent) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        match counts.find(self, call) {
            Place::File(segment, figures) => {
                if let Some(segment) = counts.segments.get(segment) {
                    segment.count(figures, spent);
                }
            }
            Place::Memory(at) => {
                if let Some((_, figures)) = counts.in_memory.get_mut(at) {
                    figures.count(spent);
                }
            }
        }
    }

    /// Adds what the bodies of a counted call have come to.
    pub(crate) fn add_bytes(&self, call: &Call<'_>, bytes_in: u64, bytes_out: u64) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        match counts.find(self, call) {
            Place::File(segment, figures) => {
                if let Some(segment) = counts.segments.get(segment) {
                    segment.add_bytes(figures, bytes_in, bytes_out);
                }
            }
            Place::Memory(at) => {
                if let Some((_, figures)) = counts.in_memory.get_mut(at) {
                    figures.add_bytes(bytes_in, bytes_out);
                }
            }
        }
    }

    /// Makes what has been counted part of a batch, and begins the next.
    fn seal(&self, batch: u64) -> Sealed {
        let is_empty = |counts: &Counts| counts.entries == 0;
        if is_empty(&self.counts.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Sealed::default();
        }
        // Before the lock is taken, since the file may have to become longer.
        let next: Vec<_> = self.file.segment().into_iter().collect();
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        for segment in &counts.segments {
            segment.seal(batch);
        }
        counts.round += 1;
        counts.entries = 0;
        if counts.known_length > MOST_KNOWN {
            counts.known.clear();
            counts.known_length = 0;
        }
        Sealed {
            segments: std::mem::replace(&mut counts.segments, next),
            in_memory: std::mem::take(&mut counts.in_memory),
        }
    }
}

impl Counts {
    /// Where a call's figures are in this batch.
    fn find(&mut self, tally: &Tally, call: &Call<'_>) -> Place {
        let mut call = *call;
        let mut hash = tally.hasher.hash_one(call);
        if let Some(place) = self.place(hash, &call) {
            return place;
        }
        if self.entries >= MOST_ENTRIES {
            call.endpoint = OTHER;
            hash = tally.hasher.hash_one(call);
        }
        match self.place(hash, &call) {
            Some(place) => place,
            None => self.place_anew(&tally.file, hash, &call),
        }
    }

    /// Where a call is counted that has been counted in this batch.
    fn place(&self, hash: u64, call: &Call<'_>) -> Option<Place> {
        let known = self.known.get(&hash)?.iter();
        let mut known = known.filter(|known| known.round == self.round);
        known
            .find(|known| known.call.borrowed() == *call)
            .map(|known| known.place)
    }

    /// Makes a place for a call's first count of this batch.
    fn place_anew(&mut self, file: &CountFile, hash: u64, call: &Call<'_>) -> Place {
        let place = self.in_file(file, call).unwrap_or_else(|| {
            self.in_memory
                .push((OwnedCall::of(call), Figures::default()));
            Place::Memory(self.in_memory.len() - 1)
        });
        self.entries += 1;
        let round = self.round;
        let bucket = self.known.entry(hash).or_default();
        if let Some(known) = bucket
            .iter_mut()
            .find(|known| known.call.borrowed() == *call)
        {
            (known.round, known.place) = (round, place);
        } else {
            let call = OwnedCall::of(call);
            bucket.push(Known { call, round, place });
            self.known_length += 1;
        }
        place
    }

    fn in_file(&mut self, file: &CountFile, call: &Call<'_>) -> Option<Place> {
        let last = self.segments.len().checked_sub(1);
        let found = last.and_then(|last| Some((last, self.segments.get(last)?.add(call)?)));
        if let Some((segment, figures)) = found {
            return Some(Place::File(segment, figures));
        }
        let segment = file.segment()?;
        let figures = segment.add(call);
        self.segments.push(segment);
        Some(Place::File(self.segments.len() - 1, figures?))
    }
}

/// All workers' tallies, and the file that they count in.
#[derive(Clone)]
pub(crate) struct Tallies {
    all: Arc<Mutex<Vec<Arc<Tally>>>>,
    file: Arc<CountFile>,
}

impl Tallies {
    /// None yet.
    pub(crate) fn new(file: Arc<CountFile>) -> Self {
        Self {
            all: Arc::default(),
            file,
        }
    }

    /// The file that they count in.
    pub(super) fn file(&self) -> &Arc<CountFile> {
        &self.file
    }

    /// A tally for one more worker.
    pub(crate) fn add(&self) -> Arc<Tally> {
        let tally = Arc::new(Tally::new(Arc::clone(&self.file)));
        self.all().push(Arc::clone(&tally));
        tally
    }

    /// Whether somebody may still count.
    pub(super) fn are_in_use(&self) -> bool {
        self.all().iter().any(|tally| Arc::strong_count(tally) > 1)
    }

    /// Makes what all of them have counted into one batch. Those whose worker has gone are let go.
    pub(super) fn seal(&self, batch: u64) -> Sealed {
        let mut sealed = Sealed::default();
        self.all().retain(|tally| {
            // Looked at first: a worker that goes while its tally is emptied has counted by then.
            let in_use = Arc::strong_count(tally) > 1;
            let part = tally.seal(batch);
            sealed.segments.extend(part.segments);
            sealed.in_memory.extend(part.in_memory);
            if !in_use {
                tally.let_go();
            }
            in_use
        });
        sealed
    }

    fn all(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Tally>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tally {
    /// Gives back the segments that nothing was counted into, when nobody will any more.
    fn let_go(&self) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        for segment in counts.segments.drain(..) {
            self.file.give_back(segment);
        }
    }
}

impl Sealed {
    /// Whether nothing was counted.
    pub(super) fn is_empty(&self) -> bool {
        self.segments.is_empty() && self.in_memory.is_empty()
    }

    /// All that was counted, each call once.
    pub(super) fn sums(&self) -> Batch {
        let mut sums: HashMap<OwnedCall, Figures> = HashMap::new();
        let written = self.segments.iter().flat_map(Segment::entries);
        for (call, figures) in written.chain(self.in_memory.iter().cloned()) {
            sums.entry(call).or_default().add(&figures);
        }
        sums.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{NOTHING, by_endpoint, call};
    use super::*;

    fn tallies() -> (tempfile::TempDir, Tallies) {
        let directory = tempfile::tempdir().unwrap();
        let file = CountFile::create(directory.path()).unwrap();
        (directory, Tallies::new(file))
    }

    fn counted(tallies: &Tallies) -> Vec<(String, i64)> {
        let sealed = tallies.seal(1);
        let sums = sealed.sums();
        for segment in sealed.segments {
            tallies.file.give_back(segment);
        }
        by_endpoint(sums)
    }

    #[test]
    fn the_tallies_of_all_workers_come_together_and_each_count_once() {
        let (_directory, tallies) = tallies();
        let (one, two) = (tallies.add(), tallies.add());
        one.count(&call("/a"), &NOTHING);
        one.count(&call("/a"), &NOTHING);
        two.count(&call("/a"), &NOTHING);
        two.count(&call("/b"), &NOTHING);
        drop(two);
        assert_eq!(
            counted(&tallies),
            [("/a".to_owned(), 3), ("/b".to_owned(), 1)]
        );
        assert!(tallies.seal(2).is_empty());
        one.count(&call("/a"), &NOTHING);
        one.count(&call("/c"), &NOTHING);
        assert_eq!(
            counted(&tallies),
            [("/a".to_owned(), 1), ("/c".to_owned(), 1)]
        );
    }

    #[test]
    fn made_up_endpoints_come_together_instead_of_filling_memory_and_disk() {
        let (_directory, tallies) = tallies();
        let tally = tallies.add();
        for number in 0..MOST_ENTRIES + 10 {
            tally.count(&call(&format!("/{number}")), &NOTHING);
        }
        // One that has been told apart goes on to be.
        tally.count(&call("/1"), &NOTHING);
        let sums = counted(&tallies);
        assert_eq!(sums.len(), MOST_ENTRIES + 1);
        let of = |endpoint: &str| sums.iter().find(|(name, _)| name == endpoint).unwrap().1;
        assert_eq!((of("/1"), of(OTHER)), (2, 10));
    }
}
