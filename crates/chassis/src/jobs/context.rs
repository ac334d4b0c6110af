//! What a running job is given.

use std::sync::{Arc, OnceLock};

use common::time::Clock;
use tokio_util::sync::CancellationToken;

use crate::db::Database;

/// Why a run has to end early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelReason {
    /// Somebody asked for it: clean up, then answer [`JobError::Cancelled`](super::JobError).
    Requested,
    /// Another worker has the job now: touch nothing any more.
    Lost,
}

/// A running job's surroundings; its lease is renewed by itself. Cheap to clone.
#[derive(Clone, Debug)]
pub struct JobContext {
    /// Fires when the run has to end: because somebody cancelled the job, or because another
    /// worker has it. See [`cancel_reason`](Self::cancel_reason).
    pub cancel: CancellationToken,
    /// Fires when the process stops. A job that can't end soon by itself should answer
    /// [`JobError::Interrupted`](super::JobError); otherwise it is cut off after a while.
    pub shutdown: CancellationToken,
    /// The service's database.
    pub db: Database,
    /// The time.
    pub clock: Clock,
    reason: Arc<OnceLock<CancelReason>>,
}

impl JobContext {
    pub(super) fn new(db: Database, clock: Clock, shutdown: CancellationToken) -> Self {
        Self {
            cancel: CancellationToken::new(),
            shutdown,
            db,
            clock,
            reason: Arc::default(),
        }
    }

    /// Why the run has to end, if it has to.
    #[must_use]
    pub fn cancel_reason(&self) -> Option<CancelReason> {
        self.reason.get().copied()
    }

    pub(super) fn end(&self, reason: CancelReason) {
        let _first_reason_stays = self.reason.set(reason);
        self.cancel.cancel();
    }
}
