//! Nothing is lost on the way, nothing comes twice.

use common::event::BuildState;

use super::site::{Site, patiently};

/// Waits until nothing is on its way.
pub(super) async fn all_delivered(site: &Site) {
    patiently("all to be delivered", || async {
        site.tables.on_the_way().await.is_empty().then_some(())
    })
    .await;
    site.tables.nothing_is_dead().await;
}

/// Waits until nothing is left to be delivered, stopped or removed.
pub(super) async fn settled(site: &Site) {
    patiently("all to be delivered and removed", || async {
        let settled =
            site.tables.on_the_way().await.is_empty() && site.tables.kept().await == (1, 1);
        settled.then_some(())
    })
    .await;
}

/// Each event came once to each who hears it, none is missing, and all of them know the same.
pub(super) async fn every_event_was_applied_once(site: &Site, builds: &[String]) {
    let tables = &site.tables;
    tables.nothing_is_dead().await;
    let states = tables.states("provisioner").await;
    assert_eq!(states.len(), builds.len());
    assert_eq!(
        states,
        tables.states("project").await,
        "both know the same of all builds"
    );
    let handler = "provisioner.progress";
    let (told, applied) = (
        tables.came("project").await,
        tables.applied("project", handler).await,
    );
    let switches = tables.came("v1api").await;
    for build in builds {
        let row = tables.build("provisioner", build).await;
        assert_eq!(row.state, BuildState::Live.as_str(), "{row:?}");
        let versions: Vec<i64> = told
            .iter()
            .filter(|came| came.handler == handler && came.subject == *build)
            .map(|came| came.version)
            .collect();
        assert_eq!(
            versions,
            (1..=row.version).collect::<Vec<_>>(),
            "each once, none missing"
        );
        assert_eq!(applied[build], row.version);
        let live = switches.iter().filter(|came| {
            came.kind == "dev.slipway.deployment.live" && came.data()["build_id"] == **build
        });
        assert_eq!(live.count(), 1, "one switch for each build");
    }
}
