//! What database errors mean to a caller.

use diesel::result::{DatabaseErrorKind, Error};

/// An error for a database that can't be reached at the moment.
pub(super) fn unavailable(why: &str) -> Error {
    Error::DatabaseError(
        DatabaseErrorKind::ClosedConnection,
        Box::new(why.to_owned()),
    )
}

/// Whether the same may well succeed a little later: no connection, a busy or read-only database.
#[must_use]
pub fn is_unavailable(error: &Error) -> bool {
    match error {
        Error::DatabaseError(kind, info) => {
            matches!(
                kind,
                DatabaseErrorKind::ClosedConnection
                    | DatabaseErrorKind::UnableToSendCommand
                    | DatabaseErrorKind::SerializationFailure
                    | DatabaseErrorKind::ReadOnlyTransaction
            ) || says_unavailable(info.message())
        }
        Error::BrokenTransactionManager => true,
        _ => false,
    }
}

/// Both libraries report some of these by message only.
fn says_unavailable(message: &str) -> bool {
    const SIGNS: [&str; 7] = [
        "database is locked",
        "server closed the connection",
        "terminating connection",
        "the database system is",
        "no connection to the server",
        "statement timeout",
        "database or disk is full",
    ];
    SIGNS.iter().any(|sign| message.contains(sign))
}

/// Whether a row of this key is there already.
#[must_use]
pub fn is_unique_violation(error: &Error) -> bool {
    matches!(
        error,
        Error::DatabaseError(DatabaseErrorKind::UniqueViolation, _)
    )
}
