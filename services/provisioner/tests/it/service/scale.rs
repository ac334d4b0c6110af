//! How many instances run, and starting them anew.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use common::event::{Deployment, ProjectEvent, ProvisionerEvent};
use serde_json::json;
use testkit::eventually;

use super::world::{World, answers, app, pid_of};
use crate::running::support::{free_port, get};

const PROCFILE: &str = "web: test -z \"$BROKEN\" && exec python3 app.py\n";

/// What is live by the newest news.
fn newest(world: &World<'_>) -> Option<Deployment> {
    let told = world
        .told()
        .into_iter()
        .filter_map(|(version, event)| match event {
            ProvisionerEvent::DeploymentLive(state) => Some((version, state)),
            _ => None,
        });
    told.max_by_key(|(version, _)| *version)
        .map(|(_, state)| state)
}

fn pids(addresses: &[SocketAddr]) -> BTreeSet<String> {
    addresses
        .iter()
        .filter_map(|at| get(*at, "/"))
        .map(|answer| pid_of(&answer))
        .collect()
}

impl World<'_> {
    async fn scale(&mut self, instances: u32, version: i64) -> Vec<SocketAddr> {
        self.environment.instances = instances;
        self.tell(
            ProjectEvent::EnvironmentUpdated(self.environment.clone()),
            version,
        )
        .await;
        let count = instances as usize;
        eventually("as many instances as are wanted", || {
            let upstreams = newest(self)?.upstreams;
            (upstreams.len() == count && pids(&upstreams).len() == count).then_some(upstreams)
        })
        .await
    }

    async fn restart(&self) {
        let path = format!(
            "/internal/environments/{}/restart",
            self.environment.environment_id
        );
        let answer = self.post("project", &path, json!({})).await;
        assert_eq!(answer["standing"], "awake");
    }
}

testkit::on_both_backends! {
    async fn as_many_instances_run_as_are_wanted_over_switches_and_restarts_of_slipway(backend: Backend) {
        let mut world = World::new(&backend, &[("Procfile", PROCFILE), ("app.py", &app("one "))]).await;
        let (_, one) = world.deploy().await;
        let three = world.scale(3, 2).await;
        assert!(three.contains(&one.upstreams[0]), "the first goes on");

        world.halt().await;
        let before = pids(&three);
        world.boot().await;
        assert_eq!(pids(&three), before, "all are taken up");
        // An old wish that comes late changes nothing.
        world.tell(ProjectEvent::EnvironmentUpdated({
            let mut late = world.environment.clone();
            late.instances = 1;
            late
        }), 1).await;

        world.change("app.py", &app("two "));
        let (_, after) = world.deploy().await;
        assert_eq!(after.upstreams.len(), 3, "the new release has as many from the start");
        assert_eq!(pids(&after.upstreams).len(), 3);
        eventually("the old ones to stop", || three.iter().all(|at| !answers(*at)).then_some(())).await;

        let left = world.scale(1, 3).await;
        let gone = after.upstreams.iter().filter(|at| !left.contains(at));
        let gone: Vec<_> = gone.copied().collect();
        assert_eq!(gone.len(), 2);
        eventually("what is too many to stop", || gone.iter().all(|at| !answers(*at)).then_some(())).await;
        assert!(answers(left[0]));
        world.end().await;
    }

    async fn a_restart_takes_the_variables_of_now_and_somebody_always_answers(backend: Backend) {
        let mut world = World::new(&backend, &[("Procfile", PROCFILE), ("app.py", &app("one "))]).await;
        world.deploy().await;
        let before = world.scale(2, 2).await;
        let old = pids(&before);
        world.set("COLOUR", "green");
        world.restart().await;
        let after = eventually("both to be others", || {
            let live = newest(&world)?;
            // Whatever was told last, all of it answers: none is stopped before it is told.
            assert!(live.upstreams.len() == 2, "{live:?}");
            (pids(&live.upstreams).len() == 2 && pids(&live.upstreams).is_disjoint(&old)).then_some(live)
        })
        .await;
        for at in &after.upstreams {
            assert_eq!(get(*at, "/env/COLOUR").as_deref(), Some("green"));
        }
        eventually("the old ones to stop", || before.iter().all(|at| !answers(*at)).then_some(())).await;

        // One that doesn't come up: the old ones go on.
        world.set("BROKEN", "yes");
        world.restart().await;
        let kept = eventually("the reason", || newest(&world).filter(|live| live.reason.is_some())).await;
        assert_eq!(pids(&kept.upstreams), pids(&after.upstreams));
        world.end().await;
    }

    async fn an_app_with_a_port_of_its_own_restarts_while_requests_are_held(backend: Backend) {
        let world = World::new(&backend, &[("Procfile", PROCFILE), ("app.py", &app("one "))]).await;
        world.set("FIXED", &free_port().to_string());
        let (_, before) = world.deploy().await;
        let old = World::call(&before, "/").unwrap();
        world.restart().await;
        eventually("another process", || {
            let live = newest(&world)?;
            let answer = get(*live.upstreams.first()?, "/")?;
            (live.hold_until.is_none() && pid_of(&answer) != pid_of(&old)).then_some(())
        })
        .await;
        let held = world.told().into_iter().any(|(_, event)| {
            matches!(event, ProvisionerEvent::DeploymentLive(deployment) if deployment.hold_until.is_some())
        });
        assert!(held);
        world.end().await;
    }

    async fn what_is_scaled_while_it_sleeps_wakes_as_many(backend: Backend) {
        let mut world = World::new(&backend, &[("Procfile", PROCFILE), ("app.py", &app("one "))]).await;
        world.deploy().await;
        let id = world.environment.environment_id.clone();
        world.post("project", &format!("/internal/environments/{id}/sleep"), json!({})).await;
        world.environment.instances = 2;
        world.tell(ProjectEvent::EnvironmentUpdated(world.environment.clone()), 2).await;
        world.post("v1api", &format!("/internal/environments/{id}/wake"), json!({ "wait_ms": 10_000 })).await;
        eventually("two instances", || {
            let live = newest(&world)?;
            (pids(&live.upstreams).len() == 2).then_some(())
        })
        .await;
        world.end().await;
    }
}
