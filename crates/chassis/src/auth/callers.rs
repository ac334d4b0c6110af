//! Extractors for who calls.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::header::AUTHORIZATION;
use actix_web::{FromRequest, HttpRequest, web};
use common::api::account::UserOfIdentity;
use common::id::{IdentityId, UserId};
use common::problem::Problem;
use common::scope::Scope;
use common::token::{ActorType, Claims, Rejection, TokenKind, Verified, audience};

use super::{AuthError, gate};
use crate::context::Context;
use crate::http::ApiError;

type Extracting<T> = Pin<Box<dyn Future<Output = Result<T, ApiError>>>>;

/// The token of `Authorization: Bearer …` (RFC 6750, section 2.1).
#[must_use]
pub fn bearer(request: &HttpRequest) -> Option<&str> {
    let value = request.headers().get(AUTHORIZATION)?;
    let (scheme, token) = value.as_bytes().split_at_checked(b"bearer ".len())?;
    if !scheme.eq_ignore_ascii_case(b"bearer ") {
        return None;
    }
    // `HeaderValue::to_str` goes byte by byte, and tokens are long.
    std::str::from_utf8(token).ok().map(str::trim)
}

/// Verifies the request's token as one of these kinds.
async fn verify(
    request: &HttpRequest,
    kinds: &[TokenKind],
    audience: &str,
) -> Result<(Verified, Context), ApiError> {
    let context = context(request)?;
    let token = bearer(request).ok_or(AuthError::Missing)?;
    let verified = context.verifier.verify(token, kinds, audience).await?;
    Ok((verified, context.clone()))
}

fn context(request: &HttpRequest) -> Result<&Context, ApiError> {
    request
        .app_data::<web::Data<Context>>()
        .map(web::Data::get_ref)
        .ok_or_else(|| ApiError::internal("the service has no context"))
}

macro_rules! extractor {
    ($name:ident, $extract:ident) => {
        impl FromRequest for $name {
            type Error = ApiError;
            type Future = Extracting<Self>;

            fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
                let request = request.clone();
                let gate = gate::close(&request);
                Box::pin(async move {
                    let caller = $extract(&request).await?;
                    gate.open();
                    Ok(caller)
                })
            }
        }
    };
}

/// A person with her own token, euser or admin: no key, no service.
#[derive(Clone, Debug)]
pub struct Person {
    /// The identity.
    pub identity_id: IdentityId,
    /// What it acts as.
    pub actor: ActorType,
    /// The platform's user, where the token knows one.
    pub user_id: Option<UserId>,
    /// All that the token says.
    pub claims: Claims,
}

async fn person(request: &HttpRequest) -> Result<Person, ApiError> {
    let (verified, _) = verify(request, &[TokenKind::Access], audience::PLATFORM).await?;
    person_of(verified.claims)
}

fn person_of(claims: Claims) -> Result<Person, ApiError> {
    let malformed = || Problem::invalid_token("The token is malformed");
    let identity_id = claims.auth_identity_id.clone().ok_or_else(malformed)?;
    let actor = claims.actor_type.ok_or_else(malformed)?;
    Ok(Person {
        identity_id,
        actor,
        user_id: claims.user_id().cloned(),
        claims,
    })
}

extractor!(Person, person);

/// A login whose second factor is pending: nobody yet, but at the routes that complete or end it.
#[derive(Clone, Debug)]
pub struct Pending {
    /// The identity whose first factor has been shown.
    pub identity_id: IdentityId,
    /// As what it means to act.
    pub actor: ActorType,
    /// All that the token says.
    pub claims: Claims,
}

async fn pending(request: &HttpRequest) -> Result<Pending, ApiError> {
    let (verified, _) = verify(request, &[TokenKind::Mfa], audience::MFA).await?;
    let person = person_of(verified.claims)?;
    Ok(Pending {
        identity_id: person.identity_id,
        actor: person.actor,
        claims: person.claims,
    })
}

extractor!(Pending, pending);

/// Somebody who has shown at least one factor.
#[derive(Clone, Debug)]
pub enum Entrant {
    /// All of them.
    Person(Person),
    /// The second is pending.
    Pending(Pending),
}

async fn entrant(request: &HttpRequest) -> Result<Entrant, ApiError> {
    let context = context(request)?;
    let token = bearer(request).ok_or(AuthError::Missing)?;
    let verifier = &context.verifier;
    match verifier
        .verify(token, &[TokenKind::Access], audience::PLATFORM)
        .await
    {
        Err(AuthError::Rejected(Rejection::WrongKind)) => {
            Ok(Entrant::Pending(pending(request).await?))
        }
        verified => Ok(Entrant::Person(person_of(verified?.claims)?)),
    }
}

extractor!(Entrant, entrant);

/// An external user with her own token, with or without a user of the platform.
#[derive(Clone, Debug)]
pub struct Euser {
    /// The identity.
    pub identity_id: IdentityId,
    /// The platform's user, where the token knows one.
    pub user_id: Option<UserId>,
    /// All that the token says.
    pub claims: Claims,
}

async fn euser(request: &HttpRequest) -> Result<Euser, ApiError> {
    let person = person(request).await?;
    if person.actor != ActorType::Euser {
        return Err(wrong_actor(ActorType::Euser));
    }
    Ok(Euser {
        identity_id: person.identity_id,
        user_id: person.user_id,
        claims: person.claims,
    })
}

extractor!(Euser, euser);

