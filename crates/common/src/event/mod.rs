//! Events: what services tell one another (`CloudEvents` 1.0, JSON format).
//!
//! There is one enum per producer. An event carries the whole state of its
//! aggregate and the aggregate's version, so that one that comes late or twice
//! can be told from news; it carries no secret.

mod account;
mod asyncapi;
mod auth;
mod github;
mod project;
mod provisioner;
mod v1api;

pub use account::{AccountEvent, AccountState, InviteState, InviteStatus, MemberState, UserState};
pub use asyncapi::asyncapi;
pub use auth::{AuthEvent, IdentityState, RefreshReused, TokensRevoked};
pub use github::{
    GithubEvent, InstallationState, PullRequestState, RepositoryMoved, RepositoryPushed,
};
pub use project::{
    BuildRequested, DomainChallenge, DomainState, EnvironmentKind, EnvironmentState, PreviewBuild,
    PreviewEnvironment, PreviewState, PreviewStatus, ProjectEvent, ProjectState,
    ServicePublication, Source, Visibility, WebhookEnd, WebhookState,
};
pub use provisioner::{BuildProgress, BuildState, Deployment, ProvisionerEvent};
pub use v1api::{ApiKeyState, GatewayEvent};

use schemars::{Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::id::EventId;
use crate::time::Time;

/// The events of one producer.
pub trait Event:
    Serialize + DeserializeOwned + Clone + std::fmt::Debug + Send + Sync + 'static
{
    /// The service that tells them.
    const SOURCE: &'static str;
    /// The types of all of them: reverse-DNS names, as `CloudEvents` asks for.
    const KINDS: &'static [&'static str];

    /// This event's type.
    fn kind(&self) -> &'static str;

    /// The id of the aggregate whose state it carries.
    fn subject(&self) -> String;

    /// The JSON Schemas of the data, by type.
    fn schemas(generator: &mut SchemaGenerator) -> Vec<(&'static str, Schema)>;
}

/// An event on its way.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Envelope<E> {
    /// `1.0`.
    pub specversion: String,
    /// The event's own id, by which a consumer knows it again.
    pub id: EventId,
    /// `/slipway/<service>`.
    pub source: String,
    /// The aggregate's id.
    pub subject: String,
    /// When it was committed.
    pub time: Time,
    /// `application/json`.
    pub datacontenttype: String,
    /// The version of the data's schema.
    pub schemaversion: u32,
    /// The aggregate's version: of two events with one subject, the higher is news.
    pub aggregateversion: i64,
    /// The trace in which it came about (W3C Trace Context).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    /// Type and data.
    #[serde(flatten)]
    pub event: E,
}

impl<E: Event> Envelope<E> {
    /// Wraps an event.
    pub fn new(event: E, version: i64, now: Time, traceparent: Option<String>) -> Self {
        Self {
            specversion: "1.0".into(),
            id: EventId::new(now),
            source: format!("/slipway/{}", E::SOURCE),
            subject: event.subject(),
            time: now,
            datacontenttype: "application/json".into(),
            schemaversion: 1,
            aggregateversion: version,
            traceparent,
            event,
        }
    }
}

macro_rules! events {
    ($(#[$meta:meta])* pub enum $name:ident from $source:literal {
        $($(#[$vmeta:meta])* $variant:ident($data:ty) = $kind:literal by |$bound:ident| $subject:expr;)+
    }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(tag = "type", content = "data")]
        pub enum $name {
            $($(#[$vmeta])* #[serde(rename = $kind)] $variant($data),)+
        }

        impl $crate::event::Event for $name {
            const SOURCE: &'static str = $source;
            const KINDS: &'static [&'static str] = &[$($kind),+];

            fn kind(&self) -> &'static str {
                match self { $(Self::$variant(_) => $kind),+ }
            }

            fn subject(&self) -> String {
                match self { $(Self::$variant($bound) => $subject.to_string()),+ }
            }

            fn schemas(generator: &mut schemars::SchemaGenerator) -> Vec<(&'static str, schemars::Schema)> {
                vec![$(($kind, generator.subschema_for::<$data>())),+]
            }
        }
    };
}
use events;

/// The schemas of every event of every producer: source, type, schema of the data.
pub fn all_schemas(generator: &mut SchemaGenerator) -> Vec<(&'static str, &'static str, Schema)> {
    fn of<E: Event>(generator: &mut SchemaGenerator) -> Vec<(&'static str, &'static str, Schema)> {
        E::schemas(generator)
            .into_iter()
            .map(|(kind, schema)| (E::SOURCE, kind, schema))
            .collect()
    }
    let mut all = of::<AuthEvent>(generator);
    all.extend(of::<AccountEvent>(generator));
    all.extend(of::<ProjectEvent>(generator));
    all.extend(of::<GithubEvent>(generator));
    all.extend(of::<ProvisionerEvent>(generator));
    all.extend(of::<GatewayEvent>(generator));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{IdentityId, UserId};

    #[test]
    fn an_envelope_is_a_cloud_event_and_comes_back() {
        let user = UserState {
            user_id: UserId::new(Time::EPOCH),
            identity_id: IdentityId::new(Time::EPOCH),
            created_at: Time::EPOCH,
            deleted: false,
        };
        let envelope = Envelope::new(
            AccountEvent::UserCreated(user.clone()),
            3,
            Time::EPOCH,
            None,
        );
        let json = serde_json::to_value(&envelope).unwrap();
        assert_eq!(json["type"], "dev.slipway.user.created");
        assert_eq!(json["source"], "/slipway/account");
        assert_eq!(json["subject"], user.user_id.as_str());
        assert_eq!(json["data"]["user_id"], user.user_id.as_str());
        let back: Envelope<AccountEvent> = serde_json::from_value(json).unwrap();
        assert_eq!(back.event, envelope.event);
        assert_eq!(back.aggregateversion, 3);
    }

    #[test]
    fn every_event_type_is_told_once() {
        let mut kinds: Vec<_> = all_schemas(&mut SchemaGenerator::default())
            .into_iter()
            .map(|(_, kind, _)| kind)
            .collect();
        let count = kinds.len();
        kinds.sort_unstable();
        kinds.dedup();
        assert_eq!(kinds.len(), count);
    }
}
