//! Where a test's data and events go.

use std::sync::Mutex;
use std::time::Duration;

use chassis::db::{Database, Location, Migrations, own_migrations};
use common::random;
use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection};
use secrecy::SecretString;
use tempfile::TempDir;

use crate::broker;

/// `SQLite` files and the bus in process, or a PostgreSQL database and RabbitMQ names of its
/// own. All of it is removed when the backend is dropped.
#[derive(Debug)]
pub struct Backend {
    directory: TempDir,
    server: Option<Server>,
}

#[derive(Debug)]
struct Server {
    admin_url: String,
    database: String,
    amqp_url: String,
    prefix: String,
    services: Mutex<Vec<String>>,
}

impl Backend {
    /// `SQLite` files in a directory of its own; events stay in the process.
    ///
    /// # Panics
    /// When no directory can be made.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test can't go on without")]
    pub fn sqlite() -> Self {
        Self {
            directory: tempfile::tempdir().expect("a directory"),
            server: None,
        }
    }

    /// A new PostgreSQL database on the server of `SLIPWAY_TEST_POSTGRES_URL`, and a new prefix on
    /// the RabbitMQ of `SLIPWAY_TEST_AMQP_URL`.
    ///
    /// # Panics
    /// When one of the two doesn't answer.
    pub async fn distributed() -> Self {
        let admin_url = variable(
            "SLIPWAY_TEST_POSTGRES_URL",
            "postgres://postgres@127.0.0.1:5432/postgres",
        );
        let amqp_url = variable("SLIPWAY_TEST_AMQP_URL", "amqp://guest:guest@127.0.0.1:5672");
        broker::must_answer(&amqp_url).await;
        let name = format!("slipway_test_{:016x}", u64::from_le_bytes(random::bytes()));
        execute(&admin_url, &format!("CREATE DATABASE {name}"));
        let server = Server {
            admin_url,
            amqp_url,
            prefix: name.replace('_', "-"),
            database: name,
            services: Mutex::default(),
        };
        let mut backend = Self::sqlite();
        backend.server = Some(server);
        backend
    }

    /// Whether it is PostgreSQL and RabbitMQ.
    #[must_use]
    pub fn is_distributed(&self) -> bool {
        self.server.is_some()
    }

    /// A directory of the test's own.
    #[must_use]
    pub fn directory(&self) -> &std::path::Path {
        self.directory.path()
    }

    /// The URL of the test's PostgreSQL database.
    #[must_use]
    pub fn postgres_url(&self) -> Option<String> {
        self.server
            .as_ref()
            .map(|server| in_database(&server.admin_url, &server.database))
    }

    /// RabbitMQ's URL, and the test's own prefix of names there.
    #[must_use]
    pub fn amqp(&self) -> Option<(String, String)> {
        self.server
            .as_ref()
            .map(|server| (server.amqp_url.clone(), server.prefix.clone()))
    }

    /// Has the queues of these services deleted in the end.
    ///
    /// # Panics
    /// When another thread panicked in here.
    #[expect(clippy::unwrap_used, reason = "a test can't go on without")]
    pub fn clean_up_queues_of(&self, services: &[&str]) {
        if let Some(server) = &self.server {
            server
                .services
                .lock()
                .unwrap()
                .extend(services.iter().map(|&name| name.to_owned()));
        }
    }

    /// Where this service's tables are.
    #[must_use]
    pub fn location(&self, service: &str) -> Location {
        match self.postgres_url() {
            None => Location::Sqlite(self.directory.path().join(format!("{service}.db"))),
            Some(url) => Location::Postgres {
                url: SecretString::from(url),
                schema: service.to_owned(),
                pool: 8,
                statement_timeout: Duration::from_secs(20),
            },
        }
    }

    /// A handle of its own to a service's database, with the chassis's tables and `migrations`.
    ///
    /// # Panics
    /// When the tables can't be made.
    #[expect(clippy::expect_used, reason = "a test can't go on without")]
    pub async fn database(&self, service: &str, migrations: Option<Migrations>) -> Database {
        let database = Database::new(self.location(service), tokio::runtime::Handle::current());
        let sets = std::iter::once(own_migrations())
            .chain(migrations)
            .collect();
        database.migrate(sets).await.expect("the migrations run");
        database
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        let Some(server) = self.server.take() else {
            return;
        };
        // A thread of its own: whatever runtime the test had may be ending.
        let cleaning = std::thread::spawn(move || server.remove());
        let cleaned = cleaning.join().is_ok();
        assert!(
            cleaned || std::thread::panicking(),
            "the test's database or queues could not be removed"
        );
    }
}

impl Server {
    #[expect(
        clippy::expect_used,
        reason = "a test should not leave anything behind"
    )]
    fn remove(self) {
        execute(
            &self.admin_url,
            &format!("DROP DATABASE {} WITH (FORCE)", self.database),
        );
        let services = self
            .services
            .into_inner()
            .expect("no thread panicked in here");
        if services.is_empty() {
            return;
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime
            .block_on(broker::delete_all(&self.amqp_url, &self.prefix, &services))
            .expect("queues can be deleted");
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests are told by the environment where the servers are"
)]
fn variable(name: &str, default: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| default.to_owned())
}

/// The URL with another database's name in it.
fn in_database(url: &str, database: &str) -> String {
    let (address, parameters) = url
        .split_once('?')
        .map_or((url, String::new()), |(a, p)| (a, format!("?{p}")));
    let server = address
        .rsplit_once('/')
        .map_or(address, |(server, _)| server);
    format!("{server}/{database}{parameters}")
}

fn execute(url: &str, sql: &str) {
    let connected = PgConnection::establish(url);
    let mut connection = connected.unwrap_or_else(|error| {
        panic!("PostgreSQL (SLIPWAY_TEST_POSTGRES_URL) doesn't answer: {error}")
    });
    connection
        .batch_execute(sql)
        .unwrap_or_else(|error| panic!("`{sql}` failed: {error}"));
}
