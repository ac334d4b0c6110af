//! A broker and a database that go away and come back. The machine's own go on: a proxy is cut.

use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Backend, Proxy};

use super::delivery::all_delivered;
use super::person::Person;
use super::site::{Site, patiently};
use crate::harness::client;

const SLOW: &str = "[build]\ncommand = \"sleep 2\"\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_written_without_the_broker_is_delivered_once_it_is_back() {
    let backend = Backend::distributed().await;
    let (url, _) = backend.amqp().unwrap();
    let broker = Proxy::before(&url).await;
    let site = Site::new(backend, &[("SLIPWAY_AMQP__URL", broker.url())]).await;
    site.deploy("v1").await;
    let pid = site.answers("v1").await;

    broker.cut(true);
    readiness(&site, 503).await;
    // Who joins now is a member everywhere at once, whatever is not yet told.
    let eve = Person::register(&site.up, "eve@example.com").await;
    let invite = format!("/v1/accounts/{}/invite", site.account);
    let role = json!({ "role": "developer" });
    let invite = site.owner.post(&site.up, &invite, &role).await;
    let accept = json!({ "token": invite["token"] });
    eve.post(&site.up, "/v1/invite/accept", &accept).await;
    eve.get(&site.up, &site.path("")).await;
    site.app.commit("v2");
    let build = site.ask().await;
    assert_eq!(site.answers("v1").await, pid);
    let waiting = site.tables.on_the_way().await;
    for kind in [
        "account: dev.slipway.user.created",
        "project: dev.slipway.build.requested",
    ] {
        assert!(waiting.iter().any(|event| event == kind), "{waiting:?}");
    }
    assert_eq!(site.tables.build("project", &build).await.state, "queued");

    broker.cut(false);
    readiness(&site, 200).await;
    assert_eq!(site.over(&build).await["state"], "live");
    site.answers("v2").await;
    all_delivered(&site).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_database_apps_go_on_and_the_rest_says_so_until_it_is_back() {
    let backend = Backend::distributed().await;
    let database = Proxy::before(&backend.postgres_url().unwrap()).await;
    let site = Site::new(backend, &[("SLIPWAY_DATABASE__URL", database.url())]).await;
    site.deploy("v1").await;
    let pid = site.answers("v1").await;
    site.app.write("slipway.toml", SLOW);
    site.app.commit("v2");
    let build = site.ask().await;
    patiently("it to be built", || async {
        let state = site.tables.build("project", &build).await.state;
        (state == "building").then_some(())
    })
    .await;

    database.cut(true);
    readiness(&site, 503).await;
    let body = json!({ "environment_id": site.environment() });
    let asked = [
        (Method::GET, site.path(""), None),
        (Method::POST, site.path("/build"), Some(&body)),
    ];
    for (method, path, body) in asked {
        let (status, problem) = site.owner.ask(&site.up, method, &path, body).await;
        assert_eq!(
            (status, &problem["status"]),
            (503, &json!(503)),
            "{path}: {problem}"
        );
        assert!(problem["code"].is_string(), "{problem}");
        let detail = problem["detail"].to_string();
        assert!(
            !detail.contains("SELECT") && !detail.contains("5432"),
            "{detail}"
        );
    }
    let (status, text) = site.call("/").await;
    assert_eq!((status, text), (200, format!("v1 {pid}")));

    database.cut(false);
    readiness(&site, 200).await;
    let over = site.over(&build).await;
    assert_eq!(over["state"], "live", "{over}\n{}", site.up.log());
    site.answers("v2").await;
    site.deploy("v3").await;
    all_delivered(&site).await;
}

/// Waits until the gateway says that the platform is ready, or not.
async fn readiness(site: &Site, status: u16) {
    patiently("the readiness to change", || async {
        let request = client().get(format!("{}/readyz", site.up.url));
        let response = request.send().await.ok()?;
        let is = response.status().as_u16() == status;
        let told: Value = response.json().await.ok()?;
        (is && told["status"].is_string()).then_some(())
    })
    .await;
}
