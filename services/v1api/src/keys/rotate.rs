//! `/v1/api-keys/{key_id}/rotate`: another token of the same key, while the one before goes on for a
//! while, so that nothing that uses the key has to stop.

use std::time::Duration as StdDuration;

use actix_web::{HttpResponse, web};
use chassis::Context;
use chassis::audit;
use chassis::auth::ApiCaller;
use chassis::db::{Database, Db};
use chassis::events::emit;
use chassis::http::{ApiError, ClientAddress, Json, Path, secret_answer};
use chassis::settings::Duration;
use common::ExposeSecret as _;
use common::event::{ApiKeyState, GatewayEvent, TokensRevoked};
use common::id::{ApiKeyId, TokenId};
use common::scope::{Resource, Scope, Verb};
use common::time::{Clock, Span, Time};
use common::token::Claims;
use diesel::prelude::*;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use super::generate::{token_of, used_key_id};
use super::http::{may_change, owner};
use super::view::{ApiKeyView, state_of};
use super::{ApiKey, KeyError, SHORTEST_LIFETIME, store};
use crate::rules::store::next_seq;
use crate::state::State;

/// How long the token before goes on unless told.
const DEFAULT_OVERLAP: Span = Span::hours(24);
/// How long it goes on at most.
pub(super) const LONGEST_OVERLAP: Span = Span::days(7);
/// How many earlier tokens of one key may go on at once.
pub(super) const MOST_RETIRED: usize = 5;
/// How often is looked for tokens whose time is over. The gateway goes by the time itself; this is
/// for those who verify on their own.
const PERIOD: StdDuration = StdDuration::from_secs(1);

/// How a key's token is to be replaced.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Rotate {
    /// How long the token before goes on: seconds, or a number with a unit such as `1h`; 24 hours unless
    /// told, at most 7 days and never longer than the key. With 0 every earlier token ends at once.
    #[schema(value_type = Option<String>)]
    overlap: Option<Duration>,
}

/// Makes a new token of a key, with the same scopes and the same end.
#[utoipa::path(
    post, path = "/v1/api-keys/{key_id}/rotate", tag = "keys", params(("key_id" = ApiKeyId, Path)), request_body = Rotate,
    security(("bearer" = [])),
    responses((status = 200, description = "The key, its new token, which is never shown again, and when the one before ends: `{\"api_key\", \"token\", \"previous_ends_at\"}`"),
        (status = 404, description = "None of the caller's"),
        (status = 403, description = "By a key that can't do all that it can: `scope_escalation`"),
        (status = 409, description = "It is revoked or has ended (`key_ended`), was changed meanwhile (`key_changed`), or has too many tokens (`too_many_tokens`)"))
)]
pub(crate) async fn rotate(
    caller: ApiCaller,
    context: web::Data<Context>,
    state: web::Data<State>,
    address: ClientAddress,
    Path(id): Path<ApiKeyId>,
    Json(body): Json<Rotate>,
) -> Result<HttpResponse, ApiError> {
    caller.require(&Scope::Platform(Resource::Keys, Verb::Write))?;
    let user = owner(&context, &caller).await?;
    let overlap = match body.overlap {
        Some(overlap) => Span::from_std(overlap.0).unwrap_or(Span::MAX),
        None => DEFAULT_OVERLAP,
    };
    if overlap > LONGEST_OVERLAP {
        return Err(KeyError::Overlap.into());
    }
    let (used, now) = (used_key_id(&caller), context.clock.now());
    let before = context
        .db
        .read(move |db| {
            let key = store::find(db, &user, &id)?.ok_or(KeyError::Missing)?;
            may_change(db, &key, used.as_ref())?;
            Ok::<_, KeyError>(key)
        })
        .await?;
    if !before.works(now) || before.expires_at - now < SHORTEST_LIFETIME {
        return Err(KeyError::Ended.into());
    }
    // Signed before anything is kept: a token that nobody was given can do no harm.
    let mut key = before.clone();
    key.jti = TokenId::new(now).to_string();
    let signed = token_of(&context, &key, now).await?;
    let ends_at = before.expires_at.min(now + overlap);
    let claims = caller.claims;
    let replaced = context
        .db
        .write(move |db| replace(db, &before, &key.jti, ends_at, (&claims, address), now))
        .await?;
    state.rules.refresh().await?;
    for jti in &replaced.ended {
        context.verifier.revoke(TokensRevoked::Token {
            jti: jti.clone(),
            until: replaced.key.expires_at,
        });
    }
    let id = replaced.key.id.to_string();
    let answer = serde_json::json!({
        "api_key": ApiKeyView::from(replaced.key),
        "token": signed.token.expose_secret(),
        "previous_ends_at": ends_at,
    });
    Ok(secret_answer(HttpResponse::Ok().json(answer), &id))
}

struct Replaced {
    key: ApiKey,
    /// The tokens that have ended by it.
    ended: Vec<String>,
}

fn replace(
    db: &mut Db,
    before: &ApiKey,
    jti: &str,
    ends_at: Time,
    (by, address): (&Claims, ClientAddress),
    now: Time,
) -> Result<Replaced, KeyError> {
    let seq = next_seq(db)?;
    let at_once = ends_at <= now;
    if !at_once && store::retired(db, &before.id)?.len() >= MOST_RETIRED {
        return Err(KeyError::TooManyTokens);
    }
    store::replace_token(db, before, jti, seq, now)?.ok_or(KeyError::Changed)?;
    store::retire(db, before, &before.jti, ends_at)?;
    let ended = if at_once {
        end_retired(db, before, now)?
    } else {
        Vec::new()
    };
    let key = store::get(db, &before.id)?.ok_or(KeyError::Missing)?;
    let mut entry = audit::Entry::by(by, "api_key.rotated", key.id.as_str(), address)
        .with(serde_json::json!({ "previous_ends_at": ends_at }));
    entry.account_id = key.account_id.as_ref();
    audit::record(db, &entry, now)?;
    Ok(Replaced { key, ended })
}

/// Ends every token of a key that has been replaced, and tells so.
pub(super) fn end_retired(db: &mut Db, key: &ApiKey, now: Time) -> QueryResult<Vec<String>> {
    let retired = store::retired(db, &key.id)?;
    for jti in &retired {
        end(db, key, jti, now)?;
    }
    Ok(retired)
}

fn end(db: &mut Db, key: &ApiKey, jti: &str, now: Time) -> QueryResult<()> {
    if !store::end(db, jti, now)? {
        return Ok(());
    }
    let state = ApiKeyState {
        jti: jti.to_owned(),
        ..state_of(key)
    };
    emit(db, GatewayEvent::ApiKeyTokenEnded(state), 1, now)
}

/// Tells of tokens whose time is over, again and again until the service stops.
pub(crate) async fn run(db: Database, clock: Clock, shutdown: CancellationToken) {
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let now = clock.now();
        let due = db.read(move |db| store::due(db, now)).await;
        let ended = match due {
            Ok(due) if due.is_empty() => continue,
            Ok(due) => db.write(move |db| end_due(db, due, now)).await,
            Err(error) => Err(error),
        };
        if let Err(error) = ended {
            tracing::warn!(error = %error, "replaced tokens can't be ended for those who verify on their own");
        }
    }
}

fn end_due(db: &mut Db, due: Vec<(String, ApiKeyId)>, now: Time) -> QueryResult<()> {
    // Of replicas that look at once each waits here; what the first has ended the others don't.
    next_seq(db)?;
    for (jti, id) in due {
        if let Some(key) = store::get(db, &id)? {
            end(db, &key, &jti, now)?;
        }
    }
    Ok(())
}
