//! What GitHub delivers: webhooks.
//!
//! A delivery is checked, kept and answered; the work is a durable job. What is done takes only the
//! occasion from the delivery: how an installation stands, what a repository is called and what a
//! branch holds is asked anew. So one that comes late, twice or out of order does no harm.

pub(crate) mod content;
mod failure;
#[cfg(test)]
mod fuzz;
pub(crate) mod http;
pub(crate) mod log_http;
mod pulled;
pub(crate) mod receive;
pub(crate) mod signature;
pub(crate) mod store;
pub(crate) mod work;

use chassis::db::Db;
use chassis::jobs::{self, NewJob};
use common::id::{AccountId, BuildId, DeliveryId};
use common::time::Time;
use diesel::QueryResult;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::schema::{deliveries, outcomes};
use content::Content;

/// The kind of the jobs that work deliveries off.
pub(crate) const JOB: &str = "github.delivery";

common::text_enum! {
    /// What came of a delivery for an account.
    pub(crate) enum OutcomeState {
        /// It waits for its turn.
        Queued = "queued",
        /// Builds were asked for.
        Built = "built",
        /// What it tells was applied.
        Applied = "applied",
        /// There was nothing to do; the reason says why.
        Nothing = "nothing",
        /// A newer push to the same branch took its place.
        Superseded = "superseded",
        /// It failed too often.
        Failed = "failed",
    }
}

/// A delivery.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = deliveries)]
pub(crate) struct Delivery {
    /// GitHub's name for it.
    pub(crate) id: String,
    /// The digest of event and body.
    pub(crate) digest: String,
    pub(crate) event: String,
    pub(crate) action: Option<String>,
    pub(crate) installation_id: i64,
    pub(crate) repository: Option<String>,
    pub(crate) branch: Option<String>,
    pub(crate) commit_id: Option<String>,
    /// What the work needs to know, as JSON.
    pub(crate) content: String,
    pub(crate) received_at: Time,
}

/// What came of a delivery for one account.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = outcomes)]
pub(crate) struct Outcome {
    pub(crate) id: DeliveryId,
    pub(crate) delivery_id: String,
    pub(crate) account_id: AccountId,
    pub(crate) state: OutcomeState,
    pub(crate) reason: Option<String>,
    /// The builds that were asked for, as JSON.
    pub(crate) builds: String,
    /// How often the work was begun anew, from 1.
    pub(crate) run: i32,
    pub(crate) finished_at: Option<Time>,
}

/// How the work ended well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) state: OutcomeState,
    pub(crate) reason: Option<String>,
    pub(crate) builds: Vec<BuildId>,
}

impl Done {
    /// What it tells was applied.
    pub(crate) fn applied() -> Self {
        Self {
            state: OutcomeState::Applied,
            reason: None,
            builds: Vec::new(),
        }
    }

    /// There was nothing to do.
    pub(crate) fn nothing(reason: impl Into<String>) -> Self {
        Self {
            state: OutcomeState::Nothing,
            reason: Some(reason.into()),
            builds: Vec::new(),
        }
    }
}

/// What a job is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Task {
    /// What came of it is kept here.
    pub(crate) outcome: DeliveryId,
    /// Which run this is.
    pub(crate) run: i32,
}

/// Has a delivery worked off for one account. Of pushes to one branch that wait, and of
/// what became of one pull request, only the newest is.
pub(crate) fn enqueue(
    db: &mut Db,
    delivery: &Delivery,
    content: &Content,
    outcome: &Outcome,
    now: Time,
) -> QueryResult<()> {
    let account = &outcome.account_id;
    let (group, supersede) = match content {
        Content::Push(push) => {
            let (owner, repo, branch) = (&push.owner, &push.repo, &push.branch);
            (format!("{account}/{owner}/{repo}#{branch}"), true)
        }
        Content::PullRequest(pull) => {
            let (owner, repo, number) = (&pull.owner, &pull.repo, pull.number);
            (format!("{account}/{owner}/{repo}!{number}"), true)
        }
        Content::Installation | Content::Moved(_) | Content::OwnerRenamed(_) => {
            (format!("{account}/{}", delivery.installation_id), false)
        }
        Content::Nothing { .. } => return Ok(()),
    };
    let job = NewJob {
        kind: JOB,
        key: key(&outcome.id, outcome.run),
        group: Some(group),
        payload: json!(Task {
            outcome: outcome.id.clone(),
            run: outcome.run,
        }),
        run_at: now,
        supersede,
    };
    let enqueued = jobs::enqueue(db, &job, now)?;
    let older: Vec<&str> = enqueued
        .superseded
        .iter()
        .filter_map(|key| Some(key.rsplit_once('/')?.0))
        .collect();
    store::supersede(db, &older, now)
}

fn key(outcome: &DeliveryId, run: i32) -> String {
    format!("{outcome}/{run}")
}

/// Holds what came of a delivery, so that it isn't begun anew by two at once.
pub(crate) fn lock(db: &mut Db, outcome: &DeliveryId) -> QueryResult<()> {
    chassis::db::lock(db, &format!("delivery:{outcome}"))
}

/// Has a delivery worked off once more, if it is one that anything is done about. The caller holds
/// the lock, and has read the outcome since.
pub(crate) fn again(
    db: &mut Db,
    delivery: &Delivery,
    outcome: &mut Outcome,
    now: Time,
) -> QueryResult<()> {
    let content = delivery.content()?;
    if let Content::Nothing { .. } = content {
        return Ok(());
    }
    outcome.run += 1;
    outcome.state = OutcomeState::Queued;
    outcome.reason = None;
    outcome.finished_at = None;
    store::begin_again(db, outcome)?;
    enqueue(db, delivery, &content, outcome, now)
}

impl Delivery {
    /// What the work needs to know.
    pub(crate) fn content(&self) -> QueryResult<Content> {
        serde_json::from_str(&self.content)
            .map_err(|error| diesel::result::Error::DeserializationError(Box::new(error)))
    }
}
