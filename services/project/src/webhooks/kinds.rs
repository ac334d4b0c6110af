//! The types of events that webhooks may be told, and which of them one wants.

use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::serialize::{self, Output, ToSql};
use diesel::sql_types::Text;

common::text_enum! {
    /// A type, as receivers see it. What is here once stays: programs go by it.
    pub(crate) enum EventType {
        ProjectCreated = "project.created",
        ProjectUpdated = "project.updated",
        ProjectDeleted = "project.deleted",
        EnvironmentCreated = "environment.created",
        EnvironmentUpdated = "environment.updated",
        EnvironmentDeleted = "environment.deleted",
        BuildRequested = "build.requested",
        BuildStarted = "build.started",
        BuildProgressed = "build.progressed",
        BuildSucceeded = "build.succeeded",
        BuildFailed = "build.failed",
        BuildCancelled = "build.cancelled",
        DeploymentLive = "deployment.live",
        DeploymentFailed = "deployment.failed",
        DeploymentRolledBack = "deployment.rolled_back",
        DeploymentAsleep = "deployment.asleep",
        DeploymentStopped = "deployment.stopped",
        ServicePublished = "service.published",
        ServiceWithdrawn = "service.withdrawn",
        DomainVerified = "domain.verified",
        DomainDropped = "domain.dropped",
        PreviewChanged = "preview.changed",
        MemberAdded = "member.added",
        MemberChanged = "member.changed",
        MemberRemoved = "member.removed",
        WebhookDisabled = "webhook.disabled",
        WebhookTest = "webhook.test",
    }
}

/// The most entries of a list.
const MOST: usize = 50;

/// Why a list of types isn't taken. It doesn't repeat what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidTypes {
    /// There are none, or too many.
    #[error("must be a list of 1 to {MOST} types")]
    Count,
    /// One fits no type.
    #[error("entry {0} is neither a type, nor the beginning of one and `.*`, nor `*`")]
    Unknown(usize),
}

/// Which types a webhook wants: types, beginnings of types (`build.*`), or `*`.
#[derive(Clone, Debug, PartialEq, Eq, AsExpression, FromSqlRow)]
#[diesel(sql_type = Text)]
pub(crate) struct EventTypes {
    entries: Vec<String>,
    /// The same as JSON, as it is kept.
    text: String,
}

impl EventTypes {
    /// All of them, those included that come later.
    pub(crate) fn all() -> Self {
        Self::of(vec!["*".to_owned()])
    }

    fn of(entries: Vec<String>) -> Self {
        let text = serde_json::Value::from(entries.clone()).to_string();
        Self { entries, text }
    }

    /// Checks a list.
    pub(crate) fn parse(mut list: Vec<String>) -> Result<Self, InvalidTypes> {
        if list.is_empty() || list.len() > MOST {
            return Err(InvalidTypes::Count);
        }
        let fits = |entry: &str| {
            let mut known = EventType::ALL.iter();
            known.any(|kind| wants(entry, kind.as_str()))
        };
        if let Some(unknown) = list.iter().position(|entry| !fits(entry)) {
            return Err(InvalidTypes::Unknown(unknown + 1));
        }
        list.dedup();
        Ok(Self::of(list))
    }

    /// Whether a type is wanted.
    pub(crate) fn want(&self, kind: EventType) -> bool {
        self.entries.iter().any(|entry| wants(entry, kind.as_str()))
    }

    /// The entries.
    pub(crate) fn entries(&self) -> &[String] {
        &self.entries
    }
}

fn wants(entry: &str, kind: &str) -> bool {
    match entry.strip_suffix('*') {
        Some("") => true,
        // With its dot, so that `build.*` isn't the beginning of `builder.started`.
        Some(beginning) => beginning.ends_with('.') && kind.starts_with(beginning),
        None => entry == kind,
    }
}

impl<DB> FromSql<Text, DB> for EventTypes
where
    DB: diesel::backend::Backend,
    String: FromSql<Text, DB>,
{
    fn from_sql(bytes: DB::RawValue<'_>) -> deserialize::Result<Self> {
        Ok(Self::of(serde_json::from_str(&String::from_sql(bytes)?)?))
    }
}

impl<DB> ToSql<Text, DB> for EventTypes
where
    DB: diesel::backend::Backend,
    str: ToSql<Text, DB>,
{
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, DB>) -> serialize::Result {
        self.text.as_str().to_sql(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(list: &[&str]) -> Result<EventTypes, InvalidTypes> {
        EventTypes::parse(list.iter().map(|entry| (*entry).to_owned()).collect())
    }

    #[test]
    fn a_beginning_stands_for_all_types_that_have_it() {
        let some = parse(&["build.*", "domain.verified"]).unwrap();
        assert!(some.want(EventType::BuildFailed) && some.want(EventType::DomainVerified));
        assert!(!some.want(EventType::DomainDropped) && !some.want(EventType::ProjectCreated));
        assert!(
            EventType::ALL
                .iter()
                .all(|kind| EventTypes::all().want(*kind))
        );
    }

    #[test]
    fn what_fits_no_type_is_refused_by_its_place() {
        for wrong in [
            "", "build", "build*", "buil.*", ".*", "b*", "build.**", "Build.*",
        ] {
            assert_eq!(
                parse(&["*", wrong]),
                Err(InvalidTypes::Unknown(2)),
                "{wrong}"
            );
        }
        assert_eq!(parse(&[]), Err(InvalidTypes::Count));
        assert_eq!(parse(&["*"; 51]), Err(InvalidTypes::Count));
    }

    #[test]
    fn types_have_the_form_that_the_standard_advises() {
        for kind in EventType::ALL {
            let parts: Vec<_> = kind.as_str().split('.').collect();
            assert_eq!(parts.len(), 2, "{kind}");
            let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            assert!(parts.iter().all(|part| part.bytes().all(good)), "{kind}");
        }
    }
}
