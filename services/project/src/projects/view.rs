//! Projects as callers see them.

use chassis::settings::PublicUrls;
use common::event::Source;
use common::id::{AccountId, ProjectId};
use common::names::DisplayName;
use common::time::Time;
use serde::Serialize;
use utoipa::ToSchema;

use super::Project;
use crate::environments::Environment;
use crate::environments::view::EnvironmentView;

/// A project as a caller sees it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ProjectView {
    id: ProjectId,
    account_id: AccountId,
    name: DisplayName,
    /// The repository it is built from.
    github_data: Source,
    /// Where it runs, oldest first.
    environments: Vec<EnvironmentView>,
    created_at: Time,
    updated_at: Time,
}

impl ProjectView {
    /// Shows a project with those of the environments that are its own.
    pub(crate) fn new(project: Project, environments: &[Environment], urls: &PublicUrls) -> Self {
        let own = environments
            .iter()
            .filter(|environment| environment.project_id == project.id);
        Self {
            github_data: project.source(),
            environments: own
                .cloned()
                .map(|environment| EnvironmentView::new(environment, urls))
                .collect(),
            id: project.id,
            account_id: project.account_id,
            name: project.name,
            created_at: project.created_at,
            updated_at: project.updated_at,
        }
    }
}
