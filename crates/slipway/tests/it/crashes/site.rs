//! A platform with one person's app on it.

use std::net::SocketAddr;
use std::time::Duration;

use common::event::BuildState;
use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection};
use reqwest::Method;
use serde_json::{Value, json};
use testkit::Backend;

use super::app::App;
use super::person::Person;
use super::tables::Tables;
use crate::harness::Up;

/// How long a build may take, waits for dead processes' leases included.
const PATIENCE: Duration = Duration::from_secs(90);

/// A platform, a project on it, and its repository.
pub(super) struct Site {
    pub(super) up: Up,
    pub(super) app: App,
    pub(super) owner: Person,
    pub(super) tables: Tables,
    pub(super) account: String,
    pub(super) project: Value,
    // Last: its database is dropped when nobody uses it any more.
    pub(super) backend: Backend,
}

impl Site {
    /// A platform on this backend, with an app that is not yet built.
    pub(super) async fn new(backend: Backend, settings: &[(&str, &str)]) -> Self {
        let up = up_on(&backend, settings).await;
        Self::of(up, backend).await
    }

    /// An app on a platform that runs.
    pub(super) async fn of(up: Up, backend: Backend) -> Self {
        let (admin, owner) = (
            Person::admin(&up).await,
            Person::register(&up, "ada@example.com").await,
        );
        let made = admin
            .post(&up, "/v1/accounts", &json!({ "name": "Acme" }))
            .await;
        let account = made["account"]["id"].as_str().unwrap().to_owned();
        let invite = format!("/v1/accounts/{account}/invite");
        let invite = admin.post(&up, &invite, &json!({ "role": "owner" })).await;
        let accept = json!({ "token": invite["token"] });
        owner.post(&up, "/v1/invite/accept", &accept).await;
        let app = App::new(&up.data_dir);
        app.commit("v0");
        let body = json!({
            "name": "Shop",
            "github_data": { "owner": "acme", "repo": "app" },
            "environment": { "database": true },
        });
        let projects = format!("/v1/accounts/{account}/projects");
        let mut made = owner.post(&up, &projects, &body).await;
        Self {
            tables: Tables::new(&backend, &up),
            up,
            app,
            owner,
            account,
            project: made["project"].take(),
            backend,
        }
    }

    /// The project's place among the paths, and what follows.
    pub(super) fn path(&self, rest: &str) -> String {
        let id = self.project["id"].as_str().unwrap();
        format!("/v1/accounts/{}/projects/{id}{rest}", self.account)
    }

    pub(super) fn environment(&self) -> String {
        self.project["environments"][0]["id"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    /// Asks for a build of what is in the repository now; its id.
    pub(super) async fn ask(&self) -> String {
        let body = json!({ "environment_id": self.environment() });
        let answer = self.owner.post(&self.up, &self.path("/build"), &body).await;
        answer["build"]["id"].as_str().unwrap().to_owned()
    }

    /// Waits until a build is over; the build.
    pub(super) async fn over(&self, build: &str) -> Value {
        let path = self.path(&format!("/builds/{build}"));
        patiently("the build's end", || async {
            let answer = self.owner.ask(&self.up, Method::GET, &path, None).await.1["build"].take();
            let state: Option<BuildState> = answer["state"].as_str()?.parse().ok();
            state?.is_final().then_some(answer)
        })
        .await
    }

    /// Builds this version, which must become live, and waits until it answers.
    pub(super) async fn deploy(&self, version: &str) -> String {
        self.app.commit(version);
        let build = self.ask().await;
        let over = self.over(&build).await;
        assert_eq!(over["state"], "live", "{over}\n{}", self.up.log());
        self.answers(version).await;
        build
    }

    /// Waits until the app answers in this version; the process that does.
    pub(super) async fn answers(&self, version: &str) -> String {
        patiently(&format!("{version} to answer"), || async {
            let (status, text) = self.call("/").await;
            let (answered, pid) = text.split_once(' ')?;
            (status == 200 && answered == version).then(|| pid.to_owned())
        })
        .await
    }

    /// What the app's own host name answers at the gateway.
    pub(super) async fn call(&self, path: &str) -> (u16, String) {
        self.up.call_app(&self.host(), path).await
    }

    /// The app's host name.
    pub(super) fn host(&self) -> String {
        format!(
            "{}.localhost",
            self.project["environments"][0]["label"].as_str().unwrap()
        )
    }

    /// Where what is live answers on this machine.
    pub(super) async fn address(&self) -> SocketAddr {
        let upstreams = self.tables.upstreams(&self.environment()).await;
        *upstreams.first().expect("something is live")
    }

    /// Whether the server of the environments' databases has one for the app.
    pub(super) fn has_database(&self) -> bool {
        use diesel::{QueryableByName, RunQueryDsl as _, sql_types::BigInt};
        #[derive(QueryableByName)]
        struct Found {
            #[diesel(sql_type = BigInt)]
            count: i64,
        }
        let name = format!("app_{}", self.environment());
        let query = format!("SELECT count(*) AS count FROM pg_database WHERE datname = '{name}'");
        let mut server = PgConnection::establish(&server()).unwrap();
        diesel::sql_query(query)
            .get_result::<Found>(&mut server)
            .unwrap()
            .count
            == 1
    }
}

impl Drop for Site {
    /// The app's database is on a server that others use too.
    fn drop(&mut self) {
        let name = format!("app_{}", self.environment());
        let drop = [
            format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
            format!("DROP ROLE IF EXISTS {name}"),
        ];
        if let Ok(mut server) = PgConnection::establish(&server()) {
            for statement in drop {
                let _gone_at_the_next_cleaning = server.batch_execute(&statement);
            }
        }
    }
}

/// The server on which apps get databases.
fn server() -> String {
    std::env::var("SLIPWAY_TEST_POSTGRES_URL")
        .unwrap_or_else(|_| "postgres://postgres@127.0.0.1:5432/postgres".into())
}

/// `slipway up` on this backend.
pub(super) async fn up_on(backend: &Backend, settings: &[(&str, &str)]) -> Up {
    let mut all = vec![
        ("SLIPWAY_APPS__POSTGRES_URL".to_owned(), server()),
        ("SLIPWAY_APPS__DRAIN".to_owned(), "300ms".to_owned()),
        ("SLIPWAY_BUILDS__KEEP_RELEASES".to_owned(), "1".to_owned()),
        ("SLIPWAY_BUILDS__LEASE".to_owned(), "3s".to_owned()),
    ];
    if let (Some(url), Some((amqp, prefix))) = (backend.postgres_url(), backend.amqp()) {
        backend.clean_up_queues_of(&chassis::platform::SERVICES.map(|(name, _)| name));
        all.extend([
            ("SLIPWAY_DATABASE__URL".to_owned(), url),
            ("SLIPWAY_DATABASE__POOL".to_owned(), "2".to_owned()),
            ("SLIPWAY_AMQP__URL".to_owned(), amqp),
            ("SLIPWAY_AMQP__PREFIX".to_owned(), prefix),
        ]);
    }
    let all = all
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let all: Vec<_> = all.chain(settings.iter().copied()).collect();
    Up::start_with(&all).await
}

/// Waits for what may take longer than a mere condition.
pub(super) async fn patiently<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut look: impl FnMut() -> F,
) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    };
    let found = tokio::time::timeout(PATIENCE, looking).await;
    found.unwrap_or_else(|elapsed| panic!("waited too long for {what} ({elapsed})"))
}
