//! What a process has left of a quota.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use chassis::feed::Moment;
use common::time::Time;
use tokio::sync::Notify;

use super::Period;
use super::bucket::Bucket;
use super::store::{Ask, Grant};

/// How long a "no" of the database is believed: what others give back is to be found soon, and refused
/// calls are not to become as many transactions.
const NO_LIVES_MILLIS: i64 = 1_000;
/// How long it isn't asked again after it couldn't be reached.
const PAUSE_MILLIS: i64 = 500;

/// Until when this process may use what it holds.
#[derive(Debug, Default)]
pub(crate) struct Lease(AtomicI64);

impl Lease {
    /// Whether it lasts.
    pub(crate) fn holds(&self) -> bool {
        Moment::now().0 < self.0.load(Ordering::Acquire)
    }

    /// It ends then.
    pub(crate) fn set(&self, until_nanos: i64) {
        self.0.store(until_nanos, Ordering::Release);
    }
}

/// A subject's quota of one period.
#[derive(Debug)]
pub(crate) struct Meter {
    /// Whose quota.
    pub(crate) subject: String,
    /// Its period.
    pub(crate) period: Period,
    quota: AtomicI64,
    used_at: AtomicI64,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Bucket(Bucket),
    Share(Share),
}

/// The part of a window's quota that is this process's to use.
#[derive(Debug, Default)]
struct Share {
    left: AtomicI64,
    starts: AtomicI64,
    ends: AtomicI64,
    /// Below this more is asked for.
    low: AtomicI64,
    /// What is left for everybody, at the last look.
    central: AtomicI64,
    no_until: AtomicI64,
    down_until: AtomicI64,
    asking: AtomicBool,
    /// What was told last to be held; the broker's alone.
    told: AtomicI64,
    settled: Notify,
}

/// What a meter said to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Take {
    /// One was taken. More should be asked for, if so.
    Taken {
        /// How many are left, as far as known.
        left: i64,
        /// Whether the share runs out.
        low: bool,
        /// The window that it was taken from.
        window: i64,
    },
    /// The quota is used up for so many seconds.
    Empty {
        /// Seconds.
        wait: i64,
        /// Whether it is time to look again.
        look: bool,
    },
    /// It isn't known before the database has been asked.
    Unknown,
    /// That can't be reached.
    Down,
}

impl Meter {
    /// A meter that has nothing yet; a bucket is full.
    pub(crate) fn new(subject: String, limit: &super::Limit) -> Self {
        let kind = match limit.period {
            Period::Second => Kind::Bucket(Bucket::new(limit.quota, limit.burst())),
            _ => Kind::Share(Share::default()),
        };
        Self {
            subject,
            period: limit.period,
            quota: AtomicI64::new(limit.quota),
            used_at: AtomicI64::new(0),
            kind,
        }
    }

    /// Another size from now on.
    pub(crate) fn set(&self, limit: &super::Limit) {
        let before = self.quota.swap(limit.quota, Ordering::AcqRel);
        match &self.kind {
            Kind::Bucket(bucket) => bucket.set(limit.quota, limit.burst()),
            Kind::Share(share) if before != limit.quota => {
                share.no_until.store(0, Ordering::Release);
            }
            Kind::Share(_) => {}
        }
    }

    /// The quota.
    pub(crate) fn quota(&self) -> i64 {
        self.quota.load(Ordering::Acquire)
    }

    /// Takes one for a call. This is all that a call costs while there is a share: no lock, no waiting.
    pub(crate) fn take(&self, now: Time, lease: &Lease) -> Take {
        self.used_at.store(now.unix(), Ordering::Relaxed);
        match &self.kind {
            Kind::Bucket(bucket) => match bucket.take(now) {
                super::bucket::Draw::Taken(left) => Take::Taken {
                    left,
                    low: false,
                    window: 0,
                },
                super::bucket::Draw::Empty(wait) => Take::Empty { wait, look: false },
            },
            Kind::Share(share) => share.take(now, lease),
        }
    }

    /// Gives one back that was taken for a call which another limit refused; nothing where the window
    /// that it was taken from is over.
    pub(crate) fn put_back(&self, window: i64) {
        match &self.kind {
            Kind::Bucket(bucket) => bucket.put_back(),
            Kind::Share(share) if share.starts.load(Ordering::Acquire) == window => {
                share.left.fetch_add(1, Ordering::AcqRel);
            }
            Kind::Share(_) => {}
        }
    }

    /// In how many seconds the quota is whole again.
    pub(crate) fn resets_in(&self, now: Time) -> i64 {
        match &self.kind {
            Kind::Bucket(_) => 1,
            Kind::Share(share) => (share.ends.load(Ordering::Acquire) - now.unix()).max(0),
        }
    }

