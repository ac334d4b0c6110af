//! Builds, from the request to the end.

use common::event::{BuildState, ProjectEvent, ProvisionerEvent};
use testkit::eventually_async;

use super::world::{SECRET, World, answers, app};

const PROCFILE: &str = "web: exec python3 app.py\n";
const NODE: &str = r#"{"name":"shop","version":"1.0.0","scripts":{"start":"node server.js"}}"#;
const SERVER: &str = "console.log('token ' + process.env.API_SECRET);\n\
    require('http').createServer((q, r) => r.end('hello from node')).listen(process.env.PORT, () => console.log('up'));\n";

testkit::on_both_backends! {
    async fn a_node_app_goes_from_a_commit_to_a_live_address(backend: Backend) {
        let world = World::new(&backend, &[("package.json", NODE), ("server.js", SERVER)]).await;
        let (build, deployment) = world.deploy().await;
        assert_eq!(World::call(&deployment, "/").unwrap(), "hello from node");
        assert_eq!(build.commit_message.as_deref(), Some("First"));
        assert_eq!(build.commit.as_deref(), Some(world.app.git(&["rev-parse", "HEAD"]).as_str()));
        let states = [BuildState::Preparing, BuildState::Building, BuildState::Releasing, BuildState::Live];
        assert_eq!(world.states(&build.build_id), states);

        let lines = world.log(&build.build_id).await;
        assert_eq!(lines[0].phase, "detect", "what was found and why stands first");
        let numbers: Vec<i64> = lines.iter().map(|line| line.number).collect();
        assert_eq!(numbers, (1..=i64::try_from(lines.len()).unwrap()).collect::<Vec<_>>());
        let page = world.page(&format!("builds/{}", build.build_id), *numbers.last().unwrap(), 20_000).await;
        assert!(page.ended && page.lines.is_empty());

        let path = format!("environments/{}", world.environment.environment_id);
        let output = eventually_async("the app's output", || async {
            let page = world.page(&path, 0, 0).await;
            (page.lines.len() >= 2).then_some(page.lines)
        })
        .await;
        let text: String = output.iter().map(|line| format!("{}:{}\n", line.phase, line.text)).collect();
        assert_eq!(text, "app:token ***\napp:up\n");
        assert!(!text.contains(SECRET));
        world.end().await;
    }

    async fn a_build_that_fails_says_which_command_and_how_and_the_old_release_goes_on(backend: Backend) {
        let world = World::new(&backend, &[("Procfile", PROCFILE), ("app.py", &app("one "))]).await;
        let (_, before) = world.deploy().await;
        let pid = World::call(&before, "/").unwrap();

        world.change("slipway.toml", "[build]\ncommand = \"echo the last words; echo $API_SECRET; exit 7\"\n");
        let failed = world.build().await;
        assert_eq!(failed.state, BuildState::Failed);
        let reason = failed.reason.unwrap();
        assert!(reason.contains("build") && reason.contains("exit code 7"), "{reason}");
        let log = world.log_text(&failed.build_id).await;
        assert!(log.contains("the last words") && !log.contains(SECRET), "{log}");

        world.change("slipway.toml", "[build]\ncommand = \"true\"\n[run]\nstart = \"echo not today; exit 3\"\n");
        let never_healthy = world.build().await;
        let reason = never_healthy.reason.unwrap();
        assert!(never_healthy.state == BuildState::Failed && reason.contains("exit code 3"), "{reason}");
        assert!(world.log_text(&never_healthy.build_id).await.contains("not today"));
        assert_eq!(World::call(&before, "/").unwrap(), pid, "the same process answers all the while");
        world.end().await;
    }

    async fn a_cancelled_build_ends_with_its_processes_and_a_waiting_one_at_once(backend: Backend) {
        let files = [("Procfile", PROCFILE), ("app.py", &app("")), ("slipway.toml", "[build]\ncommand = \"echo begun; (setsid sleep 1000 &); sleep 1000\"\n")];
        let world = World::new(&backend, &files).await;
        let running = world.ask().await;
        world.state(&running.build_id, |state| state == BuildState::Building).await;
        let older = world.ask().await;
        let newer = world.ask().await;
        let superseded = world.end_of(&older.build_id).await;
        assert_eq!(superseded.state, BuildState::Superseded);

        let mut cancel = newer.clone();
        cancel.cancel = true;
        world.tell(ProjectEvent::BuildRequested(cancel), 2).await;
        assert_eq!(world.end_of(&newer.build_id).await.state, BuildState::Cancelled);
        assert!(!world.states(&newer.build_id).contains(&BuildState::Preparing));

        let mut cancel = running.clone();
        cancel.cancel = true;
        world.tell(ProjectEvent::BuildRequested(cancel), 2).await;
        assert_eq!(world.end_of(&running.build_id).await.state, BuildState::Cancelled);
        assert!(world.files().iter().all(|file| file.starts_with("caches/")), "{:?}", world.files());
        world.end().await;
    }

    async fn what_can_not_be_fetched_or_understood_fails_with_the_reason(backend: Backend) {
        let world = World::new(&backend, &[("README.md", "nothing to run")]).await;
        let failed = world.build().await;
        assert_eq!(failed.state, BuildState::Failed);
        let reason = failed.reason.unwrap();
        assert!(reason.starts_with("detect: "), "{reason}");
        assert!(world.log_text(&failed.build_id).await.contains(&reason));

        let mut request = world.request();
        request.git_ref = Some("gone".into());
        world.tell(ProjectEvent::BuildRequested(request.clone()), 1).await;
        let reason = world.end_of(&request.build_id).await.reason.unwrap();
        assert!(reason.contains("No such branch"), "{reason}");
        assert_eq!(world.files(), [""; 0]);
        world.end().await;
    }

    async fn a_static_site_is_served_without_any_command(backend: Backend) {
        let world = World::new(&backend, &[("index.html", "<h1>hello</h1>")]).await;
        world.set(crate::running::roles::ROLE, "static");
        let (_, deployment) = world.deploy().await;
        assert_eq!(World::call(&deployment, "/").unwrap(), "<h1>hello</h1>");
        assert!(answers(deployment.upstreams[0]));
        assert!(world.told().iter().all(|(_, event)| !matches!(event, ProvisionerEvent::DeploymentFailed(_))));
        world.end().await;
    }
}
