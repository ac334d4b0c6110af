//! A new password for who has forgotten hers.
//!
//! Whoever asks is answered at once and alike: a wish is written down for any address. Whose it is,
//! the mail worker finds out later; only an identity that holds the actor gets a letter. Its token
//! is of the identity's generation, which a new password ends: so it works once, and of several
//! the first ends the others.

pub mod http;
mod store;

use std::time::Duration;

use chassis::audit::{self, Entry};
use chassis::db::{Database, Db};
use chassis::http::ClientAddress;
use common::email::EmailAddress;
use common::event::{AuthEvent, TokensRevoked};
use common::time::{Clock, Span, Time};
use common::token::{ActorType, Claims, TokenKind, audience};
use common::{ExposeSecret as _, random};
use diesel::QueryResult;
use diesel::result::Error;
use serde_json::json;

use crate::emailpass::SignInError;
use crate::identities::{self, Identity, Provider, Realm};
use crate::mail::{self, Letter, Mailer, Subject};
use crate::pacing::{self, Subjects};
use crate::password::Password;
use crate::state::State;
use crate::tokens::{Issuer, speak_for};

/// How long a link to choose a new password is good for.
const LIFETIME: Span = Span::minutes(15);
/// The claim that names the address by which the identity signs in, as Medusa names it.
const ENTITY_ID: &str = "entity_id";
/// The most milliseconds that wishes wait before they are answered.
const JITTER_MS: u64 = 300;
/// How many wishes are answered at once.
const BATCH: i64 = 20;

/// Somebody wants a new password.
#[derive(Clone, PartialEq, Eq)]
pub struct Wish {
    /// By which she says she signs in; it may be nobody's.
    pub email: String,
    /// As what.
    pub actor: ActorType,
    /// How.
    pub provider: Provider,
    /// When she asked.
    pub at: Time,
}

impl std::fmt::Debug for Wish {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Wish({} at {})", self.actor, self.at)
    }
}

/// Takes a wish, unless there were too many. What it does is the same for an address of somebody's
/// and of nobody's.
pub async fn wish(state: &State, wish: Wish, address: ClientAddress) -> Result<(), Error> {
    let subjects: Vec<_> = std::iter::once(Subject::mailbox("reset", &wish.email))
        .chain(Subject::client(address))
        .collect();
    let (mailer, now) = (state.mail.clone(), state.clock.now());
    state
        .db
        .write(move |db| {
            if mail::count(db, &subjects, now)?.is_none() {
                store::insert(db, &wish, now)?;
                mailer.wake();
            }
            Ok(())
        })
        .await
}

/// Writes a wish down.
pub fn ask(db: &mut Db, wish: &Wish, now: Time) -> QueryResult<()> {
    store::insert(db, wish, now)
}

/// Where wishes become letters.
#[derive(Clone, Debug)]
pub struct Desk {
    db: Database,
    clock: Clock,
    issuer: Issuer,
    mailer: Mailer,
}

impl Desk {
    /// The desk of this state.
    #[must_use]
    pub fn new(state: &State) -> Self {
        Self {
            db: state.db.clone(),
            clock: state.clock.clone(),
            issuer: state.issuer.clone(),
            mailer: state.mail.clone(),
        }
    }

    /// Makes letters of the oldest wishes. Answers whether there were any.
    pub(crate) async fn answer(&self) -> Result<bool, Error> {
        let found = self
            .db
            .read(|db| {
                let wishes = store::oldest(db, BATCH)?.into_iter();
                wishes
                    .map(|(id, wish)| {
                        let identity = who(db, &wish)?;
                        Ok((id, wish, identity))
                    })
                    .collect::<QueryResult<Vec<_>>>()
            })
            .await?;
        if found.is_empty() {
            return Ok(false);
        }
        // What follows takes longer for somebody than for nobody; a request that is sent right
        // behind must not feel which.
        tokio::time::sleep(Duration::from_millis(random::below(JITTER_MS))).await;
        let letters: Vec<_> = found
            .into_iter()
            .map(|(id, wish, identity)| {
                let letter = identity.and_then(|identity| self.letter(&identity, &wish));
                (id, wish, letter)
            })
            .collect();
        let (mailer, now) = (self.mailer.clone(), self.clock.now());
        self.db
            .write(move |db| {
                for (id, wish, letter) in letters {
                    // Another replica may have been quicker.
                    if store::remove(db, &id)? > 0
                        && let Some(letter) = letter
                    {
                        mailer.enqueue(db, &wish.email, &letter, now)?;
                    }
                }
                Ok(true)
            })
            .await
    }

