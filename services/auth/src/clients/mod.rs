//! The interface of an auth server for other servers: a project's own server signs its people up and
//! in, and gets for each sign-in a *client*, a public id to hand on, and a secret to keep, with which it
//! verifies the tokens or sessions that it makes itself.
//!
//! The people are identities of the realm that the server's API key names, the same that verte-auth's
//! interface calls accounts.

mod answer;
mod caller;
pub mod http;
pub mod store;

use chassis::db::Db;
use chassis::seal::SealError;
use common::id::RealmId;
use common::time::{Span, Time};
use common::{SecretString, random};
use diesel::result::Error;

pub use caller::RealmServer;

use crate::emailpass::{self, Credentials, SignInError};
use crate::identities::{self, Identity, Provider, Realm};
use crate::pacing::{self, Subjects};
use crate::password::Password;
use crate::realms;
use crate::state::State;

/// How many clients of one person are kept; the oldest give way.
const MOST_CLIENTS: i64 = 100;

common::text_enum! {
    /// What a client is for.
    pub enum Purpose {
        /// Being signed in.
        Session = "session",
        /// Setting a new password, once.
        PasswordReset = "password_reset",
    }
}

/// How long clients live.
#[derive(Clone, Copy, Debug)]
pub struct Lifetimes {
    /// From a sign-in, or the last time it was extended.
    pub session: Span,
    /// For a password reset.
    pub password_reset: Span,
}

/// Where somebody is signed in, with what her server must know.
#[derive(Clone, Debug)]
pub struct Client {
    /// The public id of the sign-in.
    pub cid: String,
    /// What the server calls the person.
    pub pid: String,
    /// The person's address.
    pub email: Option<String>,
    /// Never to be handed on.
    pub secret: SecretString,
    /// What it is for.
    pub purpose: Purpose,
    /// When it ends unless it is extended.
    pub expires_at: Time,
}

