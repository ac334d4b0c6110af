//! `/v1/generate`.

use actix_web::{HttpResponse, web};
use chassis::Context;
use chassis::audit;
use chassis::auth::ApiCaller;
use chassis::events::emit;
use chassis::http::{ApiError, ClientAddress, Json, secret_answer};
use chassis::settings::Duration;
use common::ExposeSecret as _;
use common::api::auth::{RealmChoice, RealmOf, SignedToken, TokenRequest};
use common::event::GatewayEvent;
use common::id::{AccountId, ApiKeyId, RealmId, TokenId, UserId};
use common::names::DisplayName;
use common::problem::Problem;
use common::role::Role;
use common::scope::{Resource, Scope, ScopeSet, Verb};
use common::time::{Span, Time};
use common::token::{ActorType, TokenKind, audience, claim};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::http::owner;
use super::restrictions::{RestrictionChange, Restrictions};
use super::view::{ApiKeyView, state_of};
use super::{ApiKey, Granted, KeyError, MOST_KEYS, Maker, Wanted, store};
use crate::edge::tokens::Known;
use crate::limits::Limit;
use crate::rules::store::next_seq;
use crate::services::Catalogue;
use crate::state::State;

/// A key to be made.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Generate {
    /// What to call it.
    name: Option<DisplayName>,
    /// What it shall do, as a list or divided by spaces. Without it: `services:read`, `usage:read`, and
    /// `service:<name>:write` for each service that its maker may call now (the first 40 by name).
    #[schema(value_type = Option<Vec<String>>)]
    scopes: Option<Scopes>,
    /// How long it shall live: seconds, or a number with a unit such as `30d`; 90 days unless asked,
    /// at most 365 days.
    #[schema(value_type = Option<String>)]
    expires_in: Option<Duration>,
    /// The namespace that it shall reach: its maker's own.
    namespace: Option<String>,
    /// The account that it shall be confined to.
    account_id: Option<AccountId>,
    /// The realm whose clients it shall work with, where its scopes have `clients`: the first of its
    /// maker's unless named.
    realm_id: Option<RealmId>,
    /// The addresses and networks that it may be used from, such as `192.0.2.0/24`: any unless told.
    allowed_addresses: Option<Vec<String>>,
    /// The origins whose pages may use it, such as `https://shop.example`; calls without one of them are
    /// then refused. Any unless told.
    allowed_origins: Option<Vec<String>>,
    /// How often it may call, besides its maker's own limits.
    limits: Option<Vec<Limit>>,
}

/// Scopes as a list, or as one text.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Scopes {
    List(Vec<String>),
    Text(String),
}

impl Scopes {
    fn parse(&self) -> Result<ScopeSet, ApiError> {
        let scopes: Vec<&str> = match self {
            Self::List(scopes) => scopes.iter().map(String::as_str).collect(),
            Self::Text(text) => text.split_ascii_whitespace().collect(),
        };
        let parse = |(place, scope): (usize, &str)| {
            let parsed = scope.parse::<Scope>();
            parsed.map_err(|error| {
                Problem::invalid_field(format!("scopes[{place}]"), format_args!("is {error}"))
            })
        };
        let parsed: Result<ScopeSet, _> = scopes.into_iter().enumerate().map(parse).collect();
        Ok(parsed?)
    }
}

