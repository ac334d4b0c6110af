//! Tokens: auth is the one who signs them, for persons and for the other services.

pub mod grants;
pub mod http;
mod services;

use std::sync::Arc;

use common::SecretString;
use common::id::{MfaChallengeId, RealmId, SessionId, TokenId};
use common::scope::ScopeSet;
use common::time::{Clock, Span, Time};
use common::token::{ActorType, AppMetadata, Claims, InvalidKey, TokenKind, audience};

pub use services::Secrets;

use crate::identities::{Identity, Provider};
use crate::keys::KeyStore;
use crate::oauth::Client;

/// How long a service's token lives.
const SERVICE_LIFETIME: Span = Span::minutes(5);
/// The claim that tells when somebody signed in (`OpenID` Connect Core, section 2); refreshing keeps it.
const AUTH_TIME: &str = "auth_time";
/// The claim that tells which client a token was given to (RFC 9068, section 2.2).
pub(crate) const CLIENT_ID: &str = "client_id";
/// The claim that tells the number by which older clients know an identity.
const NUMBER: &str = "ID";

/// A token and what one must know of it.
#[derive(Clone, Debug)]
pub struct Signed {
    /// The token.
    pub token: SecretString,
    /// Its `jti`.
    pub jti: String,
    /// When it ends.
    pub expires_at: Time,
}

/// How and when somebody signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignIn {
    /// As what.
    pub actor: ActorType,
    /// By which provider.
    pub provider: Provider,
    /// When.
    pub at: Time,
}

/// Makes tokens; cheap to clone.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// The keys.
    pub keys: Arc<KeyStore>,
    /// The time.
    pub clock: Clock,
    /// What `iss` says.
    pub name: String,
    /// How long a person's token lives.
    pub access_lifetime: Span,
    /// How long after a sign-in a token can be refreshed.
    pub session_max_age: Span,
}

impl Issuer {
    /// A person's token. It doesn't outlive the session that began with the sign-in.
    ///
    /// Whoever signs somebody in asks [`crate::sign_in::complete`] instead, which knows whether one
    /// factor is enough.
    pub fn personal(&self, identity: &Identity, sign_in: &SignIn) -> Result<Signed, InvalidKey> {
        self.sign(TokenKind::Access, self.personal_claims(identity, sign_in))
    }

    /// A person's token for a client that has a refresh token, of this `jti` and end: it is renewed by
    /// that alone.
    pub fn for_client(
        &self,
        identity: &Identity,
        sign_in: &SignIn,
        client: Client,
        (jti, ends): (&str, Time),
    ) -> Result<Signed, InvalidKey> {
        let mut claims = self.personal_claims(identity, sign_in);
        jti.clone_into(&mut claims.jti);
        claims.exp = ends.unix();
        claims
            .extra
            .insert(CLIENT_ID.to_owned(), client.as_str().into());
        self.sign(TokenKind::Access, claims)
    }

    /// When a person's token ends that is made now.
    #[must_use]
    pub fn access_ends(&self, sign_in: &SignIn) -> Time {
        (self.clock.now() + self.access_lifetime).min(sign_in.at + self.session_max_age)
    }

    /// A person's token that came out of a session by cookie, and ends with it.
    pub fn of_session(
        &self,
        identity: &Identity,
        sign_in: &SignIn,
        session: Option<&SessionId>,
        ends: Time,
    ) -> Result<Signed, InvalidKey> {
        let mut claims = self.personal_claims(identity, sign_in);
        claims.exp = claims.exp.min(ends.unix());
        name_session(&mut claims, session);
        self.sign(TokenKind::Access, claims)
    }

    /// The token of a login whose second factor is pending: good for completing it, and for nothing else.
    pub fn pending(
        &self,
        identity: &Identity,
        sign_in: &SignIn,
        challenge: &MfaChallengeId,
        session: Option<&SessionId>,
        ends: Time,
    ) -> Result<Signed, InvalidKey> {
        let mut claims = self.claims_of(identity, sign_in, audience::MFA, ends);
        claims.actor_id = String::new();
        claims.app_metadata = AppMetadata::default();
        let challenge = challenge.to_string().into();
        claims
            .extra
            .insert(crate::mfa::challenges::CLAIM.to_owned(), challenge);
        name_session(&mut claims, session);
        self.sign(TokenKind::Mfa, claims)
    }

