//! Copies of an environment's variables, for previews.

use chassis::db::Db;
use chassis::seal::{SealError, Sealer};
use common::id::EnvironmentId;
use common::time::Time;
use diesel::QueryResult;

use super::store;

/// Where an app looks for its database.
const DATABASE_URL: &str = "DATABASE_URL";

/// What is copied.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    /// Whether secret ones are.
    pub(crate) secrets: bool,
    /// Whether the one that names a database is.
    pub(crate) database_url: bool,
}

/// Why variables can't be copied.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CopyError {
    /// One can't be opened or sealed.
    #[error("a variable can't be sealed anew")]
    Seal(#[from] SealError),
    /// The database.
    #[error("the database failed")]
    Db(#[from] diesel::result::Error),
}

/// Whether a variable of an environment names a database.
pub(crate) fn names_database(db: &mut Db, environment: &EnvironmentId) -> QueryResult<bool> {
    let all = store::of_environment(db, environment)?;
    Ok(all.iter().any(|variable| variable.name == DATABASE_URL))
}

/// Copies variables as they are now. The caller holds the project's lock.
pub(crate) fn copy(
    db: &mut Db,
    sealer: &Sealer,
    (from, to): (&EnvironmentId, &EnvironmentId),
    rule: Rule,
    now: Time,
) -> Result<(), CopyError> {
    for variable in store::of_environment(db, from)? {
        let allowed = rule.secrets || !variable.secret;
        if allowed && (rule.database_url || variable.name != DATABASE_URL) {
            store::put(db, &variable.copied(sealer, to, now)?)?;
        }
    }
    Ok(())
}
