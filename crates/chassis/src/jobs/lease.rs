//! How workers hold jobs: taking, renewing, leaving.

use common::id::JobId;
use common::time::Time;
use diesel::prelude::*;
use diesel::result::Error;

use super::job::{Job, JobState};
use super::schema::jobs;
use super::store::lock_name;
use crate::db::{self, Db};

/// The job's row, as long as this run holds it.
macro_rules! held {
    ($job:expr) => {
        jobs::table.find($job.id.as_str()).filter(
            jobs::state
                .eq(JobState::Running)
                .and(jobs::lease_owner.eq($job.lease_owner.as_str())),
        )
    };
}

/// Whether this run still holds its job; if so, no other worker can take it before the caller's
/// transaction ends. For effects that must not come from a worker that was given up.
pub fn still_held(db: &mut Db, job: &Job, now: Time) -> QueryResult<bool> {
    let held = diesel::update(held!(job))
        .set(jobs::updated_at.eq(now))
        .execute(db)?;
    Ok(held == 1)
}

/// Whether there is a job of this kind that could be taken.
pub(super) fn any_due(db: &mut Db, kind: &str, now: Time) -> QueryResult<bool> {
    Ok(next_due(db, kind, now)?.is_some())
}

/// The job to take next: first those whose worker has died, then those whose time has come,
/// but for groups in which one runs.
fn next_due(db: &mut Db, kind: &str, now: Time) -> QueryResult<Option<JobId>> {
    let abandoned = jobs::table
        .filter(
            jobs::kind
                .eq(kind)
                .and(jobs::state.eq(JobState::Running))
                .and(jobs::lease_until.le(now)),
        )
        .order((jobs::lease_until, jobs::id))
        .select(jobs::id)
        .first(db)
        .optional()?;
    if abandoned.is_some() {
        return Ok(abandoned);
    }
    let busy: Vec<String> = jobs::table
        .filter(
            jobs::kind
                .eq(kind)
                .and(jobs::state.eq(JobState::Running))
                .and(jobs::group_key.is_not_null()),
        )
        .select(jobs::group_key.assume_not_null())
        .load(db)?;
    jobs::table
        .filter(
            jobs::kind
                .eq(kind)
                .and(jobs::state.eq(JobState::Queued))
                .and(jobs::run_at.le(now)),
        )
        .filter(jobs::group_key.is_null().or(jobs::group_key.ne_all(busy)))
        .order((jobs::run_at, jobs::id))
        .select(jobs::id)
        .first(db)
        .optional()
}

type Row = (
    String,
    String,
    Option<String>,
    String,
    i64,
    Option<String>,
    bool,
);

/// Takes the next job of a kind until `lease_until`.
pub(super) fn claim(
    db: &mut Db,
    kind: &str,
    lease_owner: &str,
    now: Time,
    lease_until: Time,
) -> QueryResult<Option<Job>> {
    db::lock(db, &lock_name(kind))?;
    let Some(id) = next_due(db, kind, now)? else {
        return Ok(None);
    };
    // An abandoned one may be its own worker's again, or over, since it was looked at.
    let still = jobs::state.eq(JobState::Queued).or(jobs::state
        .eq(JobState::Running)
        .and(jobs::lease_until.le(now)));
    let taken = diesel::update(jobs::table.find(&id).filter(still))
        .set((
            jobs::state.eq(JobState::Running),
            jobs::lease_until.eq(lease_until),
            jobs::lease_owner.eq(lease_owner),
            jobs::attempts.eq(jobs::attempts + 1),
            jobs::updated_at.eq(now),
        ))
        .execute(db)?;
    if taken == 0 {
        return Ok(None);
    }
    let (kind, key, group, payload, attempts, last_error, cancel_requested): Row = jobs::table
        .find(&id)
        .select((
            jobs::kind,
            jobs::job_key,
            jobs::group_key,
            jobs::payload,
            jobs::attempts,
            jobs::last_error,
            jobs::cancel_requested,
        ))
        .first(db)?;
    let payload = serde_json::from_str(&payload)
        .map_err(|error| Error::DeserializationError(Box::new(error)))?;
    let attempt = u32::try_from(attempts).unwrap_or(u32::MAX);
    let lease_owner = lease_owner.to_owned();
    Ok(Some(Job {
        id,
        kind,
        key,
        group,
        payload,
        attempt,
        last_error,
        lease_owner,
        cancel_requested,
    }))
}

/// Ends the leases of all running jobs, so that they are taken over at once. For the start of a
/// process that is the only one with this database: whoever had them is dead.
pub fn end_leases(db: &mut Db, now: Time) -> QueryResult<usize> {
    diesel::update(jobs::table.filter(jobs::state.eq(JobState::Running)))
        .set((
            jobs::lease_until.eq(now),
            jobs::lease_owner.eq(None::<String>),
        ))
        .execute(db)
}

/// What a worker learns about its job in between.
pub(super) enum Hold {
    /// It is its own.
    Held { cancel_requested: bool },
    /// Another has it, or it is over.
    Lost,
}

/// Looks whether the run still holds its job, and whether it shall end.
pub(super) fn look(db: &mut Db, job: &Job) -> QueryResult<Hold> {
    let found = held!(job)
        .select(jobs::cancel_requested)
        .first(db)
        .optional()?;
    Ok(found.map_or(Hold::Lost, |cancel_requested| Hold::Held {
        cancel_requested,
    }))
}

/// Renews the lease; answers whether the run still held the job.
pub(super) fn renew(db: &mut Db, job: &Job, lease_until: Time) -> QueryResult<bool> {
    let renewed = diesel::update(held!(job))
        .set(jobs::lease_until.eq(lease_until))
        .execute(db)?;
    Ok(renewed == 1)
}

/// How a run leaves its job.
pub(super) enum Leave<'a> {
    /// In a final state.
    Final(JobState, Option<&'a str>),
    /// To be tried again.
    Again(Time, &'a str),
    /// As if it hadn't been taken.
    Untouched,
}

/// Ends a run; answers whether it still held the job. If not, nothing is changed.
pub(super) fn leave(db: &mut Db, job: &Job, how: &Leave<'_>, now: Time) -> QueryResult<bool> {
    let (state, run_at, error, attempts) = match how {
        Leave::Final(state, error) => (*state, now, *error, job.attempt),
        Leave::Again(run_at, error) => (JobState::Queued, *run_at, Some(*error), job.attempt),
        Leave::Untouched => (
            JobState::Queued,
            now,
            job.last_error.as_deref(),
            job.attempt.saturating_sub(1),
        ),
    };
    let left = diesel::update(held!(job))
        .set((
            jobs::state.eq(state),
            jobs::run_at.eq(run_at),
            jobs::last_error.eq(error),
            jobs::attempts.eq(i64::from(attempts)),
            jobs::lease_until.eq(None::<Time>),
            jobs::lease_owner.eq(None::<String>),
            jobs::updated_at.eq(now),
        ))
        .execute(db)?;
    Ok(left == 1)
}

/// Removes jobs that were over before `before`; answers how many.
pub(super) fn remove_over(db: &mut Db, before: Time) -> QueryResult<usize> {
    let states = JobState::ALL
        .iter()
        .copied()
        .filter(|state| state.is_final());
    let over = jobs::state
        .eq_any(states.collect::<Vec<_>>())
        .and(jobs::updated_at.lt(before));
    diesel::delete(jobs::table.filter(over)).execute(db)
}
