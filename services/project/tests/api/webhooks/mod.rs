//! Webhooks, with a receiver of the test's own.

mod lifecycle;
mod sending;
mod trouble;

use serde_json::{Value, json};
use testkit::{Backend, Hooks};

use crate::harness::{Api, Member, run_with};

/// A webhook that a test has made.
pub(super) struct Made {
    pub(super) path: String,
    pub(super) id: String,
    pub(super) secret: String,
}

/// Starts the service with a receiver inside that it may call, and pauses that a test can wait for.
pub(super) async fn with_hooks(
    backend: Backend,
    more: &[(&str, &str)],
    test: impl AsyncFnOnce(&Api, &Hooks),
) {
    let hooks = Hooks::start().await;
    let mut settings = vec![
        ("webhooks.allowed_addresses", "127.0.0.1"),
        ("webhooks.allow_http", "true"),
        ("webhooks.retries", "10ms,10ms"),
    ];
    settings.extend(more);
    run_with(backend, &settings, async |api| test(api, &hooks).await).await;
}

/// Makes a webhook at a path of the receiver.
pub(super) async fn make(
    api: &Api,
    by: &Member,
    hooks: &Hooks,
    path: &str,
    types: &[&str],
) -> Made {
    let body = json!({ "url": hooks.url(path), "event_types": types });
    let body = api.post(&by.path("/webhooks"), by, body).await.expect(201);
    let id = body["webhook"]["id"].as_str().unwrap().to_owned();
    Made {
        path: by.path(&format!("/webhooks/{id}")),
        id,
        secret: body["secret"].as_str().unwrap().to_owned(),
    }
}

/// Asks for a test; the delivery's id.
pub(super) async fn test(api: &Api, by: &Member, made: &Made) -> String {
    let body = api
        .post(&format!("{}/test", made.path), by, json!({}))
        .await;
    let body = body.expect(202);
    body["delivery"]["id"].as_str().unwrap().to_owned()
}

/// The deliveries of a webhook, once they are as wanted.
pub(super) async fn deliveries(
    api: &Api,
    by: &Member,
    made: &Made,
    wanted: impl Fn(&[Value]) -> bool,
) -> Vec<Value> {
    let path = format!("{}/deliveries?limit=100", made.path);
    let list = |body: &Value| body["deliveries"].as_array().unwrap().clone();
    let body = api.until(&path, by, |body| wanted(&list(body))).await;
    list(&body)
}

/// Whether the newest delivery stands here.
pub(super) fn newest_is(status: &str) -> impl Fn(&[Value]) -> bool {
    move |all| all.first().is_some_and(|newest| newest["status"] == status)
}
