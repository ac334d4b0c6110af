//! Whose turn it is: which deliveries are sent next, so that nobody waits for another's bad address.

use std::collections::HashMap;

use chassis::db::Db;
use common::id::{AccountId, WebhookId};
use common::time::Time;
use diesel::dsl::exists;
use diesel::prelude::*;

use super::deliveries::{Delivery, DeliveryStatus};
use super::{Webhook, WebhookStatus, store};
use crate::schema::{webhook_deliveries as deliveries, webhooks};

/// How many webhooks are looked at for one round.
const LOOKED_AT: i64 = 256;

/// How much may be under way at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// In this process.
    pub(crate) process: usize,
    /// Of those, for webhooks that nothing has reached yet, or not for a while: whoever keeps us
    /// waiting takes no place from those who answer.
    pub(crate) doubtful: usize,
    /// For one account, in all processes.
    pub(crate) account: usize,
    /// For one webhook that answers, in all processes; for a doubtful one it is one.
    pub(crate) webhook: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            process: 128,
            doubtful: 64,
            account: 16,
            webhook: 4,
        }
    }
}

/// What one round takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    /// For any.
    pub(crate) all: usize,
    /// For doubtful ones.
    pub(crate) doubtful: usize,
}

/// A delivery in hand.
#[derive(Clone, Debug)]
pub(crate) struct Taken {
    pub(crate) delivery: Delivery,
    pub(crate) webhook: Webhook,
    /// Whether it counts as doubtful.
    pub(crate) is_doubtful: bool,
}

impl Webhook {
    /// Whether there is reason to think that it keeps us waiting.
    fn is_doubtful(&self) -> bool {
        self.failing_since.is_some() || self.last_success_at.is_none()
    }
}

/// Whether there may be anything to take.
fn any_due(db: &mut Db, now: Time) -> QueryResult<bool> {
    let due = deliveries::table
        .filter(deliveries::status.eq(DeliveryStatus::Pending))
        .filter(deliveries::next_attempt_at.le(now))
        .select(deliveries::id);
    Ok(due.first::<String>(db).optional()?.is_some())
}

/// Takes what is to be sent now, until `until`; whoever has died with something in hand loses it then.
pub(crate) fn take(
    db: &mut Db,
    owner: &str,
    bounds: &Bounds,
    room: Room,
    (now, until): (Time, Time),
) -> QueryResult<Vec<Taken>> {
    chassis::db::lock(db, "webhook-deliveries")?;
    let mut taken = choose(db, bounds, room, now)?;
    // In the order in which others touch several webhooks.
    taken.sort_by(|one, two| one.webhook.id.cmp(&two.webhook.id));
    for Taken { delivery, .. } in &mut taken {
        delivery.lease_owner = Some(owner.to_owned());
        hold(db, delivery, until)?;
    }
    for Taken { webhook, .. } in &taken {
        store::note_taken(db, &webhook.id, now)?;
    }
    Ok(taken)
}

/// What would be taken now.
pub(crate) fn choose(
    db: &mut Db,
    bounds: &Bounds,
    room: Room,
    now: Time,
) -> QueryResult<Vec<Taken>> {
    if !any_due(db, now)? {
        return Ok(Vec::new());
    }
    let mut turn = Turn {
        room,
        under_way: UnderWay::now(db, now)?,
    };
    let mut taken = Vec::new();
    for webhook in due_webhooks(db, now)? {
        let allowed = turn.allow(&webhook, bounds);
        let is_doubtful = webhook.is_doubtful();
        for delivery in due_of(db, &webhook.id, now, allowed)? {
            turn.count(&webhook);
            taken.push(Taken {
                delivery,
                webhook: webhook.clone(),
                is_doubtful,
            });
        }
    }
    Ok(taken)
}

/// What is under way, in all processes.
#[derive(Debug, Default)]
struct UnderWay {
    webhooks: HashMap<WebhookId, usize>,
    accounts: HashMap<AccountId, usize>,
}

