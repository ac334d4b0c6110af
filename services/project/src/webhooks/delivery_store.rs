//! The queries of deliveries.

use chassis::db::Db;
use chassis::on_backend;
use common::id::{WebhookDeliveryId, WebhookId};
use common::time::Time;
use diesel::prelude::*;

use super::deliveries::{Delivery, DeliveryStatus, Sent, Verdict};
use crate::schema::webhook_deliveries as deliveries;

/// Keeps a new delivery, unless its message is here for its webhook.
pub(crate) fn insert(db: &mut Db, delivery: &Delivery) -> QueryResult<()> {
    on_backend!(db, conn => diesel::insert_into(deliveries::table)
        .values(delivery)
        .on_conflict_do_nothing()
        .execute(conn))
    .map(drop)
}

/// A webhook's delivery.
pub(crate) fn find(
    db: &mut Db,
    webhook: &WebhookId,
    id: &WebhookDeliveryId,
) -> QueryResult<Option<Delivery>> {
    deliveries::table
        .find(id)
        .filter(deliveries::webhook_id.eq(webhook))
        .select(Delivery::as_select())
        .first(db)
        .optional()
}

/// A webhook's deliveries, newest first.
pub(crate) fn page(
    db: &mut Db,
    webhook: &WebhookId,
    status: Option<DeliveryStatus>,
    after: Option<&WebhookDeliveryId>,
    limit: i64,
) -> QueryResult<Vec<Delivery>> {
    let mut query = deliveries::table
        .filter(deliveries::webhook_id.eq(webhook))
        .select(Delivery::as_select())
        .order(deliveries::id.desc())
        .limit(limit)
        .into_boxed();
    if let Some(status) = status {
        query = query.filter(deliveries::status.eq(status));
    }
    if let Some(after) = after {
        query = query.filter(deliveries::id.lt(after));
    }
    query.load(db)
}

/// How many wait for a webhook.
pub(crate) fn waiting(db: &mut Db, webhook: &WebhookId) -> QueryResult<i64> {
    deliveries::table
        .filter(deliveries::webhook_id.eq(webhook))
        .filter(deliveries::status.eq(DeliveryStatus::Pending))
        .count()
        .get_result(db)
}

/// Puts a delivery into the queue anew.
pub(crate) fn again(db: &mut Db, id: &WebhookDeliveryId, now: Time) -> QueryResult<()> {
    diesel::update(deliveries::table.find(id))
        .set((
            deliveries::status.eq(DeliveryStatus::Pending),
            deliveries::tries.eq(0),
            deliveries::next_attempt_at.eq(Some(now)),
            deliveries::lease_owner.eq(None::<String>),
            deliveries::finished_at.eq(None::<Time>),
        ))
        .execute(db)
        .map(drop)
}

/// Keeps what came of an attempt; false if the delivery is somebody else's by now, or gone.
pub(crate) fn settle(
    db: &mut Db,
    (delivery, owner): (&Delivery, &str),
    (sent, duration_ms): (&Sent, i64),
    verdict: &Verdict,
    now: Time,
) -> QueryResult<bool> {
    let (status, body, problem) = match sent {
        Sent::Answered { status, body, .. } => (Some(i32::from(*status)), Some(body), None),
        Sent::Unanswered(why) => (None, None, Some(why)),
    };
    let finished_at = (verdict.status != DeliveryStatus::Pending).then_some(now);
    let held = deliveries::table
        .find(&delivery.id)
        .filter(deliveries::lease_owner.eq(owner));
    let kept = diesel::update(held)
        .set((
            deliveries::status.eq(verdict.status),
            deliveries::attempts.eq(deliveries::attempts + 1),
            deliveries::tries.eq(deliveries::tries + 1),
            deliveries::next_attempt_at.eq(verdict.next_attempt_at),
            deliveries::lease_owner.eq(None::<String>),
            deliveries::response_status.eq(status),
            deliveries::response_body.eq(body),
            deliveries::problem.eq(problem),
            deliveries::duration_ms.eq(Some(duration_ms)),
            deliveries::last_attempt_at.eq(Some(now)),
            deliveries::finished_at.eq(finished_at),
        ))
        .execute(db)?;
    Ok(kept == 1)
}

/// Gives up what waits for a webhook. What is being sent at this moment is nobody's any more.
pub(crate) fn give_up(db: &mut Db, webhook: &WebhookId, now: Time) -> QueryResult<()> {
    let waiting = deliveries::table
        .filter(deliveries::webhook_id.eq(webhook))
        .filter(deliveries::status.eq(DeliveryStatus::Pending));
    diesel::update(waiting)
        .set((
            deliveries::status.eq(DeliveryStatus::Failed),
            deliveries::next_attempt_at.eq(None::<Time>),
            deliveries::lease_owner.eq(None::<String>),
            deliveries::problem.eq(Some("nothing is sent to the webhook any more")),
            deliveries::finished_at.eq(Some(now)),
        ))
        .execute(db)
        .map(drop)
}

/// Gives back what was being sent when this process ended, where no other could have it.
pub(crate) fn end_leases(db: &mut Db, now: Time) -> QueryResult<()> {
    let held = deliveries::table
        .filter(deliveries::status.eq(DeliveryStatus::Pending))
        .filter(deliveries::lease_owner.is_not_null());
    diesel::update(held)
        .set((
            deliveries::next_attempt_at.eq(Some(now)),
            deliveries::lease_owner.eq(None::<String>),
        ))
        .execute(db)
        .map(drop)
}

/// Removes what was over before this time, so many at most; answers how many.
pub(crate) fn prune(db: &mut Db, before: Time, most: i64) -> QueryResult<usize> {
    let old: Vec<WebhookDeliveryId> = deliveries::table
        .filter(deliveries::status.ne(DeliveryStatus::Pending))
        .filter(deliveries::finished_at.lt(before))
        .select(deliveries::id)
        .limit(most)
        .load(db)?;
    diesel::delete(deliveries::table.filter(deliveries::id.eq_any(old))).execute(db)
}