/// Why a call is refused.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The client is unknown, has ended, or is somebody else's.
    #[error("no such client")]
    Unknown,
    /// A client for resetting a password can't be extended.
    #[error("the client is for a password reset")]
    NotExtendable,
    /// A client that isn't for resetting a password can't set one.
    #[error("the client is not for a password reset")]
    NotForReset,
    /// Nobody has this address.
    #[error("nobody has this email")]
    NoSuchEmail,
    /// Somebody else is called this.
    #[error("the public id is taken")]
    PidTaken,
    /// The sign-up or sign-in failed.
    #[error(transparent)]
    SignIn(#[from] SignInError),
    /// A secret could not be sealed or opened.
    #[error("the client's secret could not be kept or read")]
    Seal(#[from] SealError),
    /// The database failed.
    #[error("the client could not be kept or read")]
    Db(#[from] Error),
}

/// A client that holds at the moment, and whose it is.
struct Live {
    row: store::Row,
    identity: Identity,
}

impl Live {
    fn find(db: &mut Db, realm: &RealmId, cid: &str, now: Time) -> Result<Self, ClientError> {
        let row = store::find(db, cid)?.filter(|row| row.expires_at > now);
        let row = row.ok_or(ClientError::Unknown)?;
        let identity = identities::store::find(db, &row.identity_id)?;
        let identity = identity.filter(|identity| {
            identity.realm.id().as_ref() == Some(realm)
                && identity.disabled_at.is_none()
                && identity.generation <= row.generation
        });
        Ok(Self {
            identity: identity.ok_or(ClientError::Unknown)?,
            row,
        })
    }

    fn open(self, state: &State) -> Result<Client, ClientError> {
        let secret = state
            .sealer
            .open_text(&self.row.sealed_secret, &place(&self.row.id))?;
        Ok(Client {
            pid: pid_of(&self.identity),
            email: self.identity.email,
            cid: self.row.id,
            secret,
            purpose: self.row.purpose,
            expires_at: self.row.expires_at,
        })
    }
}

/// What her server calls a person; one who came by another interface is called by her identity's id.
fn pid_of(identity: &Identity) -> String {
    let given = identity.public_id.clone();
    given.unwrap_or_else(|| identity.id.to_string())
}

/// What ties a sealed secret to its row.
fn place(cid: &str) -> String {
    format!("clients/{cid}")
}

/// Signs somebody up whom her server will call `pid`, and in.
pub async fn sign_up(
    state: &State,
    credentials: &Credentials,
    pid: String,
) -> Result<Client, ClientError> {
    let wanted = pid.clone();
    let enrolled = emailpass::enrol(state, credentials, move |db, identity| {
        realms::number_of(db, identity)?;
        identities::store::set_public_id(db, &identity.id, &wanted)?;
        identity.public_id = Some(wanted);
        Ok(())
    })
    .await;
    match enrolled {
        Ok((identity, ())) => issue(state, identity, Purpose::Session).await,
        Err(SignInError::Taken) if is_taken(state, &credentials.realm, pid).await? => {
            Err(ClientError::PidTaken)
        }
        Err(error) => Err(error.into()),
    }
}

async fn is_taken(state: &State, realm: &Realm, pid: String) -> Result<bool, Error> {
    let realm = realm.clone();
    state
        .db
        .read(move |db| identities::store::has_public_id(db, &realm, &pid))
        .await
}

/// Signs somebody in.
pub async fn log_in(state: &State, credentials: &Credentials) -> Result<Client, ClientError> {
    let identity = emailpass::authenticate(state, credentials).await?;
    issue(state, identity, Purpose::Session).await
}

/// Makes a client with which the password of this address can be set once. It ends nothing else yet.
pub async fn reset(state: &State, credentials: &Address) -> Result<Client, ClientError> {
    let Address { realm, email } = credentials.clone();
    let found = state
        .db
        .read(move |db| {
            identities::store::by_provider(db, &realm, Provider::Emailpass, email.as_str())
        })
        .await?;
    let identity = found.map(|(identity, _)| identity);
    let identity = identity.filter(|identity| identity.disabled_at.is_none());
    issue(
        state,
        identity.ok_or(ClientError::NoSuchEmail)?,
        Purpose::PasswordReset,
    )
    .await
}

/// An address in a realm.
#[derive(Clone, Debug)]
pub struct Address {
    /// The realm.
    pub realm: Realm,
    /// The address.
    pub email: common::email::EmailAddress,
}

async fn issue(state: &State, identity: Identity, purpose: Purpose) -> Result<Client, ClientError> {
    let now = state.clock.now();
    let lifetime = match purpose {
        Purpose::Session => state.clients.session,
        Purpose::PasswordReset => state.clients.password_reset,
    };
    let client = Client {
        cid: random::token(),
        pid: pid_of(&identity),
        email: identity.email,
        secret: random::token().into(),
        purpose,
        expires_at: now + lifetime,
    };
    let row = store::Row::seal(
        &client,
        &state.sealer,
        identity.id.clone(),
        identity.generation,
        now,
    )?;
    state
        .db
        .write(move |db| {
            store::insert(db, &row)?;
            store::keep_newest(db, &identity.id, MOST_CLIENTS)
        })
        .await?;
    Ok(client)
}

/// The client of this id, if it is this person's and holds.
pub async fn find(
    state: &State,
    realm: RealmId,
    cid: String,
    pid: &str,
) -> Result<Client, ClientError> {
    let now = state.clock.now();
    let live = state
        .db
        .read(move |db| Live::find(db, &realm, &cid, now))
        .await?;
    if pid_of(&live.identity) != pid {
        return Err(ClientError::Unknown);
    }
    live.open(state)
}

/// Has a client live for its whole life from now on; answers when that ends.
pub async fn extend(state: &State, realm: RealmId, cid: String) -> Result<Time, ClientError> {
    let now = state.clock.now();
    let expires_at = now + state.clients.session;
    state
        .db
        .write(move |db| {
            let live = Live::find(db, &realm, &cid, now)?;
            if live.row.purpose == Purpose::PasswordReset {
                return Err(ClientError::NotExtendable);
            }
            // Not there any more: it was signed out meanwhile.
            if store::set_expiry(db, &cid, expires_at)? == 0 {
                return Err(ClientError::Unknown);
            }
            Ok(expires_at)
        })
        .await
}

/// Ends a client, or all of the person it belongs to.
pub async fn log_out(
    state: &State,
    realm: RealmId,
    cid: String,
    everywhere: bool,
) -> Result<(), ClientError> {
    let now = state.clock.now();
    state
        .db
        .write(move |db| {
            let live = Live::find(db, &realm, &cid, now)?;
            if everywhere {
                store::remove_all(db, &live.identity.id)?;
            } else {
                store::remove(db, &cid)?;
            }
            Ok(())
        })
        .await
}

/// Sets a new password by a client that is for that, once; all clients of the person end. Answers
/// what her server calls her.
pub async fn set_password(
    state: &State,
    realm: RealmId,
    cid: String,
    password: Password,
) -> Result<String, ClientError> {
    let own = Realm::Own(realm.clone());
    let rules = realms::rules(state, &own).await?;
    rules.check(&password).map_err(SignInError::from)?;
    let (now, wanted, asked) = (state.clock.now(), realm.clone(), cid.clone());
    // Before the hashing, which is dear, and again when it is done.
    state
        .db
        .read(move |db| for_reset(db, &wanted, &asked, now))
        .await?;
    let hash = state
        .hasher
        .hash(password)
        .await
        .map_err(SignInError::from)?;
    let now = state.clock.now();
    state
        .db
        .write(move |db| {
            let identity = for_reset(db, &realm, &cid, now)?;
            // Of two that come at once one finds it gone.
            if store::remove(db, &cid)? == 0 {
                return Err(ClientError::Unknown);
            }
            store::remove_all(db, &identity.id)?;
            identities::store::set_secret(db, &identity.id, Provider::Emailpass, &hash, now)?;
            identities::revoke_all(db, &identity.id, now)?;
            if let Some(email) = identity
                .email
                .as_deref()
                .and_then(|email| email.parse().ok())
            {
                pacing::succeeded(db, &Subjects::of_identity(&identity.realm, &email))?;
            }
            Ok(pid_of(&identity))
        })
        .await
}

fn for_reset(db: &mut Db, realm: &RealmId, cid: &str, now: Time) -> Result<Identity, ClientError> {
    let live = Live::find(db, realm, cid, now)?;
    match live.row.purpose {
        Purpose::PasswordReset => Ok(live.identity),
        Purpose::Session => Err(ClientError::NotForReset),
    }
}
