//! From what GitHub says to an identity of ours.

use chassis::audit::{self, Entry};
use chassis::db::Db;
use chassis::http::ClientAddress;
use common::id::IdentityId;
use common::time::Time;
use common::token::ActorType;
use diesel::result::Error;
use serde_json::json;

use super::Profile;
use crate::identities::{self, Identity, Provider, Realm, store};
use crate::sign_in::{CompleteError, Entered, complete};
use crate::state::State;
use crate::tokens::SignIn;

/// Why a person whom GitHub knows isn't let in.
#[derive(Debug, thiserror::Error)]
pub enum EnterError {
    /// The identity is disabled, or doesn't hold the actor type, or nobody registers as that: all
    /// look alike.
    #[error("there is nobody to sign in as")]
    Nobody,
    /// The GitHub account is another identity's.
    #[error("the GitHub account is linked to another identity")]
    Taken,
    /// The identity has another GitHub account.
    #[error("the identity is linked to another GitHub account")]
    HasOther,
    /// The database failed.
    #[error("the identity could not be read or kept")]
    Db(#[from] Error),
}

/// Finds who signs in, or registers her.
pub fn enter(
    db: &mut Db,
    profile: &Profile,
    actor: ActorType,
    address: ClientAddress,
    now: Time,
) -> Result<Identity, EnterError> {
    lock(db, profile)?;
    let known = store::by_provider(db, &Realm::Platform, Provider::Github, &profile.entity_id())?;
    if let Some((identity, _)) = known {
        if !identity.holds(actor) {
            return Err(EnterError::Nobody);
        }
        record(db, &identity, actor, "identity.signed_in", address, now)?;
        return Ok(identity);
    }
    if !identities::registrable(actor) {
        return Err(EnterError::Nobody);
    }
    let identity = register(db, profile, actor, now)?;
    record(db, &identity, actor, "identity.created", address, now)?;
    Ok(identity)
}

/// Makes her identity. GitHub's word that an address is hers is taken, but only for an address that
/// nobody here has: whoever has it stays who she is, and signs in her own way to link GitHub.
fn register(
    db: &mut Db,
    profile: &Profile,
    actor: ActorType,
    now: Time,
) -> Result<Identity, Error> {
    let email = match &profile.email {
        Some(email) if !store::email_is_known(db, &Realm::Platform, email)? => Some(email.clone()),
        _ => None,
    };
    let mut identity = Identity::new(Realm::Platform, email, now);
    identity.email_verified_at = identity.email.is_some().then_some(now);
    identity.actors.insert(actor);
    identities::create(db, &identity, now)?;
    store::add_provider(
        db,
        &identity,
        Provider::Github,
        &profile.entity_id(),
        None,
        now,
    )?;
    Ok(identity)
}

/// Lets an identity sign in by this GitHub account from now on; doing it again changes nothing.
pub fn link(
    db: &mut Db,
    identity: &IdentityId,
    profile: &Profile,
    actor: ActorType,
    address: ClientAddress,
    now: Time,
) -> Result<Identity, EnterError> {
    lock(db, profile)?;
    chassis::db::lock(db, &format!("identity:{identity}"))?;
    let identity = store::find(db, identity)?
        .filter(|identity| identity.holds(actor))
        .ok_or(EnterError::Nobody)?;
    let entity_id = profile.entity_id();
    match store::by_provider(db, &Realm::Platform, Provider::Github, &entity_id)? {
        Some((known, _)) if known.id == identity.id => return Ok(identity),
        Some(_) => return Err(EnterError::Taken),
        None => {}
    }
    if store::has_provider(db, &identity.id, Provider::Github)? {
        return Err(EnterError::HasOther);
    }
    store::add_provider(db, &identity, Provider::Github, &entity_id, None, now)?;
    record(db, &identity, actor, "identity.linked", address, now)?;
    Ok(identity)
}

/// What somebody gets who has been let in: the one last step of every way by GitHub.
pub async fn finish(
    state: &State,
    identity: &Identity,
    actor: ActorType,
) -> Result<Entered, CompleteError> {
    let sign_in = SignIn {
        actor,
        provider: Provider::Github,
        at: state.clock.now(),
    };
    complete(state, identity, &sign_in).await
}

/// Has two requests for one GitHub account follow one another.
fn lock(db: &mut Db, profile: &Profile) -> Result<(), Error> {
    chassis::db::lock(db, &format!("github-account:{}", profile.id))
}

fn record(
    db: &mut Db,
    identity: &Identity,
    actor_type: ActorType,
    action: &'static str,
    address: ClientAddress,
    now: Time,
) -> Result<(), Error> {
    let entry = Entry {
        actor: identity.id.as_str(),
        actor_type,
        action,
        subject: identity.id.as_str(),
        account_id: None,
        address,
        details: json!({ "provider": Provider::Github }),
    };
    audit::record(db, &entry, now)
}
