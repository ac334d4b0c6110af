//! The database of a service: PostgreSQL or `SQLite`, chosen by the URL's scheme.
//!
//! Query functions take a `&mut Db` and compose inside one transaction.
//! [`Database::write`] runs a use case in a transaction on a blocking thread,
//! [`Database::read`] one that only looks.

mod connection;
mod error;
mod looks;
mod manager;
mod migrate;

pub use connection::{Db, lock};
pub use error::{is_unavailable, is_unique_violation};
pub use looks::Looks;
pub use migrate::{MigrationError, Migrations, own_migrations};

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use diesel::r2d2::{Pool, PooledConnection};
use diesel::result::Error;
use scheduled_thread_pool::ScheduledThreadPool;
use secrecy::SecretString;
use tokio::sync::watch;

use crate::telemetry::TraceContext;
use manager::Manager;

/// Where a service's tables are.
#[derive(Clone, Debug)]
pub enum Location {
    /// A file of this path.
    Sqlite(PathBuf),
    /// A server's database, in a schema of the service's own.
    Postgres {
        /// `postgres://user:password@host:port/database`.
        url: SecretString,
        /// The schema.
        schema: String,
        /// The most connections this process opens for the service.
        pool: u32,
        /// After how long the server ends a statement.
        statement_timeout: Duration,
    },
}

/// A handle to the service's database; cheap to clone.
#[derive(Clone)]
pub struct Database {
    writers: Pool<Manager>,
    readers: Pool<Manager>,
    runtime: tokio::runtime::Handle,
    location: Arc<Location>,
    commits: Arc<watch::Sender<u64>>,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Database({:?})", self.location)
    }
}

/// How long a request waits for a connection before it is told to come back.
const CHECKOUT_TIMEOUT: Duration = Duration::from_secs(5);

impl Database {
    /// Makes the pools; no connection is opened before it is needed. Blocking work runs on
    /// `runtime`, so that one process has one bounded set of blocking threads.
    pub fn new(location: Location, runtime: tokio::runtime::Handle) -> Self {
        let (writers, readers) = match &location {
            // SQLite has one writer at a time anyway; queueing for it here beats busy errors.
            Location::Sqlite(_) => (pool(&location, 1), pool(&location, 3)),
            Location::Postgres { pool: size, .. } => {
                let shared = pool(&location, (*size).max(1));
                (shared.clone(), shared)
            }
        };
        Self {
            writers,
            readers,
            runtime,
            location: Arc::new(location),
            commits: Arc::new(watch::Sender::new(0)),
        }
    }

    /// Whether it is PostgreSQL, which replicas of a service can share.
    #[must_use]
    pub fn is_postgres(&self) -> bool {
        matches!(*self.location, Location::Postgres { .. })
    }

    /// Runs queries that change nothing.
    pub async fn read<T, E, F>(&self, queries: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: FnOnce(&mut Db) -> Result<T, E> + Send + 'static,
    {
        let pool = self.readers.clone();
        self.blocking(move || queries(&mut *checkout(&pool)?)).await
    }

    /// Runs a use case in one transaction: what `work` did is kept if it answers `Ok`, and only then.
    pub async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: FnOnce(&mut Db) -> Result<T, E> + Send + 'static,
    {
        let pool = self.writers.clone();
        let commits = Arc::clone(&self.commits);
        self.blocking(move || {
            let value = connection::transaction(&mut *checkout(&pool)?, work)?;
            // Even where the caller has gone away meanwhile: the commit has happened.
            commits.send_modify(|count| *count = count.wrapping_add(1));
            Ok(value)
        })
        .await
    }

    /// Tells of every transaction that this process commits, so that what waits for rows
    /// needn't look for them all the time. Other processes' commits are not told.
    #[must_use]
    pub fn commits(&self) -> watch::Receiver<u64> {
        self.commits.subscribe()
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), Error> {
        self.read(connection::ping).await
    }

    /// Brings the tables up to date; replicas that start at once wait for one another.
    pub async fn migrate(&self, sets: Vec<Migrations>) -> Result<(), migrate::MigrationError> {
        let pool = self.writers.clone();
        let location = Arc::clone(&self.location);
        self.blocking(move || migrate::run(&mut *checkout(&pool)?, &location, &sets))
            .await
    }

    /// Runs `work` on a blocking thread, inside the caller's tracing span and trace.
    async fn blocking<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: FnOnce() -> Result<T, E> + Send + 'static,
    {
        let (span, trace) = (tracing::Span::current(), TraceContext::current());
        let work = move || span.in_scope(|| TraceContext::sync_scope(trace, work));
        match self.runtime.spawn_blocking(work).await {
            Ok(result) => result,
            Err(failure) => match failure.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_cancelled) => Err(error::unavailable("the process is stopping").into()),
            },
        }
    }
}

fn checkout(pool: &Pool<Manager>) -> Result<PooledConnection<Manager>, Error> {
    pool.get()
        .map_err(|error| error::unavailable(&error.to_string()))
}

/// One small thread pool opens connections for all pools of the process.
fn opener() -> Arc<ScheduledThreadPool> {
    static OPENER: OnceLock<Arc<ScheduledThreadPool>> = OnceLock::new();
    Arc::clone(OPENER.get_or_init(|| {
        Arc::new(
            ScheduledThreadPool::builder()
                .num_threads(2)
                .thread_name_pattern("db-opener-{}")
                .build(),
        )
    }))
}

fn pool(location: &Location, size: u32) -> Pool<Manager> {
    Pool::builder()
        .max_size(size)
        .min_idle(Some(0))
        .connection_timeout(CHECKOUT_TIMEOUT)
        .idle_timeout(Some(Duration::from_mins(10)))
        // PostgreSQL: a connection that was cut while idle must not fail a request.
        .test_on_check_out(matches!(location, Location::Postgres { .. }))
        .thread_pool(opener())
        .error_handler(Box::new(manager::LogErrors))
        .build_unchecked(Manager::new(location.clone()))
}
