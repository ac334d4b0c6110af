//! `/v1/api-keys`.

use actix_web::{HttpResponse, web};
use chassis::Context;
use chassis::audit;
use chassis::auth::{ApiCaller, ServiceCaller};
use chassis::events::emit;
use chassis::http::{ApiError, ClientAddress, Json, Path, Query};
use common::api::v1api::{KeyOfUser, KeysOfUser};
use common::event::{GatewayEvent, TokensRevoked};
use common::id::{ApiKeyId, UserId};
use common::names::DisplayName;
use common::page::PageQuery;
use common::problem::Problem;
use common::scope::{Resource, Scope, Verb};
use common::time::Time;
use common::token::ActorType;
use serde::Deserialize;
use utoipa::ToSchema;

use super::generate::used_key_id;
use super::restrictions::{RestrictionChange, Restrictions};
use super::view::{ApiKeyView, state_of};
use super::{ApiKey, KeyError, rotate, store};
use crate::limits::Limit;
use crate::rules::store::next_seq;
use crate::state::State;

/// A key's fields to be changed; what isn't named stays.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct KeyChange {
    /// What to call it.
    name: Option<DisplayName>,
    /// The addresses and networks that it may be used from; an empty list for any.
    allowed_addresses: Option<Vec<String>>,
    /// The origins whose pages may use it; an empty list for any, and for calls without one.
    allowed_origins: Option<Vec<String>>,
    /// How often it may call; an empty list for as often as its maker.
    limits: Option<Vec<Limit>>,
}

/// The caller as the owner of keys: an external user who has become a user of the platform.
pub(super) async fn owner(context: &Context, caller: &ApiCaller) -> Result<UserId, ApiError> {
    if caller.claims.actor_type != Some(ActorType::Euser) {
        return Err(Problem::forbidden(
            "wrong_actor",
            "Keys belong to external users: sign in as one",
        )
        .into());
    }
    if let Some(user) = caller.claims.user_id() {
        return Ok(user.clone());
    }
    crate::state::user_of(context, &caller.claims).await
}

/// One's own keys.
#[utoipa::path(get, path = "/v1/api-keys", tag = "keys", params(PageQuery), security(("bearer" = [])),
    responses((status = 200, description = "`{\"api_keys\": […], \"next\"}`", body = [ApiKeyView])))]
pub(crate) async fn list(
    caller: ApiCaller,
    context: web::Data<Context>,
    Query(page): Query<PageQuery>,
) -> Result<HttpResponse, ApiError> {
    caller.require(&Scope::Platform(Resource::Keys, Verb::Read))?;
    let user = owner(&context, &caller).await?;
    let asked = page.clone();
    let rows = context
        .db
        .read(move |db| store::list(db, &user, &asked))
        .await?;
    let page = page
        .cut(rows, |key| key.id.to_string())
        .map(ApiKeyView::from);
    Ok(HttpResponse::Ok().json(serde_json::json!({ "api_keys": page.items, "next": page.next })))
}

/// One key.
#[utoipa::path(get, path = "/v1/api-keys/{key_id}", tag = "keys", params(("key_id" = ApiKeyId, Path)), security(("bearer" = [])),
    responses((status = 200, description = "`{\"api_key\"}`", body = ApiKeyView), (status = 404, description = "None of the caller's")))]
pub(crate) async fn get(
    caller: ApiCaller,
    context: web::Data<Context>,
    Path(id): Path<ApiKeyId>,
) -> Result<HttpResponse, ApiError> {
    caller.require(&Scope::Platform(Resource::Keys, Verb::Read))?;
    let user = owner(&context, &caller).await?;
    let key = context
        .db
        .read(move |db| store::find(db, &user, &id))
        .await?
        .ok_or(KeyError::Missing)?;
    Ok(shown(key))
}

/// Gives a key another name, or confines it to other places and limits, from now on everywhere within
/// a second. A key can only be narrowed by a key.
#[utoipa::path(patch, path = "/v1/api-keys/{key_id}", tag = "keys", params(("key_id" = ApiKeyId, Path)), request_body = KeyChange,
    security(("bearer" = [])),
    responses((status = 200, description = "`{\"api_key\"}`", body = ApiKeyView), (status = 404, description = "None of the caller's"),
        (status = 403, description = "It would be wider than its maker: `restriction_escalation`")))]
pub(crate) async fn change(
    caller: ApiCaller,
    context: web::Data<Context>,
    state: web::Data<State>,
    address: ClientAddress,
    Path(id): Path<ApiKeyId>,
    Json(body): Json<KeyChange>,
) -> Result<HttpResponse, ApiError> {
    caller.require(&Scope::Platform(Resource::Keys, Verb::Write))?;
    let user = owner(&context, &caller).await?;
    let restrictions = RestrictionChange {
        addresses: body.allowed_addresses,
        origins: body.allowed_origins,
        limits: body.limits,
    };
    restrictions
        .check()
        .map_err(|(field, why)| KeyError::Field(field, why))?;
    let (used, now) = (used_key_id(&caller), context.clock.now());
    let key = context
        .db
        .write(move |db| {
            // First of all, so that whoever changes the same key waits here.
            let seq = next_seq(db)?;
            let mut key = store::find(db, &user, &id)?.ok_or(KeyError::Missing)?;
            if let Some(name) = body.name {
                key.name = Some(name);
            }
            if restrictions != RestrictionChange::default() {
                let wanted = restrictions.applied_to(&key.restrictions());
                may_restrict(db, &key, used.as_ref(), &wanted)?;
                key.restrict(&wanted);
                key.seq = seq;
                let entry =
                    audit::Entry::by(&caller.claims, "api_key.changed", key.id.as_str(), address)
                        .with(serde_json::json!({
                            "allowed_addresses": wanted.addresses,
                            "allowed_origins": wanted.origins,
                            "limits": wanted.limits,
                        }));
                audit::record(db, &entry, now)?;
            }
            store::change(db, &key)?;
            Ok::<_, KeyError>(key)
        })
        .await?;
    state.rules.refresh().await?;
    Ok(shown(key))
}

