//! Asks instances how they are.

use std::collections::HashMap;
use std::hash::BuildHasher as _;
use std::sync::Arc;
use std::time::Duration;

use chassis::outbound;
use common::id::AccountId;
use common::rules::HealthCheck;
use common::time::Clock;
use foldhash::fast::RandomState;
use reqwest::header::HOST;
use tokio::sync::{Semaphore, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::{Failure, Health, Place, Streak};
use crate::table::{Service, Table};

/// How many instances of one owner are asked at once. Nobody waits for another's, whatever those do.
const AT_ONCE: usize = 16;
/// More than any check may take; each has a shorter time of its own.
const LONGEST: Duration = Duration::from_mins(1);

/// Keeps one check going for each instance of each service that wants them.
pub(crate) struct Checker {
    client: reqwest::Client,
    routes: watch::Receiver<Arc<Table>>,
    health: Health,
    clock: Clock,
    apps_authority: Arc<str>,
    permits: HashMap<Owner, Arc<Semaphore>>,
    running: HashMap<Place, Running>,
    checks: JoinSet<()>,
    turns: u64,
}

/// Whose instances wait for one another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Owner {
    /// All that an account publishes.
    Account(AccountId),
    /// Each service that an admin has named is by itself.
    Named(Arc<str>),
}

impl Owner {
    fn of(service: &Service) -> Self {
        match &service.account_id {
            Some(account) => Self::Account(account.clone()),
            None => Self::Named(Arc::clone(&service.label)),
        }
    }
}

/// What is asked of an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Question {
    check: HealthCheck,
    /// The host by which the instance knows itself.
    host: String,
}

struct Running {
    question: Question,
    check: AbortHandle,
}

impl Checker {
    /// Checks the services of these routes. `apps_authority` is what stands behind an app's label in
    /// its host.
    pub(crate) fn new(
        routes: watch::Receiver<Arc<Table>>,
        health: Health,
        clock: Clock,
        apps_authority: &str,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            client: outbound::configured(LONGEST)?,
            routes,
            health,
            clock,
            apps_authority: apps_authority.into(),
            permits: HashMap::new(),
            running: HashMap::new(),
            checks: JoinSet::new(),
            turns: 0,
        })
    }

    /// Goes on until the service stops.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        loop {
            self.look();
            // Those that were ended; they end only so.
            while self.checks.try_join_next().is_some() {}
            tokio::select! {
                () = shutdown.cancelled() => return,
                changed = self.routes.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Takes over which instances are to be checked, and how. One whose check has changed begins anew.
    fn look(&mut self) {
        let table = Arc::clone(&self.routes.borrow_and_update());
        let mut before = std::mem::take(&mut self.running);
        for service in table.services() {
            let Some(check) = &service.rules.given.health else {
                continue;
            };
            let owner = Owner::of(service);
            for origin in table.origins(service) {
                let place = Place {
                    service: Arc::clone(&service.label),
                    origin: Arc::clone(origin),
                };
                let question = Question {
                    check: check.clone(),
                    host: table.host(service, origin, &self.apps_authority),
                };
                let known = before.remove(&place);
                let running = match known {
                    Some(known) if known.question == question => known,
                    known => {
                        if let Some(known) = known {
                            known.check.abort();
                        }
                        self.begin(&place, question, &owner)
                    }
                };
                self.running.insert(place, running);
            }
        }
        for (place, gone) in before {
            gone.check.abort();
            self.health.forget(&place);
        }
        // Of owners without a check nothing is kept.
        self.permits
            .retain(|_, permits| Arc::strong_count(permits) > 1);
    }

    fn begin(&mut self, place: &Place, question: Question, owner: &Owner) -> Running {
        self.turns += 1;
        let turn = self.turns;
        let check = &question.check;
        let streak = Streak::new(check.healthy_after, check.unhealthy_after);
        self.health.watch(place.clone(), streak, turn);
        let permits = self.permits.entry(owner.clone());
        let permits = permits.or_insert_with(|| Arc::new(Semaphore::new(AT_ONCE)));
        let (client, permits) = (self.client.clone(), Arc::clone(permits));
        let (health, clock) = (self.health.clone(), self.clock.clone());
        let (place, asked) = (place.clone(), question.clone());
        let check = self.checks.spawn(async move {
            let jitter = RandomState::default();
            for round in 0_u64.. {
                let found = {
                    let Ok(_permit) = permits.acquire().await else {
                        return;
                    };
                    ask(&client, &place.origin, &asked).await
                };
                health.note(&place, turn, found, clock.now());
                tokio::time::sleep(pause(&asked.check, jitter.hash_one(round))).await;
            }
        });
        Running { question, check }
    }
}

/// Until the next check: the interval, by up to a tenth shorter or longer, so that the checks of many
/// instances, and of many gateways, don't fall together.
fn pause(check: &HealthCheck, random: u64) -> Duration {
    let thousandths = 900 + u32::try_from(random % 201).unwrap_or_default();
    Duration::from_secs(check.interval.into()) * thousandths / 1_000
}

async fn ask(client: &reqwest::Client, origin: &str, asked: &Question) -> Result<(), Failure> {
    let check = &asked.check;
    let answer = client
        .get(format!("http://{origin}{}", check.path))
        .header(HOST, &asked.host)
        .timeout(Duration::from_secs(check.patience().into()))
        .send()
        .await
        .map_err(|error| {
            if error.is_timeout() {
                Failure::Silence
            } else {
                Failure::Unreachable
            }
        })?;
    // The body says nothing, and isn't waited for.
    let status = answer.status();
    let is_well = match check.status {
        Some(wanted) => status.as_u16() == wanted,
        None => status.is_success(),
    };
    if is_well {
        Ok(())
    } else {
        Err(Failure::Status(status.as_u16()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_are_spread_around_their_interval() {
        let check: HealthCheck =
            serde_json::from_str(r#"{"path": "/healthz", "interval": 10}"#).unwrap();
        for random in [0, 100, 200, u64::MAX] {
            let pause = pause(&check, random);
            assert!((9_000..=11_000).contains(&pause.as_millis()), "{pause:?}");
        }
        assert_ne!(pause(&check, 0), pause(&check, 200));
    }
}
