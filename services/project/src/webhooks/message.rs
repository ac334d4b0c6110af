//! What receivers are told of an event: whose it is, what it is about, and little more. The rest they
//! look up with a token of their own; so nothing secret, and nothing of how the platform is built, goes
//! out to an address that somebody has named.

use common::event::{
    AccountEvent, BuildProgress, BuildRequested, BuildState, Deployment, DomainState,
    EnvironmentState, MemberState, PreviewState, ProjectEvent, ProjectState, ProvisionerEvent,
    ServicePublication, WebhookState,
};
use common::id::{AccountId, ProjectId};
use common::time::Time;
use serde_json::{Value, json};

use super::kinds::EventType;

/// An event as its account's receivers see it.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) account_id: AccountId,
    pub(crate) event_type: EventType,
    data: Value,
}

impl Message {
    fn new(account_id: &AccountId, event_type: EventType, data: Value) -> Self {
        Self {
            account_id: account_id.clone(),
            event_type,
            data,
        }
    }

    /// A test of a webhook.
    pub(crate) fn test(account_id: &AccountId, webhook: &common::id::WebhookId) -> Self {
        let data = json!({ "account_id": account_id, "webhook_id": webhook });
        Self::new(account_id, EventType::WebhookTest, data)
    }

    /// The body that is sent: type, when it happened, data.
    pub(crate) fn payload(&self, at: Time) -> String {
        let body = json!({ "type": self.event_type, "timestamp": at, "data": self.data });
        body.to_string()
    }
}

/// What is told of an event of this service's own.
pub(crate) fn of_project(event: &ProjectEvent) -> Option<Message> {
    let message = match event {
        ProjectEvent::ProjectCreated(state) => project(state, EventType::ProjectCreated),
        ProjectEvent::ProjectUpdated(state) => project(state, EventType::ProjectUpdated),
        ProjectEvent::ProjectDeleted(state) => project(state, EventType::ProjectDeleted),
        ProjectEvent::EnvironmentCreated(state) => {
            environment(state, EventType::EnvironmentCreated)
        }
        ProjectEvent::EnvironmentUpdated(state) => {
            environment(state, EventType::EnvironmentUpdated)
        }
        ProjectEvent::EnvironmentDeleted(state) => {
            environment(state, EventType::EnvironmentDeleted)
        }
        // What has become of that wish is told when it has ended.
        ProjectEvent::BuildRequested(wanted) if wanted.cancel => return None,
        ProjectEvent::BuildRequested(wanted) => requested(wanted),
        ProjectEvent::ServicePublished(state) => service(state, EventType::ServicePublished),
        ProjectEvent::ServiceWithdrawn(state) => service(state, EventType::ServiceWithdrawn),
        ProjectEvent::DomainVerified(state) => domain(state, EventType::DomainVerified),
        ProjectEvent::DomainDropped(state) => domain(state, EventType::DomainDropped),
        ProjectEvent::WebhookDisabled(state) => disabled(state),
        ProjectEvent::PreviewChanged(state) => preview(state),
    };
    Some(message)
}

/// What is told of builds and deployments; `project` is that of the build, if it is known.
pub(crate) fn of_provisioner(event: &ProvisionerEvent, project: Option<&ProjectId>) -> Message {
    let build = |state, kind| progress(state, project, kind);
    match event {
        ProvisionerEvent::BuildStarted(state) => build(state, EventType::BuildStarted),
        ProvisionerEvent::BuildProgressed(state) => build(state, EventType::BuildProgressed),
        ProvisionerEvent::BuildSucceeded(state) => build(state, EventType::BuildSucceeded),
        ProvisionerEvent::BuildFailed(state) => build(state, EventType::BuildFailed),
        ProvisionerEvent::BuildCancelled(state) => build(state, EventType::BuildCancelled),
        ProvisionerEvent::DeploymentLive(state) => deployment(state, EventType::DeploymentLive),
        ProvisionerEvent::DeploymentFailed(state) => deployment(state, EventType::DeploymentFailed),
        ProvisionerEvent::DeploymentRolledBack(state) => {
            deployment(state, EventType::DeploymentRolledBack)
        }
        ProvisionerEvent::DeploymentAsleep(state) => deployment(state, EventType::DeploymentAsleep),
        ProvisionerEvent::DeploymentStopped(state) => {
            deployment(state, EventType::DeploymentStopped)
        }
    }
}

