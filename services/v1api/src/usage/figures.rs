//! What is known of calls of one kind: how many, how long they took, how much went over the wire.

use std::time::Duration;

/// How many steps of latency are told apart.
pub(crate) const BUCKETS: usize = 40;

/// Where each step ends, in microseconds: from 100 µs on, each √2 times the one before. The last step
/// has no end.
const ENDS: [u64; BUCKETS - 1] = ends();

const fn ends() -> [u64; BUCKETS - 1] {
    let mut ends = [0; BUCKETS - 1];
    let mut step = 0;
    while step < ends.len() {
        let doubled = 1 << (step / 2);
        #[expect(
            clippy::indexing_slicing,
            reason = "evaluated by the compiler, in bounds by the condition above"
        )]
        {
            ends[step] = if step % 2 == 0 {
                100 * doubled
            } else {
                141_421 * doubled / 1_000
            };
        }
        step += 1;
    }
    ends
}

/// What one call has taken, as far as it is known with its status.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spent {
    /// From the request's head to the answer's.
    pub(crate) time: Duration,
    /// The request's body, in bytes.
    pub(crate) bytes_in: u64,
    /// The answer's body, in bytes.
    pub(crate) bytes_out: u64,
}

/// What calls of one kind have come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    /// How many there were.
    pub(crate) calls: i64,
    /// Their requests' bodies, in bytes.
    pub(crate) bytes_in: i64,
    /// Their answers' bodies, in bytes.
    pub(crate) bytes_out: i64,
    /// How many took how long.
    pub(crate) latencies: Latencies,
}

/// How many calls fell into each step of latency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Latencies(pub(super) [u64; BUCKETS]);

impl Default for Latencies {
    fn default() -> Self {
        Self([0; BUCKETS])
    }
}

/// Into which step a time falls.
pub(super) fn bucket(time: Duration) -> usize {
    let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    ENDS.partition_point(|&end| end <= micros)
}

impl Figures {
    /// Adds others.
    pub(crate) fn add(&mut self, other: &Self) {
        self.calls = self.calls.saturating_add(other.calls);
        self.bytes_in = self.bytes_in.saturating_add(other.bytes_in);
        self.bytes_out = self.bytes_out.saturating_add(other.bytes_out);
        self.latencies.add(&other.latencies);
    }

    /// Whether there is nothing in them.
    pub(super) fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// Adds one call.
    pub(crate) fn count(&mut self, spent: &Spent) {
        self.calls += 1;
        if let Some(step) = self.latencies.0.get_mut(bucket(spent.time)) {
            *step += 1;
        }
        self.add_bytes(spent.bytes_in, spent.bytes_out);
    }

    /// Adds what bodies have come to.
    pub(super) fn add_bytes(&mut self, bytes_in: u64, bytes_out: u64) {
        let add = |sum: &mut i64, more| *sum = sum.saturating_add_unsigned(more);
        add(&mut self.bytes_in, bytes_in);
        add(&mut self.bytes_out, bytes_out);
    }
}

impl Latencies {
    /// Adds others.
    pub(crate) fn add(&mut self, other: &Self) {
        for (sum, more) in self.0.iter_mut().zip(other.0) {
            *sum = sum.saturating_add(more);
        }
    }

