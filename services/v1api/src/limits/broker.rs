//! Gets shares for this process from the database, ahead of need, and gives back what isn't used.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chassis::db::Database;
use chassis::feed::Moment;
use common::id::TokenId;
use common::time::{Clock, Span, Time};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::meter::{Lease, Meter};
use super::store::{self, Ask, Grant};
use super::{Limit, Period};

/// For how long a process may use what it holds after it last reached the database.
pub(crate) const LEASE: Span = Span::seconds(10);
/// How much later the others take it back: clocks of replicas may differ by this much.
const MARGIN: Span = Span::seconds(5);
/// How often the lease is renewed while anything is held.
const RENEW: Span = Span::seconds(3);
/// A share that nobody has used for so long is given back.
pub(crate) const IDLE: Span = Span::seconds(2);
/// A meter that nobody has used for so long is forgotten.
const FORGOTTEN: Span = Span::minutes(10);
/// How often is looked for such.
const TICK: Duration = Duration::from_secs(1);
/// How often what is over is removed from the database.
const CLEAN: Span = Span::hours(1);
/// The most asks of one transaction.
const LARGEST_BATCH: usize = 200;

/// All meters of a process. The lock is taken where a worker meets a caller or a service for the first
/// time or their limits change, never for a call as such.
#[derive(Clone)]
pub(crate) struct Meters(Arc<Shared>);

struct Shared {
    known: Mutex<HashMap<(String, Period), Arc<Meter>>>,
    lease: Lease,
    asks: mpsc::UnboundedSender<Arc<Meter>>,
    clock: Clock,
}

impl Meters {
    /// None yet, and who gets shares for them.
    pub(crate) fn new(db: Database, clock: Clock) -> (Self, Broker) {
        let (asks, asked) = mpsc::unbounded_channel();
        let meters = Self(Arc::new(Shared {
            known: Mutex::default(),
            lease: Lease::default(),
            asks,
            clock,
        }));
        let broker = Broker {
            meters: meters.clone(),
            db,
            asked,
            process: String::new(),
            renewed_at: Time::EPOCH,
            cleaned_at: Time::EPOCH,
            failing: false,
        };
        (meters, broker)
    }

    /// The meter of a subject's limit, with the limit as it is now.
    pub(crate) fn get(&self, subject: &str, limit: &Limit) -> Arc<Meter> {
        let mut known = self.known();
        let meter = known
            .entry((subject.to_owned(), limit.period))
            .or_insert_with(|| Arc::new(Meter::new(subject.to_owned(), limit)));
        meter.set(limit);
        Arc::clone(meter)
    }

    /// Until when shares may be used.
    pub(crate) fn lease(&self) -> &Lease {
        &self.0.lease
    }

    /// The clock that limits go by.
    pub(crate) fn now(&self) -> Time {
        self.0.clock.now()
    }

