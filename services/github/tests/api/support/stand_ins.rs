//! As much of the other services as the github service talks to.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use actix_web::web;
use chassis::auth::ServiceCaller;
use chassis::db::own_migrations;
use chassis::events::Handlers;
use chassis::http::{ApiError, Json, Path};
use chassis::{Assembly, Service};
use common::SecretString;
use common::api::account::{Membership, UserOfIdentity};
use common::api::auth::{ServiceTokenRequest, SignedToken, TokenRequest};
use common::api::project::{PullRequestAnswer, PullRequestTold, Pushed, PushedAnswer};
use common::event::{Envelope, GithubEvent};
use common::id::{AccountId, BuildId, UserId};
use common::problem::Problem;
use common::role::Role;
use common::time::{Clock, Span};
use common::token::{Algorithm, Claims, JwkSet, SigningKey, TokenKind, audience};

pub(crate) type Memberships = Arc<Mutex<HashMap<(AccountId, UserId), Role>>>;

pub(crate) fn key() -> SigningKey {
    let pkcs8 = SigningKey::generate(Algorithm::Es256).unwrap();
    SigningKey::from_pkcs8(Algorithm::Es256, &pkcs8, TokenKind::ALL).unwrap()
}

#[derive(Clone)]
struct Signer {
    key: SigningKey,
    clock: Clock,
}

impl Signer {
    fn sign(&self, kind: TokenKind, sub: &str, audience: &str, lifetime: i64) -> SignedToken {
        let now = self.clock.now();
        let jti = common::random::token();
        let claims = Claims::new(
            "micro",
            sub,
            audience,
            now.unix(),
            now.unix() + lifetime,
            jti.clone(),
        );
        let token = SecretString::from(self.key.sign(kind, &claims).unwrap());
        SignedToken {
            token,
            jti,
            expires_at: now + Span::seconds(lifetime),
        }
    }
}

/// auth: signs whatever it is asked for.
pub(crate) fn auth(key: SigningKey) -> Service {
    Service::new("auth", own_migrations(), |context| async move {
        let set = JwkSet {
            keys: vec![key.public().clone()],
        };
        context.verifier.set_keys(&set);
        Ok(Assembly::new()
            .data(Signer {
                key,
                clock: context.clock,
            })
            .data(set)
            .routes(|r| {
                r.internal_get("/internal/jwks", jwks);
                r.internal_post("/internal/service-tokens", service_token);
                r.internal_post("/internal/tokens", token);
            })
            .feeds(&["revocations"]))
    })
    .issues_tokens()
}

async fn jwks(set: web::Data<JwkSet>) -> web::Json<JwkSet> {
    web::Json(set.get_ref().clone())
}

async fn service_token(
    signer: web::Data<Signer>,
    Json(body): Json<ServiceTokenRequest>,
) -> web::Json<SignedToken> {
    let audience = audience::internal(&body.audience);
    web::Json(signer.sign(TokenKind::Service, &body.service, &audience, 300))
}

async fn token(
    caller: ServiceCaller,
    signer: web::Data<Signer>,
    Json(body): Json<TokenRequest>,
) -> Result<web::Json<SignedToken>, ApiError> {
    caller.require(&["github"])?;
    assert!(body.lifetime <= 900, "a repository's token lives too long");
    Ok(web::Json(signer.sign(
        body.kind,
        &body.sub,
        &body.audience,
        body.lifetime,
    )))
}

/// account: knows the members that the test names.
pub(crate) fn account(members: Memberships) -> Service {
    Service::new("account", own_migrations(), |_| async move {
        Ok(Assembly::new().data(members).routes(|r| {
            r.internal_get("/internal/memberships/{account_id}/{user_id}", membership);
            r.internal_get("/internal/identities/{identity_id}/user", user);
        }))
    })
}

async fn membership(
    members: web::Data<Memberships>,
    Path(key): Path<(AccountId, UserId)>,
) -> web::Json<Membership> {
    let role = members.lock().unwrap().get(&key).copied();
    let version = i64::from(role.is_some());
    web::Json(Membership {
        account_id: key.0,
        user_id: key.1,
        role,
        version,
    })
}

async fn user() -> web::Json<UserOfIdentity> {
    web::Json(UserOfIdentity { user_id: None })
}

/// project: hears of pushes.
pub(crate) fn project(
    events: Arc<Mutex<Vec<Envelope<GithubEvent>>>>,
    pushes: Arc<Pushes>,
) -> Service {
    Service::new("project", own_migrations(), |_| async move {
        let assembly = Assembly::new().data(pushes).routes(|r| {
            r.internal_post("/internal/pushes", pushed);
            r.internal_post("/internal/pull-requests", pull_request);
        });
        Ok(assembly.handlers(
            Handlers::new().on::<GithubEvent>("pushes", move |_, envelope, _| {
                events.lock().unwrap().push(envelope.clone());
                Ok(())
            }),
        ))
    })
}

/// What project was asked to build, and how it answers.
#[derive(Debug, Default)]
pub(crate) struct Pushes {
    pub(crate) asked: Mutex<Vec<Pushed>>,
    /// How it was told that pull requests stand.
    pub(crate) pulls: Mutex<Vec<PullRequestTold>>,
    /// How many questions go wrong first.
    pub(crate) failing: AtomicUsize,
    /// Held while it doesn't answer.
    pub(crate) gate: tokio::sync::Mutex<()>,
}

/// One build for the branch `main`, none for others.
async fn pushed(
    caller: ServiceCaller,
    pushes: web::Data<Arc<Pushes>>,
    Json(body): Json<Pushed>,
) -> Result<web::Json<PushedAnswer>, ApiError> {
    caller.require(&["github"])?;
    pushes.asked.lock().unwrap().push(body.clone());
    drop(pushes.gate.lock().await);
    let left = pushes
        .failing
        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
            left.checked_sub(1)
        });
    if left.is_ok() {
        return Err(Problem::unavailable("away", "It is away").into());
    }
    let is_main = body.branch == "main";
    Ok(web::Json(PushedAnswer {
        builds: is_main
            .then(|| BuildId::new(Clock::system().now()))
            .into_iter()
            .collect(),
        reason: (!is_main).then(|| "Nothing follows it".to_owned()),
    }))
}

/// One build for an open pull request, none for one that is closed.
async fn pull_request(
    caller: ServiceCaller,
    pushes: web::Data<Arc<Pushes>>,
    Json(body): Json<PullRequestTold>,
) -> Result<web::Json<PullRequestAnswer>, ApiError> {
    caller.require(&["github"])?;
    let is_open = body.pull_request.open;
    pushes.pulls.lock().unwrap().push(body);
    drop(pushes.gate.lock().await);
    let build = is_open.then(|| BuildId::new(Clock::system().now()));
    Ok(web::Json(PullRequestAnswer {
        builds: build.into_iter().collect(),
        changed: true,
        reason: None,
    }))
}

/// provisioner: somebody to call as.
pub(crate) fn provisioner() -> Service {
    Service::new("provisioner", own_migrations(), |_| async move {
        Ok(Assembly::new())
    })
}