/// Makes a key.
#[utoipa::path(
    post, path = "/v1/generate", tag = "keys", request_body = Generate, security(("bearer" = [])),
    responses((status = 201, description = "The key, and its token, which is never shown again: `{\"api_key\", \"token\"}`"),
        (status = 403, description = "It would do what its maker may not: `scope_escalation`"))
)]
pub(crate) async fn generate(
    caller: ApiCaller,
    context: web::Data<Context>,
    state: web::Data<State>,
    address: ClientAddress,
    Json(body): Json<Generate>,
) -> Result<HttpResponse, ApiError> {
    caller.require(&Scope::Platform(Resource::Keys, Verb::Write))?;
    let user = owner(&context, &caller).await?;
    let wanted = Wanted {
        name: body.name,
        scopes: body.scopes.as_ref().map(Scopes::parse).transpose()?,
        lifetime: body
            .expires_in
            .map(|lifetime| Span::from_std(lifetime.0).unwrap_or(Span::MAX)),
        namespace: body.namespace,
        account_id: body.account_id,
        realm_id: body.realm_id,
        restrictions: RestrictionChange {
            addresses: body.allowed_addresses,
            origins: body.allowed_origins,
            limits: body.limits,
        },
    };
    let now = context.clock.now();
    let (maker, default) = maker(&caller, &user, &wanted, &state).await?;
    let mut granted = super::grant(&wanted, &maker, default, &state.issuer, now)?;
    if let Some(account) = &granted.account_id
        && context
            .members
            .role(account, &user, Role::Viewer)
            .await?
            .is_none()
    {
        return Err(KeyError::Account.into());
    }
    granted.realm_id = realm(&context, &caller, &user, &granted).await?;
    let (key, signed) = sign(&context, &caller, user, wanted.name, granted, now).await?;
    let claims = caller.claims;
    let kept = key.clone();
    context
        .db
        .write(move |db| keep(db, &kept, &claims, address, now))
        .await?;
    state.rules.refresh().await?;
    let id = key.id.to_string();
    let answer = serde_json::json!({ "api_key": ApiKeyView::from(key), "token": signed.token.expose_secret() });
    Ok(secret_answer(HttpResponse::Created().json(answer), &id))
}

/// What the caller may give away, and what a key gets that asks for nothing in particular. A person
/// holds the scopes of her token, and those of the services that she sees; a key what it was given.
async fn maker(
    caller: &ApiCaller,
    user: &UserId,
    wanted: &Wanted,
    state: &State,
) -> Result<(Maker, ScopeSet), ApiError> {
    let claims = &caller.claims;
    let by_key = caller.kind == TokenKind::ApiKey;
    let known = Known::of(caller.kind, claims.clone());
    let catalogue = Catalogue::of(state, &known, wanted.account_id.as_ref());
    let mut default: Vec<Scope> = vec![
        Scope::Platform(Resource::Services, Verb::Read),
        Scope::Platform(Resource::Usage, Verb::Read),
    ];
    let mut scopes = claims.scope.clone();
    match &wanted.scopes {
        None => default.extend(catalogue.callable().await?),
        Some(asked) if !by_key => {
            let visible = catalogue.held(asked).await?;
            scopes = scopes.iter().cloned().chain(visible).collect();
        }
        Some(_) => {}
    }
    if wanted.scopes.is_none() && !by_key {
        scopes = scopes
            .iter()
            .cloned()
            .chain(default.iter().cloned())
            .collect();
    }
    let maker = Maker {
        scopes,
        namespace: claims.namespace.clone(),
        account_id: claims.account_id.clone(),
        realm_id: claims
            .extra_str(claim::REALM_ID)
            .and_then(|id| id.parse().ok()),
        expires_at: by_key.then(|| Time::from_unix(claims.exp)),
        restrictions: match used_key(&state.context, caller, user).await? {
            Some(key) => key.restrictions(),
            None => Restrictions::default(),
        },
    };
    Ok((maker, default.into_iter().collect()))
}

/// The key that is used for a call, if it is one.
pub(super) async fn used_key(
    context: &Context,
    caller: &ApiCaller,
    user: &UserId,
) -> Result<Option<ApiKey>, ApiError> {
    let Some(id) = used_key_id(caller) else {
        return Ok(None);
    };
    let user = user.clone();
    Ok(context
        .db
        .read(move |db| store::find(db, &user, &id))
        .await?)
}

pub(super) fn used_key_id(caller: &ApiCaller) -> Option<ApiKeyId> {
    let by_key = caller.kind == TokenKind::ApiKey;
    by_key.then(|| caller.claims.sub.parse().ok()).flatten()
}

