//! Which instances of an upstream to try, by how the last requests to them went.
//!
//! Two things are told apart. A refused connection costs nothing and says so at once: such an
//! instance is only tried after the others for a moment. One that lets its callers wait until
//! their time is over costs them that time: after several in a row it is left alone (its circuit is
//! open), then asked again by one request at a time, whose success closes the circuit.

use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::metrics::InstanceFigures;

/// How many requests in a row must have failed slowly.
const SLOW_FAILURES: u32 = 5;
/// How long such an instance is left alone at first, and at most.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long an instance that refused a connection stands behind the others.
const SET_BACK: Duration = Duration::from_secs(1);

/// Whether to try an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    /// Yes.
    Good,
    /// After those that are good.
    SetBack,
    /// Not before this much time has passed.
    Open(Duration),
}

/// How the last requests to one instance went, as one worker has seen it.
#[derive(Debug, Default)]
pub(super) struct Health {
    slow_in_a_row: Cell<u32>,
    closed_at: Cell<Option<Instant>>,
    set_back_until: Cell<Option<Instant>>,
    figures: Arc<InstanceFigures>,
}

impl Health {
    /// Nothing has happened yet; whether the circuit is open shows in these figures.
    pub(super) fn new(figures: Arc<InstanceFigures>) -> Self {
        Self {
            figures,
            ..Self::default()
        }
    }

    fn set_closed_at(&self, at: Option<Instant>) {
        self.closed_at.set(at);
        self.figures.set_open_until(at);
    }

    /// Whether to try it now.
    pub(super) fn standing(&self, now: Instant) -> Standing {
        if let Some(until) = self.closed_at.get() {
            let left = until.saturating_duration_since(now);
            if !left.is_zero() {
                return Standing::Open(left);
            }
        }
        match self.set_back_until.get() {
            Some(until) if until > now => Standing::SetBack,
            _ => Standing::Good,
        }
    }

    /// A request goes to it. The first one after a pause goes alone: the others wait for how it
    /// ends.
    pub(super) fn tried(&self, now: Instant) {
        if self.closed_at.get().is_some() {
            self.set_closed_at(Some(now + self.pause()));
        }
    }

    /// It answered.
    pub(super) fn answered(&self) {
        if self.slow_in_a_row.get() > 0 || self.set_back_until.get().is_some() {
            self.slow_in_a_row.set(0);
            self.set_closed_at(None);
            self.set_back_until.set(None);
        }
    }

    /// It refused a connection, or ended one.
    pub(super) fn refused(&self, now: Instant) {
        self.set_back_until.set(Some(now + SET_BACK));
    }

    /// It let somebody wait until the time was over.
    pub(super) fn kept_waiting(&self, now: Instant) {
        self.slow_in_a_row
            .set(self.slow_in_a_row.get().saturating_add(1));
        if self.slow_in_a_row.get() >= SLOW_FAILURES {
            self.set_closed_at(Some(now + self.pause()));
        }
    }

    /// Whether there is nothing to remember.
    pub(super) fn is_blank(&self, now: Instant) -> bool {
        self.slow_in_a_row.get() == 0 && self.standing(now) == Standing::Good
    }

    fn pause(&self) -> Duration {
        let doublings = self
            .slow_in_a_row
            .get()
            .saturating_sub(SLOW_FAILURES)
            .min(5);
        (FIRST_PAUSE * 2_u32.pow(doublings)).min(LONGEST_PAUSE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_refuses_is_tried_last_for_a_moment_and_never_left_alone() {
        let (health, now) = (Health::default(), Instant::now());
        for _ in 0..100 {
            health.refused(now);
        }
        assert_eq!(health.standing(now), Standing::SetBack);
        assert_eq!(health.standing(now + SET_BACK), Standing::Good);
        health.answered();
        assert_eq!(health.standing(now), Standing::Good);
    }

    #[test]
    fn who_keeps_callers_waiting_is_left_alone_and_then_asked_by_one_at_a_time() {
        let (health, now) = (Health::default(), Instant::now());
        for _ in 1..SLOW_FAILURES {
            health.kept_waiting(now);
        }
        assert_eq!(health.standing(now), Standing::Good);
        health.kept_waiting(now);
        assert_eq!(health.standing(now), Standing::Open(FIRST_PAUSE));

        let later = now + FIRST_PAUSE;
        assert_eq!(health.standing(later), Standing::Good);
        health.tried(later);
        assert!(
            matches!(health.standing(later), Standing::Open(_)),
            "one asks"
        );
        health.kept_waiting(later);
        assert_eq!(health.standing(later), Standing::Open(FIRST_PAUSE * 2));

        let later = later + FIRST_PAUSE * 2;
        health.tried(later);
        health.answered();
        assert_eq!(health.standing(later), Standing::Good);
    }

    #[test]
    fn the_pauses_grow_up_to_a_limit() {
        let (health, now) = (Health::default(), Instant::now());
        for _ in 0..1_000 {
            health.kept_waiting(now);
        }
        assert_eq!(health.standing(now), Standing::Open(LONGEST_PAUSE));
    }
}
