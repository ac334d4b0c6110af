//! Keeping a delivery that was checked, and having it worked off: one transaction.

use chassis::db::Db;
use common::id::DeliveryId;
use common::time::Time;
use diesel::QueryResult;

use super::content::{Content, Read};
use super::{Delivery, Outcome, OutcomeState, enqueue, store};
use crate::installations;

/// What was done with a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// It is kept and will be worked off.
    Kept,
    /// It was here before; what had failed is tried again.
    Known,
    /// It concerns no account.
    Ignored,
}

/// Keeps a delivery, unless it was here before or concerns nobody.
pub(crate) fn keep(
    db: &mut Db,
    (id, digest, event): (String, String, String),
    read: Read,
    now: Time,
) -> QueryResult<Received> {
    let accounts = installations::store::accounts_of(db, read.installation)?;
    if accounts.is_empty() {
        return Ok(Received::Ignored);
    }
    let (branch, commit_id) = match &read.content {
        Content::Push(push) => (Some(push.branch.clone()), Some(push.commit.clone())),
        _ => (None, None),
    };
    let content = serde_json::to_string(&read.content)
        .map_err(|error| diesel::result::Error::SerializationError(Box::new(error)))?;
    let delivery = Delivery {
        id,
        digest,
        event,
        action: read.action,
        installation_id: read.installation,
        repository: read.repository,
        branch,
        commit_id,
        content,
        received_at: now,
    };
    if !store::insert(db, &delivery)? {
        try_again(db, &delivery, now)?;
        return Ok(Received::Known);
    }
    for account in accounts {
        let (state, reason) = match &read.content {
            Content::Nothing { reason } => (OutcomeState::Nothing, Some(reason.clone())),
            _ => (OutcomeState::Queued, None),
        };
        let outcome = Outcome {
            id: DeliveryId::new(now),
            delivery_id: delivery.id.clone(),
            account_id: account,
            finished_at: (state != OutcomeState::Queued).then_some(now),
            state,
            reason,
            builds: "[]".to_owned(),
            run: 1,
        };
        store::insert_outcome(db, &outcome)?;
        enqueue(db, &delivery, &read.content, &outcome, now)?;
    }
    Ok(Received::Kept)
}

/// GitHub delivers something again under the same name when somebody asks it to: what had failed
/// here is tried once more, and nothing else.
fn try_again(db: &mut Db, delivery: &Delivery, now: Time) -> QueryResult<()> {
    let Some(known) = store::find(db, &delivery.id)? else {
        return Ok(());
    };
    if known.digest != delivery.digest {
        return Ok(());
    }
    for id in store::failed(db, &known.id)? {
        super::lock(db, &id)?;
        // Somebody may have had it tried again while this waited for the lock.
        let failed =
            store::outcome(db, &id)?.filter(|(outcome, _)| outcome.state == OutcomeState::Failed);
        if let Some((mut outcome, _)) = failed {
            super::again(db, &known, &mut outcome, now)?;
        }
    }
    Ok(())
}
