//! Deletion.

use common::event::{ProjectEvent, ProvisionerEvent};
use testkit::{eventually, eventually_async};

use super::world::{World, answers, app};

testkit::on_both_backends! {
    async fn a_deleted_environment_leaves_nothing(backend: Backend) {
        let server = std::env::var("SLIPWAY_TEST_POSTGRES_URL").unwrap_or_else(|_| "postgres://postgres@127.0.0.1:5432/postgres".into());
        let files = [("Procfile", "web: exec python3 app.py\n"), ("app.py", &*app("one "))];
        let mut world = World::with(&backend, &files, &[("apps.postgres_url", &server)]).await;
        world.environment.database = true;
        let (build, deployment) = world.deploy().await;
        let url = World::call(&deployment, "/env/DATABASE_URL").unwrap();
        assert!(url.starts_with("postgres://app_projenv_"), "the app has a database of its own");

        world.tell(ProjectEvent::EnvironmentDeleted(world.environment.clone()), 2).await;
        let stopped = world.wait("the stop", |event| match event {
            ProvisionerEvent::DeploymentStopped(deployment) => Some(deployment.clone()),
            _ => None,
        });
        assert!(stopped.await.upstreams.is_empty());
        eventually("the app to stop", || (!answers(deployment.upstreams[0])).then_some(())).await;
        eventually("its files to go", || world.files().is_empty().then_some(())).await;
        let id = build.build_id.clone();
        eventually_async("its log to go", || async {
            let path = format!("/internal/builds/{id}/log?after=0");
            let harness = world.harness.as_ref().unwrap();
            let token = harness.issuer().service_token("project", "provisioner");
            let asked = harness.private(reqwest::Method::GET, "provisioner", &path).bearer_auth(token);
            (asked.send().await.unwrap().status() == 404).then_some(())
        })
        .await;

        // Nothing brings it back.
        let request = world.ask().await;
        assert_eq!(world.end_of(&request.build_id).await.reason.as_deref(), Some("the environment was deleted"));
        world.halt().await;
    }

    async fn logs_are_for_the_project_service_only(backend: Backend) {
        let mut world = World::new(&backend, &[("README.md", "")]).await;
        let harness = world.harness.as_ref().unwrap();
        let path = format!("/internal/environments/{}/log?after=0", world.environment.environment_id);
        let ask = |path: &str| harness.private(reqwest::Method::GET, "provisioner", path);
        assert_eq!(ask(&path).send().await.unwrap().status(), 401);
        let account = harness.issuer().service_token("account", "provisioner");
        assert_eq!(ask(&path).bearer_auth(account).send().await.unwrap().status(), 403);
        let project = harness.issuer().service_token("project", "provisioner");
        assert_eq!(ask(&path).bearer_auth(&project).send().await.unwrap().status(), 404);
        assert_eq!(ask("/internal/doctor").bearer_auth(&project).send().await.unwrap().status(), 200);
        world.halt().await;
    }
}
