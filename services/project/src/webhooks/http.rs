//! The routes of webhooks.

use actix_web::http::header::{CACHE_CONTROL, ETAG};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use chassis::auth::scope::{AccountsRead, AccountsWrite};
use chassis::auth::{AccountMember, Developer, Owner};
use chassis::http::{ApiError, ClientAddress, Json, Path, Query, if_match, secret_answer};
use chassis::settings::Duration;
use common::id::WebhookId;
use common::page::PageQuery;
use common::problem::Problem;
use common::time::Span;
use common::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::kinds::EventTypes;
use super::secret::Sealed;
use super::view::{SecretBody, WebhookBody, WebhookView, WebhooksBody};
use super::{Change, MOST, NewWebhook, Webhook, WebhookError, store};
use crate::State;
use crate::answer::{Actor, Deleted, after, invalid};
use crate::etag;
use crate::paths::{AccountPath, WebhookPath};

/// How long the secret before a new one signs too, unless told, and at most.
const DEFAULT_OVERLAP: Span = Span::hours(24);
const LONGEST_OVERLAP: Span = Span::days(7);
/// How long a description may be, in characters.
const LONGEST_DESCRIPTION: usize = 200;

impl From<WebhookError> for ApiError {
    fn from(error: WebhookError) -> Self {
        match error {
            WebhookError::NotFound => Problem::not_found("webhook").into(),
            WebhookError::NoDelivery => Problem::not_found("delivery").into(),
            WebhookError::AccountClosed => Problem::not_found("account").into(),
            WebhookError::TooMany => {
                let detail = format!("An account has at most {MOST} webhooks");
                Problem::conflict("too_many_webhooks", detail).into()
            }
            WebhookError::Stale => etag::stale().into(),
            WebhookError::NotEnabled(status) => {
                let detail = format!("Nothing is sent to the webhook: it is {status}");
                Problem::conflict("webhook_disabled", detail).into()
            }
            WebhookError::UnderWay => {
                let detail = "The delivery is to be sent already; `next_attempt_at` says when";
                Problem::conflict("delivery_under_way", detail).into()
            }
            WebhookError::BacklogFull => {
                let detail = "Too many deliveries wait for the webhook";
                Problem::conflict("too_many_deliveries", detail).into()
            }
            WebhookError::Seal(error) => error.into(),
            WebhookError::Db(error) => error.into(),
        }
    }
}

/// A webhook that is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateWebhook {
    /// Where messages are sent: an https address of the public internet.
    url: String,
    /// Types, beginnings of types (`build.*`), or `*`; all of them unless told.
    event_types: Option<Vec<String>>,
    /// What people call it.
    description: Option<String>,
}

/// What of a webhook is to be another.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeWebhook {
    url: Option<String>,
    event_types: Option<Vec<String>>,
    /// An empty one takes it away.
    description: Option<String>,
    /// Whether anything is sent there. What waits when it is disabled isn't sent, but can be replayed.
    enabled: Option<bool>,
}

/// How a secret is to be replaced.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RotateSecret {
    /// How long the secret before signs too: seconds, or a number with a unit such as `1h`; 24 hours
    /// unless told, at most 7 days. With 0 it signs no more at once.
    #[schema(value_type = Option<String>)]
    overlap: Option<Duration>,
}

fn types(list: Option<Vec<String>>) -> Result<Option<EventTypes>, ApiError> {
    list.map(EventTypes::parse)
        .transpose()
        .map_err(|why| invalid("event_types", why))
}

fn described(text: Option<String>) -> Result<Option<String>, ApiError> {
    let Some(text) = text else {
        return Ok(None);
    };
    if text.chars().count() > LONGEST_DESCRIPTION || text.chars().any(char::is_control) {
        let message = format!("must be a line of at most {LONGEST_DESCRIPTION} characters");
        return Err(invalid("description", message));
    }
    Ok(Some(text))
}

fn show(mut answer: HttpResponseBuilder, webhook: Webhook) -> HttpResponse {
    answer.insert_header((ETAG, etag::tag(webhook.version)));
    let webhook = WebhookView::from(webhook);
    answer.json(WebhookBody { webhook })
}

