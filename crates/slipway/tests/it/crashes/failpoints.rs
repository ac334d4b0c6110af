//! The platform is killed at every named point of a build, and goes on from there.

use std::os::unix::process::ExitStatusExt as _;

use slipway_provisioner::failpoints::{self, ALL};

use super::delivery::{every_event_was_applied_once, settled};
use super::site::Site;
use super::watch::{Watch, get};

/// The points after the switch: what was live before may be gone there.
const AFTER_SWITCH: [&str; 5] = [
    failpoints::AFTER_SWITCH,
    failpoints::BEFORE_DONE,
    failpoints::BEFORE_RETIRED,
    failpoints::AFTER_RETIRED,
    failpoints::BEFORE_REMOVED,
];

testkit::on_both_backends! {
    // Together they visit all points; each half is short enough to be waited for.
    async fn a_build_goes_on_wherever_the_platform_is_killed_in_its_first_half(backend: Backend) {
        let (first, _) = ALL.split_at(ALL.len() / 2);
        killed_at_each(Site::new(backend, &[]).await, first).await;
    }

    async fn a_build_goes_on_wherever_the_platform_is_killed_in_its_second_half(backend: Backend) {
        let (_, second) = ALL.split_at(ALL.len() / 2);
        killed_at_each(Site::new(backend, &[]).await, second).await;
    }
}

#[test]
fn there_are_points_all_along_the_way() {
    assert!(ALL.len() >= 15, "{ALL:?}");
}

async fn killed_at_each(mut site: Site, points: &[&str]) {
    let mut builds = vec![site.deploy("first").await];
    for point in points {
        settled(&site).await;
        builds.push(killed_at(&mut site, point).await);
    }
    settled(&site).await;
    every_event_was_applied_once(&site, &builds).await;
}

/// Has the platform killed there in the middle of a deployment, and starts it again; the build.
async fn killed_at(site: &mut Site, point: &str) -> String {
    let address = site.address().await;
    let before = get(address).unwrap();
    site.up.stop().await;
    site.up.restart_with(&[("SLIPWAY_FAILPOINT", point)]).await;
    let watch = Watch::start(address);
    site.app.commit(point);
    let build = site.ask().await;

    let ended = site.up.end().await;
    let ended = ended.unwrap_or_else(|| panic!("{point} was not passed\n{}", site.up.log()));
    assert!(
        ended.core_dumped() || ended.signal().is_some(),
        "{point}: {ended}"
    );
    let answers_now = get(site.address().await);
    let live_now = answers_now.unwrap_or_else(|| panic!("nobody answers after a death at {point}"));
    if !AFTER_SWITCH.contains(&point) {
        assert_eq!(
            live_now, before,
            "{point}: the old release goes on, in the same process"
        );
    }

    site.up.restart().await;
    let over = site.over(&build).await;
    assert_eq!(over["state"], "live", "{point}: {over}\n{}", site.up.log());
    let pid = site.answers(point).await;
    if AFTER_SWITCH.contains(&point) {
        assert_eq!(
            live_now,
            format!("{point} {pid}"),
            "the new one runs on, too"
        );
    }
    let switched = site.tables.build("provisioner", &build).await.finished_at;
    watch.end().served_until(&before, switched.unwrap());
    build
}
