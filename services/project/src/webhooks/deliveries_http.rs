//! The routes of deliveries: what was sent, what came of it, and sending it again.

use actix_web::{HttpResponse, web};
use chassis::auth::scope::{AccountsRead, AccountsWrite};
use chassis::auth::{AccountMember, Developer, Owner};
use chassis::http::{ApiError, ClientAddress, Path, Query};
use common::id::{EventId, WebhookDeliveryId};
use common::page::PageQuery;
use serde::Deserialize;
use serde_json::json;
use utoipa::IntoParams;

use super::deliveries::{BACKLOG, Delivery, DeliveryStatus};
use super::message::Message;
use super::view::{DeliveriesBody, DeliveryBody, DeliveryView};
use super::{Webhook, WebhookError, WebhookStatus, delivery_store, store};
use crate::State;
use crate::answer::{Actor, after};
use crate::paths::{WebhookDeliveryPath, WebhookPath};

/// Which deliveries are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeliveriesQuery {
    /// Only those that stand here: `pending`, `delivered` or `failed`.
    status: Option<DeliveryStatus>,
}

/// Only what is enabled, and has room, is sent something that somebody asks for.
fn has_room(db: &mut chassis::db::Db, webhook: &Webhook) -> Result<(), WebhookError> {
    if webhook.status != WebhookStatus::Enabled {
        return Err(WebhookError::NotEnabled(webhook.status));
    }
    if delivery_store::waiting(db, &webhook.id)? >= BACKLOG {
        return Err(WebhookError::BacklogFull);
    }
    Ok(())
}

fn accepted(delivery: Delivery) -> HttpResponse {
    let delivery = DeliveryView::from(delivery);
    HttpResponse::Accepted().json(DeliveryBody { delivery })
}

/// Send a webhook a test
///
/// A message of the type `webhook.test`, whatever types the webhook wants.
#[utoipa::path(
    post, path = "/v1/accounts/{account_id}/webhooks/{webhook_id}/test", tag = "webhooks", params(WebhookPath), responses(
        (status = 202, description = "The delivery, queued", body = DeliveryBody),
        (status = 409, description = "`webhook_disabled` or `too_many_deliveries`"),
    ),
)]
pub(crate) async fn test(
    member: AccountMember<Owner, AccountsWrite>,
    address: ClientAddress,
    state: web::Data<State>,
    Path(path): Path<WebhookPath>,
) -> Result<HttpResponse, ApiError> {
    let actor = Actor::new(member.claims, address, member.account_id);
    let now = state.clock.now();
    let delivery = state
        .db
        .write(move |db| {
            let webhook = super::locked(db, &actor.account_id, &path.webhook_id)?;
            has_room(db, &webhook)?;
            let message = Message::test(&webhook.account_id, &webhook.id);
            let (id, payload) = (EventId::new(now), message.payload(now));
            let what = (&id, message.event_type);
            let delivery = Delivery::new(&webhook.id, &webhook.account_id, what, &payload, now);
            delivery_store::insert(db, &delivery)?;
            actor.record(db, "webhook.tested", webhook.id.as_str(), json!({}), now)?;
            Ok::<_, WebhookError>(delivery)
        })
        .await?;
    Ok(accepted(delivery))
}

/// List what was sent to a webhook
#[utoipa::path(
    get, path = "/v1/accounts/{account_id}/webhooks/{webhook_id}/deliveries", tag = "webhooks",
    params(WebhookPath, PageQuery, DeliveriesQuery),
    responses((status = 200, description = "A page of deliveries", body = DeliveriesBody)),
)]
pub(crate) async fn list(
    member: AccountMember<Developer, AccountsRead>,
    state: web::Data<State>,
    Path(path): Path<WebhookPath>,
    Query(page): Query<PageQuery>,
    Query(filter): Query<DeliveriesQuery>,
) -> Result<web::Json<DeliveriesBody>, ApiError> {
    let cursor = after::<WebhookDeliveryId>(&page)?;
    let fetch = page.fetch();
    let rows = state
        .db
        .read(move |db| {
            let webhook = store::find(db, &member.account_id, &path.webhook_id)?;
            let webhook = webhook.ok_or(WebhookError::NotFound)?;
            let rows =
                delivery_store::page(db, &webhook.id, filter.status, cursor.as_ref(), fetch)?;
            Ok::<_, WebhookError>(rows)
        })
        .await?;
    let page = page
        .cut(rows, |delivery| delivery.id.to_string())
        .map(DeliveryView::from);
    Ok(web::Json(DeliveriesBody {
        deliveries: page.items,
        next: page.next,
    }))
}

/// Send something again
///
/// Under the same `webhook-id`, whether it was taken or not: who has dealt with it already can tell.
#[utoipa::path(
    post, path = "/v1/accounts/{account_id}/webhooks/{webhook_id}/deliveries/{delivery_id}/replay", tag = "webhooks",
    params(WebhookDeliveryPath), responses(
        (status = 202, description = "The delivery, queued", body = DeliveryBody),
        (status = 409, description = "`delivery_under_way`, `webhook_disabled` or `too_many_deliveries`"),
    ),
)]
pub(crate) async fn replay(
    member: AccountMember<Owner, AccountsWrite>,
    address: ClientAddress,
    state: web::Data<State>,
    Path(path): Path<WebhookDeliveryPath>,
) -> Result<HttpResponse, ApiError> {
    let actor = Actor::new(member.claims, address, member.account_id);
    let now = state.clock.now();
    let delivery = state
        .db
        .write(move |db| {
            let webhook = super::locked(db, &actor.account_id, &path.webhook_id)?;
            let found = delivery_store::find(db, &webhook.id, &path.delivery_id)?;
            let delivery = found.ok_or(WebhookError::NoDelivery)?;
            if delivery.status == DeliveryStatus::Pending {
                return Err(WebhookError::UnderWay);
            }
            has_room(db, &webhook)?;
            delivery_store::again(db, &delivery.id, now)?;
            let details = json!({ "delivery_id": delivery.id });
            actor.record(db, "webhook.replayed", webhook.id.as_str(), details, now)?;
            let again = delivery_store::find(db, &webhook.id, &delivery.id)?;
            again.ok_or(WebhookError::NoDelivery)
        })
        .await?;
    Ok(accepted(delivery))
}
