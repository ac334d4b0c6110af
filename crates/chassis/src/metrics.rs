//! Metrics in the `OpenMetrics` text format, named after OpenTelemetry's semantic conventions.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HttpLabels {
    http_request_method: String,
    http_route: String,
    http_response_status_class: String,
}

/// A service's metrics; cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
    http: Family<HttpLabels, Histogram, fn() -> Histogram>,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    pub(crate) fn new(service: &'static str) -> Self {
        let label = (
            std::borrow::Cow::Borrowed("service"),
            std::borrow::Cow::Borrowed(service),
        );
        let mut registry = Registry::with_labels([label].into_iter());
        let http =
            Family::<HttpLabels, Histogram, fn() -> Histogram>::new_with_constructor(seconds);
        registry.register(
            "http_server_request_duration_seconds",
            "How long requests took to be answered",
            http.clone(),
        );
        Self {
            registry: Arc::new(Mutex::new(registry)),
            http,
        }
    }

    /// Adds a metric of a service's own.
    pub fn register(&self, name: &str, help: &str, metric: impl Metric) {
        self.registry
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .register(name, help, metric);
    }

    /// Adds metrics that are put together when somebody looks.
    pub fn collect(&self, collector: impl Collector) {
        self.registry
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .register_collector(Box::new(collector));
    }

    /// Takes note of an answered request; `route` is the route's pattern, never a path.
    pub(crate) fn http(&self, method: &str, route: &str, status: u16, took: Duration) {
        let labels = HttpLabels {
            http_request_method: method.to_owned(),
            http_route: route.to_owned(),
            http_response_status_class: format!("{}xx", status / 100),
        };
        self.http.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// All metrics as text.
    pub(crate) fn render(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(
            &mut text,
            &self
                .registry
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner),
        )?;
        Ok(text)
    }
}

fn seconds() -> Histogram {
    Histogram::new([
        0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
    ])
}
