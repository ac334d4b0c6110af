//! Showing that an address is one's own: a code that is sent there comes back.
//!
//! A code has 256 random bits, is kept as its digest, works once and for a day, and ends when the
//! next one is asked for. Nobody guesses one, so that wrong tries needn't be counted.

pub mod http;
mod store;

use chassis::audit::{self, Entry};
use chassis::db::Db;
use chassis::http::ClientAddress;
use common::digest::sha256_hex;
use common::event::AuthEvent;
use common::id::{IdentityId, VerificationId};
use common::random;
use common::time::{Span, Time};
use common::token::ActorType;
use diesel::QueryResult;
use diesel::result::Error;
use serde_json::json;

use crate::identities::{self, Identity};
use crate::mail::{self, Letter, Mailer, Subject};
use crate::state::State;

/// How long a code is good for.
const LIFETIME: Span = Span::days(1);

common::text_enum! {
    /// What an address is verified for.
    pub enum Purpose {
        /// It is the identity's.
        Own = "own",
        /// It is to take the place of the identity's.
        Change = "change",
    }
}

/// A code that was sent, and what came of it. The code itself is kept nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Verification {
    /// Its id.
    pub id: VerificationId,
    /// Whose address it is to be.
    pub identity_id: IdentityId,
    /// The address.
    pub entity_id: String,
    /// What for.
    pub purpose: Purpose,
    /// When it was asked for.
    pub requested_at: Time,
    /// When its code ends.
    pub expires_at: Time,
    /// When the code came back.
    pub verified_at: Option<Time>,
}

impl std::fmt::Debug for Verification {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Verification({})", self.id)
    }
}