/// An external user who has become a user of the platform. The first token works on after that:
/// without `user_id` in it the user is found by the identity.
#[derive(Clone, Debug)]
pub struct EuserWithUser {
    /// The identity.
    pub identity_id: IdentityId,
    /// The platform's user.
    pub user_id: UserId,
    /// All that the token says.
    pub claims: Claims,
}

async fn euser_with_user(request: &HttpRequest) -> Result<EuserWithUser, ApiError> {
    let euser = euser(request).await?;
    let user_id = match euser.user_id {
        Some(user_id) => user_id,
        None => resolve_user(request, &euser.identity_id).await?,
    };
    Ok(EuserWithUser {
        identity_id: euser.identity_id,
        user_id,
        claims: euser.claims,
    })
}

extractor!(EuserWithUser, euser_with_user);

pub(super) async fn resolve_user(
    request: &HttpRequest,
    identity: &IdentityId,
) -> Result<UserId, ApiError> {
    let context = request
        .app_data::<web::Data<Context>>()
        .ok_or_else(|| ApiError::internal("the service has no context"))?;
    user_of_identity(context, identity).await
}

/// The user that an identity has become, for a token that is older than the user. It fails as
/// `user_required` (403) if there is none.
pub async fn user_of_identity(
    context: &Context,
    identity: &IdentityId,
) -> Result<UserId, ApiError> {
    let found: UserOfIdentity = context
        .calls
        .get("account", &format!("/internal/identities/{identity}/user"))
        .await?;
    found.user_id.ok_or_else(|| {
        Problem::forbidden(
            "user_required",
            "Make your user first: POST /v1/users with your email",
        )
        .into()
    })
}

/// A platform operator with her own token.
#[derive(Clone, Debug)]
pub struct Admin {
    /// The identity.
    pub identity_id: IdentityId,
    /// All that the token says.
    pub claims: Claims,
}

async fn admin(request: &HttpRequest) -> Result<Admin, ApiError> {
    let person = person(request).await?;
    if person.actor != ActorType::Admin {
        return Err(wrong_actor(ActorType::Admin));
    }
    Ok(Admin {
        identity_id: person.identity_id,
        claims: person.claims,
    })
}

extractor!(Admin, admin);

fn wrong_actor(needed: ActorType) -> ApiError {
    Problem::forbidden(
        "wrong_actor",
        format!("This needs a token of actor type `{needed}`"),
    )
    .into()
}

/// A person or an API key.
#[derive(Clone, Debug)]
pub struct ApiCaller {
    /// Whether it is a person's token or a key.
    pub kind: TokenKind,
    /// All that the token says.
    pub claims: Claims,
}

impl ApiCaller {
    /// Refuses a token whose scopes don't reach.
    pub fn require(&self, needed: &Scope) -> Result<(), ApiError> {
        require(&self.claims, needed)
    }
}

pub(super) async fn api_caller(request: &HttpRequest) -> Result<ApiCaller, ApiError> {
    let kinds = [TokenKind::Access, TokenKind::ApiKey];
    let (verified, _) = verify(request, &kinds, audience::PLATFORM).await?;
    Ok(ApiCaller {
        kind: verified.kind,
        claims: verified.claims,
    })
}

extractor!(ApiCaller, api_caller);

/// An API key: no person's own token.
#[derive(Clone, Debug)]
pub struct KeyCaller {
    /// All that the key says.
    pub claims: Claims,
}

impl KeyCaller {
    /// Refuses a key whose scopes don't reach.
    pub fn require(&self, needed: &Scope) -> Result<(), ApiError> {
        require(&self.claims, needed)
    }
}

async fn key_caller(request: &HttpRequest) -> Result<KeyCaller, ApiError> {
    let (verified, _) = verify(request, &[TokenKind::ApiKey], audience::PLATFORM).await?;
    Ok(KeyCaller {
        claims: verified.claims,
    })
}

extractor!(KeyCaller, key_caller);

/// Somebody with the token of a link to choose a new password. It is good for nothing else.
#[derive(Clone, Debug)]
pub struct Resetter {
    /// All that the token says.
    pub claims: Claims,
}

async fn resetter(request: &HttpRequest) -> Result<Resetter, ApiError> {
    let (verified, _) = verify(request, &[TokenKind::Reset], audience::RESET).await?;
    Ok(Resetter {
        claims: verified.claims,
    })
}

extractor!(Resetter, resetter);

fn require(claims: &Claims, needed: &Scope) -> Result<(), ApiError> {
    if claims.scope.covers(needed) {
        return Ok(());
    }
    Err(Problem::insufficient_scope(&needed.to_string()).into())
}

/// One of our own services, with a token made out to this one.
#[derive(Clone, Debug)]
pub struct ServiceCaller {
    /// The calling service.
    pub service: String,
}

impl ServiceCaller {
    /// Refuses services that have no business here.
    pub fn require(&self, allowed: &[&str]) -> Result<(), ApiError> {
        if allowed.contains(&self.service.as_str()) {
            return Ok(());
        }
        Err(Problem::forbidden("wrong_service", "This route is not for the calling service").into())
    }
}

async fn service_caller(request: &HttpRequest) -> Result<ServiceCaller, ApiError> {
    let service = request
        .app_data::<web::Data<Context>>()
        .map_or("", |context| context.service);
    let (verified, _) =
        verify(request, &[TokenKind::Service], &audience::internal(service)).await?;
    Ok(ServiceCaller {
        service: verified.claims.sub,
    })
}

extractor!(ServiceCaller, service_caller);