/// What is told of accounts: who belongs to them.
pub(crate) fn of_account(event: &AccountEvent) -> Option<Message> {
    match event {
        AccountEvent::MemberAdded(state) => Some(member(state, EventType::MemberAdded)),
        AccountEvent::MemberChanged(state) => Some(member(state, EventType::MemberChanged)),
        AccountEvent::MemberRemoved(state) => Some(member(state, EventType::MemberRemoved)),
        // A deleted account has no webhooks any more.
        AccountEvent::AccountDeleted(_)
        | AccountEvent::AccountCreated(_)
        | AccountEvent::AccountUpdated(_)
        | AccountEvent::UserCreated(_)
        | AccountEvent::UserDeleted(_)
        | AccountEvent::InviteCreated(_)
        | AccountEvent::InviteAccepted(_)
        | AccountEvent::InviteRevoked(_) => None,
    }
}

fn project(state: &ProjectState, kind: EventType) -> Message {
    let data = json!({
        "account_id": state.account_id,
        "project_id": state.project_id,
        "name": state.name,
    });
    Message::new(&state.account_id, kind, data)
}

fn environment(state: &EnvironmentState, kind: EventType) -> Message {
    let data = json!({
        "account_id": state.account_id,
        "project_id": state.project_id,
        "environment_id": state.environment_id,
        "name": state.name,
    });
    Message::new(&state.account_id, kind, data)
}

fn requested(wanted: &BuildRequested) -> Message {
    let environment = &wanted.environment;
    let data = json!({
        "account_id": environment.account_id,
        "project_id": environment.project_id,
        "environment_id": environment.environment_id,
        "build_id": wanted.build_id,
        "state": BuildState::Queued,
        "commit": null,
    });
    Message::new(&environment.account_id, EventType::BuildRequested, data)
}

fn progress(state: &BuildProgress, project: Option<&ProjectId>, kind: EventType) -> Message {
    let data = json!({
        "account_id": state.account_id,
        "project_id": project,
        "environment_id": state.environment_id,
        "build_id": state.build_id,
        "state": state.state,
        "commit": state.commit,
    });
    Message::new(&state.account_id, kind, data)
}

fn deployment(state: &Deployment, kind: EventType) -> Message {
    let data = json!({
        "account_id": state.account_id,
        "project_id": state.project_id,
        "environment_id": state.environment_id,
        "build_id": state.build_id,
        "release_id": state.release_id,
    });
    Message::new(&state.account_id, kind, data)
}

fn service(state: &ServicePublication, kind: EventType) -> Message {
    let data = json!({
        "account_id": state.account_id,
        "environment_id": state.environment_id,
        "service": state.name,
    });
    Message::new(&state.account_id, kind, data)
}

fn domain(state: &DomainState, kind: EventType) -> Message {
    let data = json!({
        "account_id": state.account_id,
        "environment_id": state.environment_id,
        "domain": state.domain,
    });
    Message::new(&state.account_id, kind, data)
}

fn preview(state: &PreviewState) -> Message {
    let environment = state.environment.as_ref();
    let data = json!({
        "account_id": state.account_id,
        "project_id": state.project_id,
        "environment_id": environment.map(|environment| &environment.environment_id),
        "number": state.number,
        "commit": state.commit,
        "status": state.status,
    });
    Message::new(&state.account_id, EventType::PreviewChanged, data)
}

fn member(state: &MemberState, kind: EventType) -> Message {
    let data = json!({
        "account_id": state.account_id,
        "user_id": state.user_id,
        "role": state.role,
    });
    Message::new(&state.account_id, kind, data)
}

fn disabled(state: &WebhookState) -> Message {
    let data = json!({
        "account_id": state.account_id,
        "webhook_id": state.webhook_id,
        "reason": state.reason,
    });
    Message::new(&state.account_id, EventType::WebhookDisabled, data)
}
