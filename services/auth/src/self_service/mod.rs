//! What a signed-in person does with her own identity: another password, another address.
//!
//! Both need the password she has, for whoever finds a machine unlocked has only the token. Wrong
//! tries are paced as on signing in.

pub mod http;

use chassis::audit::{self, Entry};
use chassis::auth::Person;
use chassis::db::Db;
use chassis::http::ClientAddress;
use common::email::EmailAddress;
use common::event::TokensRevoked;
use common::time::Time;
use common::token::Claims;
use diesel::QueryResult;
use diesel::result::Error;
use serde_json::json;

use crate::emailpass::{self, Credentials, SignInError};
use crate::identities::{self, Identity, Provider, Realm, store};
use crate::mail::Letter;
use crate::pacing::{self, Subjects};
use crate::password::Password;
use crate::state::State;
use crate::tokens::{Signed, sign_in_of};
use crate::verification::{self, Purpose, Verification, VerificationError};

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// The token speaks for nobody any more.
    #[error("the token holds no more")]
    Stale,
    /// The identity signs in otherwise.
    #[error("the identity has no password")]
    NoPassword,
    /// It is another password.
    #[error("the password is wrong")]
    WrongPassword,
    /// It is the same address.
    #[error("the address is the identity's already")]
    SameEmail,
    /// As on signing in: paced, busy, or not accepted as a new one.
    #[error(transparent)]
    SignIn(SignInError),
    /// The new address can't be written to at the moment.
    #[error(transparent)]
    Verification(#[from] VerificationError),
    /// The database failed.
    #[error("the identity could not be read or kept")]
    Db(#[from] Error),
}

impl From<SignInError> for ChangeError {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::Wrong => Self::WrongPassword,
            other => Self::SignIn(other),
        }
    }
}

/// The identity that a person's token speaks for.
pub async fn identity_of(state: &State, person: &Person) -> Result<Identity, ChangeError> {
    let id = person.identity_id.clone();
    let identity = state.db.read(move |db| store::find(db, &id)).await?;
    identity
        .filter(|identity| {
            identity.realm == Realm::Platform && identity.still_allows(&person.claims)
        })
        .ok_or(ChangeError::Stale)
}

/// Finds out whether it is she: by the password.
async fn prove(
    state: &State,
    person: &Person,
    password: Password,
    address: ClientAddress,
) -> Result<(Identity, Credentials), ChangeError> {
    let identity = identity_of(state, person).await?;
    let id = identity.id.clone();
    let found = state
        .db
        .read(move |db| store::entity_of(db, &id, Provider::Emailpass))
        .await?;
    let (email, _) = found.ok_or(ChangeError::NoPassword)?;
    let credentials = Credentials {
        realm: identity.realm.clone(),
        email: EmailAddress::parse(&email).map_err(|_| ChangeError::NoPassword)?,
        password,
        actor: person.actor,
        address,
    };
    emailpass::prove(state, &credentials).await?;
    Ok((identity, credentials))
}

/// Sets another password. All that the identity was signed in by ends; the caller goes on with the
/// token that is answered.
pub async fn change_password(
    state: &State,
    person: &Person,
    (old, new): (Password, Password),
    address: ClientAddress,
) -> Result<(Signed, TokensRevoked), ChangeError> {
    state.rules.check(&new).map_err(SignInError::from)?;
    let sign_in = sign_in_of(&person.claims).ok_or(ChangeError::Stale)?;
    let (identity, credentials) = prove(state, person, old, address).await?;
    let hash = state.hasher.hash(new).await.map_err(SignInError::from)?;
    let (claims, mailer, now) = (person.claims.clone(), state.mail.clone(), state.clock.now());
    let changed = state
        .db
        .write(move |db| {
            let Some((identity, ended)) =
                identities::revoke_from(db, &identity.id, identity.generation, now)?
            else {
                return Ok(None);
            };
            let email = credentials.email.as_str();
            store::set_secret(db, &identity.id, Provider::Emailpass, &hash, now)?;
            pacing::succeeded(db, &subjects(&credentials))?;
            record(db, &claims, "identity.password_changed", address, now)?;
            mailer.enqueue(db, email, &Letter::PasswordChanged { at: now }, now)?;
            Ok::<_, Error>(Some((identity, ended)))
        })
        .await?;
    let (identity, ended) = changed.ok_or(ChangeError::Stale)?;
    let signed = state
        .issuer
        .personal(&identity, &sign_in)
        .map_err(SignInError::from)?;
    Ok((signed, ended))
}

/// Has another address take the place of the identity's, once a code that is sent there comes back.
/// The old one is told. Whether somebody else signs in by the new one isn't.
pub async fn change_email(
    state: &State,
    person: &Person,
    (email, password): (EmailAddress, Password),
    address: ClientAddress,
) -> Result<Verification, ChangeError> {
    let (identity, credentials) = prove(state, person, password, address).await?;
    if credentials.email == email {
        return Err(ChangeError::SameEmail);
    }
    let (claims, mailer, now) = (person.claims.clone(), state.mail.clone(), state.clock.now());
    let sent = state
        .db
        .write(move |db| {
            verification::count(db, &identity.id, email.as_str(), now)?;
            pacing::succeeded(db, &subjects(&credentials))?;
            record(db, &claims, "identity.email_change_requested", address, now)?;
            let letter = Letter::EmailChangeRequested {
                new_email: email.as_str().to_owned(),
                at: now,
            };
            mailer.enqueue(db, credentials.email.as_str(), &letter, now)?;
            let to = (email.as_str(), Purpose::Change);
            Ok::<_, VerificationError>(verification::send(db, &mailer, &identity.id, to, now)?)
        })
        .await?;
    Ok(sent)
}

fn subjects(credentials: &Credentials) -> Subjects {
    Subjects::new(&credentials.realm, &credentials.email, credentials.address)
}

fn record(
    db: &mut Db,
    claims: &Claims,
    action: &'static str,
    address: ClientAddress,
    now: Time,
) -> QueryResult<()> {
    let entry = Entry::by(claims, action, &claims.sub, address);
    audit::record(db, &entry.with(json!({})), now)
}
