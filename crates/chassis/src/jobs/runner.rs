//! One run of one job, from the taking to the end.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use common::random;
use common::time::{Clock, Time};
use diesel::result::Error;
use futures_util::FutureExt as _;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::context::{CancelReason, JobContext};
use super::job::{Job, JobError, JobResult, JobState};
use super::lease::{self, Hold, Leave};
use super::workers::{Timing, Worker};
use crate::db::Database;
use crate::events::{Backoff, span};

/// Between the attempts of a job.
const RETRY: Backoff = Backoff {
    first: Duration::from_secs(1),
    factor: 4,
    max: Duration::from_mins(5),
};

/// Between attempts to note how a run ended, while the database is away.
const NOTE: Backoff = Backoff {
    first: Duration::from_millis(200),
    factor: 2,
    max: Duration::from_secs(5),
};

/// How often that is tried. Whatever isn't noted by then, the end of the lease settles.
const NOTE_ATTEMPTS: u32 = 10;

/// How long a run waits after a commit before it looks at its job: many may come at once.
const GATHER: Duration = Duration::from_millis(50);

/// The longest error text that is kept, in characters.
const ERROR_LEN: usize = 2000;

/// Everything that the runs of one kind of job share.
pub(super) struct Runner {
    pub(super) worker: Worker,
    pub(super) db: Database,
    pub(super) clock: Clock,
    pub(super) timing: Timing,
    pub(super) shutdown: CancellationToken,
    /// Fires when what still runs is to be given back.
    pub(super) cut_off: CancellationToken,
}

impl Runner {
    /// Takes a job if there is one to take.
    pub(super) async fn take(&self) -> Option<Job> {
        let (kind, now) = (self.worker.kind, self.clock.now());
        let lease_until = self.lease_until(now);
        let owner = random::token();
        let taken = async {
            // Looking costs no write transaction, and so wakes nobody.
            if !self
                .db
                .read(move |db| lease::any_due(db, kind, now))
                .await?
            {
                return Ok(None);
            }
            self.db
                .write(move |db| lease::claim(db, kind, &owner, now, lease_until))
                .await
        };
        taken.await.unwrap_or_else(|error: Error| {
            tracing::warn!(job.kind = kind, error = %error, "jobs can't be taken");
            None
        })
    }

    fn lease_until(&self, now: Time) -> Time {
        now + span(self.timing.lease)
    }

    /// Renews the lease and hears of cancellation, for as long as it is polled.
    async fn heartbeat(&self, job: &Job, cx: &JobContext) -> Infallible {
        let mut commits = self.db.commits();
        let mut renewed = Instant::now();
        let mut lease_until = self.lease_until(self.clock.now());
        loop {
            commits.mark_unchanged();
            tokio::select! {
                () = tokio::time::sleep(self.timing.look) => {}
                _ = commits.changed() => tokio::time::sleep(GATHER).await,
            }
            let now = self.clock.now();
            let held = if renewed.elapsed() >= self.timing.renew {
                renewed = Instant::now();
                self.renew(job, self.lease_until(now)).await
            } else {
                self.look(job).await
            };
            match held {
                Ok(Beat::Renewed(until)) => lease_until = until,
                Ok(Beat::Held {
                    cancel_requested: false,
                }) => {}
                Ok(Beat::Held {
                    cancel_requested: true,
                }) => cx.end(CancelReason::Requested),
                Ok(Beat::Lost) => break,
                Err(error) => {
                    tracing::warn!(job.id = %job.id, error = %error, "a job's lease can't be looked at");
                    // From here on another worker may have taken it.
                    if now >= lease_until {
                        break;
                    }
                }
            }
        }
        tracing::warn!(job.id = %job.id, job.kind = %job.kind, "a job's lease was lost");
        cx.end(CancelReason::Lost);
        std::future::pending().await
    }

    async fn renew(&self, job: &Job, until: Time) -> Result<Beat, Error> {
        let job = job.clone();
        let held = self
            .db
            .write(move |db| lease::renew(db, &job, until))
            .await?;
        Ok(if held {
            Beat::Renewed(until)
        } else {
            Beat::Lost
        })
    }

    async fn look(&self, job: &Job) -> Result<Beat, Error> {
        let job = job.clone();
        match self.db.read(move |db| lease::look(db, &job)).await? {
            Hold::Held { cancel_requested } => Ok(Beat::Held { cancel_requested }),
            Hold::Lost => Ok(Beat::Lost),
        }
    }