    fn letter(&self, identity: &Identity, wish: &Wish) -> Option<Letter> {
        let ends_at = self.clock.now() + LIFETIME;
        let sub = identity.id.to_string();
        let mut claims = self.issuer.claims(sub, audience::RESET, ends_at);
        speak_for(&mut claims, identity, wish.actor);
        claims.auth_provider = Some(wish.provider.to_string());
        claims.user_metadata.clear();
        let entity = wish.email.clone().into();
        claims.extra.insert(ENTITY_ID.to_owned(), entity);
        match self.issuer.sign(TokenKind::Reset, claims) {
            Ok(signed) => Some(Letter::ResetPassword {
                token: signed.token.expose_secret().to_owned(),
                ends_at,
                actor: wish.actor,
                provider: wish.provider,
                requested_at: wish.at,
            }),
            Err(error) => {
                tracing::error!(error = %error, "a reset token could not be signed");
                None
            }
        }
    }
}

/// The identity that may have the password it signs in by changed.
fn who(db: &mut Db, wish: &Wish) -> QueryResult<Option<Identity>> {
    let found = identities::store::by_provider(db, &Realm::Platform, wish.provider, &wish.email)?;
    let known = found.filter(|(identity, hash)| identity.holds(wish.actor) && hash.is_some());
    Ok(known.map(|(identity, _)| identity))
}

/// Why a password isn't set.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError {
    /// The token isn't for this, or has done its work.
    #[error("the token holds no more")]
    Spent,
    /// The password isn't accepted, or can't be hashed.
    #[error(transparent)]
    Password(#[from] SignInError),
    /// The database failed.
    #[error("the password could not be kept")]
    Db(#[from] Error),
}

/// Sets a new password by a reset token's claims, and ends all that the identity was signed in by.
pub async fn update(
    state: &State,
    claims: &Claims,
    provider: Provider,
    password: Password,
    address: ClientAddress,
) -> Result<TokensRevoked, UpdateError> {
    let (reader, own) = (claims.clone(), provider);
    let found = state.db.read(move |db| redeemer(db, &reader, own)).await?;
    if found.is_none() {
        return Err(UpdateError::Spent);
    }
    state.rules.check(&password).map_err(SignInError::from)?;
    let hash = state
        .hasher
        .hash(password)
        .await
        .map_err(SignInError::from)?;
    let (claims, mailer, now) = (claims.clone(), state.mail.clone(), state.clock.now());
    let ended = state
        .db
        .write(move |db| {
            let Some((identity, email)) = redeemer(db, &claims, provider)? else {
                return Ok(None);
            };
            // Of two at the same instant one begins the new generation.
            let generation = claims.generation;
            let Some((identity, ended)) =
                identities::revoke_from(db, &identity.id, generation, now)?
            else {
                return Ok(None);
            };
            let entry = Entry {
                actor: identity.id.as_str(),
                actor_type: claims.actor_type.unwrap_or(ActorType::Euser),
                action: "identity.password_reset",
                subject: identity.id.as_str(),
                account_id: None,
                address,
                details: json!({ "provider": provider }),
            };
            audit::record(db, &entry, now)?;
            identities::store::set_secret(db, &identity.id, provider, &hash, now)?;
            // She reads what is sent to the address.
            if identity.email_verified_at.is_none() && identity.email.as_ref() == Some(&email) {
                identities::store::set_email_verified(db, &identity.id, now)?;
            }
            if let Ok(address) = EmailAddress::parse(&email) {
                let subjects = Subjects::new(&identity.realm, &address, ClientAddress(None));
                pacing::succeeded(db, &subjects)?;
            }
            mailer.enqueue(db, &email, &Letter::PasswordChanged { at: now }, now)?;
            let event = AuthEvent::PasswordReset(identity.state());
            chassis::events::emit(db, event, identity.version, now)?;
            Ok::<_, Error>(Some(ended))
        })
        .await?;
    ended.ok_or(UpdateError::Spent)
}

/// Whom a reset token is still good for, and the address it was sent to.
fn redeemer(
    db: &mut Db,
    claims: &Claims,
    provider: Provider,
) -> QueryResult<Option<(Identity, String)>> {
    let Some(email) = claims.extra_str(ENTITY_ID) else {
        return Ok(None);
    };
    let found = identities::store::by_provider(db, &Realm::Platform, provider, email)?;
    let known = found.map(|(identity, _)| identity).filter(|identity| {
        claims.auth_identity_id.as_ref() == Some(&identity.id)
            && claims.generation == identity.generation
            && claims.actor_type.is_some_and(|actor| identity.holds(actor))
    });
    Ok(known.map(|identity| (identity, email.to_owned())))
}
