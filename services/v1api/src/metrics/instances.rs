//! What is under way, whose circuit is open, and who fails its checks.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};
use std::time::Instant;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;
use tokio::sync::watch;

use super::{MOST_SERVICES, OTHER};
use crate::health::{Condition, Health};
use crate::table::Table;

/// Moments are kept as numbers since here.
static BEGINNING: LazyLock<Instant> = LazyLock::new(Instant::now);

/// One worker's numbers of one instance. Only that worker writes them: it waits for nobody.
#[derive(Debug, Default)]
pub(crate) struct InstanceFigures {
    in_flight: AtomicU32,
    /// Until when the circuit is open, in milliseconds since [`BEGINNING`].
    open_until: AtomicI64,
}

impl InstanceFigures {
    /// So many requests are under way.
    pub(crate) fn set_in_flight(&self, count: u32) {
        self.in_flight.store(count, Ordering::Relaxed);
    }

    /// The circuit is open until then; none where it is closed.
    pub(crate) fn set_open_until(&self, until: Option<Instant>) {
        let until = until.map_or(0, |until| millis(until).max(1));
        self.open_until.store(until, Ordering::Relaxed);
    }

    fn is_open(&self, now: i64) -> bool {
        self.open_until.load(Ordering::Relaxed) > now
    }
}

fn millis(moment: Instant) -> i64 {
    let since = moment.saturating_duration_since(*BEGINNING);
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

type ByAddress = HashMap<Arc<str>, Vec<Weak<InstanceFigures>>>;

/// All workers' numbers of all instances; cheap to clone. It is locked where a worker meets an instance
/// for the first time, and where somebody looks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Instances(Arc<Mutex<ByAddress>>);

impl Instances {
    /// The numbers of one more worker for the instance at this address.
    pub(crate) fn add(&self, address: &Arc<str>) -> Arc<InstanceFigures> {
        let figures = Arc::new(InstanceFigures::default());
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Releases come and go, each with addresses of its own.
        all.retain(|_, of_address| {
            of_address.retain(|figures| figures.strong_count() > 0);
            !of_address.is_empty()
        });
        let of_address = all.entry(Arc::clone(address)).or_default();
        of_address.push(Arc::downgrade(&figures));
        figures
    }

    /// What is under way at an instance, and how many workers leave it alone.
    fn sums(&self, address: &str, now: i64) -> (u64, u64) {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_address = all.get(address).into_iter().flatten();
        of_address
            .filter_map(Weak::upgrade)
            .fold((0, 0), |(in_flight, open), figures| {
                let more = figures.in_flight.load(Ordering::Relaxed);
                (
                    in_flight + u64::from(more),
                    open + u64::from(figures.is_open(now)),
                )
            })
    }
}

/// The numbers of one service.
#[derive(Debug, Default)]
struct OfService {
    in_flight: u64,
    open: u64,
    healthy: u64,
    unhealthy: u64,
}

/// A gauge's name, what it is, and which of the numbers it shows.
type Gauge = (&'static str, &'static str, fn(&OfService) -> u64);

/// Brings instances and the routes together, whenever somebody looks.
pub(crate) struct InstancesCollector {
    instances: Instances,
    routes: watch::Receiver<Arc<Table>>,
    health: Health,
}

impl fmt::Debug for InstancesCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InstancesCollector")
    }
}

impl InstancesCollector {
    /// Shows these instances by the services of these routes.
    pub(crate) fn new(
        instances: Instances,
        routes: watch::Receiver<Arc<Table>>,
        health: Health,
    ) -> Self {
        Self {
            instances,
            routes,
            health,
        }
    }

    fn by_service(&self) -> BTreeMap<String, OfService> {
        let table = Arc::clone(&self.routes.borrow());
        let now = millis(Instant::now());
        let mut services: Vec<_> = table.services().collect();
        services.sort_by(|one, other| one.label.cmp(&other.label));
        let mut sums: BTreeMap<String, OfService> = BTreeMap::new();
        for (at, service) in services.into_iter().enumerate() {
            let name = if at < MOST_SERVICES {
                service.label.to_string()
            } else {
                OTHER.to_owned()
            };
            let origins = table.origins(service);
            let sum = sums.entry(name).or_default();
            for origin in origins {
                let (in_flight, open) = self.instances.sums(origin, now);
                sum.in_flight += in_flight;
                sum.open += open;
            }
            for (_, standing) in self.health.of(&service.label, origins) {
                match standing.condition {
                    Condition::Unhealthy => sum.unhealthy += 1,
                    Condition::Healthy => sum.healthy += 1,
                    Condition::Unknown => {}
                }
            }
        }
        sums
    }
}

impl Collector for InstancesCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let sums = self.by_service();
        let gauges: [Gauge; 4] = [
            (
                "gateway_upstream_in_flight",
                "Requests under way at a service's upstreams",
                |sum| sum.in_flight,
            ),
            (
                "gateway_upstream_circuits_open",
                "Open circuits to a service's upstreams, each worker having its own",
                |sum| sum.open,
            ),
            (
                "gateway_upstream_healthy",
                "Upstreams of a service that pass their health checks",
                |sum| sum.healthy,
            ),
            (
                "gateway_upstream_unhealthy",
                "Upstreams of a service that fail their health checks, and get no calls",
                |sum| sum.unhealthy,
            ),
        ];
        for (name, help, of) in gauges {
            let mut gauge = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (service, sum) in &sums {
                let labels = [("target_service", service.as_str())];
                gauge.encode_family(&labels)?.encode_gauge(&of(sum))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_workers_numbers_come_together_and_go_with_their_instances() {
        let (instances, address) = (Instances::default(), Arc::from("a:1"));
        let (one, two) = (instances.add(&address), instances.add(&address));
        one.set_in_flight(2);
        two.set_in_flight(3);
        let now = Instant::now();
        two.set_open_until(Some(now + Duration::from_secs(1)));
        let now = millis(now);
        assert_eq!(instances.sums("a:1", now), (5, 1));
        assert_eq!(
            instances.sums("a:1", now + 2_000),
            (5, 0),
            "it is over by itself"
        );
        two.set_open_until(None);
        assert_eq!(instances.sums("a:1", now), (5, 0));
        drop(one);
        assert_eq!(instances.sums("a:1", now), (3, 0));
        drop(two);
        let _other = instances.add(&Arc::from("b:1"));
        assert_eq!(
            instances.0.lock().unwrap().len(),
            1,
            "nothing is kept of the first"
        );
    }
}
