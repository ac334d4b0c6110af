//! Apps that sleep, through the gateway, and a platform that dies while it wakes one.

use slipway_provisioner::failpoints::wake::ALL;
use testkit::Backend;

use super::site::{Site, patiently};

/// Puts the app to sleep, and waits until nothing of it runs.
async fn asleep(site: &Site) {
    let path = site.path(&format!("/environments/{}/sleep", site.environment()));
    site.owner
        .post(&site.up, &path, &serde_json::json!({}))
        .await;
    patiently("the app to stop", || async {
        (site.tables.kept().await.0 == 0).then_some(())
    })
    .await;
    let environment = site.path(&format!("/environments/{}", site.environment()));
    patiently("the app to be seen asleep", || async {
        let seen = site.owner.get(&site.up, &environment).await;
        (seen["environment"]["status"] == "asleep").then_some(())
    })
    .await;
}

testkit::on_both_backends! {
    async fn a_wake_goes_on_wherever_the_platform_is_killed(backend: Backend) {
        let mut site = Site::new(backend, &[]).await;
        site.deploy("v1").await;
        for point in ALL {
            asleep(&site).await;
            site.up.stop().await;
            site.up.restart_with(&[("SLIPWAY_FAILPOINT", point)]).await;
            // Whoever asks finds nobody: the platform dies.
            let client = crate::harness::client();
            let request = client.get(&site.up.url).header("host", site.host());
            let asked = tokio::spawn(request.send());
            site.up.end().await.unwrap_or_else(|| panic!("{point} was not passed\n{}", site.up.log()));
            assert!(asked.await.unwrap().is_err(), "{point}");
            site.up.restart().await;
            site.answers("v1").await;
            assert_eq!(site.tables.kept().await.0, 1, "{point}: one instance runs");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_request_wakes_an_app_and_all_that_wait_are_answered() {
    let site = Site::new(Backend::sqlite(), &[]).await;
    site.deploy("v1").await;
    asleep(&site).await;
    let mut asked = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let request = crate::harness::client().get(&site.up.url);
        let request = request.header("host", site.host());
        asked.spawn(async move {
            let response = request.send().await.unwrap();
            (response.status().as_u16(), response.text().await.unwrap())
        });
    }
    let answers = asked.join_all().await;
    for (status, text) in &answers {
        assert_eq!(*status, 200, "{text}");
        assert_eq!(text, &answers[0].1, "one process answers all");
    }
    assert_eq!(site.tables.kept().await.0, 1);
}
