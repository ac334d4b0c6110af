//! Apps that nobody asks for sleep, and are woken.

use common::event::{Deployment, ProjectEvent, ProvisionerEvent};
use serde_json::json;
use testkit::eventually;

use super::world::{World, answers, app};

/// An app that doesn't start while its variable says so.
const PROCFILE: &str = "web: test -z \"$BROKEN\" && exec python3 app.py\n";

/// The newest news of the deployment, whatever it is.
fn last(world: &World<'_>) -> (i64, ProvisionerEvent) {
    let told = world
        .told()
        .into_iter()
        .filter(|(_, event)| state_of(event).is_some());
    told.max_by_key(|(version, _)| *version).unwrap()
}

fn state_of(event: &ProvisionerEvent) -> Option<&Deployment> {
    match event {
        ProvisionerEvent::DeploymentLive(state)
        | ProvisionerEvent::DeploymentFailed(state)
        | ProvisionerEvent::DeploymentAsleep(state) => Some(state),
        _ => None,
    }
}

impl World<'_> {
    async fn sleep(&self) -> String {
        let path = format!(
            "/internal/environments/{}/sleep",
            self.environment.environment_id
        );
        self.post("project", &path, json!({})).await["standing"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    async fn wake(&self) -> String {
        let path = format!(
            "/internal/environments/{}/wake",
            self.environment.environment_id
        );
        for _ in 0..10 {
            let answer = self
                .post("v1api", &path, json!({ "wait_ms": 10_000 }))
                .await;
            if answer["standing"] != "waking" {
                return answer["standing"].as_str().unwrap().to_owned();
            }
        }
        panic!("it is still being woken: {:?}", self.told());
    }

    async fn asleep(&self, version: i64) -> Deployment {
        let asleep = eventually("the news that it sleeps", || match last(self) {
            (now, ProvisionerEvent::DeploymentAsleep(state)) if now > version => Some(state),
            _ => None,
        });
        asleep.await
    }

    fn lives(&self) -> usize {
        let told = self.told();
        told.iter()
            .filter(|(_, event)| matches!(event, ProvisionerEvent::DeploymentLive(_)))
            .count()
    }
}

testkit::on_both_backends! {
    async fn an_app_sleeps_and_many_who_ask_at_once_wake_it_once(backend: Backend) {
        let world = World::new(&backend, &[("Procfile", PROCFILE), ("app.py", &app("one "))]).await;
        let (_, before) = world.deploy().await;
        assert_eq!(world.sleep().await, "asleep");
        let asleep = world.asleep(0).await;
        assert!(asleep.asleep && asleep.upstreams.is_empty());
        assert_eq!(asleep.release_id, before.release_id);
        eventually("the app to stop", || (!answers(before.upstreams[0])).then_some(())).await;
        assert_eq!(world.sleep().await, "asleep", "it does so once");

        let asked = (0..6).map(|_| world.wake());
        let standings = futures_util::future::join_all(asked).await;
        assert!(standings.iter().all(|standing| standing == "awake"), "{standings:?}");
        let live = eventually("the news that it is live", || match last(&world) {
            (_, ProvisionerEvent::DeploymentLive(state)) => Some(state),
            _ => None,
        })
        .await;
        assert!(!live.asleep && World::call(&live, "/").unwrap().starts_with("one "));
        assert_eq!(world.lives(), 2, "once by the build, once by all of them");
        assert_eq!(world.wake().await, "awake", "it is so already");
        world.end().await;
    }

    async fn an_app_that_nobody_asks_for_is_put_to_sleep_and_one_that_is_asked_for_is_not(backend: Backend) {
        let mut world = World::new(&backend, &[("Procfile", PROCFILE), ("app.py", &app("one "))]).await;
        world.environment.sleep_after = Some(3_600);
        let (_, live) = world.deploy().await;
        let id = world.environment.environment_id.clone();
        let long_ago = |by: &str| format!(
            "UPDATE deployments SET active_at = '{by}' WHERE environment_id = '{id}'"
        );
        // A gateway has seen something since: what is older by then doesn't count.
        let now = common::time::Clock::system().now();
        let report = json!({ "apps": [{ "environment_id": id, "idle_ms": 0 }] });
        world.post("v1api", "/internal/activity", report).await;
        let older = json!({ "apps": [{ "environment_id": id, "idle_ms": 7_200_000 }] });
        world.post("v1api", "/internal/activity", older).await;
        let kept = format!(
            "UPDATE deployments SET label = label WHERE environment_id = '{id}' AND active_at >= '{}'",
            now.to_chrono().format("%Y-%m-%d %H:%M:%S%.6f"),
        );
        world.execute(kept).await;
        assert!(answers(live.upstreams[0]));

        world.execute(long_ago("2020-01-01 00:00:00")).await;
        let asleep = world.asleep(0).await;
        assert!(asleep.asleep);
        eventually("the app to stop", || (!answers(live.upstreams[0])).then_some(())).await;
        // What is built while it sleeps is live, and awake.
        world.change("app.py", &app("two "));
        let (_, after) = world.deploy().await;
        assert!(World::call(&after, "/").unwrap().starts_with("two "));
        world.end().await;
    }

    async fn an_app_that_can_not_be_woken_says_so_and_is_tried_again(backend: Backend) {
        let world = World::new(&backend, &[("Procfile", PROCFILE), ("app.py", &app("one "))]).await;
        world.deploy().await;
        world.sleep().await;
        world.set("BROKEN", "yes");
        assert_eq!(world.wake().await, "failed");
        let (_, failed) = eventually("the reason", || {
            let (version, event) = last(&world);
            matches!(event, ProvisionerEvent::DeploymentFailed(_)).then_some((version, event))
        })
        .await;
        let state = state_of(&failed).unwrap();
        assert!(state.asleep, "the next request wakes it");
        assert!(state.reason.as_deref().unwrap().contains("could not be woken"), "{state:?}");
        world.set("BROKEN", "");
        assert_eq!(world.wake().await, "awake");
        world.end().await;
    }

    async fn a_wake_that_a_stop_interrupts_goes_on_afterwards(backend: Backend) {
        let mut world = World::new(&backend, &[("Procfile", PROCFILE), ("app.py", &app("one "))]).await;
        world.deploy().await;
        world.sleep().await;
        world.asleep(0).await;
        let path = format!("/internal/environments/{}/wake", world.environment.environment_id);
        world.post("project", &path, json!({})).await;
        world.halt().await;
        world.boot().await;
        let live = world.wait("the app to be live", |event| match event {
            ProvisionerEvent::DeploymentLive(state) if answers(*state.upstreams.first()?) => Some(state.clone()),
            _ => None,
        })
        .await;
        assert!(World::call(&world.newest(&live), "/").unwrap().starts_with("one "));
        world.end().await;
    }

    async fn a_deleted_environment_is_not_woken(backend: Backend) {
        let world = World::new(&backend, &[("Procfile", PROCFILE), ("app.py", &app("one "))]).await;
        world.deploy().await;
        world.sleep().await;
        world.tell(ProjectEvent::EnvironmentDeleted(world.environment.clone()), 2).await;
        world.wait("the stop", |event| matches!(event, ProvisionerEvent::DeploymentStopped(_)).then_some(())).await;
        let harness = world.harness.as_ref().unwrap();
        let path = format!("/internal/environments/{}/wake", world.environment.environment_id);
        let token = harness.issuer().service_token("v1api", "provisioner");
        let asked = harness.private(reqwest::Method::POST, "provisioner", &path).bearer_auth(token);
        assert_eq!(asked.json(&json!({})).send().await.unwrap().status(), 404);
        world.end().await;
    }
}