impl UnderWay {
    fn now(db: &mut Db, now: Time) -> QueryResult<Self> {
        let held: Vec<(WebhookId, AccountId)> = deliveries::table
            .filter(deliveries::status.eq(DeliveryStatus::Pending))
            .filter(deliveries::lease_owner.is_not_null())
            .filter(deliveries::next_attempt_at.gt(now))
            .select((deliveries::webhook_id, deliveries::account_id))
            .load(db)?;
        let mut under_way = Self::default();
        for (webhook, account) in held {
            *under_way.webhooks.entry(webhook).or_default() += 1;
            *under_way.accounts.entry(account).or_default() += 1;
        }
        Ok(under_way)
    }
}

#[derive(Debug)]
struct Turn {
    room: Room,
    under_way: UnderWay,
}

impl Turn {
    /// How many of a webhook's may be taken.
    fn allow(&self, webhook: &Webhook, bounds: &Bounds) -> usize {
        let of_webhook = self.under_way.webhooks.get(&webhook.id);
        let of_account = self.under_way.accounts.get(&webhook.account_id);
        let (most, room) = if webhook.is_doubtful() {
            (1, self.room.doubtful.min(self.room.all))
        } else {
            (bounds.webhook, self.room.all)
        };
        let for_webhook = most.saturating_sub(of_webhook.copied().unwrap_or_default());
        let for_account = bounds
            .account
            .saturating_sub(of_account.copied().unwrap_or_default());
        for_webhook.min(for_account).min(room)
    }

    fn count(&mut self, webhook: &Webhook) {
        self.room.all = self.room.all.saturating_sub(1);
        if webhook.is_doubtful() {
            self.room.doubtful = self.room.doubtful.saturating_sub(1);
        }
        let Webhook { id, account_id, .. } = webhook;
        *self.under_way.webhooks.entry(id.clone()).or_default() += 1;
        let of_account = self.under_way.accounts.entry(account_id.clone());
        *of_account.or_default() += 1;
    }
}

/// The webhooks for which something is due, those first whose last turn is longest ago.
fn due_webhooks(db: &mut Db, now: Time) -> QueryResult<Vec<Webhook>> {
    let due = deliveries::table
        .filter(deliveries::webhook_id.eq(webhooks::id))
        .filter(deliveries::status.eq(DeliveryStatus::Pending))
        .filter(deliveries::next_attempt_at.le(now));
    let is_left_alone = webhooks::paused_until
        .is_not_null()
        .and(webhooks::paused_until.assume_not_null().gt(now));
    webhooks::table
        .filter(webhooks::status.eq(WebhookStatus::Enabled))
        .filter(diesel::dsl::not(is_left_alone))
        .filter(exists(due))
        .order((webhooks::last_taken_at.asc(), webhooks::id.asc()))
        .limit(LOOKED_AT)
        .select(Webhook::as_select())
        .load(db)
}

fn due_of(db: &mut Db, webhook: &WebhookId, now: Time, most: usize) -> QueryResult<Vec<Delivery>> {
    if most == 0 {
        return Ok(Vec::new());
    }
    deliveries::table
        .filter(deliveries::webhook_id.eq(webhook))
        .filter(deliveries::status.eq(DeliveryStatus::Pending))
        .filter(deliveries::next_attempt_at.le(now))
        .order((deliveries::next_attempt_at.asc(), deliveries::id.asc()))
        .limit(i64::try_from(most).unwrap_or(i64::MAX))
        .select(Delivery::as_select())
        .load(db)
}

fn hold(db: &mut Db, delivery: &Delivery, until: Time) -> QueryResult<()> {
    diesel::update(deliveries::table.find(&delivery.id))
        .set((
            deliveries::next_attempt_at.eq(Some(until)),
            deliveries::lease_owner.eq(&delivery.lease_owner),
        ))
        .execute(db)
        .map(drop)
}
