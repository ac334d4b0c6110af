//! What operators do to identities.
//!
//! There is always somebody who is an admin and can sign in: whatever could take that from the last
//! one holds one lock, so that two such acts at once don't each leave the other's.

pub mod delete;
pub mod http;
pub mod sessions;
pub mod view;

use chassis::audit::{self, Entry};
use chassis::db::Db;
use chassis::http::ClientAddress;
use common::id::IdentityId;
use common::time::Time;
use common::token::{ActorType, Claims};
use diesel::result::Error;
use serde_json::{Value, json};

use crate::identities::{self, Identity, Provider, Realm, store};
use crate::recovery::{self, Wish};

/// On whose behalf, and from where, something is done.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Who.
    pub claims: Claims,
    /// From where.
    pub address: ClientAddress,
}

impl Origin {
    /// Writes down, in the act's own transaction, what was done to whom.
    fn record(
        &self,
        db: &mut Db,
        action: &'static str,
        subject: &IdentityId,
        details: Value,
        now: Time,
    ) -> Result<(), Error> {
        let entry = Entry::by(&self.claims, action, subject.as_str(), self.address).with(details);
        audit::record(db, &entry, now)
    }
}

/// Why something isn't done to an identity.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// There is no such identity.
    #[error("no such identity")]
    Unknown,
    /// Nobody would be left who is an admin and can sign in.
    #[error("the last admin stays one")]
    LastAdmin,
    /// People of somebody's own realm act as nothing of the platform's.
    #[error("only identities of the platform's own realm act as that")]
    OtherRealm,
    /// It signs in by no password.
    #[error("the identity has no password")]
    NoPassword,
    /// The database failed.
    #[error("the identity could not be read or changed")]
    Db(#[from] Error),
}

/// The identity, with everything that could take the last admin kept waiting until the
/// transaction ends.
fn lock_and_find(db: &mut Db, id: &IdentityId) -> Result<Identity, AdminError> {
    chassis::db::lock(db, "admins")?;
    store::find(db, id)?.ok_or(AdminError::Unknown)
}

/// Refuses what would take the last admin. The caller holds the lock.
fn check_admin_remains(db: &mut Db, identity: &Identity) -> Result<(), AdminError> {
    if identity.holds(ActorType::Admin)
        && store::another(db, ActorType::Admin, &identity.id)?.is_none()
    {
        return Err(AdminError::LastAdmin);
    }
    Ok(())
}

/// Keeps an identity from signing in, or lets it again; doing it again changes nothing.
pub fn set_disabled(
    db: &mut Db,
    id: &IdentityId,
    disabled: bool,
    origin: &Origin,
    now: Time,
) -> Result<Identity, AdminError> {
    let known = lock_and_find(db, id)?;
    if known.disabled_at.is_some() == disabled {
        return Ok(known);
    }
    if disabled {
        check_admin_remains(db, &known)?;
    }
    let identity = identities::set_disabled(db, id, disabled, now)?;
    let action = if disabled {
        "identity.disabled"
    } else {
        "identity.enabled"
    };
    origin.record(db, action, id, Value::Null, now)?;
    Ok(identity)
}

/// Lets an identity act as this; doing it again changes nothing.
pub fn grant(
    db: &mut Db,
    id: &IdentityId,
    actor: ActorType,
    origin: &Origin,
    now: Time,
) -> Result<Identity, AdminError> {
    let mut identity = lock_and_find(db, id)?;
    if identity.realm != Realm::Platform {
        return Err(AdminError::OtherRealm);
    }
    if identity.actors.insert(actor) {
        identities::grant_actor(db, id, actor, now)?;
        origin.record(
            db,
            "identity.actor_granted",
            id,
            json!({ "actor": actor }),
            now,
        )?;
    }
    Ok(identity)
}

/// Takes an actor type from an identity, and ends its tokens; doing it again changes nothing.
pub fn withdraw(
    db: &mut Db,
    id: &IdentityId,
    actor: ActorType,
    origin: &Origin,
    now: Time,
) -> Result<Identity, AdminError> {
    let known = lock_and_find(db, id)?;
    if actor == ActorType::Admin {
        check_admin_remains(db, &known)?;
    }
    if identities::withdraw_actor(db, id, actor, now)? {
        let details = json!({ "actor": actor });
        origin.record(db, "identity.actor_withdrawn", id, details, now)?;
    }
    store::find(db, id)?.ok_or(AdminError::Unknown)
}

/// Ends what an identity is signed in by, and leaves it without a password that could be right:
/// `unusable` is the hash of none. A link to choose a new one goes to the address it signs in by.
pub fn force_reset(
    db: &mut Db,
    id: &IdentityId,
    unusable: &str,
    origin: &Origin,
    now: Time,
) -> Result<Identity, AdminError> {
    let known = lock_and_find(db, id)?;
    // Nobody could let her in again if mail doesn't reach her.
    check_admin_remains(db, &known)?;
    if store::set_secret(db, id, Provider::Emailpass, unusable, now)? == 0 {
        return Err(AdminError::NoPassword);
    }
    identities::revoke_all(db, id, now)?;
    origin.record(db, "identity.reset_forced", id, Value::Null, now)?;
    ask_for_reset(db, &known, now)?;
    store::find(db, id)?.ok_or(AdminError::Unknown)
}

/// As the person herself would. Who is of a realm of somebody's own hears from that one's server.
fn ask_for_reset(db: &mut Db, identity: &Identity, now: Time) -> Result<(), Error> {
    let Some(actor) = identity.actors.first().copied() else {
        return Ok(());
    };
    for (provider, email, _) in store::providers(db, &identity.id)? {
        if identity.realm == Realm::Platform && provider == Provider::Emailpass {
            let wish = Wish {
                email,
                actor,
                provider,
                at: now,
            };
            recovery::ask(db, &wish, now)?;
        }
    }
    Ok(())
}

/// Deletes the identity of somebody who has left, whose user is gone already. The last admin
/// goes on without a user. Doing it again changes nothing.
pub fn remove_departed(
    db: &mut Db,
    id: &IdentityId,
    by: &Entry<'_>,
    now: Time,
) -> Result<bool, Error> {
    let known = match lock_and_find(db, id) {
        Ok(known) => known,
        Err(AdminError::Db(error)) => return Err(error),
        Err(_gone) => return Ok(false),
    };
    match check_admin_remains(db, &known) {
        Ok(()) => {
            audit::record(db, by, now)?;
            identities::delete(db, id, now)
        }
        Err(AdminError::Db(error)) => Err(error),
        Err(_last) => {
            tracing::warn!(identity.id = %id, "the last admin's user was deleted; the identity stays");
            store::unset_user(db, id, now)?;
            identities::revoke_everything(db, id, now)?;
            Ok(false)
        }
    }
}
