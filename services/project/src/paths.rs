//! What stands in the paths of the routes.
//!
//! The account is read and checked by the extractor of the member; it stands here for the API document.

use common::id::{AccountId, BuildId, EnvironmentId, ProjectId, WebhookDeliveryId, WebhookId};
use serde::Deserialize;
use utoipa::IntoParams;

/// `/v1/accounts/{account_id}/projects`
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct AccountPath {
    /// The account.
    #[expect(dead_code, reason = "the extractor of the member reads it")]
    pub(crate) account_id: AccountId,
}

/// `…/projects/{project_id}`
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct ProjectPath {
    /// The account.
    #[expect(dead_code, reason = "the extractor of the member reads it")]
    pub(crate) account_id: AccountId,
    /// Its project.
    pub(crate) project_id: ProjectId,
}

/// `…/projects/{project_id}/environments/{environment_id}`
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(
    clippy::struct_field_names,
    reason = "the names are those in the paths"
)]
pub(crate) struct EnvironmentPath {
    /// The account.
    pub(crate) account_id: AccountId,
    /// Its project.
    pub(crate) project_id: ProjectId,
    /// The project's environment.
    pub(crate) environment_id: EnvironmentId,
}

/// `…/environments/{environment_id}/variables/{name}`
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct VariablePath {
    /// The account.
    pub(crate) account_id: AccountId,
    /// Its project.
    pub(crate) project_id: ProjectId,
    /// The project's environment.
    pub(crate) environment_id: EnvironmentId,
    /// The variable's name.
    pub(crate) name: String,
}

/// `…/environments/{environment_id}/domains/{domain}`
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct DomainPath {
    /// The account.
    pub(crate) account_id: AccountId,
    /// Its project.
    pub(crate) project_id: ProjectId,
    /// The project's environment.
    pub(crate) environment_id: EnvironmentId,
    /// The domain.
    pub(crate) domain: String,
}

impl DomainPath {
    /// The environment's path.
    pub(crate) fn environment(&self) -> EnvironmentPath {
        EnvironmentPath {
            account_id: self.account_id.clone(),
            project_id: self.project_id.clone(),
            environment_id: self.environment_id.clone(),
        }
    }
}

/// `…/projects/{project_id}/builds/{build_id}`
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(
    clippy::struct_field_names,
    reason = "the names are those in the paths"
)]
pub(crate) struct BuildPath {
    /// The account.
    #[expect(dead_code, reason = "the extractor of the member reads it")]
    pub(crate) account_id: AccountId,
    /// Its project.
    pub(crate) project_id: ProjectId,
    /// The project's build.
    pub(crate) build_id: BuildId,
}

/// `/v1/accounts/{account_id}/webhooks/{webhook_id}`
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct WebhookPath {
    /// The account.
    #[expect(dead_code, reason = "the extractor of the member reads it")]
    pub(crate) account_id: AccountId,
    /// Its webhook.
    pub(crate) webhook_id: WebhookId,
}

/// `…/webhooks/{webhook_id}/deliveries/{delivery_id}`
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(
    clippy::struct_field_names,
    reason = "the names are those in the paths"
)]
pub(crate) struct WebhookDeliveryPath {
    /// The account.
    #[expect(dead_code, reason = "the extractor of the member reads it")]
    pub(crate) account_id: AccountId,
    /// Its webhook.
    pub(crate) webhook_id: WebhookId,
    /// The webhook's delivery.
    pub(crate) delivery_id: WebhookDeliveryId,
}

/// `…/projects/{project_id}/previews/{number}`
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct PreviewPath {
    /// The account.
    #[expect(dead_code, reason = "the extractor of the member reads it")]
    pub(crate) account_id: AccountId,
    /// Its project.
    pub(crate) project_id: ProjectId,
    /// The pull request's number.
    pub(crate) number: i64,
}
