//! A double of auth: makes any token a test wants.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use actix_web::{HttpRequest, HttpResponse, web};
use chassis::db::own_migrations;
use chassis::http::{ApiError, Json, Routes};
use chassis::{Assembly, Context, Service, feed};
use common::api::auth::{ServiceTokenRequest, SessionExchange, SignedToken, TokenRequest};
use common::event::TokensRevoked;
use common::id::{AccountId, ApiKeyId, IdentityId, TokenId, UserId};
use common::problem::Problem;
use common::scope::ScopeSet;
use common::session::SessionCookie;
use common::time::{Clock, Time};
use common::token::{
    ActorType, Algorithm, AppMetadata, Claims, JwkSet, SigningKey, TokenKind, audience,
};
use secrecy::SecretString;

/// Signs tokens with a key that the services under test trust.
#[derive(Clone, Debug)]
pub struct Issuer(Arc<SigningKey>, Arc<Mutex<Sessions>>);

/// What cookies stand for, by their digests.
#[derive(Debug, Default)]
struct Sessions {
    tokens: HashMap<String, (TokenKind, Claims)>,
    exchanges: usize,
}

impl Default for Issuer {
    fn default() -> Self {
        Self::new()
    }
}

impl Issuer {
    /// An issuer with a key of its own.
    ///
    /// # Panics
    /// When no key can be made.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test can't go on without")]
    pub fn new() -> Self {
        let document = SigningKey::generate(Algorithm::Es256).expect("a key");
        let key = SigningKey::from_pkcs8(Algorithm::Es256, &document, TokenKind::ALL)
            .expect("the key is good");
        Self(Arc::new(key), Arc::default())
    }

    /// A session's cookie that stands for these claims, of this kind of token.
    #[must_use]
    pub fn session(&self, kind: TokenKind, claims: Claims) -> SessionCookie {
        let cookie = SessionCookie::random();
        self.sessions()
            .tokens
            .insert(cookie.digest(), (kind, claims));
        cookie
    }

    /// Forgets a session.
    pub fn end_session(&self, cookie: &SessionCookie) {
        self.sessions().tokens.remove(&cookie.digest());
    }

    /// How often a cookie has been traded, or tried to be.
    #[must_use]
    pub fn exchanges(&self) -> usize {
        self.sessions().exchanges
    }

    fn sessions(&self) -> std::sync::MutexGuard<'_, Sessions> {
        self.1
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Signs these claims as they are.
    ///
    /// # Panics
    /// When they can't be signed.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test can't go on without")]
    pub fn sign(&self, kind: TokenKind, claims: &Claims) -> String {
        self.0.sign(kind, claims).expect("the claims can be signed")
    }

    /// Claims of one hour from now, to be changed by the test.
    #[must_use]
    pub fn claims(&self, sub: &str, audience: &str) -> Claims {
        let now = Clock::system().now();
        Claims::new(
            "micro",
            sub,
            audience,
            now.unix(),
            now.unix() + 3600,
            TokenId::new(now).to_string(),
        )
    }

    /// A person's access token.
    #[must_use]
    pub fn person(&self, actor: ActorType, identity: &IdentityId, user: Option<&UserId>) -> String {
        let mut claims = self.claims(identity.as_str(), audience::PLATFORM);
        claims.actor_id = user.map(ToString::to_string).unwrap_or_default();
        claims.actor_type = Some(actor);
        claims.auth_identity_id = Some(identity.clone());
        claims.app_metadata = AppMetadata::of(user.cloned());
        claims.scope = if actor == ActorType::Admin {
            ScopeSet::all()
        } else {
            ScopeSet::euser()
        };
        claims.auth_provider = Some("emailpass".into());
        self.sign(TokenKind::Access, &claims)
    }

    /// An external user's access token.
    #[must_use]
    pub fn euser(&self, identity: &IdentityId, user: Option<&UserId>) -> String {
        self.person(ActorType::Euser, identity, user)
    }

    /// A fresh external user, with a user of the platform.
    #[must_use]
    pub fn someone(&self) -> (UserId, String) {
        let now = Clock::system().now();
        let user = UserId::new(now);
        let token = self.euser(&IdentityId::new(now), Some(&user));
        (user, token)
    }

    /// An operator's access token.
    #[must_use]
    pub fn admin(&self) -> String {
        self.person(
            ActorType::Admin,
            &IdentityId::new(Clock::system().now()),
            None,
        )
    }

