//! Requests, latencies and bytes by service.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use super::Names;
use crate::usage::{Batch, Figures};

/// A service, a method, the first digit of a status.
type Kind = (String, String, u8);

/// A counter's name, what it is, and which of the figures it shows.
type Bytes = (&'static str, &'static str, fn(&Figures) -> i64);

#[derive(Debug, Default)]
struct Sums {
    names: Names,
    requests: BTreeMap<Kind, u64>,
    services: BTreeMap<String, Figures>,
}

/// What has passed since the process began; cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Traffic(Arc<Mutex<Sums>>);

impl Traffic {
    /// Adds a batch of counted calls.
    pub(crate) fn add(&self, batch: &Batch) {
        let mut sums = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (call, figures) in batch {
            let service = sums.names.shown(&call.service).to_owned();
            let of_service = sums.services.entry(service.clone()).or_default();
            of_service.add(figures);
            let kind = (service, call.method.clone(), call.status_class);
            let requests = sums.requests.entry(kind).or_default();
            *requests = requests.saturating_add(unsigned(figures.calls));
        }
    }
}

fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

impl Collector for Traffic {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let sums = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let help = "Calls that were answered, those that were refused too";
        let mut requests =
            encoder.encode_descriptor("gateway_requests", help, None, MetricType::Counter)?;
        for ((service, method, class), count) in &sums.requests {
            let class = format!("{class}xx");
            let labels = [
                ("target_service", service.as_str()),
                ("http_request_method", method.as_str()),
                ("http_response_status_class", class.as_str()),
            ];
            let mut of_kind = requests.encode_family(&labels)?;
            of_kind.encode_counter::<NoLabelSet, _, u64>(count, None)?;
        }
        let bytes: [Bytes; 2] = [
            (
                "gateway_request_body_bytes",
                "Bodies of requests",
                |figures| figures.bytes_in,
            ),
            (
                "gateway_response_body_bytes",
                "Bodies of answers",
                |figures| figures.bytes_out,
            ),
        ];
        for (name, help, of) in bytes {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (service, figures) in &sums.services {
                let labels = [("target_service", service.as_str())];
                let mut of_service = family.encode_family(&labels)?;
                of_service.encode_counter::<NoLabelSet, _, u64>(&unsigned(of(figures)), None)?;
            }
        }
        let help = "Until the head of the answer; the sum is put together from the buckets' ends";
        let name = "gateway_request_duration_seconds";
        let mut durations = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (service, figures) in &sums.services {
            let labels = [("target_service", service.as_str())];
            let mut of_service = durations.encode_family(&labels)?;
            let (buckets, count, sum) = figures.latencies.histogram();
            of_service.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use prometheus_client::encoding::text::encode;
    use prometheus_client::registry::Registry;

    use super::*;
    use crate::usage::{OwnedCall, Spent};

    #[test]
    fn batches_come_together_by_service_method_and_class() {
        let call = |method: &str, status_class| OwnedCall {
            user: "user_1".into(),
            key: "key_1".into(),
            service: "shop".into(),
            endpoint: "/orders/:id".into(),
            method: method.into(),
            status_class,
            hour: 1,
        };
        let mut figures = Figures::default();
        figures.count(&Spent {
            time: Duration::from_millis(1),
            bytes_in: 3,
            bytes_out: 5,
        });
        let traffic = Traffic::default();
        traffic.add(&vec![
            (call("GET", 2), figures.clone()),
            (call("GET", 5), figures.clone()),
        ]);
        traffic.add(&vec![(call("GET", 2), figures)]);
        let mut registry = Registry::default();
        registry.register_collector(Box::new(traffic));
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        for line in [
            r#"gateway_requests_total{target_service="shop",http_request_method="GET",http_response_status_class="2xx"} 2"#,
            r#"gateway_requests_total{target_service="shop",http_request_method="GET",http_response_status_class="5xx"} 1"#,
            r#"gateway_request_body_bytes_total{target_service="shop"} 9"#,
            r#"gateway_response_body_bytes_total{target_service="shop"} 15"#,
            r#"gateway_request_duration_seconds_count{target_service="shop"} 3"#,
            r#"gateway_request_duration_seconds_bucket{le="+Inf",target_service="shop"} 3"#,
            r#"gateway_request_duration_seconds_bucket{le="0.0008",target_service="shop"} 0"#,
        ] {
            assert!(text.lines().any(|other| other == line), "{line} in {text}");
        }
        for private in ["user_1", "key_1", "orders"] {
            assert!(!text.contains(private), "{private} in {text}");
        }
    }
}
