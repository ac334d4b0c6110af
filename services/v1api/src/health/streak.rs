//! How many checks in a row make an instance well or ailing.

use serde::Serialize;
use utoipa::ToSchema;

/// What an instance is taken to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Condition {
    /// Too little is known; calls go to it.
    Unknown,
    /// Calls go to it.
    Healthy,
    /// No call goes to it.
    Unhealthy,
}

/// What was wrong with an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    /// It answered with this status.
    #[error("it answered {0}")]
    Status(u16),
    /// It didn't answer in time.
    #[error("it didn't answer in time")]
    Silence,
    /// It couldn't be connected to, or broke off.
    #[error("it couldn't be reached")]
    Unreachable,
}

/// One instance's last checks.
#[derive(Debug)]
pub(crate) struct Streak {
    healthy_after: u32,
    unhealthy_after: u32,
    condition: Condition,
    /// How many in a row have said otherwise.
    against: u32,
}

impl Streak {
    /// Nothing is known; so many in a row are needed.
    pub(crate) fn new(healthy_after: u32, unhealthy_after: u32) -> Self {
        Self {
            healthy_after,
            unhealthy_after,
            condition: Condition::Unknown,
            against: 0,
        }
    }

    /// Takes note of a check, and tells what the instance is from now on if that is something else.
    pub(crate) fn note(&mut self, passed: bool) -> Option<Condition> {
        let (said, needed) = match (passed, self.condition) {
            // Calls go to it anyway.
            (true, Condition::Unknown) => (Condition::Healthy, 1),
            (true, _) => (Condition::Healthy, self.healthy_after),
            (false, _) => (Condition::Unhealthy, self.unhealthy_after),
        };
        if said == self.condition {
            self.against = 0;
            return None;
        }
        self.against += 1;
        if self.against < needed {
            return None;
        }
        self.against = 0;
        self.condition = said;
        Some(said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(streak: &mut Streak, checks: &[bool]) -> Vec<Option<Condition>> {
        checks.iter().map(|passed| streak.note(*passed)).collect()
    }

    #[test]
    fn so_many_in_a_row_are_needed_and_one_that_says_otherwise_begins_anew() {
        let mut streak = Streak::new(2, 3);
        assert_eq!(streak.note(true), Some(Condition::Healthy));
        let failing = [false, false, true, false, false, false];
        let expected = [None, None, None, None, None, Some(Condition::Unhealthy)];
        assert_eq!(told(&mut streak, &failing), expected);
        let passing = [true, false, true, true, true];
        let expected = [None, None, None, Some(Condition::Healthy), None];
        assert_eq!(told(&mut streak, &passing), expected);
    }

    #[test]
    fn who_has_never_passed_is_ailing_after_as_many_failures() {
        let mut streak = Streak::new(1, 2);
        let expected = [None, Some(Condition::Unhealthy), None];
        assert_eq!(told(&mut streak, &[false, false, false]), expected);
    }
}