/// The realm that the key will name: none where it has no use for one.
async fn realm(
    context: &Context,
    caller: &ApiCaller,
    user: &UserId,
    granted: &Granted,
) -> Result<Option<RealmId>, ApiError> {
    let needs_one = granted
        .scopes
        .covers(&Scope::Platform(Resource::Clients, Verb::Read));
    if granted.realm_id.is_none() && !needs_one {
        return Ok(None);
    }
    let choice = RealmChoice {
        identity_id: caller
            .claims
            .auth_identity_id
            .clone()
            .ok_or_else(|| Problem::invalid_token("The token is malformed"))?,
        user_id: user.clone(),
        account_id: granted.account_id.clone(),
        realm_id: granted.realm_id.clone(),
    };
    let chosen: RealmOf = context
        .calls
        .post("auth", "/internal/realms/choose", &choice)
        .await?;
    let named = granted.realm_id.is_some();
    Ok(Some(chosen.realm_id.ok_or(KeyError::Realm { named })?))
}

/// Has the token signed before anything is kept: a token that nobody was given can do no harm.
async fn sign(
    context: &Context,
    caller: &ApiCaller,
    user: UserId,
    name: Option<DisplayName>,
    granted: Granted,
    now: Time,
) -> Result<(ApiKey, SignedToken), ApiError> {
    let claims = &caller.claims;
    let identity_id = claims
        .auth_identity_id
        .clone()
        .ok_or_else(|| Problem::invalid_token("The token is malformed"))?;
    let mut key = ApiKey {
        id: ApiKeyId::new(now),
        jti: TokenId::new(now).to_string(),
        user_id: user,
        identity_id,
        account_id: granted.account_id,
        realm_id: granted.realm_id,
        name,
        scopes: granted.scopes.to_string(),
        namespace: granted.namespace,
        made_by_key: (caller.kind == TokenKind::ApiKey).then(|| claims.sub.clone()),
        created_at: now,
        expires_at: granted.expires_at,
        revoked_at: None,
        last_used_at: None,
        version: 1,
        allowed_addresses: String::new(),
        allowed_origins: String::new(),
        limits: String::new(),
        rotated_at: None,
        seq: 0,
    };
    key.restrict(&granted.restrictions);
    let signed = token_of(context, &key, now).await?;
    key.expires_at = signed.expires_at;
    Ok((key, signed))
}

/// A token of this key, by its `jti` and until its end.
pub(super) async fn token_of(
    context: &Context,
    key: &ApiKey,
    now: Time,
) -> Result<SignedToken, ApiError> {
    let request = TokenRequest {
        kind: TokenKind::ApiKey,
        sub: key.id.to_string(),
        audience: audience::PLATFORM.to_owned(),
        lifetime: (key.expires_at - now).num_seconds(),
        jti: Some(key.jti.clone()),
        scope: key.scopes(),
        namespace: key.namespace.clone(),
        identity_id: Some(key.identity_id.clone()),
        actor_type: Some(ActorType::Euser),
        account_id: key.account_id.clone(),
        extra: key
            .realm_id
            .iter()
            .map(|id| (claim::REALM_ID.to_owned(), id.to_string().into()))
            .collect(),
    };
    Ok(context
        .calls
        .post("auth", "/internal/tokens", &request)
        .await?)
}

fn keep(
    db: &mut chassis::db::Db,
    key: &ApiKey,
    by: &common::token::Claims,
    address: ClientAddress,
    now: Time,
) -> Result<(), KeyError> {
    chassis::db::lock(db, &format!("api_keys:{}", key.user_id))?;
    if store::count_working(db, &key.user_id, now)? >= MOST_KEYS {
        return Err(KeyError::TooMany);
    }
    let confined = key.restrictions() != Restrictions::default();
    let seq = if confined || key.made_by_key.is_some() {
        next_seq(db)?
    } else {
        0
    };
    store::insert(db, &ApiKey { seq, ..key.clone() })?;
    emit(
        db,
        GatewayEvent::ApiKeyCreated(state_of(key)),
        key.version,
        now,
    )?;
    let mut entry = audit::Entry::by(by, "api_key.created", key.id.as_str(), address)
        .with(serde_json::json!({ "scopes": key.scopes }));
    // Its owners are to see who can get at an account by a key.
    entry.account_id = key.account_id.as_ref();
    Ok(audit::record(db, &entry, now)?)
}
