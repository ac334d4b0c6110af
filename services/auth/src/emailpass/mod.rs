//! Signing up and in by email and password.

pub mod http;

use chassis::audit::{self, Entry};
use chassis::db::Db;
use chassis::http::ClientAddress;
use common::email::EmailAddress;
use common::time::Time;
use common::token::ActorType;
use diesel::QueryResult;
use serde_json::json;

use crate::identities::{self, Identity, Provider, Realm, store};
use crate::pacing::{self, Blocked, Subjects};
use crate::password::{Check, HashError, Password, Refused};
use crate::realms;
use crate::sign_in::{self, CompleteError, Entered};
use crate::state::State;
use crate::tokens::SignIn;
use crate::verification::{self, Purpose};

/// Who says she is whom.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Where she belongs.
    pub realm: Realm,
    /// The address.
    pub email: EmailAddress,
    /// The password.
    pub password: Password,
    /// As what she wants to act.
    pub actor: ActorType,
    /// From where she asks.
    pub address: ClientAddress,
}

/// Why somebody can't sign up or in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// No such identity, another password, or an actor it doesn't hold: all look alike.
    #[error("wrong email or password")]
    Wrong,
    /// The address is taken.
    #[error("the email is taken")]
    Taken,
    /// Nobody registers as this.
    #[error("nobody registers as {0}")]
    NotRegistrable(ActorType),
    /// The password isn't accepted.
    #[error("the password is not accepted")]
    Password(#[from] Refused),
    /// Too many wrong tries.
    #[error("sign-ins are paced")]
    Blocked(#[from] Blocked),
    /// No password could be hashed.
    #[error("the password could not be checked")]
    Hash(#[from] HashError),
    /// No token could be signed.
    #[error("the token could not be signed")]
    Key(#[from] common::token::InvalidKey),
    /// The database failed.
    #[error("the identity could not be read or kept")]
    Db(#[from] diesel::result::Error),
}

impl From<CompleteError> for SignInError {
    fn from(error: CompleteError) -> Self {
        match error {
            CompleteError::Key(error) => Self::Key(error),
            CompleteError::Db(error) => Self::Db(error),
        }
    }
}

impl Credentials {
    fn subjects(&self) -> Subjects {
        Subjects::new(&self.realm, &self.email, self.address)
    }

    /// That she has signed in by them.
    pub(crate) fn sign_in(&self, at: Time) -> SignIn {
        SignIn {
            actor: self.actor,
            provider: Provider::Emailpass,
            at,
        }
    }
}

/// Signs somebody in who has registered.
pub async fn login(state: &State, credentials: &Credentials) -> Result<Entered, SignInError> {
    let identity = authenticate(state, credentials).await?;
    let sign_in = credentials.sign_in(state.clock.now());
    Ok(sign_in::complete(state, &identity, &sign_in).await?)
}

/// Signs her in, if it is she.
pub async fn authenticate(
    state: &State,
    credentials: &Credentials,
) -> Result<Identity, SignInError> {
    let identity = prove(state, credentials).await?;
    note_success(state, credentials, &identity).await?;
    Ok(identity)
}

/// Finds out whether it is she. Being right ends no pacing yet: that comes with what it was for.
pub async fn prove(state: &State, credentials: &Credentials) -> Result<Identity, SignInError> {
    let (known, hash) = look_up(state, credentials).await?;
    // One who doesn't hold the actor is compared with the hash of nobody, like an unknown one.
    let held = known.filter(|identity| identity.holds(credentials.actor));
    let hash = hash.filter(|_| held.is_some());
    let check = state
        .hasher
        .check(credentials.password.clone(), hash.clone())
        .await?;
    match held {
        Some(identity) if check.is_right() => {
            if let (Check::Renewed(after), Some(before)) = (check, hash) {
                renew(state, &identity, before, after).await?;
            }
            Ok(identity)
        }
        _ => {
            note_failure(state, credentials).await?;
            Err(SignInError::Wrong)
        }
    }
}

/// Keeps another hash of the same password, unless it has been changed meanwhile.
async fn renew(
    state: &State,
    identity: &Identity,
    before: String,
    after: String,
) -> Result<(), SignInError> {
    let id = identity.id.clone();
    let renew = move |db: &mut Db| {
        store::renew_secret(db, &id, Provider::Emailpass, (&before, &after)).map(drop)
    };
    state.db.write(renew).await.map_err(SignInError::Db)
}

/// Whether the password is the right one, of somebody who is signed in already. A wrong one counts.
pub async fn confirm(state: &State, credentials: &Credentials) -> Result<bool, SignInError> {
    let (known, hash) = look_up(state, credentials).await?;
    let hash = hash.filter(|_| known.is_some_and(|known| known.disabled_at.is_none()));
    let right = state
        .hasher
        .verify(credentials.password.clone(), hash)
        .await?;
    if !right {
        note_failure(state, credentials).await?;
    }
    Ok(right)
}

/// Makes a new identity. `with` makes what comes with it, in the same transaction.
pub async fn enrol<T: Send + 'static>(
    state: &State,
    credentials: &Credentials,
    with: impl FnOnce(&mut Db, &mut Identity) -> QueryResult<T> + Send + 'static,
) -> Result<(Identity, T), SignInError> {
    let rules = realms::rules(state, &credentials.realm).await?;
    rules.check(&credentials.password)?;
    if look_up(state, credentials).await?.0.is_some() {
        return Err(SignInError::Taken);
    }
    sign_up(state, credentials, with).await
}

/// Signs somebody up. Whoever registered before and went no further, with the same password,
/// goes on where she was.
pub async fn register(state: &State, credentials: &Credentials) -> Result<Entered, SignInError> {
    if !identities::registrable(credentials.actor) {
        return Err(SignInError::NotRegistrable(credentials.actor));
    }
    state.rules.check(&credentials.password)?;
    let identity = match look_up(state, credentials).await? {
        (Some(known), hash) => half_done(state, credentials, known, hash).await?,
        (None, _) => sign_up(state, credentials, |_, _| Ok(())).await?.0,
    };
    let sign_in = credentials.sign_in(state.clock.now());
    Ok(sign_in::complete(state, &identity, &sign_in).await?)
}

/// The identity of this address and its hash, if tries are taken at the moment.
async fn look_up(
    state: &State,
    credentials: &Credentials,
) -> Result<(Option<Identity>, Option<String>), SignInError> {
    state.hasher.check_room()?;
    let (subjects, realm, email, now) = (
        credentials.subjects(),
        credentials.realm.clone(),
        credentials.email.clone(),
        state.clock.now(),
    );
    state
        .db
        .read(move |db| {
            pacing::check(db, &subjects, now)??;
            let found = store::by_provider(db, &realm, Provider::Emailpass, email.as_str())?;
            Ok(found.map_or((None, None), |(identity, hash)| (Some(identity), hash)))
        })
        .await
}

async fn half_done(
    state: &State,
    credentials: &Credentials,
    known: Identity,
    hash: Option<String>,
) -> Result<Identity, SignInError> {
    let right = state
        .hasher
        .verify(credentials.password.clone(), hash)
        .await?;
    if !right {
        note_failure(state, credentials).await?;
    }
    if right && known.user_id.is_none() && known.holds(credentials.actor) {
        Ok(known)
    } else {
        Err(SignInError::Taken)
    }
}

async fn sign_up<T: Send + 'static>(
    state: &State,
    credentials: &Credentials,
    with: impl FnOnce(&mut Db, &mut Identity) -> QueryResult<T> + Send + 'static,
) -> Result<(Identity, T), SignInError> {
    let hash = state.hasher.hash(credentials.password.clone()).await?;
    let now = state.clock.now();
    let email = Some(credentials.email.as_str().to_owned());
    let mut identity = Identity::new(credentials.realm.clone(), email, now);
    identity.actors.insert(credentials.actor);
    let (address, mailer) = (credentials.address, state.mail.clone());
    // People of somebody's own realm are hers to write to.
    let verify = state.verify_email && credentials.realm == Realm::Platform;
    let result = state
        .db
        .write(move |db| {
            keep(db, &identity, &hash, address, now)?;
            if let Some(email) = identity.email.as_deref().filter(|_| verify) {
                verification::send(db, &mailer, &identity.id, (email, Purpose::Own), now)?;
            }
            let made = with(db, &mut identity)?;
            Ok((identity, made))
        })
        .await;
    match result {
        // Another request with this address was quicker.
        Err(error) if chassis::db::is_unique_violation(&error) => Err(SignInError::Taken),
        result => Ok(result?),
    }
}

/// Keeps a new identity that signs in by its address and the password of this hash.
pub fn keep(
    db: &mut Db,
    identity: &Identity,
    hash: &str,
    address: ClientAddress,
    now: Time,
) -> QueryResult<()> {
    identities::create(db, identity, now)?;
    let email = identity.email.as_deref().unwrap_or_default();
    store::add_provider(db, identity, Provider::Emailpass, email, Some(hash), now)?;
    record(db, identity, "identity.created", address, now)
}

fn record(
    db: &mut Db,
    identity: &Identity,
    action: &'static str,
    address: ClientAddress,
    now: Time,
) -> QueryResult<()> {
    let actor_type = identity.actors.last().copied().unwrap_or(ActorType::Euser);
    let entry = Entry {
        actor: identity.id.as_str(),
        actor_type,
        action,
        subject: identity.id.as_str(),
        account_id: None,
        address,
        details: json!({ "provider": Provider::Emailpass }),
    };
    audit::record(db, &entry, now)
}

async fn note_success(
    state: &State,
    credentials: &Credentials,
    identity: &Identity,
) -> Result<(), SignInError> {
    let (subjects, now) = (credentials.subjects(), state.clock.now());
    let (identity, address) = (identity.clone(), credentials.address);
    state
        .db
        .write(move |db| {
            pacing::succeeded(db, &subjects)?;
            record(db, &identity, "identity.signed_in", address, now)
        })
        .await
        .map_err(SignInError::Db)
}

/// Counts a wrong try. The log line names nobody: who mistypes her password may well have typed
/// it as her email.
async fn note_failure(state: &State, credentials: &Credentials) -> Result<(), SignInError> {
    tracing::info!(actor = %credentials.actor, "a sign-in failed");
    let (subjects, now) = (credentials.subjects(), state.clock.now());
    state
        .db
        .write(move |db| pacing::failed(db, &subjects, now))
        .await
        .map_err(SignInError::Db)
}