/// Why an address isn't verified.
#[derive(Debug, thiserror::Error)]
pub enum VerificationError {
    /// It is no address of this identity's.
    #[error("the address is not the identity's")]
    NotOwn,
    /// Too many letters were asked for.
    #[error("too many letters were asked for")]
    Paced(Span),
    /// There is no such code, or it has done its work.
    #[error("the code is not valid")]
    Invalid,
    /// The code has ended.
    #[error("the code has expired")]
    Expired,
    /// Another identity signs in by this address.
    #[error("the address is taken")]
    Taken,
    /// The database failed.
    #[error("the verification could not be read or kept")]
    Db(#[from] Error),
}

/// Sends a code to an address, in the transaction of what makes it the identity's or asks for it.
pub fn send(
    db: &mut Db,
    mailer: &Mailer,
    identity: &IdentityId,
    (email, purpose): (&str, Purpose),
    now: Time,
) -> QueryResult<Verification> {
    let code = random::token();
    let verification = Verification {
        id: VerificationId::new(now),
        identity_id: identity.clone(),
        entity_id: email.to_owned(),
        purpose,
        requested_at: now,
        expires_at: now + LIFETIME,
        verified_at: None,
    };
    store::replace(db, &verification, &digest_of(&code))?;
    let letter = Letter::Verification {
        code,
        ends_at: verification.expires_at,
    };
    mailer.enqueue(db, email, &letter, now)?;
    Ok(verification)
}

/// Sends a person a code to her own address. One that is verified gets none.
pub async fn request(
    state: &State,
    identity: &Identity,
    email: &str,
) -> Result<Verification, VerificationError> {
    if identity.email.as_deref() != Some(email) {
        return Err(VerificationError::NotOwn);
    }
    let (identity, email) = (identity.clone(), email.to_owned());
    let (mailer, now) = (state.mail.clone(), state.clock.now());
    state
        .db
        .write(move |db| {
            if let Some(at) = identity.email_verified_at {
                return Ok(known(db, &identity, &email, at)?);
            }
            count(db, &identity.id, &email, now)?;
            let to = (email.as_str(), Purpose::Own);
            Ok(send(db, &mailer, &identity.id, to, now)?)
        })
        .await
}

/// Counts a letter that an identity has sent to an address.
pub(crate) fn count(
    db: &mut Db,
    identity: &IdentityId,
    email: &str,
    now: Time,
) -> Result<(), VerificationError> {
    let subjects = [identity.as_str(), email].map(|one| Subject::mailbox("verification", one));
    match mail::count(db, &subjects, now)? {
        None => Ok(()),
        Some(wait) => Err(VerificationError::Paced(wait)),
    }
}

/// How an address that is verified already became so.
fn known(db: &mut Db, identity: &Identity, email: &str, at: Time) -> QueryResult<Verification> {
    let found = store::confirmed(db, &identity.id, email)?;
    Ok(found.unwrap_or_else(|| Verification {
        id: VerificationId::new(at),
        identity_id: identity.id.clone(),
        entity_id: email.to_owned(),
        purpose: Purpose::Own,
        requested_at: at,
        expires_at: at,
        verified_at: Some(at),
    }))
}

/// Takes a code that came back.
pub async fn confirm(
    state: &State,
    code: &str,
    address: ClientAddress,
) -> Result<Verification, VerificationError> {
    let (digest, mailer, now) = (digest_of(code), state.mail.clone(), state.clock.now());
    let confirmed = state
        .db
        .write(move |db| confirm_in(db, &mailer, &digest, address, now))
        .await;
    match confirmed {
        // Somebody else has come to sign in by the address meanwhile.
        Err(VerificationError::Db(error)) if chassis::db::is_unique_violation(&error) => {
            Err(VerificationError::Taken)
        }
        confirmed => confirmed,
    }
}

fn confirm_in(
    db: &mut Db,
    mailer: &Mailer,
    digest: &str,
    address: ClientAddress,
    now: Time,
) -> Result<Verification, VerificationError> {
    let found = store::by_code(db, digest)?.filter(|found| found.verified_at.is_none());
    let mut found = found.ok_or(VerificationError::Invalid)?;
    if found.expires_at <= now {
        return Err(VerificationError::Expired);
    }
    if store::confirm(db, &found.id, now)? == 0 {
        return Err(VerificationError::Invalid);
    }
    let identity = identities::store::find(db, &found.identity_id)?;
    let identity = identity
        .filter(|identity| identity.disabled_at.is_none())
        .ok_or(VerificationError::Invalid)?;
    let action = match found.purpose {
        Purpose::Own if identity.email.as_ref() == Some(&found.entity_id) => {
            identities::store::set_email_verified(db, &identity.id, now)?;
            "identity.email_verified"
        }
        Purpose::Own => return Err(VerificationError::Invalid),
        Purpose::Change => {
            change(db, mailer, &identity, &found.entity_id, now)?;
            "identity.email_changed"
        }
    };
    let entry = Entry {
        actor: identity.id.as_str(),
        actor_type: identity.actors.last().copied().unwrap_or(ActorType::Euser),
        action,
        subject: identity.id.as_str(),
        account_id: None,
        address,
        details: json!({}),
    };
    audit::record(db, &entry, now)?;
    found.verified_at = Some(now);
    Ok(found)
}

/// Gives an identity the address that it has shown to be its own, and tells the old one.
fn change(
    db: &mut Db,
    mailer: &Mailer,
    identity: &Identity,
    email: &str,
    now: Time,
) -> QueryResult<()> {
    identities::store::set_email(db, &identity.id, email, now)?;
    store::remove_open(db, &identity.id)?;
    if let Some(changed) = identities::store::find(db, &identity.id)? {
        let event = AuthEvent::EmailChanged(changed.state());
        chassis::events::emit(db, event, changed.version, now)?;
    }
    if let Some(old) = &identity.email {
        let letter = Letter::EmailChanged {
            new_email: email.to_owned(),
            at: now,
        };
        mailer.enqueue(db, old, &letter, now)?;
    }
    Ok(())
}

/// Removes what means nothing any more.
pub fn clean_up(db: &mut Db, now: Time) -> QueryResult<usize> {
    store::remove_ended(db, now)
}

fn digest_of(code: &str) -> String {
    sha256_hex(code.as_bytes())
}
