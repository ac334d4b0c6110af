//! What the project service tells.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BuildState, events};
use crate::id::{AccountId, BuildId, EnvironmentId, ProjectId, UserId, WebhookId};
use crate::names::{DomainName, ServiceName};
use crate::rules::ServiceRules;
use crate::scope::Verb;
use crate::time::Time;

/// Where a project's code is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, utoipa::ToSchema)]
pub struct Source {
    /// The repository's owner.
    pub owner: String,
    /// The repository's name.
    pub repo: String,
}

/// A project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProjectState {
    /// The project.
    pub project_id: ProjectId,
    /// Whose it is.
    pub account_id: AccountId,
    /// Its name.
    pub name: String,
    /// Where its code is.
    pub source: Source,
    /// Whether it has been deleted.
    pub deleted: bool,
}

crate::text_enum! {
    /// What an environment is for.
    #[derive(Default)]
    pub enum EnvironmentKind {
        /// Whatever its members want.
        #[default]
        Standard = "standard",
        /// The preview of a pull request from a branch of the repository itself.
        Preview = "preview",
        /// The preview of a pull request from somebody else's copy of the repository.
        ForkPreview = "fork_preview",
    }
}

/// An environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EnvironmentState {
    /// The environment.
    pub environment_id: EnvironmentId,
    /// Its project.
    pub project_id: ProjectId,
    /// Whose it is.
    pub account_id: AccountId,
    /// Its name.
    pub name: String,
    /// What it is for.
    #[serde(default)]
    pub kind: EnvironmentKind,
    /// The label under which it is reached: `<label>.<apps domain>`.
    pub label: String,
    /// Whether it has a database of its own.
    pub database: bool,
    /// After how many seconds without a request its app is put to sleep; never where there is none.
    #[serde(default)]
    pub sleep_after: Option<u32>,
    /// How many instances of its app run.
    #[serde(default = "one")]
    pub instances: u32,
    /// Whether requests are answered with a page that says so, instead of by its app.
    #[serde(default)]
    pub maintenance: bool,
    /// Whether it has been deleted.
    pub deleted: bool,
}

fn one() -> u32 {
    1
}

/// A build that somebody asked for, with all that the worker needs but secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BuildRequested {
    /// The build.
    pub build_id: BuildId,
    /// What it is for.
    pub environment: EnvironmentState,
    /// Where the code is.
    pub source: Source,
    /// The branch, tag or commit; none is the repository's default branch.
    pub git_ref: Option<String>,
    /// The branch whose `slipway.toml` and `Procfile` hold, instead of the commit's own.
    #[serde(default)]
    pub settings_ref: Option<String>,
    /// Who asked.
    pub requested_by: Option<UserId>,
    /// When.
    pub requested_at: Time,
    /// Whether it was asked to end since.
    pub cancel: bool,
    /// A rollback: the earlier build whose kept release is to run again, with nothing built anew.
    pub rollback_to: Option<BuildId>,
}

/// Who may call a published service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    /// Members of its own account.
    Account,
    /// Members of these accounts, too.
    Accounts(Vec<AccountId>),
    /// Every external user.
    Public,
}

/// An environment's publication as a service of the gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServicePublication {
    /// The name, as in `/v1/<name>/…`.
    pub name: ServiceName,
    /// Whose it is.
    pub account_id: AccountId,
    /// What runs behind it.
    pub environment_id: EnvironmentId,
    /// Who may call it.
    pub visibility: Visibility,
    /// The verbs that its callers' scopes may name.
    pub scopes: Vec<Verb>,
    /// What holds for its calls.
    #[serde(default)]
    pub rules: ServiceRules,
    /// Whether an admin still has to approve that everyone may call it.
    pub pending_approval: bool,
    /// Whether it is published no more.
    pub withdrawn: bool,
}

/// What shows that whoever answers for a domain means it to be served here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DomainChallenge {
    /// The file's name, below `/.well-known/slipway-challenge/`.
    pub name: String,
    /// What the file holds. Everybody may read it.
    pub content: String,
}

/// A domain of an account's own under which an environment is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DomainState {
    /// The domain.
    pub domain: DomainName,
    /// Whose it is.
    pub account_id: AccountId,
    /// What runs behind it.
    pub environment_id: EnvironmentId,
    /// What the gateway shows there, so that a domain that leads here goes on being proved.
    pub challenge: DomainChallenge,
    /// Whether it is served no more.
    pub dropped: bool,
}

