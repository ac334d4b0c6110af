//! Opens and checks the pool's connections.

use diesel::connection::SimpleConnection as _;
use diesel::r2d2::{ManageConnection, R2D2Connection as _};
use diesel::{Connection as _, ConnectionError, PgConnection, SqliteConnection};
use secrecy::ExposeSecret as _;

use super::Location;
use super::connection::{self, Db};

/// The derive's own `establish` tries one backend after the other; here a PostgreSQL
/// that is down can never become an empty `SQLite`.
#[derive(Debug)]
pub(super) struct Manager {
    location: Location,
}

impl Manager {
    pub(super) fn new(location: Location) -> Self {
        Self { location }
    }
}

/// Why a connection could not be had. The URL, which may hold a password, is not in it.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenError {
    #[error("cannot connect")]
    Connect(#[from] ConnectionError),
    #[error("cannot set up the connection")]
    SetUp(#[from] diesel::result::Error),
}

impl ManageConnection for Manager {
    type Connection = Db;
    type Error = OpenError;

    fn connect(&self) -> Result<Db, OpenError> {
        match &self.location {
            Location::Sqlite(path) => {
                let mut conn = SqliteConnection::establish(&path.to_string_lossy())?;
                // The busy timeout comes first: the switch to WAL itself may have to wait.
                conn.batch_execute(
                    "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
                     PRAGMA foreign_keys = ON; PRAGMA cache_size = -1024; PRAGMA trusted_schema = OFF;",
                )?;
                Ok(Db::Sqlite(conn))
            }
            Location::Postgres {
                url,
                schema,
                statement_timeout,
                ..
            } => {
                let mut conn = PgConnection::establish(url.expose_secret())?;
                conn.batch_execute(&format!(
                    "SET search_path TO \"{schema}\"; SET statement_timeout TO {}; SET timezone TO 'UTC';
                     SET application_name TO 'slipway-{schema}'; SET idle_in_transaction_session_timeout TO 60000;",
                    statement_timeout.as_millis(),
                ))?;
                Ok(Db::Postgres(conn))
            }
        }
    }

    fn is_valid(&self, db: &mut Db) -> Result<(), OpenError> {
        Ok(connection::ping(db)?)
    }

    fn has_broken(&self, db: &mut Db) -> bool {
        match db {
            Db::Postgres(conn) => std::thread::panicking() || conn.is_broken(),
            Db::Sqlite(conn) => std::thread::panicking() || conn.is_broken(),
        }
    }
}

/// Writes the pool's own troubles to the log.
#[derive(Debug)]
pub(super) struct LogErrors;

impl diesel::r2d2::HandleError<OpenError> for LogErrors {
    fn handle_error(&self, error: OpenError) {
        let cause = std::error::Error::source(&error)
            .map(ToString::to_string)
            .unwrap_or_default();
        tracing::warn!(error = %error, cause, "a database connection could not be opened");
    }
}
