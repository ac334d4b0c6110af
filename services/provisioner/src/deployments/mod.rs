//! Deployments: what answers for each environment, and keeping it so.

pub(crate) mod adjust;
pub(crate) mod http;
pub(crate) mod instances;
pub(crate) mod launch;
pub(crate) mod reconcile;
pub(crate) mod recover;
pub(crate) mod rest;
pub(crate) mod store;
pub(crate) mod switch;
pub(crate) mod watch;

use std::net::SocketAddr;

use chassis::db::Db;
use chassis::events::emit;
use common::event::ProvisionerEvent;
use common::id::{AccountId, BuildId, EnvironmentId, ProjectId, ReleaseId};
use common::time::Time;
use diesel::QueryResult;

common::text_enum! {
    /// Whether an app runs all the time, or only once somebody asks for it.
    pub(crate) enum Rest {
        /// It runs.
        Awake = "awake",
        /// It runs nothing; the next request wakes it.
        Asleep = "asleep",
        /// It runs nothing yet; a job starts it.
        Waking = "waking",
    }
}

/// What answers for an environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Deployment {
    pub(crate) environment_id: EnvironmentId,
    pub(crate) project_id: ProjectId,
    pub(crate) account_id: AccountId,
    pub(crate) label: String,
    pub(crate) has_database: bool,
    pub(crate) release_id: Option<ReleaseId>,
    pub(crate) build_id: Option<BuildId>,
    /// The ids of the instances to which requests go.
    pub(crate) instances: Vec<String>,
    pub(crate) upstreams: Vec<SocketAddr>,
    pub(crate) hold_until: Option<Time>,
    pub(crate) reason: Option<String>,
    pub(crate) version: i64,
    pub(crate) deleted_at: Option<Time>,
    pub(crate) sleep_after: Option<i64>,
    pub(crate) rest: Rest,
    pub(crate) active_at: Option<Time>,
    /// How many instances it wants.
    pub(crate) wanted: i64,
}

/// What is told about a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// It runs.
    Live,
    /// It runs an earlier release again.
    RolledBack,
    /// It doesn't run, though it should.
    Failed,
    /// It sleeps.
    Asleep,
    /// It runs no more.
    Stopped,
}

impl Deployment {
    /// Keeps what has changed and tells it, with the instances that are live by then.
    pub(crate) fn change(&mut self, db: &mut Db, news: News, now: Time) -> QueryResult<()> {
        self.version += 1;
        let live = instances::live(db, &self.environment_id)?;
        let addresses = live
            .iter()
            .filter_map(|row| row.address.as_deref()?.parse().ok());
        self.upstreams = addresses.collect();
        self.instances = live.into_iter().map(|row| row.id).collect();
        store::update(db, self)?;
        let state = common::event::Deployment {
            environment_id: self.environment_id.clone(),
            project_id: self.project_id.clone(),
            account_id: self.account_id.clone(),
            label: self.label.clone(),
            release_id: self.release_id.clone(),
            build_id: self.build_id.clone(),
            upstreams: self.upstreams.clone(),
            hold_until: self.hold_until,
            asleep: self.rest != Rest::Awake,
            reason: self.reason.clone(),
        };
        let event = match news {
            News::Live => ProvisionerEvent::DeploymentLive(state),
            News::RolledBack => ProvisionerEvent::DeploymentRolledBack(state),
            News::Failed => ProvisionerEvent::DeploymentFailed(state),
            News::Asleep => ProvisionerEvent::DeploymentAsleep(state),
            News::Stopped => ProvisionerEvent::DeploymentStopped(state),
        };
        emit(db, event, self.version, now)
    }
}
