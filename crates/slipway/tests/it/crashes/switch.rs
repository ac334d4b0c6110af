//! From one release to the next under load, through the gateway.

use testkit::Backend;

use super::load::Load;
use super::site::Site;
use super::watch::get;

/// An app that starts and never listens.
const DEAF: &str = "web: echo I hear nothing; exec sleep 1000\nrelease: echo migrated\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_while_releases_are_switched() {
    let site = Site::new(Backend::sqlite(), &[]).await;
    site.deploy("v1").await;
    let load = Load::start(&site);
    for version in ["v2", "v3", "v4"] {
        let old = site.address().await;
        site.deploy(version).await;
        testkit::eventually("the old release to stop", || {
            get(old).is_none().then_some(())
        })
        .await;
    }
    let count = load.end().await;
    assert!(count > 100, "{count} requests are no load");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_that_never_becomes_healthy_leaves_the_old_one_live() {
    let settings = [("SLIPWAY_APPS__HEALTH_TIMEOUT", "2s")];
    let site = Site::new(Backend::sqlite(), &settings).await;
    let live = site.deploy("v1").await;
    let pid = site.answers("v1").await;
    let load = Load::start(&site);

    site.app.write("Procfile", DEAF);
    site.app.commit("v2");
    let failed = site.over(&site.ask().await).await;
    assert_eq!(failed["state"], "failed", "{failed}");
    let reason = failed["reason"].as_str().unwrap();
    assert!(reason.contains("healthy"), "{reason}");
    let log = site.path(&format!("/builds/{}/logs", failed["id"].as_str().unwrap()));
    let log = site.owner.get(&site.up, &log).await.to_string();
    assert!(log.contains("I hear nothing"), "{log}");

    load.end().await;
    assert_eq!(site.answers("v1").await, pid, "the same process");
    let environment = site.path(&format!("/environments/{}", site.environment()));
    let environment = &site.owner.get(&site.up, &environment).await["environment"];
    assert_eq!(
        (&environment["status"], &environment["live_build_id"]),
        (&"live".into(), &live.into())
    );
    assert_eq!(site.tables.kept().await.0, 1, "the new instance is gone");
}
