//! Previews as callers see them.

use chassis::db::Db;
use chassis::settings::PublicUrls;
use common::event::{PreviewState, PreviewStatus, Source};
use common::id::{BuildId, EnvironmentId, UserId};
use common::time::Time;
use diesel::QueryResult;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Preview, state};

/// The preview of a pull request.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct PreviewView {
    /// The pull request's number.
    number: i64,
    /// The repository that it is to.
    github_data: Source,
    base_branch: String,
    head_branch: String,
    /// The repository that it comes from, as `owner/name`; null if that is gone.
    head_repository: Option<String>,
    /// Its newest commit.
    commit: String,
    /// Whether it comes from somebody else's copy of the repository: then each commit has to be approved.
    fork: bool,
    /// The login of whoever opened it.
    author: String,
    status: PreviewStatus,
    /// Why it has no environment, where that isn't plain.
    reason: Option<String>,
    /// Where it is reached.
    url: Option<String>,
    environment_id: Option<EnvironmentId>,
    /// The newest build.
    build_id: Option<BuildId>,
    /// The commit that this is of.
    built_commit: Option<String>,
    /// Where it stands.
    build_state: Option<common::event::BuildState>,
    /// The commit of a fork that was approved last.
    approved_commit: Option<String>,
    approved_by: Option<UserId>,
    approved_at: Option<Time>,
    created_at: Time,
    updated_at: Time,
}

impl PreviewView {
    /// Shows a preview.
    pub(crate) fn read(db: &mut Db, preview: Preview, urls: &PublicUrls) -> QueryResult<Self> {
        let state: PreviewState = state(db, &preview)?;
        let environment = state.environment;
        Ok(Self {
            number: preview.number,
            github_data: state.source,
            base_branch: preview.base_branch,
            head_branch: preview.head_branch,
            head_repository: preview.head_repository,
            commit: preview.head_commit,
            fork: preview.fork,
            author: preview.author,
            status: preview.status,
            reason: preview.reason,
            url: environment
                .as_ref()
                .map(|environment| urls.of_app(&environment.label)),
            environment_id: environment.map(|environment| environment.environment_id),
            build_id: preview.build_id,
            built_commit: preview.built_commit,
            build_state: state.build.map(|build| build.state),
            approved_commit: preview.approved_commit,
            approved_by: preview.approved_by,
            approved_at: preview.approved_at,
            created_at: preview.created_at,
            updated_at: preview.updated_at,
        })
    }
}
