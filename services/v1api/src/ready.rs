//! Whether everything behind the gateway is ready.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::{HttpResponse, web};
use chassis::Context;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::platform::SERVICES;
use crate::state::State;

/// For how long an answer is good: anybody may ask, and each question is one to every service.
const GOOD_FOR: Duration = Duration::from_millis(200);
/// How long a service may take to say that it is ready.
const PATIENCE: Duration = Duration::from_secs(2);

/// What was found last.
#[derive(Clone, Default)]
pub(crate) struct Readiness(Arc<Mutex<Option<(Instant, bool)>>>);

impl Readiness {
    async fn is_ready(&self, context: &Context) -> bool {
        let mut last = self.0.lock().await;
        if let Some((at, ready)) = *last
            && at.elapsed() < GOOD_FOR
        {
            return ready;
        }
        let all = SERVICES
            .iter()
            .copied()
            .chain([crate::NAME])
            .map(|service| is_ready(context, service));
        let ready = futures_util::future::join_all(all)
            .await
            .into_iter()
            .all(|ready| ready);
        *last = Some((Instant::now(), ready));
        ready
    }
}

async fn is_ready(context: &Context, service: &str) -> bool {
    let asked = context.calls.get_open::<Value>(service, "/readyz");
    matches!(tokio::time::timeout(PATIENCE, asked).await, Ok(Ok(_)))
}

/// The gateway answers.
pub(crate) async fn healthz() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "ok" }))
}

/// Every service answers and is ready.
pub(crate) async fn readyz(context: web::Data<Context>, state: web::Data<State>) -> HttpResponse {
    if state.readiness.is_ready(&context).await {
        HttpResponse::Ok().json(json!({ "status": "ready" }))
    } else {
        HttpResponse::ServiceUnavailable().json(json!({ "status": "not ready" }))
    }
}