fn show_secret(
    mut answer: HttpResponseBuilder,
    webhook: Webhook,
    secret: &SecretString,
) -> HttpResponse {
    answer.insert_header((CACHE_CONTROL, "no-store"));
    answer.insert_header((ETAG, etag::tag(webhook.version)));
    let id = webhook.id.clone();
    let body = SecretBody {
        webhook: webhook.into(),
        secret: secret.expose_secret().to_owned(),
    };
    secret_answer(answer.json(body), id.as_str())
}

/// Have events told to an address
///
/// Messages are signed as Standard Webhooks says, with the `secret` of the answer, which is never shown
/// again.
#[utoipa::path(
    post, path = "/v1/accounts/{account_id}/webhooks", tag = "webhooks", params(AccountPath), responses(
        (status = 201, description = "The webhook and its secret", body = SecretBody),
        (status = 409, description = "`too_many_webhooks`"),
        (status = 422, description = "The address isn't taken, or a type isn't known"),
    ),
)]
pub(crate) async fn create(
    member: AccountMember<Owner, AccountsWrite>,
    address: ClientAddress,
    state: web::Data<State>,
    Json(body): Json<CreateWebhook>,
) -> Result<HttpResponse, ApiError> {
    let url = state.webhooks.parse(&body.url);
    let url = url.map_err(|why| invalid("url", why))?;
    let event_types = types(body.event_types)?.unwrap_or_else(EventTypes::all);
    let description = described(body.description)?;
    let now = state.clock.now();
    let id = WebhookId::new(now);
    let (sealed, secret) = Sealed::fresh(&state.sealer, &id)?;
    let new = NewWebhook {
        id,
        account_id: member.account_id.clone(),
        url,
        description,
        event_types,
        sealed,
        created_by: member.user_id,
    };
    let actor = Actor::new(member.claims, address, member.account_id);
    let webhook = state
        .db
        .write(move |db| {
            let webhook = super::create(db, new, now)?;
            actor.record(db, "webhook.created", webhook.id.as_str(), json!({}), now)?;
            Ok::<_, WebhookError>(webhook)
        })
        .await?;
    tracing::info!(webhook.id = %webhook.id, "a webhook was made");
    Ok(show_secret(HttpResponse::Created(), webhook, &secret))
}

/// List an account's webhooks
#[utoipa::path(
    get, path = "/v1/accounts/{account_id}/webhooks", tag = "webhooks", params(AccountPath, PageQuery),
    responses((status = 200, description = "A page of webhooks", body = WebhooksBody)),
)]
pub(crate) async fn list(
    member: AccountMember<Developer, AccountsRead>,
    state: web::Data<State>,
    Query(page): Query<PageQuery>,
) -> Result<web::Json<WebhooksBody>, ApiError> {
    let cursor = after::<WebhookId>(&page)?;
    let fetch = page.fetch();
    let rows = state
        .db
        .read(move |db| store::page(db, &member.account_id, cursor.as_ref(), fetch))
        .await?;
    let page = page
        .cut(rows, |webhook| webhook.id.to_string())
        .map(WebhookView::from);
    Ok(web::Json(WebhooksBody {
        webhooks: page.items,
        next: page.next,
    }))
}

/// Look at a webhook
#[utoipa::path(
    get, path = "/v1/accounts/{account_id}/webhooks/{webhook_id}", tag = "webhooks", params(WebhookPath),
    responses((status = 200, description = "The webhook, with its version as `ETag`", body = WebhookBody)),
)]
pub(crate) async fn get(
    member: AccountMember<Developer, AccountsRead>,
    state: web::Data<State>,
    Path(path): Path<WebhookPath>,
) -> Result<HttpResponse, ApiError> {
    let webhook = state
        .db
        .read(move |db| {
            let found = store::find(db, &member.account_id, &path.webhook_id)?;
            found.ok_or(WebhookError::NotFound)
        })
        .await?;
    Ok(show(HttpResponse::Ok(), webhook))
}

