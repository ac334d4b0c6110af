//! A job, and how a run of it ends.

use common::id::JobId;
use serde::de::DeserializeOwned;
use serde_json::Value;

common::text_enum! {
    /// Where a job stands.
    pub enum JobState {
        /// It waits for its time, or for a worker.
        Queued = "queued",
        /// A worker has it.
        Running = "running",
        /// It has been done.
        Done = "done",
        /// It failed too often, or for good.
        Failed = "failed",
        /// It was cancelled, before or while it ran.
        Cancelled = "cancelled",
        /// A newer one of its group took its place before it ran.
        Superseded = "superseded",
    }
}

impl JobState {
    /// Whether nothing more will happen to it.
    #[must_use]
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

/// A job that a worker has taken.
#[derive(Clone, Debug)]
pub struct Job {
    /// The job.
    pub id: JobId,
    /// What is to be done.
    pub kind: String,
    /// The owner's name for it, unique within the kind.
    pub key: String,
    /// Of the jobs of one group, one runs at a time.
    pub group: Option<String>,
    /// What the owner gave it along.
    pub payload: Value,
    /// Which run of it this is, from 1.
    pub attempt: u32,
    /// Why the run before failed.
    pub last_error: Option<String>,
    /// The name of this worker's hold on it.
    pub(super) lease_owner: String,
    /// Whether it had been cancelled when it was taken.
    pub(super) cancel_requested: bool,
}

impl Job {
    /// The payload as a type. A payload that can't be read won't become readable by waiting.
    pub fn payload<T: DeserializeOwned>(&self) -> Result<T, JobError> {
        T::deserialize(&self.payload).map_err(JobError::permanent)
    }
}

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why a run did not do the job.
#[derive(Debug)]
pub enum JobError {
    /// It failed and is tried again later, unless that was the last attempt.
    Retry(Cause),
    /// It failed for good.
    Permanent(Cause),
    /// It ended because it was cancelled.
    Cancelled,
    /// It ended because the process stops; another takes it over at once, and this run doesn't
    /// count.
    Interrupted,
}

impl JobError {
    /// A failure that may pass.
    pub fn retry(cause: impl Into<Cause>) -> Self {
        Self::Retry(cause.into())
    }

    /// A failure that trying again can't mend.
    pub fn permanent(cause: impl Into<Cause>) -> Self {
        Self::Permanent(cause.into())
    }
}

impl std::fmt::Display for JobError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Retry(cause) | Self::Permanent(cause) => {
                write!(f, "{cause}")?;
                let mut source = cause.source();
                while let Some(error) = source {
                    write!(f, ": {error}")?;
                    source = error.source();
                }
                Ok(())
            }
            Self::Cancelled => f.write_str("cancelled"),
            Self::Interrupted => f.write_str("interrupted"),
        }
    }
}

/// How a run of a job ends.
pub type JobResult = Result<(), JobError>;