/// Whether a key may be confined to this: within the key that it was made with, and, by a key, only
/// narrower than it is.
fn may_restrict(
    db: &mut chassis::db::Db,
    key: &ApiKey,
    used: Option<&ApiKeyId>,
    wanted: &Restrictions,
) -> Result<(), KeyError> {
    let parent = key.made_by_key.as_ref().and_then(|id| id.parse().ok());
    if let Some(parent) = parent
        && let Some(parent) = store::find(db, &key.user_id, &parent)?
        && !wanted.is_within(&parent.restrictions(), false)
    {
        return Err(KeyError::Restrictions);
    }
    if used.is_some() && !wanted.is_within(&key.restrictions(), true) {
        return Err(KeyError::Restrictions);
    }
    may_change(db, key, used)
}

/// By a key only that one itself can be changed, and what it could have made.
pub(super) fn may_change(
    db: &mut chassis::db::Db,
    key: &ApiKey,
    used: Option<&ApiKeyId>,
) -> Result<(), KeyError> {
    let Some(used) = used.filter(|used| **used != key.id) else {
        return Ok(());
    };
    let used = store::find(db, &key.user_id, used)?;
    if used.is_some_and(|used| key.is_within(&used)) {
        Ok(())
    } else {
        Err(KeyError::Wider)
    }
}

/// Revokes a key, and the keys that were made with it. It is refused from now on, here at once and
/// everywhere within a second.
#[utoipa::path(delete, path = "/v1/api-keys/{key_id}", tag = "keys", params(("key_id" = ApiKeyId, Path)), security(("bearer" = [])),
    responses((status = 200, description = "`{\"api_key\"}`", body = ApiKeyView), (status = 404, description = "None of the caller's")))]
pub(crate) async fn revoke(
    caller: ApiCaller,
    context: web::Data<Context>,
    state: web::Data<State>,
    address: ClientAddress,
    Path(id): Path<ApiKeyId>,
) -> Result<HttpResponse, ApiError> {
    caller.require(&Scope::Platform(Resource::Keys, Verb::Write))?;
    let user = owner(&context, &caller).await?;
    let now = context.clock.now();
    let claims = caller.claims;
    let revoked = context
        .db
        .write(move |db| {
            let seq = next_seq(db)?;
            let key = store::find(db, &user, &id)?.ok_or(KeyError::Missing)?;
            Ok::<_, KeyError>(revoke_tree(db, key, &claims, address, (seq, now))?)
        })
        .await?;
    state.rules.refresh().await?;
    for key in &revoked {
        context.verifier.revoke(TokensRevoked::Token {
            jti: key.jti.clone(),
            until: key.expires_at,
        });
    }
    revoked
        .into_iter()
        .next()
        .map(shown)
        .ok_or_else(|| KeyError::Missing.into())
}

/// Revokes a key and those made with it, the asked-for one first.
fn revoke_tree(
    db: &mut chassis::db::Db,
    key: ApiKey,
    by: &common::token::Claims,
    address: ClientAddress,
    (seq, now): (i64, Time),
) -> diesel::QueryResult<Vec<ApiKey>> {
    let mut waiting = vec![key];
    let mut done: Vec<ApiKey> = Vec::new();
    while let Some(mut key) = waiting.pop() {
        if key.revoked_at.is_none() {
            rotate::end_retired(db, &key, now)?;
        }
        if let Some(version) = store::revoke(db, &key.id, seq, now)? {
            key.revoked_at = Some(now);
            key.version = version;
            emit(
                db,
                GatewayEvent::ApiKeyRevoked(state_of(&key)),
                version,
                now,
            )?;
            let mut entry = audit::Entry::by(by, "api_key.revoked", key.id.as_str(), address);
            entry.account_id = key.account_id.as_ref();
            audit::record(db, &entry, now)?;
        }
        waiting.extend(store::made_by(db, &key.id)?);
        done.push(key);
    }
    Ok(done)
}

/// `GET /internal/users/{user_id}/keys`
pub(crate) async fn of_user(
    caller: ServiceCaller,
    context: web::Data<Context>,
    Path(user): Path<UserId>,
) -> Result<HttpResponse, ApiError> {
    caller.require(&["account"])?;
    let keys = context
        .db
        .read(move |db| store::all_of_user(db, &user))
        .await?;
    let api_keys = keys
        .into_iter()
        .map(|key| KeyOfUser {
            id: key.id,
            name: key.name.map(|name| name.as_str().to_owned()),
            scopes: key.scopes,
            account_id: key.account_id,
            created_at: key.created_at,
            expires_at: key.expires_at,
            revoked_at: key.revoked_at,
            last_used_at: key.last_used_at,
        })
        .collect();
    Ok(HttpResponse::Ok().json(KeysOfUser { api_keys }))
}

fn shown(key: ApiKey) -> HttpResponse {
    HttpResponse::Ok().json(serde_json::json!({ "api_key": ApiKeyView::from(key) }))
}
