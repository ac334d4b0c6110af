//! Two platforms on one database and one broker, as replicas: what one dies with, the other finishes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use testkit::Backend;

use super::delivery::{every_event_was_applied_once, settled};
use super::site::{Site, patiently, up_on};
use super::watch::{Watch, get};

/// Long enough for the other to be there before it is over.
const SLOW: &str = "[build]\ncommand = \"sleep 6\"\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_provisioner_takes_over_a_dead_ones_build() {
    let key = STANDARD.encode(common::random::bytes::<32>());
    let shared = [("SLIPWAY_SECRETS__MASTER_KEY", key.as_str())];
    let mut site = Site::new(Backend::distributed().await, &shared).await;
    let earlier = site.deploy("v1").await;
    let old = site.address().await;
    let before = get(old).unwrap();
    let watch = Watch::start(old);

    site.app.write("slipway.toml", SLOW);
    site.app.commit("v2");
    let build = site.ask().await;
    patiently("the first one to build", || async {
        let state = site.tables.build("project", &build).await.state;
        (state == "building").then_some(())
    })
    .await;
    let second = up_on(&site.backend, &shared).await;
    site.app.copy_to(&second.data_dir);
    let mut first = std::mem::replace(&mut site.up, second);
    first.kill().await;
    let begun = site.tables.build("provisioner", &build).await;
    assert_eq!(begun.state, "building", "it died in the middle");

    let over = site.over(&build).await;
    assert_eq!(over["state"], "live", "{over}\n{}", site.up.log());
    site.answers("v2").await;
    let log = site.path(&format!("/builds/{build}/logs"));
    let log = site.owner.get(&site.up, &log).await.to_string();
    assert!(log.contains("begun again"), "{log}");
    let switched = site.tables.build("provisioner", &build).await.finished_at;
    watch.end().served_until(&before, switched.unwrap());

    // What the first one left is its own to clear away.
    first.restart().await;
    settled(&site).await;
    assert_eq!(get(old), None, "the release before has stopped");
    every_event_was_applied_once(&site, &[earlier, build]).await;
}
