//! Webhooks and deliveries as callers see them.

use common::id::{AccountId, EventId, UserId, WebhookDeliveryId, WebhookId};
use common::time::Time;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::deliveries::{Delivery, DeliveryStatus};
use super::kinds::EventType;
use super::{Webhook, WebhookStatus};

/// A webhook, without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WebhookView {
    id: WebhookId,
    account_id: AccountId,
    url: String,
    description: Option<String>,
    /// Types, beginnings of types (`build.*`), or `*`.
    event_types: Vec<String>,
    /// `enabled`, `disabled` (by you), `gone` (it answered 410) or `failing` (nothing has reached it for
    /// days)
    status: WebhookStatus,
    /// Since when every attempt has failed.
    failing_since: Option<Time>,
    last_success_at: Option<Time>,
    /// Until when the secret before the present one signs too.
    previous_secret_until: Option<Time>,
    /// How many events weren't kept for it, since too many waited.
    dropped: i64,
    created_by: Option<UserId>,
    created_at: Time,
    updated_at: Time,
}

impl From<Webhook> for WebhookView {
    fn from(webhook: Webhook) -> Self {
        Self {
            event_types: webhook.event_types.entries().to_vec(),
            previous_secret_until: webhook.sealed.previous_until,
            id: webhook.id,
            account_id: webhook.account_id,
            url: webhook.url,
            description: webhook.description,
            status: webhook.status,
            failing_since: webhook.failing_since,
            last_success_at: webhook.last_success_at,
            dropped: webhook.dropped,
            created_by: webhook.created_by,
            created_at: webhook.created_at,
            updated_at: webhook.updated_at,
        }
    }
}

/// A webhook.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WebhookBody {
    pub(crate) webhook: WebhookView,
}

/// A webhook and its new secret, which is shown this once.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SecretBody {
    pub(crate) webhook: WebhookView,
    /// `whsec_…`
    pub(crate) secret: String,
}

/// Webhooks, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WebhooksBody {
    pub(crate) webhooks: Vec<WebhookView>,
    /// The cursor of the next page, if there is one.
    pub(crate) next: Option<String>,
}

/// What the last attempt was answered.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ResponseView {
    status: i32,
    /// Its first KiB.
    body: Option<String>,
}

/// One event on its way to one webhook.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeliveryView {
    id: WebhookDeliveryId,
    webhook_id: WebhookId,
    /// The `webhook-id` under which it is sent, each time the same.
    message_id: EventId,
    event_type: EventType,
    /// What is sent.
    payload: Value,
    /// `pending`, `delivered` or `failed`
    status: DeliveryStatus,
    /// How often it was sent.
    attempts: i32,
    /// What the last attempt was answered.
    response: Option<ResponseView>,
    /// Why the last attempt had no answer, or why there are no more.
    problem: Option<String>,
    /// How long the last attempt took.
    duration_ms: Option<i64>,
    created_at: Time,
    last_attempt_at: Option<Time>,
    /// When it is sent next; null while it is being sent, and when it isn't any more.
    next_attempt_at: Option<Time>,
    finished_at: Option<Time>,
}

impl From<Delivery> for DeliveryView {
    fn from(delivery: Delivery) -> Self {
        let is_in_hand = delivery.lease_owner.is_some();
        let body = delivery.response_body;
        Self {
            payload: serde_json::from_str(&delivery.payload).unwrap_or(Value::Null),
            response: delivery
                .response_status
                .map(|status| ResponseView { status, body }),
            next_attempt_at: delivery.next_attempt_at.filter(|_| !is_in_hand),
            id: delivery.id,
            webhook_id: delivery.webhook_id,
            message_id: delivery.message_id,
            event_type: delivery.event_type,
            status: delivery.status,
            attempts: delivery.attempts,
            problem: delivery.problem,
            duration_ms: delivery.duration_ms,
            created_at: delivery.created_at,
            last_attempt_at: delivery.last_attempt_at,
            finished_at: delivery.finished_at,
        }
    }
}

/// A delivery.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeliveryBody {
    pub(crate) delivery: DeliveryView,
}

/// Deliveries, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeliveriesBody {
    pub(crate) deliveries: Vec<DeliveryView>,
    /// The cursor of the next page, if there is one.
    pub(crate) next: Option<String>,
}
