//! What GitHub is told of builds.

use chassis::events::emit;
use common::event::{
    BuildProgress, BuildRequested, BuildState, EnvironmentKind, EnvironmentState, ProjectEvent,
    ProvisionerEvent, Source,
};
use common::id::{AccountId, BuildId, EnvironmentId, ProjectId};
use serde_json::{Value, json};
use testkit::github::{Fault, Posted};

use super::Scene;

/// A build of `acme/shop`, told by those who would.
struct Build {
    id: BuildId,
    account: AccountId,
    requested: BuildRequested,
}

impl Scene {
    fn build(&self, account: &AccountId) -> Build {
        let now = self.world.clock.now();
        let id = BuildId::new(now);
        let environment = EnvironmentState {
            environment_id: EnvironmentId::new(now),
            project_id: ProjectId::new(now),
            account_id: account.clone(),
            name: "production".into(),
            kind: EnvironmentKind::Standard,
            label: "shop-production".into(),
            database: false,
            sleep_after: None,
            instances: 1,
            maintenance: false,
            deleted: false,
        };
        let requested = BuildRequested {
            build_id: id.clone(),
            environment,
            source: Source {
                owner: "acme".into(),
                repo: "shop".into(),
            },
            git_ref: None,
            settings_ref: None,
            requested_by: None,
            requested_at: now,
            cancel: false,
            rollback_to: None,
        };
        Build {
            id,
            account: account.clone(),
            requested,
        }
    }

    async fn request(&self, build: &Build) {
        let (event, now) = (build.requested.clone(), self.world.clock.now());
        let db = &self.world.context("project").db;
        db.write(move |db| emit(db, ProjectEvent::BuildRequested(event), 1, now))
            .await
            .unwrap();
    }

    async fn progress(&self, build: &Build, state: BuildState, commit: Option<&str>, version: i64) {
        let now = self.world.clock.now();
        let progress = BuildProgress {
            build_id: build.id.clone(),
            environment_id: build.requested.environment.environment_id.clone(),
            account_id: build.account.clone(),
            state,
            commit: commit.map(str::to_owned),
            commit_message: None,
            reason: None,
            started_at: Some(now),
            finished_at: None,
        };
        let event = match state {
            BuildState::Live => ProvisionerEvent::BuildSucceeded(progress),
            BuildState::Failed => ProvisionerEvent::BuildFailed(progress),
            _ => ProvisionerEvent::BuildProgressed(progress),
        };
        let db = &self.world.context("provisioner").db;
        db.write(move |db| emit(db, event, version, now))
            .await
            .unwrap();
    }

    fn posted(&self, what: &str) -> Vec<Posted> {
        let posted = self.github.posted();
        posted
            .into_iter()
            .filter(|posted| posted.what.starts_with(what))
            .collect()
    }

    /// Waits until this was posted with this state, and answers the body.
    async fn told(&self, what: &str, state: &str) -> Value {
        testkit::eventually(&format!("{what}: {state}"), || {
            let mut posted = self.github.posted().into_iter();
            let is_it =
                |posted: &Posted| posted.what.contains(what) && posted.body["state"] == state;
            posted.find(is_it).map(|posted| posted.body)
        })
        .await
    }
}

testkit::on_both_backends! {
    async fn a_commit_shows_what_becomes_of_its_build(backend: Backend) {
        let scene = Scene::start(backend).await;
        let (account, _, _) = scene.connected().await;
        let commit = "c".repeat(40);
        let build = scene.build(&account);
        // Told by two services, the later of them first.
        scene.progress(&build, BuildState::Building, Some(&commit), 1).await;
        scene.request(&build).await;
        let status = scene.told(&format!("statuses/{commit}"), "pending").await;
        assert_eq!(status["context"], "slipway/shop-production");
        let log = status["target_url"].as_str().unwrap();
        assert!(log.ends_with(&format!("/builds/{}/logs", build.id)), "{log}");
        scene.told("deployments/", "in_progress").await;
        scene.progress(&build, BuildState::Live, Some(&commit), 2).await;
        scene.told(&format!("statuses/{commit}"), "success").await;
        let live = scene.told("deployments/", "success").await;
        assert_eq!(live["environment_url"], "http://shop-production.localhost:8080/");
        assert_eq!(live["log_url"], log);
        let made = scene.posted("deployments");
        let made: Vec<_> = made.iter().filter(|posted| posted.what == "deployments").collect();
        assert_eq!(made.len(), 1, "{made:?}");
        let body = &made[0].body;
        assert_eq!((&body["ref"], &body["auto_merge"]), (&json!(commit), &json!(false)));
        assert_eq!((&body["required_contexts"], &body["production_environment"]), (&json!([]), &json!(true)));
        scene.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_github_that_fails_is_told_later() {
    let scene = Scene::start(testkit::Backend::sqlite()).await;
    let (account, _, _) = scene.connected().await;
    let commit = "d".repeat(40);
    for _ in 0..4 {
        scene.github.fail_next("/statuses/", Fault::Status(502));
    }
    scene
        .github
        .fail_next("/deployments", Fault::SecondaryLimit(60));
    let build = scene.build(&account);
    scene.request(&build).await;
    scene
        .progress(&build, BuildState::Failed, Some(&commit), 1)
        .await;
    testkit::eventually("it is told after all", || {
        // Its next try is at a time that this clock comes to.
        scene.world.clock.advance(common::time::Span::seconds(5));
        let posted = scene.posted("deployments/");
        posted
            .iter()
            .any(|posted| posted.body["state"] == "failure")
            .then_some(())
    })
    .await;
    assert_eq!(scene.posted("statuses/")[0].body["state"], "failure");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_told_of_an_account_that_does_not_reach_the_repository() {
    let scene = Scene::start(testkit::Backend::sqlite()).await;
    let (account, _, _) = scene.connected().await;
    let other = scene.world.account();
    let stranger = scene.world.member(&other, common::role::Role::Owner);
    scene.connect(&other, &stranger, "mallory", "mallory").await;
    let theirs = scene.build(&other);
    scene.request(&theirs).await;
    scene
        .progress(&theirs, BuildState::Live, Some(&"e".repeat(40)), 1)
        .await;
    // The one that follows is told, so that the other has had its turn.
    let ours = scene.build(&account);
    scene.request(&ours).await;
    scene
        .progress(&ours, BuildState::Live, Some(&"f".repeat(40)), 1)
        .await;
    scene.told("deployments/", "success").await;
    scene.reported(&theirs.id).await;
    assert!(
        scene
            .github
            .posted()
            .iter()
            .all(|posted| !posted.what.contains("eee"))
    );
    scene.end().await;
}

impl Scene {
    /// Waits until what was to be told of a build has been looked at.
    async fn reported(&self, build: &BuildId) {
        let key = format!("{build}/live");
        testkit::eventually_async("the report is over", async || {
            let key = key.clone();
            let db = &self.world.context("github").db;
            let state = db.read(move |db| chassis::jobs::state(db, "github.report", &key));
            let state = state.await.unwrap();
            state
                .is_some_and(chassis::jobs::JobState::is_final)
                .then_some(())
        })
        .await;
    }
}
