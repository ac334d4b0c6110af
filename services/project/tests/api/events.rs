use testkit::on_both_backends;

use common::event::{BuildState, ProvisionerEvent};

use crate::builds::progress;
use crate::harness::run;

on_both_backends! {
    async fn no_event_carries_a_secret(backend: Backend) {
        run(backend, async |api| {
            let owner = api.account();
            let project = api.project(&owner, "quiet").await;
            let variables = serde_json::json!({ "variables": { "S": { "value": "canary-variable", "secret": true } } });
            api.put(&format!("{}/variables", project.environment_path), &owner, variables).await.expect(200);
            let build = api.build(&owner, &project).await;
            api.told(&build, 1).await;
            let told = api.world.told.lock().unwrap();
            for envelope in told.iter() {
                let text = serde_json::to_string(envelope).unwrap();
                assert!(!text.contains("canary") && !text.contains(&owner.token), "{text}");
            }
        }).await;
    }

    async fn news_of_a_build_that_nobody_knows_hold_up_nothing(backend: Backend) {
        run(backend, async |api| {
            let owner = api.account();
            let project = api.project(&owner, "unknown").await;
            let unknown = progress(&owner, &project, "build_01h455vb4pex5vsknk084sn02q", BuildState::Live);
            api.tell(ProvisionerEvent::BuildSucceeded(unknown), 1).await;
            let build = api.build(&owner, &project).await;
            let event = ProvisionerEvent::BuildStarted(progress(&owner, &project, &build, BuildState::Preparing));
            api.tell(event, 1).await;
            let path = format!("{}/builds/{build}", project.path);
            api.until(&path, &owner, |body| body["build"]["state"] == "preparing").await;
        }).await;
    }
}
