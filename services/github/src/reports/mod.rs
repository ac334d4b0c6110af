//! Back to GitHub: what becomes of a commit's builds, as commit statuses and deployments, so that a
//! commit and its pull request show it.
//!
//! Events of builds become jobs; a build neither waits for them nor knows of them.

pub(crate) mod events;
pub(crate) mod outdated;
mod say;
pub(crate) mod store;
pub(crate) mod work;

use chassis::db::Db;
use chassis::jobs::{self, NewJob};
use common::event::BuildState;
use common::id::{AccountId, BuildId, EnvironmentId, ProjectId};
use common::time::Time;
use diesel::QueryResult;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::schema::reports;

/// The kind of the jobs that tell GitHub.
pub(crate) const JOB: &str = "github.report";

/// A build, as far as is known of it.
#[derive(Clone, Debug, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = reports, treat_none_as_null = true)]
pub(crate) struct Report {
    pub(crate) build_id: BuildId,
    pub(crate) account_id: AccountId,
    pub(crate) project_id: Option<ProjectId>,
    /// The environment's name.
    pub(crate) environment: Option<String>,
    /// The label of its host name.
    pub(crate) label: Option<String>,
    pub(crate) owner: Option<String>,
    pub(crate) repo: Option<String>,
    pub(crate) commit_id: Option<String>,
    pub(crate) state: BuildState,
    /// GitHub's number of the deployment, once there is one. It comes from the work, which holds no
    /// lock, so what events write leaves it alone.
    #[diesel(skip_update)]
    pub(crate) deployment_id: Option<i64>,
    pub(crate) created_at: Time,
    /// Whether it is of a pull request's preview.
    pub(crate) preview: bool,
    pub(crate) environment_id: Option<EnvironmentId>,
    /// Whether its deployment was said to be over. It comes from the work, as the number does.
    #[diesel(skip_update)]
    pub(crate) ended: bool,
}

/// What a job is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Task {
    pub(crate) build: BuildId,
}

/// What is needed to tell GitHub of a build.
#[derive(Clone, Debug)]
pub(crate) struct Complete<'a> {
    pub(crate) project: &'a ProjectId,
    pub(crate) environment: &'a str,
    pub(crate) label: &'a str,
    pub(crate) owner: &'a str,
    pub(crate) repo: &'a str,
    pub(crate) commit: &'a str,
}

impl Report {
    /// Nothing yet.
    fn new(build: &BuildId, account: &AccountId, now: Time) -> Self {
        Self {
            build_id: build.clone(),
            account_id: account.clone(),
            project_id: None,
            environment: None,
            label: None,
            owner: None,
            repo: None,
            commit_id: None,
            state: BuildState::Queued,
            deployment_id: None,
            created_at: now,
            preview: false,
            environment_id: None,
            ended: false,
        }
    }

    /// All that GitHub has to be told, once it is known.
    pub(crate) fn complete(&self) -> Option<Complete<'_>> {
        Some(Complete {
            project: self.project_id.as_ref()?,
            environment: self.environment.as_deref()?,
            label: self.label.as_deref()?,
            owner: self.owner.as_deref()?,
            repo: self.repo.as_deref()?,
            commit: self.commit_id.as_deref()?,
        })
    }
}

/// Keeps what is known of a build now, and has GitHub told if there is something to tell. What waits
/// to be told of the same build is out of date.
fn keep(db: &mut Db, report: &Report, now: Time) -> QueryResult<()> {
    store::save(db, report)?;
    if report.complete().is_none() || report.state == BuildState::Queued {
        return Ok(());
    }
    let job = NewJob {
        kind: JOB,
        key: format!("{}/{}", report.build_id, report.state),
        group: Some(report.build_id.to_string()),
        payload: json!(Task {
            build: report.build_id.clone(),
        }),
        run_at: now,
        supersede: true,
    };
    jobs::enqueue(db, &job, now).map(drop)
}
