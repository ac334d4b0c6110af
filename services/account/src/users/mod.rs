//! Users: the platform's record of a person, linked to the identity that signs in.

pub mod departure;
pub mod departure_http;
pub mod events;
pub mod export;
pub mod http;
pub mod store;

use chassis::audit::{self, Entry};
use chassis::db::Db;
use chassis::http::ClientAddress;
use common::email::EmailAddress;
use common::event::{AccountEvent, UserState};
use common::id::{IdentityId, UserId};
use common::time::Time;
use common::token::Claims;

/// A person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The user.
    pub id: UserId,
    /// The identity that signs in as this user.
    pub identity_id: IdentityId,
    /// The address.
    pub email: String,
    /// Goes up with each change.
    pub version: i64,
    /// When it was made.
    pub created_at: Time,
}

impl User {
    /// The state that events carry.
    #[must_use]
    pub fn state(&self, deleted: bool) -> UserState {
        UserState {
            user_id: self.id.clone(),
            identity_id: self.identity_id.clone(),
            created_at: self.created_at,
            deleted,
        }
    }
}

/// Why there is no new user.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// The identity has one.
    #[error("the identity has the user {0}")]
    Exists(UserId),
    /// The address is not the identity's own.
    #[error("the email is not the identity's own")]
    OtherEmail,
    /// The identity, or the user that it was, has been deleted.
    #[error("the identity has been deleted")]
    Gone,
    /// The database failed.
    #[error("the user could not be kept")]
    Db(#[from] diesel::result::Error),
}

/// Makes the user of an identity whose own address this is.
pub fn create(
    db: &mut Db,
    identity: &IdentityId,
    email: &EmailAddress,
    by: &Claims,
    from: ClientAddress,
    now: Time,
) -> Result<User, CreateError> {
    // Two first requests at once: the second one sees what the first one made.
    chassis::db::lock(db, &format!("identity:{identity}"))?;
    if let Some(user) = store::by_identity(db, identity)? {
        return Err(CreateError::Exists(user.id));
    }
    if store::had_left(db, identity)? {
        return Err(CreateError::Gone);
    }
    let user = User {
        id: UserId::new(now),
        identity_id: identity.clone(),
        email: email.as_str().to_owned(),
        version: 1,
        created_at: now,
    };
    store::insert(db, &user)?;
    let created = AccountEvent::UserCreated(user.state(false));
    chassis::events::emit(db, created, user.version, now)?;
    audit::record(
        db,
        &Entry::by(by, "user.created", user.id.as_str(), from),
        now,
    )?;
    Ok(user)
}
