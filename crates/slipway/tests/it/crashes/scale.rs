//! More and fewer instances, and new ones, under load, through the gateway.

use serde_json::json;
use testkit::Backend;

use super::load::Load;
use super::site::{Site, patiently};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_while_an_app_is_scaled_and_restarted() {
    let site = Site::new(Backend::sqlite(), &[]).await;
    site.deploy("v1").await;
    let load = Load::start(&site);
    let environment = site.path(&format!("/environments/{}", site.environment()));
    for count in [3, 1, 2] {
        let body = json!({ "instances": count });
        let (status, answer) = site
            .owner
            .ask(&site.up, reqwest::Method::PATCH, &environment, Some(&body))
            .await;
        assert_eq!(status, 200, "{answer}");
        patiently("as many instances as are wanted", || async {
            let upstreams = site.tables.upstreams(&site.environment()).await;
            // Those that were too many have stopped.
            (upstreams.len() == count
                && site.tables.kept().await.0 == i64::try_from(count).unwrap())
            .then_some(())
        })
        .await;
    }
    let before = site.tables.upstreams(&site.environment()).await;
    let restart = format!("{environment}/restart");
    site.owner.post(&site.up, &restart, &json!({})).await;
    patiently("all instances to be others", || async {
        let now = site.tables.upstreams(&site.environment()).await;
        let are_others = now.len() == 2 && now.iter().all(|at| !before.contains(at));
        (are_others && site.tables.kept().await.0 == 2).then_some(())
    })
    .await;
    let count = load.end().await;
    assert!(count > 100, "{count} requests are no load");
}
