//! Environments as callers see them.

use chassis::settings::PublicUrls;
use common::event::EnvironmentKind;
use common::id::{BuildId, EnvironmentId, ProjectId, ReleaseId};
use common::names::EnvironmentName;
use common::time::Time;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Environment, EnvironmentStatus};

/// An environment as a caller sees it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct EnvironmentView {
    id: EnvironmentId,
    project_id: ProjectId,
    name: EnvironmentName,
    /// `standard`, or what kind of preview it is.
    kind: EnvironmentKind,
    /// Where it is reached.
    url: String,
    /// The first part of its host name.
    label: String,
    /// Whether it has a database of its own.
    database: bool,
    /// The branch that its builds take unless told; null is the repository's default.
    branch: Option<String>,
    /// After how many seconds without a request its app is put to sleep; null is never.
    sleep_after: Option<i64>,
    /// How many instances of its app run.
    instances: i64,
    /// Whether requests are answered with a page that says so, instead of by its app.
    maintenance: bool,
    status: EnvironmentStatus,
    /// Why it isn't live, where that is known.
    status_reason: Option<String>,
    /// The build whose release answers.
    live_build_id: Option<BuildId>,
    live_release_id: Option<ReleaseId>,
    created_at: Time,
    updated_at: Time,
}

impl EnvironmentView {
    /// Shows an environment.
    pub(crate) fn new(environment: Environment, urls: &PublicUrls) -> Self {
        Self {
            url: urls.of_app(&environment.label),
            id: environment.id,
            project_id: environment.project_id,
            name: environment.name,
            kind: environment.kind,
            label: environment.label,
            database: environment.database,
            branch: environment.branch,
            sleep_after: environment.sleep_after,
            instances: environment.instances,
            maintenance: environment.maintenance,
            status: environment.status,
            status_reason: environment.status_reason,
            live_build_id: environment.live_build_id,
            live_release_id: environment.live_release_id,
            created_at: environment.created_at,
            updated_at: environment.updated_at,
        }
    }
}