/// Change a webhook
///
/// With `If-Match`, only if it is still in that version.
#[utoipa::path(
    patch, path = "/v1/accounts/{account_id}/webhooks/{webhook_id}", tag = "webhooks", params(WebhookPath), responses(
        (status = 200, description = "The webhook as it is now", body = WebhookBody),
        (status = 412, description = "It was changed in the meantime"),
    ),
)]
pub(crate) async fn change(
    member: AccountMember<Owner, AccountsWrite>,
    address: ClientAddress,
    request: HttpRequest,
    state: web::Data<State>,
    Path(path): Path<WebhookPath>,
    Json(body): Json<ChangeWebhook>,
) -> Result<HttpResponse, ApiError> {
    let expected = if_match(&request)?;
    let url = body.url.map(|url| state.webhooks.parse(&url)).transpose();
    let wanted = Change {
        url: url.map_err(|why| invalid("url", why))?,
        description: described(body.description)?,
        event_types: types(body.event_types)?,
        enabled: body.enabled,
    };
    let actor = Actor::new(member.claims, address, member.account_id);
    let now = state.clock.now();
    let webhook = state
        .db
        .write(move |db| {
            let webhook = super::locked(db, &actor.account_id, &path.webhook_id)?;
            let webhook = super::change(db, webhook, wanted, expected, now)?;
            let details = json!({ "status": webhook.status });
            actor.record(db, "webhook.updated", webhook.id.as_str(), details, now)?;
            Ok::<_, WebhookError>(webhook)
        })
        .await?;
    Ok(show(HttpResponse::Ok(), webhook))
}

/// Delete a webhook
///
/// Nothing is sent there any more, and what was sent is shown no more.
#[utoipa::path(
    delete, path = "/v1/accounts/{account_id}/webhooks/{webhook_id}", tag = "webhooks", params(WebhookPath),
    responses((status = 200, description = "It is gone", body = Deleted)),
)]
pub(crate) async fn delete(
    member: AccountMember<Owner, AccountsWrite>,
    address: ClientAddress,
    state: web::Data<State>,
    Path(path): Path<WebhookPath>,
) -> Result<web::Json<Deleted>, ApiError> {
    let actor = Actor::new(member.claims, address, member.account_id);
    let now = state.clock.now();
    let id = state
        .db
        .write(move |db| {
            let webhook = super::locked(db, &actor.account_id, &path.webhook_id)?;
            store::remove(db, &webhook.id)?;
            actor.record(db, "webhook.deleted", webhook.id.as_str(), json!({}), now)?;
            Ok::<_, WebhookError>(webhook.id)
        })
        .await?;
    tracing::info!(webhook.id = %id, "a webhook was deleted");
    Ok(web::Json(Deleted::new("webhook", id)))
}

/// Replace a webhook's secret
///
/// For a while the one before signs too: each message then carries a signature by each, and a receiver
/// that knows either takes it. A secret that has fallen into other hands is replaced with `overlap` 0.
#[utoipa::path(
    post, path = "/v1/accounts/{account_id}/webhooks/{webhook_id}/rotate-secret", tag = "webhooks", params(WebhookPath), request_body = RotateSecret,
    responses((status = 200, description = "The webhook and its new secret, which is never shown again", body = SecretBody)),
)]
pub(crate) async fn rotate_secret(
    member: AccountMember<Owner, AccountsWrite>,
    address: ClientAddress,
    state: web::Data<State>,
    Path(path): Path<WebhookPath>,
    Json(body): Json<RotateSecret>,
) -> Result<HttpResponse, ApiError> {
    let overlap = match body.overlap {
        Some(overlap) => Span::from_std(overlap.0).unwrap_or(Span::MAX),
        None => DEFAULT_OVERLAP,
    };
    if overlap > LONGEST_OVERLAP {
        return Err(invalid("overlap", "must be 7 days at most"));
    }
    let now = state.clock.now();
    let until = (!overlap.is_zero()).then(|| now + overlap);
    let (sealed, secret) = Sealed::fresh(&state.sealer, &path.webhook_id)?;
    let actor = Actor::new(member.claims, address, member.account_id);
    let webhook = state
        .db
        .write(move |db| {
            let webhook = super::locked(db, &actor.account_id, &path.webhook_id)?;
            let webhook = super::rotate(db, webhook, sealed, until, now)?;
            let details = json!({ "previous_secret_until": until });
            let action = "webhook.secret_rotated";
            actor.record(db, action, webhook.id.as_str(), details, now)?;
            Ok::<_, WebhookError>(webhook)
        })
        .await?;
    tracing::info!(webhook.id = %webhook.id, "a webhook has a new secret");
    Ok(show_secret(HttpResponse::Ok(), webhook, &secret))
}
