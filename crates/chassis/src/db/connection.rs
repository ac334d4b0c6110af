//! One connection to either backend, and its transactions.

use diesel::connection::{AnsiTransactionManager, SimpleConnection as _, TransactionManager as _};
use diesel::prelude::*;
use diesel::result::Error;
use diesel::sql_types::BigInt;

mod multi {
    use diesel::{PgConnection, SqliteConnection};

    /// A connection to the service's database.
    #[derive(diesel::MultiConnection)]
    pub enum Db {
        /// PostgreSQL.
        Postgres(PgConnection),
        /// `SQLite`.
        Sqlite(SqliteConnection),
    }
}
pub use multi::Db;

/// Compiles one query for each backend, where the two-backend connection can't:
/// batch inserts, `on_conflict`, `returning`.
///
/// ```ignore
/// on_backend!(db, conn => diesel::insert_into(t).values(&rows).on_conflict_do_nothing().execute(conn))
/// ```
#[macro_export]
macro_rules! on_backend {
    ($db:expr, $conn:ident => $query:expr) => {
        match $db {
            $crate::db::Db::Postgres($conn) => $query,
            $crate::db::Db::Sqlite($conn) => $query,
        }
    };
}

/// Runs `work` in a transaction. On `SQLite` it takes the write lock at its beginning, since a
/// transaction that reads first and writes later can fail where another came between.
pub(super) fn transaction<T, E, F>(db: &mut Db, work: F) -> Result<T, E>
where
    E: From<Error>,
    F: FnOnce(&mut Db) -> Result<T, E>,
{
    begin(db)?;
    match work(db) {
        Ok(value) => {
            <Db as Connection>::TransactionManager::commit_transaction(db)?;
            Ok(value)
        }
        Err(error) => {
            // The cause tells more than a roll-back that failed on the same broken connection.
            let _secondary = <Db as Connection>::TransactionManager::rollback_transaction(db);
            Err(error)
        }
    }
}

fn begin(db: &mut Db) -> QueryResult<()> {
    match db {
        Db::Postgres(conn) => AnsiTransactionManager::begin_transaction(conn),
        Db::Sqlite(conn) => AnsiTransactionManager::begin_transaction_sql(conn, "BEGIN IMMEDIATE"),
    }
}

pub(super) fn ping(db: &mut Db) -> QueryResult<()> {
    db.batch_execute("SELECT 1")
}

/// Makes every other transaction that locks the same name wait until this one ends.
///
/// On PostgreSQL this is a transaction-level advisory lock; on `SQLite` there is no other
/// writing transaction anyway. Use it where two transactions that each look right could
/// together be wrong: the last two owners leaving at once.
pub fn lock(db: &mut Db, name: &str) -> QueryResult<()> {
    match db {
        Db::Postgres(conn) => diesel::sql_query("SELECT pg_advisory_xact_lock($1)")
            .bind::<BigInt, _>(lock_key(name))
            .execute(conn)
            .map(drop),
        Db::Sqlite(_) => Ok(()),
    }
}

/// 64 bits of the name's digest. Two names that met would only wait for one another.
fn lock_key(name: &str) -> i64 {
    let digest = ring::digest::digest(&ring::digest::SHA256, name.as_bytes());
    let first = digest
        .as_ref()
        .first_chunk::<8>()
        .copied()
        .unwrap_or_default();
    i64::from_be_bytes(first)
}
