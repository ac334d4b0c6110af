//! Migrations.

use diesel::RunQueryDsl as _;
use diesel::connection::SimpleConnection as _;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness as _};

use super::Location;
use super::connection::Db;

/// A set of migrations, mirrored for the two backends.
#[derive(Clone, Copy)]
pub struct Migrations {
    /// For PostgreSQL.
    pub postgres: fn() -> EmbeddedMigrations,
    /// For `SQLite`.
    pub sqlite: fn() -> EmbeddedMigrations,
}

impl std::fmt::Debug for Migrations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Migrations")
    }
}

/// Embeds the two sets of a service: the folders for PostgreSQL and for `SQLite`, relative to
/// the crate's manifest.
#[macro_export]
macro_rules! migrations {
    ($postgres:literal, $sqlite:literal) => {{
        const POSTGRES: ::diesel_migrations::EmbeddedMigrations =
            ::diesel_migrations::embed_migrations!($postgres);
        const SQLITE: ::diesel_migrations::EmbeddedMigrations =
            ::diesel_migrations::embed_migrations!($sqlite);
        $crate::db::Migrations {
            postgres: || POSTGRES,
            sqlite: || SQLITE,
        }
    }};
}

/// The chassis's own tables: outbox, inbox, feeds, jobs, audit log, memberships, idempotency keys.
/// They come before those of the service.
#[must_use]
pub fn own_migrations() -> Migrations {
    crate::migrations!(
        "../../migrations/chassis/postgres",
        "../../migrations/chassis/sqlite"
    )
}

/// Why the tables could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// The database didn't answer, or refused.
    #[error("the database cannot be prepared")]
    Database(#[from] diesel::result::Error),
    /// A migration failed.
    #[error("a migration failed: {0}")]
    Migration(String),
}

pub(super) fn run(
    db: &mut Db,
    location: &Location,
    sets: &[Migrations],
) -> Result<(), MigrationError> {
    match (db, location) {
        (Db::Postgres(conn), Location::Postgres { schema, .. }) => {
            // Held until unlocked below, or until the connection ends.
            diesel::sql_query("SELECT pg_advisory_lock(7235418)").execute(conn)?;
            let result = conn
                .batch_execute(&format!("CREATE SCHEMA IF NOT EXISTS \"{schema}\""))
                .map_err(MigrationError::from)
                .and_then(|()| {
                    apply(sets, |set| {
                        conn.run_pending_migrations((set.postgres)()).map(drop)
                    })
                });
            diesel::sql_query("SELECT pg_advisory_unlock(7235418)").execute(conn)?;
            result
        }
        (Db::Sqlite(conn), _) => apply(sets, |set| {
            conn.run_pending_migrations((set.sqlite)()).map(drop)
        }),
        (Db::Postgres(_), Location::Sqlite(_)) => {
            Err(MigrationError::Migration("mixed backends".into()))
        }
    }
}

fn apply(
    sets: &[Migrations],
    mut run: impl FnMut(&Migrations) -> diesel::migration::Result<()>,
) -> Result<(), MigrationError> {
    sets.iter()
        .try_for_each(|set| run(set).map_err(|error| MigrationError::Migration(error.to_string())))
}
