//! Durable jobs: long work that outlives a request, and the process that began it.
//!
//! A job is a row that is [enqueued](enqueue) in the transaction of what it is for. A worker
//! holds it by a lease that it renews; when the worker dies, the lease ends and another takes
//! the job over. So a job may run more than once, never twice at a time as long as its function
//! heeds [`JobContext::cancel`], and its function must be written to begin again.

mod context;
mod job;
mod lease;
mod runner;
mod schema;
mod store;
mod workers;

pub use context::{CancelReason, JobContext};
pub use job::{Job, JobError, JobResult, JobState};
pub use lease::{end_leases, still_held};
pub use store::{Cancelling, Enqueued, NewJob, enqueue, request_cancel, state};
pub use workers::{Timing, Workers};
