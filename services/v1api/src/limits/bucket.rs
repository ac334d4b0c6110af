//! A token bucket: so many calls a second, and so many at once.

use std::sync::atomic::{AtomicI64, Ordering};

use common::time::Time;

/// The bucket of one process. It is one number, the time at which it would be full again (the
/// "generic cell rate algorithm"), so that workers share it without a lock.
#[derive(Debug)]
pub(crate) struct Bucket {
    /// Nanoseconds between two calls of a steady flow.
    interval: AtomicI64,
    /// Nanoseconds by which calls may be ahead of that.
    ahead: AtomicI64,
    full_at: AtomicI64,
}

/// What a bucket said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Draw {
    /// There was one; so many are left.
    Taken(i64),
    /// There is none before so many seconds from now.
    Empty(i64),
}

const SECOND: i64 = 1_000_000_000;

impl Bucket {
    /// A full one.
    pub(crate) fn new(quota: i64, burst: i64) -> Self {
        let bucket = Self {
            interval: AtomicI64::new(SECOND),
            ahead: AtomicI64::new(SECOND),
            full_at: AtomicI64::new(0),
        };
        bucket.set(quota, burst);
        bucket
    }

    /// Another size from now on.
    pub(crate) fn set(&self, quota: i64, burst: i64) {
        let interval = SECOND / quota.clamp(1, SECOND);
        self.interval.store(interval, Ordering::Relaxed);
        self.ahead
            .store(interval.saturating_mul(burst.max(1)), Ordering::Relaxed);
    }

    /// Takes one.
    pub(crate) fn take(&self, now: Time) -> Draw {
        let now = nanos(now);
        let (interval, ahead) = self.size();
        let next = |full_at: i64| {
            let next = begin(full_at, now, ahead) + interval;
            (next - now <= ahead).then_some(next)
        };
        match self
            .full_at
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next)
        {
            Ok(before) => {
                let full_at = begin(before, now, ahead) + interval;
                Draw::Taken((ahead - (full_at - now)) / interval)
            }
            Err(full_at) => {
                let wait = begin(full_at, now, ahead) + interval - ahead - now;
                Draw::Empty((wait + SECOND - 1).div_euclid(SECOND).max(1))
            }
        }
    }

    /// Gives one back that was taken for a call which something else refused.
    pub(crate) fn put_back(&self) {
        let interval = self.interval.load(Ordering::Relaxed);
        self.full_at.fetch_sub(interval, Ordering::Relaxed);
    }

    fn size(&self) -> (i64, i64) {
        (
            self.interval.load(Ordering::Relaxed),
            self.ahead.load(Ordering::Relaxed),
        )
    }
}

/// A time further ahead than the bucket is deep can only be a clock that was put back, or a bucket that
/// was larger: it is a full one then.
fn begin(full_at: i64, now: i64, ahead: i64) -> i64 {
    if full_at > now + ahead {
        now
    } else {
        full_at.max(now)
    }
}

fn nanos(time: Time) -> i64 {
    time.unix_micros().saturating_mul(1_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use common::time::Span;

    fn at(millis: i64) -> Time {
        Time::from_unix(1_000_000) + Span::milliseconds(millis)
    }

    #[test]
    fn a_burst_at_once_and_then_the_rate() {
        let bucket = Bucket::new(10, 3);
        assert_eq!(bucket.take(at(0)), Draw::Taken(2));
        assert_eq!(bucket.take(at(0)), Draw::Taken(1));
        assert_eq!(bucket.take(at(0)), Draw::Taken(0));
        assert_eq!(bucket.take(at(0)), Draw::Empty(1));
        assert_eq!(bucket.take(at(99)), Draw::Empty(1));
        assert_eq!(bucket.take(at(100)), Draw::Taken(0));
        assert_eq!(bucket.take(at(100)), Draw::Empty(1));
        let taken = (0..1_000)
            .filter(|tick| matches!(bucket.take(at(200 + tick)), Draw::Taken(_)))
            .count();
        assert_eq!(taken, 10);
        assert_eq!(bucket.take(at(100_000)), Draw::Taken(2));
    }

    #[test]
    fn what_is_put_back_can_be_taken_again() {
        let bucket = Bucket::new(1, 1);
        assert_eq!(bucket.take(at(0)), Draw::Taken(0));
        bucket.put_back();
        assert_eq!(bucket.take(at(0)), Draw::Taken(0));
        assert_eq!(bucket.take(at(0)), Draw::Empty(1));
    }

    #[test]
    fn a_clock_that_is_put_back_locks_nobody_out() {
        let bucket = Bucket::new(2, 2);
        assert_eq!(bucket.take(at(86_400_000)), Draw::Taken(1));
        assert_eq!(bucket.take(at(0)), Draw::Taken(1));
    }

    #[test]
    fn workers_together_take_no_more_than_there_is() {
        let bucket = Bucket::new(1, 1_000);
        let taken: usize = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        (0..500)
                            .filter(|_| matches!(bucket.take(at(0)), Draw::Taken(_)))
                            .count()
                    })
                })
                .collect();
            workers
                .into_iter()
                .map(|worker| worker.join().unwrap())
                .sum()
        });
        assert_eq!(taken, 1_000);
    }
}
