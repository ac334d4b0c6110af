//! When to look again at tables that somebody else writes.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior};

use super::Database;

/// How often is looked at a `SQLite` database without a reason: it is one process's, which knows when it
/// has committed something.
const WITHOUT_REASON: Duration = Duration::from_millis(500);

/// The moments at which a copy of some tables may have grown old: after each commit of this process, and
/// from time to time, since other processes' commits are not told.
#[derive(Debug)]
pub struct Looks {
    commits: watch::Receiver<u64>,
    ticks: Interval,
}

impl Database {
    /// Looks that miss no commit of another process for longer than `period`.
    #[must_use]
    pub fn looks(&self, period: Duration) -> Looks {
        let period = if self.is_postgres() {
            period
        } else {
            period.max(WITHOUT_REASON)
        };
        let mut ticks = tokio::time::interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Looks {
            commits: self.commits(),
            ticks,
        }
    }
}

impl Looks {
    /// Waits until it is time to look; the first time that is at once. Safe to cancel.
    pub async fn next(&mut self) {
        tokio::select! {
            // Without anybody who commits, the ticks go on.
            Ok(()) = self.commits.changed() => {}
            _ = self.ticks.tick() => {}
        }
    }
}
