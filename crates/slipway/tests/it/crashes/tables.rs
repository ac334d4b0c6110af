//! What stands in the services' databases.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::time::Duration;

use chassis::db::{Database, Db, Location};
use common::time::Time;
use diesel::prelude::*;
use secrecy::SecretString;
use serde_json::Value;
use testkit::Backend;

use crate::harness::Up;

// Only what is looked at.
diesel::table! {
    builds (id) { id -> Text, state -> Text, version -> BigInt, reason -> Nullable<Text>, finished_at -> Nullable<Timestamp>, }
}
diesel::table! {
    deployments (environment_id) { environment_id -> Text, upstreams -> Text, build_id -> Nullable<Text>, }
}
diesel::table! {
    instances (id) { id -> Text, }
}
diesel::table! {
    releases (id) { id -> Text, directory -> Text, }
}
diesel::table! {
    outbox (position) { position -> BigInt, kind -> Text, }
}
diesel::table! {
    inbox (event_id, handler) { event_id -> Text, handler -> Text, kind -> Text, subject -> Text, version -> BigInt, envelope -> Text, state -> Text, last_error -> Nullable<Text>, }
}
diesel::table! {
    applied_versions (handler, subject) { handler -> Text, subject -> Text, version -> BigInt, }
}

const SERVICES: [&str; 6] = [
    "auth",
    "account",
    "github",
    "project",
    "provisioner",
    "v1api",
];

/// A build as a service knows it.
#[derive(Debug, Queryable, PartialEq, Eq)]
pub(super) struct Build {
    pub(super) state: String,
    pub(super) version: i64,
    pub(super) reason: Option<String>,
    pub(super) finished_at: Option<Time>,
}

/// An event that came to a service.
#[derive(Debug, Queryable)]
pub(super) struct Came {
    pub(super) handler: String,
    pub(super) kind: String,
    pub(super) subject: String,
    pub(super) version: i64,
    pub(super) envelope: String,
    pub(super) state: String,
    pub(super) last_error: Option<String>,
}

impl Came {
    /// What it tells.
    pub(super) fn data(&self) -> Value {
        let mut envelope: Value = serde_json::from_str(&self.envelope).unwrap();
        envelope["data"].take()
    }
}

/// The databases of a platform that may be running or not.
///
/// Each look has a connection of its own: the server has few, and other tests need them, too.
pub(super) struct Tables(HashMap<&'static str, Location>);

impl Tables {
    pub(super) fn new(backend: &Backend, up: &Up) -> Self {
        let location = |service: &str| match backend.postgres_url() {
            None => Location::Sqlite(up.data_dir.join(format!("{service}.db"))),
            Some(url) => Location::Postgres {
                url: SecretString::from(url),
                schema: service.to_owned(),
                pool: 1,
                statement_timeout: Duration::from_secs(20),
            },
        };
        Self(SERVICES.map(|service| (service, location(service))).into())
    }

    async fn read<T: Send + 'static>(
        &self,
        service: &str,
        query: impl FnOnce(&mut Db) -> QueryResult<T> + Send + 'static,
    ) -> T {
        let location = self.0[service].clone();
        let database = Database::new(location, tokio::runtime::Handle::current());
        database.read(query).await.unwrap()
    }

    pub(super) async fn build(&self, service: &str, id: &str) -> Build {
        let id = id.to_owned();
        let row = builds::table.find(id).select((
            builds::state,
            builds::version,
            builds::reason,
            builds::finished_at,
        ));
        self.read(service, |db| row.first(db)).await
    }

    /// The states of all builds.
    pub(super) async fn states(&self, service: &str) -> BTreeMap<String, String> {
        let rows: Vec<(String, String)> = self
            .read(service, |db| {
                builds::table.select((builds::id, builds::state)).load(db)
            })
            .await;
        rows.into_iter().collect()
    }

    pub(super) async fn upstreams(&self, environment: &str) -> Vec<SocketAddr> {
        let id = environment.to_owned();
        let query = deployments::table.find(id).select(deployments::upstreams);
        let text: String = self.read("provisioner", |db| query.first(db)).await;
        serde_json::from_str(&text).unwrap()
    }

    /// How many instances and releases are on record.
    pub(super) async fn kept(&self) -> (i64, i64) {
        self.read("provisioner", |db| {
            Ok((
                instances::table.count().get_result(db)?,
                releases::table.count().get_result(db)?,
            ))
        })
        .await
    }

    /// The directories of all releases.
    pub(super) async fn directories(&self) -> Vec<String> {
        self.read("provisioner", |db| {
            releases::table.select(releases::directory).load(db)
        })
        .await
    }

    /// The events that are still on their way.
    pub(super) async fn on_the_way(&self) -> Vec<String> {
        let mut all = Vec::new();
        for service in SERVICES {
            let out: Vec<String> = self
                .read(service, |db| outbox::table.select(outbox::kind).load(db))
                .await;
            let pending = inbox::table
                .filter(inbox::state.eq("pending"))
                .select(inbox::kind);
            let pending: Vec<String> = self.read(service, move |db| pending.load(db)).await;
            let named = out.into_iter().chain(pending);
            all.extend(named.map(|kind| format!("{service}: {kind}")));
        }
        all
    }

    /// All that came to a service.
    pub(super) async fn came(&self, service: &str) -> Vec<Came> {
        let query = inbox::table
            .order((inbox::subject, inbox::version))
            .select((
                inbox::handler,
                inbox::kind,
                inbox::subject,
                inbox::version,
                inbox::envelope,
                inbox::state,
                inbox::last_error,
            ));
        self.read(service, move |db| query.load(db)).await
    }

    /// The last versions that a service's handlers have applied, by subject.
    pub(super) async fn applied(&self, service: &str, handler: &str) -> BTreeMap<String, i64> {
        let query = applied_versions::table
            .filter(applied_versions::handler.eq(handler.to_owned()))
            .select((applied_versions::subject, applied_versions::version));
        let rows: Vec<(String, i64)> = self.read(service, move |db| query.load(db)).await;
        rows.into_iter().collect()
    }

    /// Nothing was given up, in any service.
    pub(super) async fn nothing_is_dead(&self) {
        for service in SERVICES {
            for came in self.came(service).await {
                let ended = (came.state.as_str(), &came.last_error);
                assert_eq!(ended, ("done", &None), "{service}: {came:?}");
            }
        }
    }
}
