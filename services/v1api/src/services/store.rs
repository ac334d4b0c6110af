//! Services that admins name, as the database has them. Their table is the routes'.

use chassis::db::Db;
use common::event::Visibility;
use common::rules::{CorsRules, EndpointRule, HealthCheck, ServiceRules};
use common::scope::Verb;
use common::time::{Span, Time};
use diesel::prelude::*;

use super::{ServiceError, Upstreams, Wanted};
use crate::schema::services;
use crate::table::store::{NAMED, PUBLISHED, ServiceRow, next_seq, service, verbs, verbs_text};

/// For how long a withdrawn name stays its account's.
const KEPT: Span = Span::days(90);

/// Names a service.
pub(crate) fn create(
    db: &mut Db,
    wanted: &Wanted,
    by: &str,
    now: Time,
) -> Result<ServiceRow, ServiceError> {
    let seq = next_seq(db)?;
    if let Some(known) = service(db, wanted.name.as_str())? {
        let is_free = known
            .withdrawn_at
            .is_some_and(|since| known.origin == NAMED || now - since > KEPT);
        if !is_free {
            return Err(ServiceError::NameTaken);
        }
        diesel::delete(services::table.find(&wanted.name)).execute(db)?;
    }
    let row = ServiceRow {
        name: wanted.name.clone(),
        origin: NAMED.into(),
        upstreams: Some(wanted.upstreams.to_json()),
        environment_id: None,
        account_id: None,
        visibility: visibility_text(&wanted.visibility),
        scopes: verbs_text(&wanted.verbs),
        rules: serde_json::json!(wanted.rules).to_string(),
        pending_approval: false,
        withdrawn_at: None,
        created_by: Some(by.to_owned()),
        created_at: now,
        version: 1,
        seq,
    };
    diesel::insert_into(services::table)
        .values(row.clone())
        .execute(db)?;
    Ok(row)
}

fn visibility_text(visibility: &Visibility) -> String {
    serde_json::json!(visibility).to_string()
}

/// A service that an admin has named and that is there.
pub(crate) fn named(db: &mut Db, name: &str) -> QueryResult<Option<ServiceRow>> {
    let found = service(db, name)?;
    Ok(found.filter(|row| row.origin == NAMED && row.withdrawn_at.is_none()))
}

/// Whether a name is a published service's.
pub(crate) fn is_published(db: &mut Db, name: &str) -> QueryResult<bool> {
    Ok(service(db, name)?.is_some_and(|row| row.origin == PUBLISHED && row.withdrawn_at.is_none()))
}

/// What of a service is to be another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Change {
    /// Where its requests go.
    pub(crate) upstreams: Option<Upstreams>,
    /// The verbs that its callers' scopes may name.
    pub(crate) scopes: Option<Vec<Verb>>,
    /// Who may call it.
    pub(crate) visibility: Option<Visibility>,
    /// What holds for its calls.
    pub(crate) rules: RulesChange,
}

/// What of a service's rules is to be another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RulesChange {
    /// Endpoints that go by rules of their own.
    pub(crate) endpoints: Option<Vec<EndpointRule>>,
    /// Whose pages may call.
    pub(crate) cors: Option<CorsRules>,
    /// For how many seconds an answer is waited for.
    pub(crate) timeout: Given<u32>,
    /// The longest body of a request.
    pub(crate) max_body: Given<u64>,
    /// The longest body of an answer.
    pub(crate) max_response_body: Given<u64>,
    /// How its instances are asked whether they are well.
    pub(crate) health: Given<HealthCheck>,
}

/// What is to become of a value. In JSON, `null` is what is usual.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Given<T> {
    /// It stays.
    #[default]
    Keep,
    /// What is usual.
    Usual,
    /// This.
    Value(T),
}

impl<T> Given<T> {
    fn made_of(&self, before: Option<T>) -> Option<T>
    where
        T: Clone,
    {
        match self {
            Self::Keep => before,
            Self::Usual => None,
            Self::Value(value) => Some(value.clone()),
        }
    }
}

impl<'de, T: serde::Deserialize<'de>> serde::Deserialize<'de> for Given<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Usual, Self::Value))
    }
}

impl RulesChange {
    fn made(&self, before: ServiceRules) -> ServiceRules {
        ServiceRules {
            endpoints: self.endpoints.clone().unwrap_or(before.endpoints),
            cors: self.cors.clone().unwrap_or(before.cors),
            timeout: self.timeout.made_of(before.timeout),
            max_body: self.max_body.made_of(before.max_body),
            max_response_body: self.max_response_body.made_of(before.max_response_body),
            health: self.health.made_of(before.health),
        }
    }
}

/// Changes a named service; only this version of it, if one is asked for.
pub(crate) fn change(
    db: &mut Db,
    name: &str,
    change: &Change,
    version: Option<i64>,
) -> Result<ServiceRow, ServiceError> {
    let seq = next_seq(db)?;
    let row = named(db, name)?.ok_or(ServiceError::Missing)?;
    if version.is_some_and(|version| version != row.version) {
        return Err(ServiceError::Changed);
    }
    let upstreams = change
        .upstreams
        .as_ref()
        .map(Upstreams::to_json)
        .or(row.upstreams);
    let scopes = change.scopes.as_deref().map_or(row.scopes, verbs_text);
    let before = serde_json::from_str(&row.rules).unwrap_or_default();
    let rules = change.rules.made(before);
    rules.check(&verbs(&scopes))?;
    let row = ServiceRow {
        upstreams,
        scopes,
        rules: serde_json::json!(rules).to_string(),
        visibility: change
            .visibility
            .as_ref()
            .map_or(row.visibility, visibility_text),
        version: row.version + 1,
        seq,
        ..row
    };
    diesel::update(services::table.find(&row.name))
        .set((
            services::upstreams.eq(&row.upstreams),
            services::scopes.eq(&row.scopes),
            services::rules.eq(&row.rules),
            services::visibility.eq(&row.visibility),
            services::version.eq(row.version),
            services::seq.eq(row.seq),
        ))
        .execute(db)?;
    Ok(row)
}

/// Takes a named service away.
pub(crate) fn delete(db: &mut Db, name: &str, now: Time) -> Result<ServiceRow, ServiceError> {
    let seq = next_seq(db)?;
    let row = named(db, name)?.ok_or(ServiceError::Missing)?;
    diesel::update(services::table.find(&row.name))
        .set((services::withdrawn_at.eq(now), services::seq.eq(seq)))
        .execute(db)?;
    Ok(row)
}
