//! Restarts of Slipway, crashes of apps.

use common::event::{BuildState, ProvisionerEvent};
use testkit::eventually;

use super::world::{World, app, pid_of};

const PROCFILE: &str = "web: exec python3 app.py\n";

testkit::on_both_backends! {
    async fn an_app_outlives_slipway_and_is_taken_up_again(backend: Backend) {
        let mut world = World::new(&backend, &[("Procfile", PROCFILE), ("app.py", &app("one "))]).await;
        let (_, deployment) = world.deploy().await;
        let answer = World::call(&deployment, "/").unwrap();
        world.halt().await;
        assert_eq!(World::call(&deployment, "/").unwrap(), answer);
        world.boot().await;
        assert_eq!(World::call(&deployment, "/").unwrap(), answer, "the same process");

        // It is looked after: after a crash it comes back.
        assert!(World::call(&deployment, "/die").is_none_or(|body| body.is_empty()));
        // Perhaps elsewhere: while it was down, its port was anybody's.
        let again = eventually("the app to come back", || World::call(&world.newest(&deployment), "/")).await;
        assert_ne!(pid_of(&again), pid_of(&answer));
        world.end().await;
    }

    async fn a_build_that_a_stop_interrupts_goes_on_afterwards(backend: Backend) {
        let files = [
            ("Procfile", PROCFILE),
            ("app.py", &*app("one ")),
            ("slipway.toml", "[build]\ncommand = \"sleep 3; echo built\"\n"),
        ];
        let mut world = World::new(&backend, &files).await;
        let request = world.ask().await;
        world.state(&request.build_id, |state| state == BuildState::Building).await;
        world.halt().await;
        assert!(!world.states(&request.build_id).contains(&BuildState::Live));
        world.boot().await;
        let build = world.end_of(&request.build_id).await;
        assert_eq!(build.state, BuildState::Live, "{:?}", build.reason);
        // Of two subjects' events the one may come before the other.
        let is_live = |event: &ProvisionerEvent| matches!(event, ProvisionerEvent::DeploymentLive(_));
        world.wait("the deployment to be live", |event| is_live(event).then_some(())).await;
        assert_eq!(world.told().iter().filter(|(_, event)| is_live(event)).count(), 1);
        let releases = world.files().into_iter().filter(|file| file.starts_with("releases/"));
        assert_eq!(releases.count(), 1, "nothing half-made is left");
        world.end().await;
    }
}
