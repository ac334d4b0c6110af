use super::super::tests::{NOTHING, call};
use std::time::Duration;

use super::super::{Batch, Call, Spent, Tallies};
use super::*;

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// What is left of the one dead process here.
fn left(directory: &Path) -> Batch {
    let mut orphans = adopt::orphans(directory).unwrap();
    assert_eq!(orphans.len(), 1);
    orphans.remove(0).left(0)
}

#[test]
fn what_was_counted_is_read_as_it_was() {
    let directory = directory();
    let tallies = Tallies::new(CountFile::create(directory.path()).unwrap());
    let tally = tallies.add();
    let counted = Call {
        user: "user_01h455vb4pex5vsknk084sn02q",
        key: "ključ",
        service: "",
        endpoint: "/naïve/:id",
        method: "PATCH",
        status_class: 4,
        hour: -3,
    };
    let spent = Spent {
        time: Duration::from_millis(3),
        bytes_in: 7,
        bytes_out: 1 << 40,
    };
    tally.count(&counted, &spent);
    tally.count(&counted, &spent);
    tally.add_bytes(&counted, 0, 5);
    drop((tally, tallies));
    let left = left(directory.path());
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].0.borrowed(), counted);
    let figures = &left[0].1;
    assert_eq!(
        (figures.calls, figures.bytes_in, figures.bytes_out),
        (2, 14, (1 << 41) + 5)
    );
    assert!((2_000.0..4_000.0).contains(&figures.latencies.quantile(0.5).unwrap()));
}

#[test]
fn a_name_that_is_too_long_is_cut() {
    let directory = directory();
    let tallies = Tallies::new(CountFile::create(directory.path()).unwrap());
    let tally = tallies.add();
    tally.count(&call(&"é".repeat(300)), &NOTHING);
    drop((tally, tallies));
    assert_eq!(left(directory.path())[0].0.endpoint, "é".repeat(127));
}

#[test]
fn a_living_process_keeps_its_file_and_a_file_that_is_being_made_is_left_alone() {
    let directory = directory();
    let file = CountFile::create(directory.path()).unwrap();
    std::fs::write(directory.path().join("new.usage"), "").unwrap();
    assert!(adopt::orphans(directory.path()).unwrap().is_empty());
    drop(file);
    assert_eq!(adopt::orphans(directory.path()).unwrap().len(), 1);
}

#[test]
fn batches_that_are_applied_are_not_left() {
    let directory = directory();
    let tallies = Tallies::new(CountFile::create(directory.path()).unwrap());
    let tally = tallies.add();
    tally.count(&call("/a"), &NOTHING);
    let first = tallies.seal(1);
    tally.count(&call("/b"), &NOTHING);
    let second = tallies.seal(2);
    tally.count(&call("/c"), &NOTHING);
    drop((tally, tallies, first, second));
    let orphan = adopt::orphans(directory.path()).unwrap().remove(0);
    let endpoints = |applied| {
        let left = orphan.left(applied).into_iter();
        let mut names: Vec<_> = left.map(|(call, _)| call.endpoint).collect();
        names.sort();
        names
    };
    assert_eq!(endpoints(0), ["/a", "/b", "/c"]);
    assert_eq!(endpoints(1), ["/b", "/c"]);
    assert_eq!(endpoints(2), ["/c"]);
}

#[test]
fn without_room_in_the_file_calls_are_counted_in_memory() {
    let directory = directory();
    let file = CountFile::with_room(directory.path(), 1).unwrap();
    let tallies = Tallies::new(Arc::clone(&file));
    let (tally, other) = (tallies.add(), tallies.add());
    tally.count(&call("/first"), &NOTHING);
    other.count(&call("/second"), &NOTHING);
    other.count(&call("/second"), &NOTHING);
    let many = segment::WORDS / 40;
    for number in 0..many {
        tally.count(&call(&format!("/{number}")), &NOTHING);
    }
    tally.count(&call("/first"), &NOTHING);
    let sealed = tallies.seal(1);
    assert!(!sealed.in_memory.is_empty());
    let sums = sealed.sums();
    assert_eq!(sums.len(), many + 2);
    let all: i64 = sums.iter().map(|(_, figures)| figures.calls).sum();
    assert_eq!(usize::try_from(all).unwrap(), many + 4);
    // The one segment there is comes back, and the next batch is in the file again.
    for segment in sealed.segments {
        file.give_back(segment);
    }
    tally.count(&call("/first"), &NOTHING);
    assert!(tallies.seal(2).in_memory.is_empty());
}

#[test]
fn what_a_power_cut_left_of_an_earlier_use_is_not_counted() {
    let directory = directory();
    let file = CountFile::create(directory.path()).unwrap();
    let segment = file.segment().unwrap();
    let figures = segment.add(&call("/old")).unwrap();
    segment.count(figures, &NOTHING);
    let old = std::fs::read(&file.path).unwrap();
    segment.seal(1);
    file.give_back(segment);
    let segment = file.segment().unwrap();
    let figures = segment.add(&call("/new")).unwrap();
    segment.count(figures, &NOTHING);
    // The first page of the new use, the rest of the old one.
    let mut torn = std::fs::read(&file.path).unwrap();
    let header = usize::try_from(HEADER).unwrap();
    torn[header + 24..].copy_from_slice(&old[header + 24..]);
    std::fs::write(&file.path, torn).unwrap();
    let path = file.path.clone();
    drop((segment, file));
    let orphan = adopt::orphans(directory.path()).unwrap().remove(0);
    assert!(orphan.left(1).is_empty());
    orphan.finish().unwrap();
    assert!(path.with_extension("damaged").exists());
}