    /// An API key of this user with these scopes.
    ///
    /// # Panics
    /// When the scopes can't be read.
    #[must_use]
    #[expect(clippy::expect_used, reason = "the test is wrong then")]
    pub fn api_key(&self, user: &UserId, scopes: &str, account: Option<&AccountId>) -> String {
        let now = Clock::system().now();
        let mut claims = self.claims(ApiKeyId::new(now).as_str(), audience::PLATFORM);
        claims.actor_id = user.to_string();
        claims.actor_type = Some(ActorType::Euser);
        claims.auth_identity_id = Some(IdentityId::new(now));
        claims.app_metadata = AppMetadata::of(Some(user.clone()));
        claims.scope = scopes.parse().expect("scopes");
        claims.account_id = account.cloned();
        self.sign(TokenKind::ApiKey, &claims)
    }

    /// One service's token for calling another.
    #[must_use]
    pub fn service_token(&self, caller: &str, callee: &str) -> String {
        let mut claims = self.claims(caller, &audience::internal(callee));
        claims.exp = claims.iat + TokenKind::Service.longest_life();
        self.sign(TokenKind::Service, &claims)
    }

    pub(crate) fn service(&self) -> Service {
        let issuer = self.clone();
        let assemble = move |context: Context| async move {
            context.verifier.set_keys(&issuer.keys());
            Ok(Assembly::new()
                .data(issuer)
                .routes(routes)
                .feeds(&["revocations"]))
        };
        Service::new("auth", own_migrations(), assemble).issues_tokens()
    }

    fn keys(&self) -> JwkSet {
        JwkSet {
            keys: vec![self.0.public().clone()],
        }
    }

    fn signed(&self, kind: TokenKind, claims: &Claims) -> HttpResponse {
        HttpResponse::Ok().json(SignedToken {
            token: SecretString::from(self.sign(kind, claims)),
            jti: claims.jti.clone(),
            expires_at: Time::from_unix(claims.exp),
        })
    }
}

fn routes(r: &mut Routes) {
    r.get("/.well-known/jwks.json", keys);
    r.internal_get("/internal/jwks", keys);
    r.internal_post("/internal/service-tokens", service_token);
    r.internal_post("/internal/tokens", token);
    r.internal_post("/internal/revoke", revoke);
    r.internal_post("/internal/sessions/exchange", exchange);
    r.any("/auth/{tail:.*}", echo);
}

async fn keys(issuer: web::Data<Issuer>) -> HttpResponse {
    HttpResponse::Ok().json(issuer.keys())
}

async fn service_token(
    issuer: web::Data<Issuer>,
    Json(request): Json<ServiceTokenRequest>,
) -> HttpResponse {
    let mut claims = issuer.claims(&request.service, &audience::internal(&request.audience));
    claims.exp = claims.iat + TokenKind::Service.longest_life();
    issuer.signed(TokenKind::Service, &claims)
}

async fn token(issuer: web::Data<Issuer>, Json(request): Json<TokenRequest>) -> HttpResponse {
    let mut claims = issuer.claims(&request.sub, &request.audience);
    claims.exp = claims.iat + request.lifetime;
    claims.jti = request.jti.unwrap_or(claims.jti);
    claims.scope = request.scope;
    claims.namespace = request.namespace;
    claims.auth_identity_id = request.identity_id;
    claims.actor_type = request.actor_type;
    claims.account_id = request.account_id;
    claims.extra = request.extra;
    issuer.signed(request.kind, &claims)
}

async fn exchange(
    issuer: web::Data<Issuer>,
    Json(request): Json<SessionExchange>,
) -> Result<HttpResponse, ApiError> {
    let mut sessions = issuer.sessions();
    sessions.exchanges += 1;
    let found = sessions.tokens.get(&request.digest).cloned();
    drop(sessions);
    let (kind, mut claims) = found.ok_or_else(|| Problem::not_found("session"))?;
    let now = Clock::system().now();
    (claims.iat, claims.exp) = (now.unix(), now.unix() + 60);
    claims.jti = TokenId::new(now).to_string();
    Ok(issuer.signed(kind, &claims))
}

/// For tests: says which headers arrived.
async fn echo(request: HttpRequest) -> HttpResponse {
    let headers: HashMap<_, _> = request
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes())))
        .collect();
    HttpResponse::Ok().json(serde_json::json!({ "headers": headers }))
}

/// For tests: puts an entry into the feed of revocations.
async fn revoke(
    context: web::Data<Context>,
    Json(entry): Json<TokensRevoked>,
) -> Result<HttpResponse, ApiError> {
    let now = context.clock.now();
    let until = entry.until();
    context
        .db
        .write(move |db| feed::append(db, "revocations", &entry, Some(until), now))
        .await?;
    Ok(HttpResponse::Ok().json(serde_json::json!({})))
}
