//! Fuzzing on stable Rust: seeds that are damaged and cut, and a property that must hold for all of it.
//!
//! A target is a test. In the suite it checks the same few thousand inputs each time. With
//! `SLIPWAY_TEST_FUZZ_SECONDS` set (`make fuzz`) it goes on for so long, with others: round after round, from a
//! round by chance or from `SLIPWAY_TEST_FUZZ_FROM`. An input that fails is made as small as it can be, and told
//! with its round. Inputs aren't led by what code they reach: the seeds have to show the way there.

mod input;

use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, Instant};

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};

pub use input::Input;

/// How many inputs a round has: a fraction of a second without optimisation.
const CASES: u32 = 5_000;
/// How many smaller inputs are tried in the place of one that fails.
const SMALLER: u32 = 20_000;

/// Checks that a property (which panics where it doesn't hold) holds for damaged `seeds`. `words` are
/// what is put into them beside single bytes: what means something to the parser.
///
/// # Panics
/// With the smallest input found for which the property doesn't hold, and its round.
#[track_caller]
pub fn check(seeds: &[&[u8]], words: &[&[u8]], property: impl Fn(&Input)) {
    let inputs = input::damaged(seeds, words);
    for seed in seeds {
        property(&Input::whole(seed));
    }
    let Some(seconds) = setting("SLIPWAY_TEST_FUZZ_SECONDS") else {
        return round(0, &inputs, &property);
    };
    let by_chance = || RandomState::new().hash_one(()) >> 32;
    let first = setting("SLIPWAY_TEST_FUZZ_FROM").unwrap_or_else(by_chance);
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut rounds = first..;
    while Instant::now() < end
        && let Some(number) = rounds.next()
    {
        round(number, &inputs, &property);
    }
    tell(rounds.start - first);
}

#[track_caller]
fn round(number: u64, inputs: &impl Strategy<Value = Input>, property: &impl Fn(&Input)) {
    let config = Config {
        cases: CASES,
        max_shrink_iters: SMALLER,
        failure_persistence: None,
        ..Config::default()
    };
    let mut seed = [0x5e; 16];
    for (byte, part) in seed.iter_mut().zip(number.to_le_bytes()) {
        *byte = part;
    }
    let rng = TestRng::from_seed(RngAlgorithm::XorShift, &seed);
    let result = TestRunner::new_with_rng(config, rng).run(inputs, |input| {
        property(&input);
        Ok(())
    });
    match result {
        Ok(()) => {}
        Err(TestError::Fail(why, input)) => {
            panic!("{why}\nof {input:?}\nin round {number}: SLIPWAY_TEST_FUZZ_FROM={number}")
        }
        Err(TestError::Abort(why)) => panic!("round {number} came to no end: {why}"),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test has no settings but its environment"
)]
fn setting(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    let number = value.parse();
    Some(number.unwrap_or_else(|_| panic!("{name} is no number: {value:?}")))
}

#[expect(
    clippy::print_stderr,
    reason = "who starts a long run wants to see what it came to"
)]
fn tell(rounds: u64) {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or_default();
    eprintln!("{name}: {} inputs", rounds * u64::from(CASES));
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    const SEEDS: &[&[u8]] = &[b"hello world"];

    #[test]
    fn a_round_is_the_same_each_time_and_another_is_another() {
        let inputs = input::damaged(SEEDS, &[b"\r\n"]);
        let seen = |number| {
            let all = RefCell::new(Vec::new());
            round(number, &inputs, &|input: &Input| {
                all.borrow_mut().push(format!("{input:?}"));
            });
            all.into_inner()
        };
        assert_eq!(seen(0), seen(0));
        assert_ne!(seen(0), seen(1));
    }

    #[test]
    fn what_fails_is_found_and_told_as_small_as_it_can_be() {
        let failed = catch_unwind(AssertUnwindSafe(|| {
            check(SEEDS, &[b"\r\n"], |input| {
                assert!(!input.bytes.contains(&b'\n'), "a line ends");
            });
        }));
        let told = *failed.unwrap_err().downcast::<String>().unwrap();
        assert!(told.contains("a line ends"), "{told}");
        assert!(told.contains("in round 0"), "{told}");
        // It fails uncut, too.
        assert!(!told.contains("cut at"), "{told}");
    }

    #[test]
    fn pieces_are_the_whole_in_order() {
        let many = RefCell::new(0);
        check(SEEDS, &[b"\r\n"], |input| {
            assert_eq!(input.pieces().concat(), input.bytes);
            *many.borrow_mut() += usize::from(input.pieces().len() > 2);
        });
        assert!(many.into_inner() > 1_000);
    }
}
