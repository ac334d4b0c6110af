//! The API documents of all services as one: `/openapi.json`, and `/docs` for people.

pub(crate) mod http;
mod merge;
mod page;

use std::sync::Arc;
use std::time::{Duration, Instant};

use chassis::Context;
use serde_json::Value;
use tokio::sync::Mutex;

use crate::platform::SERVICES;

/// For how long a document is good in which every service's part is.
const WHOLE_FOR: Duration = Duration::from_mins(1);
/// For how long one is in which some part is missing.
const PARTIAL_FOR: Duration = Duration::from_secs(2);

/// A document, and until when it is good.
type Kept = (Instant, Arc<Value>);

/// The merged document, as it was last put together.
#[derive(Clone)]
pub(crate) struct Documents {
    own: Arc<Value>,
    last: Arc<Mutex<Option<Kept>>>,
}

impl Documents {
    /// `own` is the gateway's document, which the others' parts are added to.
    pub(crate) fn new(own: Value) -> Self {
        Self {
            own: Arc::new(own),
            last: Arc::default(),
        }
    }

    /// The document of the whole platform. A service that can't be reached leaves a gap until it can.
    pub(crate) async fn merged(&self, context: &Context) -> Arc<Value> {
        let mut last = self.last.lock().await;
        if let Some((until, document)) = last.as_ref()
            && Instant::now() < *until
        {
            return Arc::clone(document);
        }
        let fetched =
            futures_util::future::join_all(SERVICES.iter().map(|service| fetch(context, service)))
                .await;
        let whole = fetched.iter().all(|(_, reached)| *reached);
        let parts = SERVICES
            .iter()
            .copied()
            .zip(fetched)
            .filter_map(|(service, (part, _))| Some((service, part?)));
        let document = Arc::new(merge::merge((*self.own).clone(), parts.collect()));
        let good_for = if whole { WHOLE_FOR } else { PARTIAL_FOR };
        *last = Some((Instant::now() + good_for, Arc::clone(&document)));
        document
    }
}

/// A service's document, if it has one, and whether that is certain.
async fn fetch(context: &Context, service: &str) -> (Option<Value>, bool) {
    match context
        .calls
        .get_open::<Value>(service, "/internal/openapi.json")
        .await
    {
        Ok(document) => (Some(document), true),
        Err(error) if error.is_not_found() => (None, true),
        Err(error) => {
            tracing::warn!(service, error = %error, "an API document could not be read");
            (None, false)
        }
    }
}