    fn personal_claims(&self, identity: &Identity, sign_in: &SignIn) -> Claims {
        let ends = self.access_ends(sign_in);
        let mut claims = self.claims_of(identity, sign_in, audience::PLATFORM, ends);
        claims.scope = match sign_in.actor {
            ActorType::Admin => ScopeSet::all(),
            ActorType::Euser => ScopeSet::euser(),
            ActorType::Service => ScopeSet::none(),
        };
        if let Some(number) = identity.number {
            claims.extra.insert(NUMBER.to_owned(), number.into());
        }
        claims
    }

    /// What both say of a person who signs in.
    fn claims_of(
        &self,
        identity: &Identity,
        sign_in: &SignIn,
        audience: &str,
        ends: Time,
    ) -> Claims {
        let mut claims = self.claims(identity.id.to_string(), audience, ends);
        speak_for(&mut claims, identity, sign_in.actor);
        claims.auth_provider = Some(sign_in.provider.to_string());
        claims
            .extra
            .insert(AUTH_TIME.to_owned(), sign_in.at.unix().into());
        claims
    }

    /// A token of an identity in somebody's own realm, which is its audience. It tells who owns the realm.
    pub fn of_realm(
        &self,
        identity: &Identity,
        realm: &RealmId,
        owner: i64,
    ) -> Result<Signed, InvalidKey> {
        let ends = self.clock.now() + self.access_lifetime;
        let mut claims = self.claims(identity.id.to_string(), &audience::realm(realm), ends);
        claims.generation = identity.generation;
        claims.auth_identity_id = Some(identity.id.clone());
        let extra = [
            (NUMBER, identity.number.into()),
            ("ownerID", owner.into()),
            ("username", identity.email.clone().into()),
        ];
        claims
            .extra
            .extend(extra.map(|(name, value)| (name.to_owned(), value)));
        self.sign(TokenKind::Realm, claims)
    }

    /// A token with which one service calls another.
    pub fn service(&self, caller: &str, callee: &str) -> Result<Signed, InvalidKey> {
        let ends = self.clock.now() + SERVICE_LIFETIME;
        let mut claims = self.claims(caller.to_owned(), &audience::internal(callee), ends);
        claims.actor_type = Some(ActorType::Service);
        self.sign(TokenKind::Service, claims)
    }

    /// Claims with a fresh id.
    #[must_use]
    pub fn claims(&self, sub: String, audience: &str, ends: Time) -> Claims {
        let now = self.clock.now();
        Claims::new(
            &self.name,
            sub,
            audience,
            now.unix(),
            ends.unix(),
            TokenId::new(now).to_string(),
        )
    }

    /// Signs claims as they are.
    pub fn sign(&self, kind: TokenKind, claims: Claims) -> Result<Signed, InvalidKey> {
        let token = self.keys.current().active().sign(kind, &claims)?;
        Ok(Signed {
            token: token.into(),
            jti: claims.jti,
            expires_at: Time::from_unix(claims.exp),
        })
    }
}

/// Names the session that a token came out of.
fn name_session(claims: &mut Claims, session: Option<&SessionId>) {
    if let Some(session) = session {
        claims
            .extra
            .insert(Claims::SESSION.to_owned(), session.to_string().into());
    }
}

/// Puts in what a token says of the identity it speaks for.
pub fn speak_for(claims: &mut Claims, identity: &Identity, actor: ActorType) {
    claims.generation = identity.generation;
    claims.actor_id = identity
        .user_id
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default();
    claims.actor_type = Some(actor);
    claims.auth_identity_id = Some(identity.id.clone());
    claims.app_metadata = AppMetadata::of(identity.user_id.clone());
    claims.user_metadata.clone_from(&identity.user_metadata);
}

/// How the person whose token this is signed in; none if it doesn't say.
#[must_use]
pub fn sign_in_of(claims: &Claims) -> Option<SignIn> {
    Some(SignIn {
        actor: claims.actor_type?,
        provider: claims.auth_provider.as_deref()?.parse().ok()?,
        at: Time::from_unix(claims.extra.get(AUTH_TIME)?.as_i64()?),
    })
}