    /// Notes how the run ended, together with what the owner does about a failure.
    async fn note(&self, job: &Job, end: &End) {
        for attempt in 1..=NOTE_ATTEMPTS {
            let (noted, end, now) = (job.clone(), end.clone(), self.clock.now());
            let on_failed = self.worker.on_failed.clone();
            let write = self.db.write(move |db| {
                let left = lease::leave(db, &noted, &end.leave(now), now)?;
                if let (true, End::Over(JobState::Failed, Some(error)), Some(tell)) =
                    (left, &end, on_failed)
                {
                    tell(db, &noted, error, now)?;
                }
                Ok::<_, Error>(left)
            });
            match write.await {
                Ok(true) => return,
                Ok(false) => {
                    tracing::warn!(job.id = %job.id, job.kind = %job.kind, "a run ended after its job was taken over");
                    return;
                }
                Err(error) => {
                    tracing::warn!(job.id = %job.id, attempt, error = %error, "a job's end can't be noted yet");
                    tokio::time::sleep(NOTE.delay(attempt)).await;
                }
            }
        }
    }
}

/// What a heartbeat found.
enum Beat {
    Renewed(Time),
    Held { cancel_requested: bool },
    Lost,
}

/// How a run ends, with texts that can be kept.
#[derive(Clone, Debug)]
enum End {
    Over(JobState, Option<String>),
    Again(Duration, String),
    Untouched,
}

impl End {
    fn of(result: &JobResult, job: &Job, max_attempts: u32, cancelled: bool) -> Self {
        let text = |error: &JobError| {
            error
                .to_string()
                .chars()
                .take(ERROR_LEN)
                .collect::<String>()
        };
        match result {
            Ok(()) => Self::Over(JobState::Done, None),
            Err(JobError::Interrupted) => Self::Untouched,
            Err(JobError::Cancelled) => Self::Over(JobState::Cancelled, None),
            // It was to end, and it did.
            Err(error) if cancelled => Self::Over(JobState::Cancelled, Some(text(error))),
            Err(error @ JobError::Retry(_)) if job.attempt < max_attempts => {
                Self::Again(RETRY.delay(job.attempt), text(error))
            }
            Err(error) => Self::Over(JobState::Failed, Some(text(error))),
        }
    }

    fn leave(&self, now: Time) -> Leave<'_> {
        match self {
            Self::Over(state, error) => Leave::Final(*state, error.as_deref()),
            Self::Again(wait, error) => Leave::Again(now + span(*wait), error),
            Self::Untouched => Leave::Untouched,
        }
    }
}

/// Runs a job that was taken, and notes how that ended.
pub(super) async fn run(runner: Arc<Runner>, job: Job) {
    let started = Instant::now();
    let end = if job.attempt > runner.worker.max_attempts {
        End::Over(
            JobState::Failed,
            Some(
                job.last_error
                    .clone()
                    .unwrap_or_else(|| "its worker died".into()),
            ),
        )
    } else {
        run_once(&runner, &job).await
    };
    let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    match &end {
        End::Over(JobState::Failed, error) => {
            tracing::error!(job.id = %job.id, job.kind = %job.kind, attempt = job.attempt, duration_ms, error, "a job failed");
        }
        End::Again(_, error) => {
            tracing::warn!(job.id = %job.id, job.kind = %job.kind, attempt = job.attempt, duration_ms, error, "a job will be tried again");
        }
        End::Over(state, _) => {
            tracing::info!(job.id = %job.id, job.kind = %job.kind, job.state = %state, duration_ms, "a job is over");
        }
        End::Untouched => {
            tracing::info!(job.id = %job.id, job.kind = %job.kind, duration_ms, "a job was given back");
        }
    }
    runner.note(&job, &end).await;
}

async fn run_once(runner: &Runner, job: &Job) -> End {
    let cx = JobContext::new(
        runner.db.clone(),
        runner.clock.clone(),
        runner.shutdown.clone(),
    );
    if job.cancel_requested {
        cx.end(CancelReason::Requested);
    }
    let work = AssertUnwindSafe((runner.worker.run)(job.clone(), cx.clone())).catch_unwind();
    let result = tokio::select! {
        result = work => result.unwrap_or_else(|_panic| Err(JobError::retry("the job panicked"))),
        never = runner.heartbeat(job, &cx) => match never {},
        () = runner.cut_off.cancelled() => Err(JobError::Interrupted),
    };
    let cancelled = cx.cancel_reason() == Some(CancelReason::Requested);
    End::of(&result, job, runner.worker.max_attempts, cancelled)
}
