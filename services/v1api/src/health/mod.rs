//! Active health checks: whether the instances of a service answer when nobody calls.
//!
//! Each gateway process asks for itself, once per instance and interval, whatever the number of its
//! workers; two that see an upstream differently are both right. An instance is taken to be well until
//! it has failed `unhealthy_after` checks in a row. Then no call goes to it any more, until it has passed
//! `healthy_after` in a row. If none of a service's instances is well, calls get 503
//! `upstream_unavailable` at once: there is no point at which ailing ones are asked all the same, so that
//! "no call" can be relied upon.
//!
//! Beside this stands what calls themselves tell, in [`crate::proxy`].

mod checker;
mod streak;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use common::time::Time;
use tokio::sync::watch;

pub(crate) use checker::Checker;
use streak::Streak;
pub(crate) use streak::{Condition, Failure};

use crate::view::View;

/// The instances that no call goes to, by service. Workers look here; most often it is empty.
pub(crate) type Ailing = HashMap<Arc<str>, Arc<HashSet<Arc<str>>>>;

/// An instance of a service: the service's name, and `host:port`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Place {
    service: Arc<str>,
    origin: Arc<str>,
}

/// What is known of one instance.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    /// What it is taken to be.
    pub(crate) condition: Condition,
    /// Since when; none before the first change.
    pub(crate) since: Option<Time>,
    /// When it was asked last.
    pub(crate) checked_at: Option<Time>,
    /// What was wrong then.
    pub(crate) failure: Option<Failure>,
}

struct Watched {
    streak: Streak,
    standing: Standing,
    /// Told apart from the check that stood here before.
    turn: u64,
}

/// What all checks have found; cheap to clone.
#[derive(Clone)]
pub(crate) struct Health {
    watched: Arc<Mutex<HashMap<Place, Watched>>>,
    ailing: watch::Sender<Arc<Ailing>>,
}

impl Health {
    /// Nothing is watched yet.
    pub(crate) fn new() -> Self {
        Self {
            watched: Arc::default(),
            ailing: watch::Sender::default(),
        }
    }

    /// A worker's view of which instances are left out.
    pub(crate) fn view(&self) -> View<Ailing> {
        View::new(self.ailing.subscribe())
    }

    /// What is known of a service's instances, in the order of these; those that aren't checked are
    /// left out.
    pub(crate) fn of<'a>(
        &self,
        service: &Arc<str>,
        origins: &'a [Arc<str>],
    ) -> Vec<(&'a Arc<str>, Standing)> {
        let watched = self.watched();
        let standing = |origin: &'a Arc<str>| {
            let place = Place {
                service: Arc::clone(service),
                origin: Arc::clone(origin),
            };
            Some((origin, watched.get(&place)?.standing.clone()))
        };
        origins.iter().filter_map(standing).collect()
    }

    /// Begins to watch an instance, as if nothing were known of it.
    fn watch(&self, place: Place, streak: Streak, turn: u64) {
        let standing = Standing {
            condition: Condition::Unknown,
            since: None,
            checked_at: None,
            failure: None,
        };
        let watched = Watched {
            streak,
            standing,
            turn,
        };
        let mut all = self.watched();
        all.insert(place, watched);
        self.tell(&all);
    }

    /// An instance is watched no more.
    fn forget(&self, place: &Place) {
        let mut all = self.watched();
        all.remove(place);
        self.tell(&all);
    }

    /// Takes note of a check. One that has been replaced meanwhile says nothing any more.
    fn note(&self, place: &Place, turn: u64, found: Result<(), Failure>, now: Time) {
        let mut all = self.watched();
        let Some(watched) = all.get_mut(place).filter(|watched| watched.turn == turn) else {
            return;
        };
        let changed = watched.streak.note(found.is_ok());
        watched.standing.checked_at = Some(now);
        watched.standing.failure = found.err();
        let Some(condition) = changed else {
            return;
        };
        watched.standing.condition = condition;
        watched.standing.since = Some(now);
        let (service, upstream) = (&*place.service, &*place.origin);
        match found {
            Ok(()) => tracing::info!(
                service.name = service,
                upstream.address = upstream,
                "an upstream is healthy"
            ),
            Err(failure) => tracing::warn!(
                service.name = service,
                upstream.address = upstream,
                reason = %failure,
                "an upstream is unhealthy: no call goes to it"
            ),
        }
        self.tell(&all);
    }

    /// Tells the workers, if there is anything new.
    fn tell(&self, all: &HashMap<Place, Watched>) {
        let mut ailing: HashMap<Arc<str>, HashSet<Arc<str>>> = HashMap::new();
        for (place, watched) in all {
            if watched.standing.condition == Condition::Unhealthy {
                let of_service = ailing.entry(Arc::clone(&place.service)).or_default();
                of_service.insert(Arc::clone(&place.origin));
            }
        }
        let ailing: Ailing = ailing
            .into_iter()
            .map(|(service, origins)| (service, Arc::new(origins)))
            .collect();
        self.ailing.send_if_modified(|current| {
            let is_new = **current != ailing;
            if is_new {
                *current = Arc::new(ailing);
            }
            is_new
        });
    }

    fn watched(&self) -> MutexGuard<'_, HashMap<Place, Watched>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(origin: &str) -> Place {
        Place {
            service: "shop".into(),
            origin: origin.into(),
        }
    }

    #[test]
    fn what_ails_is_told_once_and_no_more_when_it_is_well_or_gone() {
        let (health, now) = (Health::new(), Time::EPOCH);
        let view = health.view();
        let ailing = || view.with(|ailing| ailing.get("shop").map_or(0, |set| set.len()));
        for origin in ["a:1", "b:1"] {
            health.watch(place(origin), Streak::new(1, 1), 1);
            health.note(&place(origin), 1, Err(Failure::Status(500)), now);
        }
        assert_eq!(ailing(), 2);
        health.note(&place("a:1"), 1, Ok(()), now);
        assert_eq!(ailing(), 1);
        health.forget(&place("b:1"));
        assert_eq!(ailing(), 0);
    }

    #[test]
    fn a_check_that_has_been_replaced_says_nothing() {
        let (health, now) = (Health::new(), Time::EPOCH);
        health.watch(place("a:1"), Streak::new(1, 1), 1);
        health.watch(place("a:1"), Streak::new(1, 1), 2);
        health.note(&place("a:1"), 1, Err(Failure::Silence), now);
        let origins = ["a:1".into(), "b:1".into()];
        let known = health.of(&"shop".into(), &origins);
        assert_eq!(known.len(), 1, "the other isn't watched");
        assert_eq!(known[0].1.condition, Condition::Unknown);
        health.note(&place("a:1"), 2, Err(Failure::Silence), now);
        let (_, standing) = &health.of(&"shop".into(), &origins)[0];
        assert_eq!(standing.condition, Condition::Unhealthy);
        assert_eq!(
            (standing.since, standing.failure),
            (Some(now), Some(Failure::Silence))
        );
    }
}
