//! Jobs in the database.

use common::id::JobId;
use common::time::Time;
use diesel::prelude::*;
use serde_json::Value;

use super::job::JobState;
use super::schema::jobs;
use crate::db::{self, Db};
use crate::on_backend;

/// A job to be done.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// What is to be done: the name of a worker.
    pub kind: &'static str,
    /// The owner's name for it. A job of the same kind and key is not made twice.
    pub key: String,
    /// Of the jobs of one kind and group, one runs at a time.
    pub group: Option<String>,
    /// What the worker needs to know. No secrets.
    pub payload: Value,
    /// Not before this time.
    pub run_at: Time,
    /// Whether jobs of the group that wait are dropped in favour of this one.
    pub supersede: bool,
}

/// What came of enqueuing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enqueued {
    /// The job; `None` if there was one of this key already, and nothing was changed.
    pub id: Option<JobId>,
    /// The keys of the jobs that this one supersedes.
    pub superseded: Vec<String>,
}

/// Enqueues a job in the caller's transaction.
pub fn enqueue(db: &mut Db, new: &NewJob, now: Time) -> QueryResult<Enqueued> {
    // With the lock that taking a job needs: nothing that is taken at this moment is superseded.
    db::lock(db, &lock_name(new.kind))?;
    let id = JobId::new(now);
    let row = (
        jobs::id.eq(&id),
        jobs::kind.eq(new.kind),
        jobs::job_key.eq(&new.key),
        jobs::group_key.eq(&new.group),
        jobs::payload.eq(new.payload.to_string()),
        jobs::state.eq(JobState::Queued),
        jobs::run_at.eq(new.run_at),
        jobs::attempts.eq(0),
        jobs::cancel_requested.eq(false),
        jobs::created_at.eq(now),
        jobs::updated_at.eq(now),
    );
    let made = on_backend!(db, conn => diesel::insert_into(jobs::table)
        .values(row)
        .on_conflict((jobs::kind, jobs::job_key))
        .do_nothing()
        .execute(conn))?;
    if made == 0 {
        return Ok(Enqueued {
            id: None,
            superseded: Vec::new(),
        });
    }
    let superseded = match &new.group {
        Some(group) if new.supersede => supersede(db, new.kind, group, &id, now)?,
        _ => Vec::new(),
    };
    Ok(Enqueued {
        id: Some(id),
        superseded,
    })
}

fn supersede(
    db: &mut Db,
    kind: &str,
    group: &str,
    newer: &JobId,
    now: Time,
) -> QueryResult<Vec<String>> {
    let waiting: Vec<(String, String)> = jobs::table
        .filter(
            jobs::kind
                .eq(kind)
                .and(jobs::group_key.eq(group))
                .and(jobs::state.eq(JobState::Queued)),
        )
        .filter(jobs::id.ne(newer))
        .order(jobs::id)
        .select((jobs::id, jobs::job_key))
        .load(db)?;
    let (ids, keys): (Vec<_>, Vec<_>) = waiting.into_iter().unzip();
    diesel::update(jobs::table.filter(jobs::id.eq_any(ids)))
        .set((
            jobs::state.eq(JobState::Superseded),
            jobs::updated_at.eq(now),
        ))
        .execute(db)?;
    Ok(keys)
}

/// What came of a wish to cancel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancelling {
    /// It hadn't begun, or waited for its next attempt, and won't run.
    Cancelled,
    /// It runs; its worker will hear of it within about a second.
    Requested,
    /// It is over already.
    Over(JobState),
    /// There is no such job.
    Unknown,
}

/// Cancels a job, or asks its worker to.
pub fn request_cancel(db: &mut Db, kind: &str, key: &str, now: Time) -> QueryResult<Cancelling> {
    db::lock(db, &lock_name(kind))?;
    let Some(state) = state(db, kind, key)? else {
        return Ok(Cancelling::Unknown);
    };
    let job = jobs::table.filter(jobs::kind.eq(kind).and(jobs::job_key.eq(key)));
    match state {
        JobState::Queued => {
            diesel::update(job)
                .set((
                    jobs::state.eq(JobState::Cancelled),
                    jobs::cancel_requested.eq(true),
                    jobs::updated_at.eq(now),
                ))
                .execute(db)?;
            Ok(Cancelling::Cancelled)
        }
        JobState::Running => {
            // Unless it ends in this very moment.
            let running = job.filter(jobs::state.eq(JobState::Running));
            let asked = diesel::update(running)
                .set((jobs::cancel_requested.eq(true), jobs::updated_at.eq(now)))
                .execute(db)?;
            if asked == 0 {
                self::state(db, kind, key).map(over)
            } else {
                Ok(Cancelling::Requested)
            }
        }
        over => Ok(Cancelling::Over(over)),
    }
}

fn over(state: Option<JobState>) -> Cancelling {
    state.map_or(Cancelling::Unknown, Cancelling::Over)
}

/// Where a job stands.
pub fn state(db: &mut Db, kind: &str, key: &str) -> QueryResult<Option<JobState>> {
    jobs::table
        .filter(jobs::kind.eq(kind).and(jobs::job_key.eq(key)))
        .select(jobs::state)
        .first(db)
        .optional()
}

/// The name of the lock under which jobs of a kind are taken.
pub(super) fn lock_name(kind: &str) -> String {
    format!("jobs:{kind}")
}
