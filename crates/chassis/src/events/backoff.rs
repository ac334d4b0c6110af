//! How long to wait before trying again.

use std::time::Duration;

use common::random;
use common::time::Span;

/// Waiting times that grow with each failed attempt, up to a bound, with a quarter of jitter
/// up and down so that what failed together doesn't come back together.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// After the first failure.
    pub first: Duration,
    /// How many times longer after each further one.
    pub factor: u32,
    /// The longest.
    pub max: Duration,
}

impl Backoff {
    /// The time to wait after so many failures.
    #[must_use]
    pub fn delay(&self, failures: u32) -> Duration {
        let growth = self.factor.saturating_pow(failures.saturating_sub(1));
        let base = self.first.saturating_mul(growth).min(self.max);
        let quarter = u64::try_from(base.as_micros() / 4).unwrap_or(u64::MAX);
        let jitter =
            Duration::from_micros(random::below(quarter.saturating_mul(2).saturating_add(1)));
        base.saturating_sub(Duration::from_micros(quarter))
            .saturating_add(jitter)
    }

    /// The same, to be added to a point in time.
    #[must_use]
    pub fn span(&self, failures: u32) -> Span {
        span(self.delay(failures))
    }
}

/// A duration as a span of time.
pub(crate) fn span(duration: Duration) -> Span {
    Span::from_std(duration).unwrap_or(Span::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_waits_grow_up_to_their_bound() {
        let backoff = Backoff {
            first: Duration::from_millis(100),
            factor: 3,
            max: Duration::from_mins(5),
        };
        for (failures, base_ms) in [
            (1, 100),
            (2, 300),
            (3, 900),
            (9, 300_000),
            (u32::MAX, 300_000),
        ] {
            let delay = backoff.delay(failures).as_millis();
            assert!(
                (base_ms * 3 / 4..=base_ms * 5 / 4).contains(&delay),
                "{failures}: {delay}"
            );
        }
    }
}
