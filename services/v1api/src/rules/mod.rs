//! What every gateway knows of keys and limits beside what tokens say: which keys are revoked or
//! confined, which of their tokens have been replaced, and how often who may call.
//!
//! All of it is in memory and follows the database by a look every [`PERIOD`] at least, so that a change is
//! known everywhere well within a second, whether the bus carries events or not. A copy that is
//! older than revocations may be lets no key in.

pub(crate) mod store;

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use chassis::db::Database;
use chassis::feed::{Freshness, Moment};
use common::time::{Clock, Time};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use crate::keys::restrictions::Doors;
use crate::limits::Limit;

/// For how long a change by another process may go unseen. A look is one indexed read of one row.
const PERIOD: Duration = Duration::from_millis(100);
/// A look that takes longer is given up, so that the next one can succeed.
const TIMEOUT: Duration = Duration::from_secs(2);

/// So many keys are kept whether they have ended by themselves or not.
const LEAST_KEYS: usize = 1_000;

/// A key beside what its token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyRule {
    /// Its id.
    pub(crate) id: String,
    /// The key that it was made with.
    pub(crate) parent: Option<String>,
    /// Whether it is revoked.
    pub(crate) revoked: bool,
    /// Tokens of it that have been replaced, and when each ends.
    pub(crate) retired: Vec<(String, Time)>,
    /// Where it may be used from.
    pub(crate) doors: Doors,
    /// How often it may call.
    pub(crate) limits: Vec<Limit>,
    /// When it ends by itself.
    pub(crate) expires_at: Time,
}

#[derive(Debug, Default)]
struct Known {
    keys: HashMap<String, Arc<KeyRule>>,
    limits: HashMap<String, Arc<[Limit]>>,
    /// How many keys there may be before those are let go that have ended by themselves.
    most_keys: usize,
}

/// A change of one of them.
#[derive(Debug)]
pub(crate) enum Change {
    /// A key is like this.
    Key(KeyRule),
    /// A subject's limits are these.
    Limits(String, Vec<Limit>),
}

struct Shared {
    db: Database,
    clock: Clock,
    known: RwLock<Known>,
    seq: AtomicI64,
    epoch: AtomicU64,
    freshness: Freshness,
    // Of two that read at once, the one that read less must not write last.
    refreshing: Mutex<()>,
}

/// The rules of this process; cheap to clone.
#[derive(Clone)]
pub(crate) struct Rules(Arc<Shared>);

impl Rules {
    /// Reads all of them, so that they are there before the first request.
    pub(crate) async fn start(
        db: Database,
        clock: Clock,
        max_staleness: Duration,
    ) -> Result<Self, diesel::result::Error> {
        let rules = Self(Arc::new(Shared {
            db,
            clock,
            known: RwLock::default(),
            seq: AtomicI64::new(0),
            epoch: AtomicU64::new(0),
            freshness: Freshness::new(max_staleness),
            refreshing: Mutex::default(),
        }));
        rules.refresh().await?;
        Ok(rules)
    }

    /// Another number whenever something has changed.
    pub(crate) fn epoch(&self) -> u64 {
        self.0.epoch.load(Ordering::Acquire)
    }

    /// Whether they are known up to a moment ago.
    pub(crate) fn is_fresh(&self) -> bool {
        self.0.freshness.is_fresh()
    }

    /// A key and those that it descends from, as far as there is anything to know of them.
    pub(crate) fn chain(&self, key: &str) -> Vec<Arc<KeyRule>> {
        let known = self.0.known.read().unwrap_or_else(PoisonError::into_inner);
        let mut chain: Vec<Arc<KeyRule>> = Vec::new();
        let mut next = known.keys.get(key);
        while let Some(rule) = next {
            // Nobody descends from herself; a row that said so must not end in a loop.
            if chain.iter().any(|seen| seen.id == rule.id) {
                break;
            }
            chain.push(Arc::clone(rule));
            next = rule.parent.as_ref().and_then(|id| known.keys.get(id));
        }
        chain
    }

    /// The limits of a subject.
    pub(crate) fn limits(&self, subject: &str) -> Option<Arc<[Limit]>> {
        let known = self.0.known.read().unwrap_or_else(PoisonError::into_inner);
        known.limits.get(subject).cloned()
    }

    /// Takes over what has changed.
    pub(crate) async fn refresh(&self) -> Result<(), diesel::result::Error> {
        let _alone = self.0.refreshing.lock().await;
        let (asked_at, now) = (Moment::now(), self.0.clock.now());
        let at = self.0.seq.load(Ordering::Acquire);
        let news = self
            .0
            .db
            .read(move |db| {
                let seq = store::last_seq(db)?;
                if seq == at {
                    return Ok::<_, diesel::result::Error>(None);
                }
                // What commits between these two reads is read now and again next time.
                Ok(Some((store::changes_after(db, at, now)?, seq)))
            })
            .await?;
        if let Some((changes, seq)) = news {
            let mut known = self.0.known.write().unwrap_or_else(PoisonError::into_inner);
            for change in changes {
                known.apply(change);
            }
            known.forget_ended(now);
            drop(known);
            self.0.seq.store(seq, Ordering::Release);
            self.0.epoch.fetch_add(1, Ordering::AcqRel);
        }
        self.0.freshness.caught_up(asked_at);
        Ok(())
    }

    /// Looks again and again until the service stops.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let mut failing = false;
        let mut looks = self.0.db.looks(PERIOD);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = looks.next() => {}
            }
            let failure = match tokio::time::timeout(TIMEOUT, self.refresh()).await {
                Ok(Ok(())) => {
                    failing = false;
                    continue;
                }
                Ok(Err(error)) => error.to_string(),
                Err(elapsed) => elapsed.to_string(),
            };
            if !failing {
                failing = true;
                tracing::warn!(error = %failure, "what there is to know of keys can't be read");
            }
        }
    }
}

impl Known {
    /// From time to time: looking at all of them at each change would cost more than they do.
    fn forget_ended(&mut self, now: Time) {
        if self.keys.len() > self.most_keys {
            self.keys.retain(|_, rule| rule.expires_at > now);
            self.most_keys = (2 * self.keys.len()).max(LEAST_KEYS);
        }
    }

    fn apply(&mut self, change: Change) {
        match change {
            Change::Key(rule) => {
                self.keys.insert(rule.id.clone(), Arc::new(rule));
            }
            Change::Limits(subject, limits) if limits.is_empty() => {
                self.limits.remove(&subject);
            }
            Change::Limits(subject, limits) => {
                self.limits.insert(subject, limits.into());
            }
        }
    }
}
