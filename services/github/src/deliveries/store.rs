//! The queries of deliveries and what came of them.

use chassis::db::Db;
use chassis::on_backend;
use common::id::{AccountId, DeliveryId};
use common::time::Time;
use diesel::prelude::*;

use super::{Delivery, Done, Outcome, OutcomeState};
use crate::schema::{deliveries, outcomes};

/// Keeps a new delivery; false if one of its name or its content is here.
pub(crate) fn insert(db: &mut Db, delivery: &Delivery) -> QueryResult<bool> {
    let made = on_backend!(db, conn => diesel::insert_into(deliveries::table)
        .values(delivery)
        .on_conflict_do_nothing()
        .execute(conn))?;
    Ok(made == 1)
}

/// Keeps that something is to come of it.
pub(crate) fn insert_outcome(db: &mut Db, outcome: &Outcome) -> QueryResult<()> {
    diesel::insert_into(outcomes::table)
        .values(outcome)
        .execute(db)
        .map(drop)
}

/// A delivery.
pub(crate) fn find(db: &mut Db, id: &str) -> QueryResult<Option<Delivery>> {
    deliveries::table
        .find(id)
        .select(Delivery::as_select())
        .first(db)
        .optional()
}

/// What came of a delivery, with that.
pub(crate) fn outcome(db: &mut Db, id: &DeliveryId) -> QueryResult<Option<(Outcome, Delivery)>> {
    outcomes::table
        .inner_join(deliveries::table)
        .filter(outcomes::id.eq(id))
        .select((Outcome::as_select(), Delivery::as_select()))
        .first(db)
        .optional()
}

/// What has failed of a delivery, in the order in which locks are taken.
pub(crate) fn failed(db: &mut Db, delivery: &str) -> QueryResult<Vec<DeliveryId>> {
    outcomes::table
        .filter(outcomes::delivery_id.eq(delivery))
        .filter(outcomes::state.eq(OutcomeState::Failed))
        .order(outcomes::id.asc())
        .select(outcomes::id)
        .load(db)
}

/// An account's, newest first.
pub(crate) fn page(
    db: &mut Db,
    account: &AccountId,
    after: Option<&DeliveryId>,
    limit: i64,
) -> QueryResult<Vec<(Outcome, Delivery)>> {
    let mut query = outcomes::table
        .inner_join(deliveries::table)
        .filter(outcomes::account_id.eq(account))
        .order(outcomes::id.desc())
        .limit(limit)
        .select((Outcome::as_select(), Delivery::as_select()))
        .into_boxed();
    if let Some(after) = after {
        query = query.filter(outcomes::id.lt(after));
    }
    query.load(db)
}

/// Keeps that the work begins anew.
pub(crate) fn begin_again(db: &mut Db, outcome: &Outcome) -> QueryResult<()> {
    diesel::update(outcomes::table.find(&outcome.id))
        .set((
            outcomes::state.eq(outcome.state),
            outcomes::reason.eq(&outcome.reason),
            outcomes::run.eq(outcome.run),
            outcomes::finished_at.eq(outcome.finished_at),
        ))
        .execute(db)
        .map(drop)
}

/// Keeps how this run of the work ended.
pub(crate) fn finish(
    db: &mut Db,
    (id, run): (&DeliveryId, i32),
    done: &Done,
    now: Time,
) -> QueryResult<()> {
    let builds = serde_json::to_string(&done.builds)
        .map_err(|error| diesel::result::Error::SerializationError(Box::new(error)))?;
    diesel::update(outcomes::table.find(id).filter(outcomes::run.eq(run)))
        .set((
            outcomes::state.eq(done.state),
            outcomes::reason.eq(&done.reason),
            outcomes::builds.eq(builds),
            outcomes::finished_at.eq(Some(now)),
        ))
        .execute(db)
        .map(drop)
}

/// Keeps that newer deliveries took the place of these.
pub(crate) fn supersede(db: &mut Db, ids: &[&str], now: Time) -> QueryResult<()> {
    let queued = outcomes::state.eq(OutcomeState::Queued);
    diesel::update(
        outcomes::table
            .filter(outcomes::id.eq_any(ids))
            .filter(queued),
    )
    .set((
        outcomes::state.eq(OutcomeState::Superseded),
        outcomes::reason.eq(Some("A newer delivery took its place")),
        outcomes::finished_at.eq(Some(now)),
    ))
    .execute(db)
    .map(drop)
}

/// Removes those that were received before this time.
pub(crate) fn remove_before(db: &mut Db, before: Time) -> QueryResult<usize> {
    let old = deliveries::table
        .filter(deliveries::received_at.lt(before))
        .select(deliveries::id)
        .limit(1_000)
        .load::<String>(db)?;
    diesel::delete(outcomes::table.filter(outcomes::delivery_id.eq_any(&old))).execute(db)?;
    diesel::delete(deliveries::table.filter(deliveries::id.eq_any(&old))).execute(db)
}