    /// As buckets of a histogram: up to how many seconds, from a tenth of a millisecond on each double
    /// the one before, and how many calls took no longer than that and longer than the one before; beside
    /// that how many there were, and how many seconds they took at most, the last bucket aside, which has
    /// no end.
    pub(crate) fn histogram(&self) -> (Vec<(f64, u64)>, u64, f64) {
        #[expect(
            clippy::cast_precision_loss,
            reason = "fifteen digits are more than a histogram knows"
        )]
        let exact = |number: u64| number as f64;
        let (mut buckets, mut sum, mut all) = (Vec::with_capacity(BUCKETS / 2 + 1), 0.0, 0);
        let mut waiting = 0;
        for (step, &count) in self.0.iter().enumerate() {
            waiting += count;
            all += count;
            let end = ENDS.get(step).or(ENDS.last()).copied().unwrap_or_default();
            sum += exact(count) * exact(end) / 1e6;
            // Every second step ends where a double does.
            if step % 2 == 0 && step < ENDS.len() {
                buckets.push((exact(end) / 1e6, std::mem::take(&mut waiting)));
            }
        }
        buckets.push((f64::MAX, waiting));
        (buckets, all, sum)
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|&count| count == 0)
    }

    /// Within what time this part of the calls was answered, in microseconds: right to the step, and
    /// between the step's ends by proportion. `None` if there were no calls.
    pub(crate) fn quantile(&self, part: f64) -> Option<f64> {
        #[expect(
            clippy::cast_precision_loss,
            reason = "fifteen digits are more than a histogram knows"
        )]
        let exact = |number: u64| number as f64;
        let all: u64 = self.0.iter().sum();
        if all == 0 {
            return None;
        }
        let wanted = exact(all) * part;
        let mut before = 0.0;
        for (step, &count) in self.0.iter().enumerate() {
            let after = before + exact(count);
            if count > 0 && after >= wanted {
                let start = step.checked_sub(1).and_then(|before| ENDS.get(before));
                let start = exact(start.copied().unwrap_or_default());
                let end = ENDS.get(step).map_or(start, |&end| exact(end));
                return Some(start + (end - start) * ((wanted - before) / exact(count)).max(0.0));
            }
            before = after;
        }
        None
    }

    /// As the database keeps them: pairs of a step and its count, both as LEB128.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (step, &count) in self.0.iter().enumerate().filter(|(_, count)| **count > 0) {
            write_number(&mut bytes, step as u64);
            write_number(&mut bytes, count);
        }
        bytes
    }

    /// What the database has kept; what is no such thing is nothing.
    pub(super) fn of_bytes(mut bytes: &[u8]) -> Self {
        let mut latencies = Self::default();
        while let (Some(step), Some(count)) = (read_number(&mut bytes), read_number(&mut bytes)) {
            let step = usize::try_from(step)
                .ok()
                .and_then(|step| latencies.0.get_mut(step));
            if let Some(sum) = step {
                *sum = sum.saturating_add(count);
            }
        }
        latencies
    }
}

fn write_number(bytes: &mut Vec<u8>, mut number: u64) {
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            return bytes.push(low);
        }
        bytes.push(low | 0x80);
    }
}

fn read_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for place in 0..10 {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steps_rise_by_the_root_of_two_up_to_a_minute() {
        assert_eq!(ENDS[..5], [100, 141, 200, 282, 400]);
        assert!(ENDS.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(ENDS[BUCKETS - 2] > 50_000_000);
        for (micros, step) in [(0, 0), (99, 0), (100, 1), (150, 2), (u64::MAX, BUCKETS - 1)] {
            assert_eq!(bucket(Duration::from_micros(micros)), step, "{micros}");
        }
    }

    #[test]
    fn quantiles_are_right_to_the_step() {
        let mut figures = Figures::default();
        assert_eq!(figures.latencies.quantile(0.5), None);
        for millis in 1..=1000 {
            let time = Duration::from_millis(millis);
            figures.count(&Spent {
                time,
                ..Spent::default()
            });
        }
        for (part, exact) in [
            (0.5, 500_000.0),
            (0.95, 950_000.0),
            (0.99, 990_000.0),
            (0.01, 10_000.0),
        ] {
            let told = figures.latencies.quantile(part).unwrap();
            assert!(
                (exact / 1.42..exact * 1.42).contains(&told),
                "{part}: {told}"
            );
        }
        assert!(figures.latencies.quantile(0.0).unwrap() <= 1_000.0);
    }

    #[test]
    fn latencies_come_back_from_the_database_as_they_were() {
        let mut latencies = Latencies::default();
        latencies.0[0] = 1;
        latencies.0[7] = 300;
        latencies.0[BUCKETS - 1] = u64::MAX;
        let bytes = latencies.to_bytes();
        assert_eq!(bytes.len(), 2 + 3 + 11);
        assert_eq!(Latencies::of_bytes(&bytes), latencies);
        assert!(Latencies::of_bytes(&[]).is_empty());
        for junk in [&[0x80][..], &[200, 1, 5], &[0xff; 40]] {
            assert!(Latencies::of_bytes(junk).is_empty(), "{junk:?}");
        }
    }
}
