//! Managed PostgreSQL databases: one database and one role per environment, on one server.
//!
//! A role may do anything in its own database and nothing beyond it. Every step can be repeated, so
//! a retry after a crash comes to the same end.

mod name;
mod password;
mod server;

use secrecy::SecretString;

pub use name::DatabaseName;
pub use password::Password;
pub use server::DatabaseServer;

/// What an app needs to reach its database.
#[derive(Debug)]
pub struct AppDatabase {
    /// The name of both the database and the role.
    pub name: DatabaseName,
    /// The value of `DATABASE_URL`.
    pub url: SecretString,
}

/// Why a database can't be provided.
#[derive(Debug, thiserror::Error)]
pub enum AppDbError {
    /// `apps.postgres_url` is not the URL of a PostgreSQL server.
    #[error("apps.postgres_url is not a postgres:// URL")]
    Url,
    /// The environment's id would not do as a name in the database.
    #[error("{0:?} can't name a database")]
    Name(String),
    /// A role of that name has rights that no app may have; it is not one of ours.
    #[error("the role {0} has rights beyond its own database")]
    ForeignRole(DatabaseName),
    /// The server can't be reached.
    #[error("the apps' PostgreSQL server can't be reached")]
    Connect(#[source] diesel::ConnectionError),
    /// The server refused a statement.
    #[error("the apps' PostgreSQL server refused to {doing}")]
    Query {
        /// What was attempted.
        doing: &'static str,
        /// The server's reason.
        source: diesel::result::Error,
    },
    /// The work was ended from outside.
    #[error("the work on the apps' PostgreSQL server was ended")]
    Ended(#[source] tokio::task::JoinError),
}
