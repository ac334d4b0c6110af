//! Builds that are asked for at once.

use std::collections::BTreeSet;

use common::time::Time;
use serde_json::Value;

use super::site::{Site, patiently};

const SLOW: &str = "[build]\ncommand = \"sleep 1\"\n";

testkit::on_both_backends! {
    async fn of_builds_that_wait_the_newest_wins(backend: Backend) {
        let site = Site::new(backend, &[]).await;
        site.app.write("slipway.toml", SLOW);
        site.app.commit("v1");
        let running = site.ask().await;
        patiently("the first to run", || async {
            let state = site.tables.build("project", &running).await.state;
            (state == "building").then_some(())
        })
        .await;
        let waiting = site.ask().await;
        patiently("it to be queued", || async {
            site.tables.states("provisioner").await.contains_key(&waiting).then_some(())
        })
        .await;
        site.app.commit("v2");
        let newest = site.ask().await;
        let mut states = Vec::new();
        for build in [&running, &waiting, &newest] {
            states.push(site.over(build).await["state"].as_str().unwrap().to_owned());
        }
        assert_eq!(states, ["live", "superseded", "live"]);
        site.answers("v2").await;
    }

    async fn builds_asked_for_at_once_end_all_and_never_run_beside_one_another(backend: Backend) {
        let site = Site::new(backend, &[]).await;
        site.app.write("slipway.toml", SLOW);
        site.app.commit("v1");
        let (a, b, c, d) = tokio::join!(site.ask(), site.ask(), site.ask(), site.ask());
        let asked = BTreeSet::from([a, b, c, d]);
        assert_eq!(asked.len(), 4);
        let mut ran = Vec::new();
        for build in &asked {
            let over = site.over(build).await;
            match over["state"].as_str().unwrap() {
                "live" => ran.push((time(&over["started_at"]), time(&over["finished_at"]), build.clone())),
                "superseded" => {}
                other => panic!("{other}: {over}"),
            }
        }
        ran.sort();
        for pair in ran.windows(2) {
            assert!(pair[0].1 <= pair[1].0, "{pair:?}");
        }
        let (_, _, last) = ran.last().expect("one ran");
        let environment = site.path(&format!("/environments/{}", site.environment()));
        patiently("the last to be known as live", || async {
            let environment = &site.owner.get(&site.up, &environment).await["environment"];
            (environment["live_build_id"] == **last).then_some(())
        })
        .await;
    }
}

fn time(value: &Value) -> Time {
    serde_json::from_value(value.clone()).unwrap()
}