crate::text_enum! {
    /// Why nothing is sent to a webhook any more, without its owner's doing.
    pub enum WebhookEnd {
        /// It answered 410 Gone.
        Gone = "gone",
        /// Nothing has reached it for days.
        Failing = "failing",
    }
}

/// A webhook of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WebhookState {
    /// The webhook.
    pub webhook_id: WebhookId,
    /// Whose it is.
    pub account_id: AccountId,
    /// Why nothing is sent to it any more.
    pub reason: WebhookEnd,
}

crate::text_enum! {
    /// Where the preview of a pull request stands.
    pub enum PreviewStatus {
        /// It has an environment.
        Active = "active",
        /// It is from a fork, and nobody has approved its newest commit.
        AwaitingApproval = "awaiting_approval",
        /// It can't begin yet; the reason says why.
        Waiting = "waiting",
        /// Its pull request is over, or gets no preview any more.
        Closed = "closed",
        /// A member removed it.
        Removed = "removed",
    }
}

/// Where a preview runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PreviewEnvironment {
    /// The environment.
    pub environment_id: EnvironmentId,
    /// The label of its host name.
    pub label: String,
}

/// The newest build of a preview.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PreviewBuild {
    /// The build.
    pub build_id: BuildId,
    /// The commit that it builds, in hex.
    pub commit: String,
    /// Where it stands.
    pub state: BuildState,
}

/// The preview of a pull request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PreviewState {
    /// The project.
    pub project_id: ProjectId,
    /// Whose it is.
    pub account_id: AccountId,
    /// The pull request's number.
    pub number: i64,
    /// The repository that the pull request is to.
    pub source: Source,
    /// The pull request's newest commit, in hex.
    pub commit: String,
    /// Whether that comes from somebody else's copy of the repository.
    pub fork: bool,
    /// Where it stands.
    pub status: PreviewStatus,
    /// Why it has no environment, where that isn't plain.
    pub reason: Option<String>,
    /// Where it runs.
    pub environment: Option<PreviewEnvironment>,
    /// Its newest build.
    pub build: Option<PreviewBuild>,
}

impl PreviewState {
    /// A pull request as one project sees it.
    fn subject(&self) -> String {
        format!("{}/{}", self.project_id, self.number)
    }
}

events! {
    /// What the project service tells.
    pub enum ProjectEvent from "project" {
        /// A project was made.
        ProjectCreated(ProjectState) = "dev.slipway.project.created" by |project| project.project_id;
        /// A project was changed.
        ProjectUpdated(ProjectState) = "dev.slipway.project.updated" by |project| project.project_id;
        /// A project was deleted.
        ProjectDeleted(ProjectState) = "dev.slipway.project.deleted" by |project| project.project_id;
        /// An environment was made.
        EnvironmentCreated(EnvironmentState) = "dev.slipway.environment.created" by |environment| environment.environment_id;
        /// An environment was changed.
        EnvironmentUpdated(EnvironmentState) = "dev.slipway.environment.updated" by |environment| environment.environment_id;
        /// An environment was deleted.
        EnvironmentDeleted(EnvironmentState) = "dev.slipway.environment.deleted" by |environment| environment.environment_id;
        /// A build was asked for, or to end.
        BuildRequested(BuildRequested) = "dev.slipway.build.requested" by |build| build.build_id;
        /// An environment is reachable as a service.
        ServicePublished(ServicePublication) = "dev.slipway.service.published" by |service| service.name;
        /// A service is gone.
        ServiceWithdrawn(ServicePublication) = "dev.slipway.service.withdrawn" by |service| service.name;
        /// An environment is reached under a domain of its account's own.
        DomainVerified(DomainState) = "dev.slipway.domain.verified" by |domain| domain.domain;
        /// It is so no more.
        DomainDropped(DomainState) = "dev.slipway.domain.dropped" by |domain| domain.domain;
        /// Nothing is sent to a webhook any more, and its owner should know.
        WebhookDisabled(WebhookState) = "dev.slipway.webhook.disabled" by |webhook| webhook.webhook_id;
        /// A pull request's preview is another, or gone.
        PreviewChanged(PreviewState) = "dev.slipway.preview.changed" by |preview| preview.subject();
    }
}