    /// Claims the right to ask for more; `false` if that goes on already.
    pub(crate) fn begin_asking(&self) -> bool {
        match &self.kind {
            Kind::Bucket(_) => false,
            Kind::Share(share) => !share.asking.swap(true, Ordering::AcqRel),
        }
    }

    /// Is told whenever an answer has arrived.
    pub(crate) fn settled(&self) -> Option<tokio::sync::futures::Notified<'_>> {
        match &self.kind {
            Kind::Bucket(_) => None,
            Kind::Share(share) => Some(share.settled.notified()),
        }
    }

    /// When it was last used, in seconds since the epoch.
    pub(crate) fn used_at(&self) -> i64 {
        self.used_at.load(Ordering::Relaxed)
    }

    /// Whether the database has it that this process holds a share.
    pub(crate) fn holds_share(&self) -> bool {
        matches!(&self.kind, Kind::Share(share) if share.told.load(Ordering::Acquire) > 0)
    }

    /// What to ask the database for. What is to be given back is out of reach from now on.
    pub(crate) fn ask(&self, now: Time, give_back: bool) -> Option<Ask> {
        let Kind::Share(share) = &self.kind else {
            return None;
        };
        let left = if give_back {
            share.left.swap(0, Ordering::AcqRel)
        } else {
            share.left.load(Ordering::Acquire)
        };
        Some(Ask {
            subject: self.subject.clone(),
            period: self.period,
            quota: self.quota(),
            window: self.period.window(now),
            starts: share.starts.load(Ordering::Acquire),
            told: share.told.load(Ordering::Acquire),
            left,
            give_back,
        })
    }

    /// Takes over what the database answered.
    pub(crate) fn granted(&self, ask: &Ask, grant: &Grant, now: Time) {
        let Kind::Share(share) = &self.kind else {
            return;
        };
        if ask.starts != grant.window.0 {
            // What is left of the window before is worth nothing. Nobody can take it meanwhile: that
            // window is over, or this one wouldn't have begun.
            share.left.store(0, Ordering::Release);
        }
        share.starts.store(grant.window.0, Ordering::Release);
        // Before what is left for everybody: nobody may see that both are nothing.
        share.left.fetch_add(grant.more, Ordering::AcqRel);
        share.central.store(grant.left, Ordering::Release);
        share.told.store(grant.told, Ordering::Release);
        share.low.store(grant.share / 2, Ordering::Release);
        let no_until = if grant.left == 0 {
            now.unix_millis() + NO_LIVES_MILLIS
        } else {
            0
        };
        share.no_until.store(no_until, Ordering::Release);
        share.down_until.store(0, Ordering::Release);
        // Last: from here on calls take from the share.
        share.ends.store(grant.window.1, Ordering::Release);
        share.done();
    }

    /// Notes that the database couldn't be asked. What was to be given back is this process's still.
    pub(crate) fn failed(&self, ask: &Ask, now: Time) {
        if let Kind::Share(share) = &self.kind {
            if ask.give_back && share.starts.load(Ordering::Acquire) == ask.starts {
                share.left.fetch_add(ask.left, Ordering::AcqRel);
            }
            let until = now.unix_millis() + PAUSE_MILLIS;
            share.down_until.store(until, Ordering::Release);
            share.done();
        }
    }

    /// Forgets a share whose lease is over.
    pub(crate) fn forfeit(&self) {
        if let Kind::Share(share) = &self.kind {
            share.ends.store(0, Ordering::Release);
            share.left.store(0, Ordering::Release);
            share.starts.store(0, Ordering::Release);
            share.told.store(0, Ordering::Release);
        }
    }
}

impl Share {
    fn take(&self, now: Time, lease: &Lease) -> Take {
        let (second, millis) = (now.unix(), now.unix_millis());
        let is_down = || millis < self.down_until.load(Ordering::Acquire);
        if second >= self.ends.load(Ordering::Acquire) || !lease.holds() {
            return if is_down() { Take::Down } else { Take::Unknown };
        }
        let one = |left: i64| (left > 0).then_some(left - 1);
        if let Ok(before) = self
            .left
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, one)
        {
            let left = before - 1;
            let central = self.central.load(Ordering::Acquire);
            return Take::Taken {
                left: left + central,
                low: left <= self.low.load(Ordering::Acquire) && central > 0 && !is_down(),
                window: self.starts.load(Ordering::Acquire),
            };
        }
        // What the database last said stands, until the window ends.
        if self.central.load(Ordering::Acquire) == 0 {
            let wait = self.ends.load(Ordering::Acquire) - second;
            let look = millis >= self.no_until.load(Ordering::Acquire) && !is_down();
            return Take::Empty {
                wait: wait.max(1),
                look,
            };
        }
        if is_down() { Take::Down } else { Take::Unknown }
    }

    fn done(&self) {
        self.asking.store(false, Ordering::Release);
        self.settled.notify_waiters();
    }
}
