//! People who move here from elsewhere, with the hashes of their passwords.

pub mod http;

use chassis::http::ClientAddress;
use common::email::EmailAddress;
use common::id::IdentityId;
use common::token::ActorType;
use diesel::result::Error;

use crate::emailpass;
use crate::identities::{Identity, Provider, Realm, store};
use crate::password::{Unsupported, check_imported};
use crate::state::State;

/// The most that come at once.
pub const MOST: usize = 500;

/// Somebody who comes.
#[derive(Clone)]
pub struct Row {
    /// The address.
    pub email: String,
    /// The hash of the password.
    pub password_hash: String,
    /// Whether it is known that the address is hers.
    pub email_verified: bool,
}

impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Row(***)")
    }
}

/// What has become of somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// She can sign in.
    Created(IdentityId),
    /// She was here already, and nothing has changed.
    Exists(IdentityId),
    /// She can't be taken as she is.
    Refused(Refused),
}

/// Why somebody can't be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is no address.
    #[error("`email` should be an email address")]
    Email,
    /// The hash can't be used.
    #[error("`password_hash`: {0}")]
    Hash(#[from] Unsupported),
}

/// Takes somebody in. One who is here already stays as she is, so that an import that broke off can
/// be done again.
pub async fn take(state: &State, row: &Row, address: ClientAddress) -> Result<Outcome, Error> {
    let Ok(email) = EmailAddress::parse(&row.email) else {
        return Ok(Outcome::Refused(Refused::Email));
    };
    if let Err(why) = check_imported(&row.password_hash) {
        return Ok(Outcome::Refused(why.into()));
    }
    let now = state.clock.now();
    let mut identity = Identity::new(Realm::Platform, Some(email.as_str().to_owned()), now);
    identity.actors.insert(ActorType::Euser);
    identity.email_verified_at = row.email_verified.then_some(now);
    let (hash, again) = (row.password_hash.clone(), email.clone());
    let taken = state
        .db
        .write(move |db| {
            let known =
                store::by_provider(db, &Realm::Platform, Provider::Emailpass, email.as_str())?;
            if let Some((known, _)) = known {
                return Ok(Outcome::Exists(known.id));
            }
            emailpass::keep(db, &identity, &hash, address, now)?;
            Ok(Outcome::Created(identity.id))
        })
        .await;
    match taken {
        // She has registered at this very moment.
        Err(error) if chassis::db::is_unique_violation(&error) => {
            let known = state
                .db
                .read(move |db| {
                    store::by_provider(db, &Realm::Platform, Provider::Emailpass, again.as_str())
                })
                .await?;
            known
                .map(|(known, _)| Outcome::Exists(known.id))
                .ok_or(error)
        }
        taken => taken,
    }
}
