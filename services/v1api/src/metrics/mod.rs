//! What passes the gateway, by service, as numbers for `/metrics`.
//!
//! Requests, latencies and bytes come out of the tallies that calls are counted in, batch by batch: what is
//! shown is at most a batch old, and waits, as the counts themselves do, while the database is away. What
//! is under way and which circuits are open is kept by the workers' pools, each in numbers of its own.
//!
//! At most [`MOST_SERVICES`] services are told apart, the first ones to be called; the others come together
//! as `other`. Neither users nor endpoints are: those are in `GET /v1/usage`.

mod instances;
mod traffic;

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

pub(crate) use instances::{InstanceFigures, Instances, InstancesCollector};
pub(crate) use traffic::Traffic;

use crate::proxy::ForwardError;
use crate::usage::OTHER;

/// How many services have numbers of their own.
const MOST_SERVICES: usize = 200;

/// The services that are told apart.
#[derive(Debug, Default)]
struct Names(HashSet<String>);

impl Names {
    /// The name under which a service is shown.
    fn shown<'a>(&mut self, service: &'a str) -> &'a str {
        if self.0.contains(service) {
            return service;
        }
        if self.0.len() >= MOST_SERVICES {
            return OTHER;
        }
        self.0.insert(service.to_owned());
        service
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FailureLabels {
    target_service: String,
    reason: &'static str,
}

/// Requests that got no answer from their upstream. Counted where they fail, which is rare enough to
/// share one counter among all workers.
#[derive(Debug, Default)]
pub(crate) struct Failures {
    names: Mutex<Names>,
    counters: Family<FailureLabels, Counter>,
}

impl Failures {
    /// The counters, to be registered.
    pub(crate) fn family(&self) -> impl prometheus_client::registry::Metric + use<> {
        self.counters.clone()
    }

    /// Counts a failure, unless it was the client's.
    pub(crate) fn count(&self, service: &str, error: &ForwardError) {
        let Some(reason) = reason(error) else {
            return;
        };
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let labels = FailureLabels {
            target_service: names.shown(service).to_owned(),
            reason,
        };
        drop(names);
        self.counters.get_or_create(&labels).inc();
    }
}

/// What was wrong with the upstream; none where it was the client.
fn reason(error: &ForwardError) -> Option<&'static str> {
    match error {
        ForwardError::Unreachable(_) => Some("unreachable"),
        ForwardError::LeftAlone(_) => Some("circuit_open"),
        ForwardError::AllAiling => Some("unhealthy"),
        ForwardError::Broken(_) | ForwardError::BrokenCall(_) | ForwardError::Closed => {
            Some("broken")
        }
        ForwardError::AnswerTooLarge => Some("too_large"),
        ForwardError::Slow => Some("timeout"),
        ForwardError::ClientSlow
        | ForwardError::Overdue
        | ForwardError::TooLarge
        | ForwardError::Unsendable => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_services_are_told_apart_and_the_rest_come_together() {
        let mut names = Names::default();
        for number in 0..MOST_SERVICES {
            let name = format!("service-{number}");
            assert_eq!(names.shown(&name), name);
        }
        assert_eq!(names.shown("one-more"), OTHER);
        assert_eq!(names.shown("service-7"), "service-7");
    }

    #[test]
    fn what_the_client_did_is_no_failure_of_the_upstream() {
        let failures = Failures::default();
        failures.count("shop", &ForwardError::TooLarge);
        failures.count("shop", &ForwardError::Slow);
        let labels = |reason| FailureLabels {
            target_service: "shop".into(),
            reason,
        };
        assert_eq!(failures.counters.get_or_create(&labels("timeout")).get(), 1);
        let mut registry = prometheus_client::registry::Registry::default();
        registry.register("failures", "x", failures.family());
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        assert_eq!(text.matches("failures_total{").count(), 1, "{text}");
    }
}