    /// Has more asked for, unless that goes on already. One ask for each meter waits at most.
    pub(crate) fn request(&self, meter: &Arc<Meter>) {
        if meter.begin_asking() {
            // Without anybody who asks the process is stopping.
            let _stopping = self.0.asks.send(Arc::clone(meter));
        }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<(String, Period), Arc<Meter>>> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The one task of a process that asks.
pub(crate) struct Broker {
    meters: Meters,
    db: Database,
    asked: mpsc::UnboundedReceiver<Arc<Meter>>,
    /// As whom it holds shares: another one after each lease that it lost.
    process: String,
    renewed_at: Time,
    cleaned_at: Time,
    /// Whether the database couldn't be reached the last time.
    failing: bool,
}

impl Broker {
    /// Asks until the service stops, and gives everything back then.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => break,
                Some(first) = self.asked.recv() => {
                    let batch = self.batch(first);
                    self.settle(batch, false).await;
                }
                _ = ticks.tick() => self.tick().await,
            }
        }
        self.leave().await;
    }

    fn batch(&mut self, first: Arc<Meter>) -> Vec<Arc<Meter>> {
        let mut batch = vec![first];
        while batch.len() < LARGEST_BATCH {
            let Ok(next) = self.asked.try_recv() else {
                break;
            };
            batch.push(next);
        }
        batch
    }

    /// Gives back what lies idle, forgets meters that nobody uses, and keeps the lease.
    async fn tick(&mut self) {
        let now = self.meters.now();
        let unused =
            |meter: &Arc<Meter>, span: Span| now.unix() - meter.used_at() >= span.num_seconds();
        let (idle, holding) = {
            let mut known = self.meters.known();
            known.retain(|_, meter| {
                meter.holds_share() || Arc::strong_count(meter) > 1 || !unused(meter, FORGOTTEN)
            });
            let holders = || known.values().filter(|meter| meter.holds_share());
            let idle: Vec<_> = holders()
                // What can't be given back may as well be used.
                .filter(|meter| !self.failing && unused(meter, IDLE) && meter.begin_asking())
                .take(LARGEST_BATCH)
                .cloned()
                .collect();
            (idle, holders().next().is_some())
        };
        if !idle.is_empty() {
            self.settle(idle, true).await;
        } else if holding && now - self.renewed_at >= RENEW {
            self.settle(Vec::new(), false).await;
        }
        if now - self.cleaned_at >= CLEAN {
            self.cleaned_at = now;
            let cleaned = self
                .db
                .write(move |db| store::clean(db, now, now - CLEAN))
                .await;
            if let Err(error) = cleaned {
                tracing::warn!(error = %error, "what quotas' past windows left can't be removed");
            }
        }
    }

    /// One transaction: the lease, and what these meters ask for or give back.
    async fn settle(&mut self, meters: Vec<Arc<Meter>>, give_back: bool) {
        if !self.meters.lease().holds() {
            self.begin_anew();
        }
        let (began, now) = (Moment::now(), self.meters.now());
        let mut asked: Vec<(Arc<Meter>, Ask)> = meters
            .into_iter()
            .filter_map(|meter| meter.ask(now, give_back).map(|ask| (meter, ask)))
            .collect();
        asked.sort_by(|(_, one), (_, other)| {
            (&one.subject, one.period).cmp(&(&other.subject, other.period))
        });
        let asks: Vec<Ask> = asked.iter().map(|(_, ask)| ask.clone()).collect();
        let process = self.process.clone();
        let settled: Result<Vec<Grant>, diesel::result::Error> = self
            .db
            .write(move |db| {
                store::renew(db, &process, now + LEASE + MARGIN)?;
                store::settle(db, &process, &asks, now)
            })
            .await;
        self.failing = settled.is_err();
        match settled {
            Ok(grants) => {
                let lease = LEASE.num_nanoseconds().unwrap_or_default();
                self.meters.lease().set(began.0 + lease);
                self.renewed_at = now;
                for ((meter, ask), grant) in asked.iter().zip(&grants) {
                    meter.granted(ask, grant, now);
                }
            }
            Err(error) => {
                tracing::warn!(error = %error, "shares of quotas can't be asked for");
                let now = self.meters.now();
                for (meter, ask) in &asked {
                    meter.failed(ask, now);
                }
            }
        }
    }

    /// What was held under a lease that is over may be others' by now.
    fn begin_anew(&mut self) {
        for meter in self.meters.known().values() {
            meter.forfeit();
        }
        self.process = TokenId::new(self.meters.now()).to_string();
    }

    /// Gives everything back.
    async fn leave(mut self) {
        loop {
            let held: Vec<_> = self
                .meters
                .known()
                .values()
                .filter(|meter| meter.holds_share() && meter.begin_asking())
                .take(LARGEST_BATCH)
                .cloned()
                .collect();
            if held.is_empty() {
                break;
            }
            self.settle(held, true).await;
        }
        let process = std::mem::take(&mut self.process);
        if let Err(error) = self.db.write(move |db| store::leave(db, &process)).await {
            tracing::warn!(error = %error, "shares of quotas stay held until their lease ends");
        }
    }
}
