//! What pull requests are told of their previews.

use chassis::events::emit;
use common::event::{
    BuildProgress, BuildRequested, BuildState, EnvironmentKind, EnvironmentState, PreviewBuild,
    PreviewEnvironment, PreviewState, PreviewStatus, ProjectEvent, ProvisionerEvent, Source,
};
use common::id::{AccountId, BuildId, EnvironmentId, ProjectId};
use testkit::Backend;
use testkit::github::{Comment, Fault};

use super::Scene;

/// A preview of pull request 5 of `acme/shop`, and its versions.
struct Preview {
    state: PreviewState,
    version: i64,
}

impl Preview {
    fn build(&self) -> &PreviewBuild {
        self.state.build.as_ref().unwrap()
    }

    /// Its environment.
    fn place(&self) -> EnvironmentState {
        let place = self.state.environment.as_ref().unwrap();
        EnvironmentState {
            environment_id: place.environment_id.clone(),
            project_id: self.state.project_id.clone(),
            account_id: self.state.account_id.clone(),
            name: "pr-5".into(),
            kind: EnvironmentKind::Preview,
            label: place.label.clone(),
            database: false,
            deleted: false,
            instances: 1,
            maintenance: false,
            sleep_after: None,
        }
    }
}

impl Scene {
    fn preview(&self, account: &AccountId) -> Preview {
        let now = self.world.clock.now();
        self.github.set_pull_request(self.pull(5, &"a".repeat(40)));
        Preview {
            version: 0,
            state: PreviewState {
                project_id: ProjectId::new(now),
                account_id: account.clone(),
                number: 5,
                source: Source {
                    owner: "acme".into(),
                    repo: "shop".into(),
                },
                commit: "a".repeat(40),
                fork: false,
                status: PreviewStatus::Active,
                reason: None,
                environment: Some(PreviewEnvironment {
                    environment_id: EnvironmentId::new(now),
                    label: "shop-pr-5".into(),
                }),
                build: Some(PreviewBuild {
                    build_id: BuildId::new(now),
                    commit: "a".repeat(40),
                    state: BuildState::Building,
                }),
            },
        }
    }

    async fn emit_as(&self, service: &str, event: ProjectEvent, version: i64) {
        let now = self.world.clock.now();
        let db = &self.world.context(service).db;
        db.write(move |db| emit(db, event, version, now))
            .await
            .unwrap();
    }

    /// Has project tell how the preview stands.
    async fn changed(&self, preview: &mut Preview) {
        preview.version += 1;
        let event = ProjectEvent::PreviewChanged(preview.state.clone());
        self.emit_as("project", event, preview.version).await;
    }

    /// Has a build of the preview told of, by those who would.
    async fn built(&self, preview: &Preview, state: BuildState) {
        let now = self.world.clock.now();
        let build = preview.build();
        let requested = BuildRequested {
            build_id: build.build_id.clone(),
            environment: preview.place(),
            source: preview.state.source.clone(),
            git_ref: Some(build.commit.clone()),
            settings_ref: None,
            requested_by: None,
            requested_at: now,
            cancel: false,
            rollback_to: None,
        };
        self.emit_as("project", ProjectEvent::BuildRequested(requested), 1)
            .await;
        let progress = BuildProgress {
            build_id: build.build_id.clone(),
            environment_id: preview.place().environment_id,
            account_id: preview.state.account_id.clone(),
            state,
            commit: Some(build.commit.clone()),
            commit_message: None,
            reason: None,
            started_at: Some(now),
            finished_at: None,
        };
        let event = ProvisionerEvent::BuildSucceeded(progress);
        let db = &self.world.context("provisioner").db;
        db.write(move |db| emit(db, event, 1, now)).await.unwrap();
    }

    /// The App's comments, once one of them says this.
    async fn commented(&self, text: &str) -> Vec<Comment> {
        testkit::eventually(&format!("a comment says `{text}`"), || {
            let all = self.github.comments(1, 5).into_iter();
            let ours: Vec<_> = all.filter(|comment| comment.by_app).collect();
            ours.iter()
                .any(|comment| comment.body.contains(text))
                .then_some(ours)
        })
        .await
    }

    /// Which deployments are said to be over, by number.
    fn over(&self) -> Vec<String> {
        let posted = self.github.posted().into_iter();
        let over = posted.filter(|posted| posted.body["state"] == "inactive");
        over.map(|posted| posted.what).collect()
    }
}

testkit::on_both_backends! {
    async fn one_comment_says_how_the_preview_stands_from_its_beginning_to_its_end(backend: Backend) {
        let scene = Scene::start(backend).await;
        let (account, _, _) = scene.connected().await;
        let mut preview = scene.preview(&account);
        // Somebody has written what looks like ours: it is not touched.
        let forged = format!("<!-- slipway:preview:{} --> Trust me.", preview.state.project_id);
        scene.github.add_comment(1, 5, &forged);
        scene.changed(&mut preview).await;
        let made = scene.commented("The build is running").await;
        assert!(made[0].body.contains("http://shop-pr-5.localhost:8080/"), "{}", made[0].body);
        let log = format!("/builds/{}/logs", preview.build().build_id);
        assert!(made[0].body.contains(&log), "{}", made[0].body);
        preview.state.build.as_mut().unwrap().state = BuildState::Live;
        scene.changed(&mut preview).await;
        scene.commented("**Live.**").await;

        // What is told of a copy's commit is how it is approved.
        preview.state.status = PreviewStatus::AwaitingApproval;
        preview.state.commit = "b".repeat(40);
        scene.changed(&mut preview).await;
        let asks = scene.commented("Waits for approval").await;
        let how = format!("slipway previews approve 5 --project {} --commit {}", preview.state.project_id, "b".repeat(40));
        assert!(asks[0].body.contains(&how), "{}", asks[0].body);

        preview.state.status = PreviewStatus::Closed;
        preview.state.environment = None;
        preview.state.build = None;
        scene.changed(&mut preview).await;
        let over = scene.commented("The preview is over").await;
        assert_eq!((over.len(), over[0].id), (1, made[0].id), "{over:?}");
        assert_eq!(scene.github.comments(1, 5)[0].body, forged);
        scene.end().await;
    }

    async fn a_comment_is_not_doubled_by_a_crash_and_each_project_has_its_own(backend: Backend) {
        let mut scene = Scene::start(backend).await;
        let (account, _, _) = scene.connected().await;
        let mut preview = scene.preview(&account);
        // The comment is made, and the process ends before it knows: the answer breaks off.
        scene.github.fail_next("/issues/5/comments", Fault::Status(502));
        scene.github.set_longest_page(1);
        scene.github.add_comment(1, 5, "Nice.");
        scene.github.add_comment(1, 5, "Very nice.");
        scene.changed(&mut preview).await;
        scene.commented("The build is running").await;
        let first = scene.github.comments(1, 5).into_iter().find(|comment| comment.by_app).unwrap();
        scene.forget_comment(&preview).await;
        scene.world.stop().await;
        scene.world.run().await;
        preview.state.build.as_mut().unwrap().state = BuildState::Failed;
        scene.changed(&mut preview).await;
        let found = scene.commented("The build failed").await;
        assert_eq!((found.len(), found[0].id), (1, first.id), "{found:?}");

        let mut other = scene.preview(&account);
        scene.changed(&mut other).await;
        let both = scene.commented("The build is running").await;
        assert_eq!(both.len(), 2, "{both:?}");
        // One that somebody has deleted is made anew when there is news.
        scene.github.delete_comment(first.id);
        preview.state.build.as_mut().unwrap().state = BuildState::Live;
        scene.changed(&mut preview).await;
        let again = scene.commented("**Live.**").await;
        assert_eq!(again.len(), 2, "{again:?}");
        scene.end().await;
    }

    async fn deployments_of_a_preview_pass_and_end_with_it(backend: Backend) {
        let scene = Scene::start(backend).await;
        let (account, _, _) = scene.connected().await;
        let mut preview = scene.preview(&account);
        scene.built(&preview, BuildState::Live).await;
        let deployed = |count: usize| {
            let posted = scene.github.posted().into_iter();
            let live: Vec<_> = posted.filter(|posted| posted.what.starts_with("deployments/") && posted.body["state"] == "success").collect();
            (live.len() == count).then_some(live)
        };
        let first = testkit::eventually("it is deployed", || deployed(1)).await;
        let made = scene.github.posted().into_iter().find(|posted| posted.what == "deployments").unwrap();
        assert_eq!((&made.body["environment"], &made.body["transient_environment"]), (&"shop-pr-5".into(), &true.into()));
        assert_eq!(made.body["production_environment"], false);

        // A newer one is live: the one before it is over.
        preview.state.build = Some(PreviewBuild {
            build_id: BuildId::new(scene.world.clock.now() + common::time::Span::seconds(1)),
            commit: "b".repeat(40),
            state: BuildState::Live,
        });
        scene.built(&preview, BuildState::Live).await;
        let both = testkit::eventually("the newer one is deployed", || deployed(2)).await;
        scene.changed(&mut preview).await;
        testkit::eventually("the older one is over", || (scene.over() == [first[0].what.clone()]).then_some(())).await;

        let gone = EnvironmentState { deleted: true, ..preview.place() };
        scene.emit_as("project", ProjectEvent::EnvironmentDeleted(gone), 2).await;
        testkit::eventually("all are over", || {
            let over = scene.over();
            both.iter().all(|deployed| over.contains(&deployed.what)).then_some(())
        }).await;
        scene.end().await;
    }
}

impl Scene {
    /// As if the process had ended between the comment and its number's being kept.
    async fn forget_comment(&self, preview: &Preview) {
        use diesel::prelude::*;
        let project = preview.state.project_id.to_string();
        testkit::eventually_async("the number is kept and forgotten", async || {
            let project = project.clone();
            let db = &self.world.context("github").db;
            let forgotten = db.write(move |db| {
                diesel::sql_query("UPDATE comments SET comment_id = NULL, said = NULL WHERE comment_id IS NOT NULL AND project_id = ?".replace('?', &format!("'{project}'")))
                    .execute(db)
            });
            (forgotten.await.unwrap() == 1).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_said_to_a_repository_that_the_account_does_not_reach() {
    let scene = Scene::start(Backend::sqlite()).await;
    let (account, _, _) = scene.connected().await;
    let other = scene.world.account();
    let stranger = scene.world.member(&other, common::role::Role::Owner);
    scene.connect(&other, &stranger, "mallory", "mallory").await;
    let mut theirs = scene.preview(&other);
    scene.changed(&mut theirs).await;
    // The one that follows is said, so that the other has had its turn.
    let mut ours = scene.preview(&account);
    scene.changed(&mut ours).await;
    scene.commented("The build is running").await;
    let key = format!("{}/5/1", theirs.state.project_id);
    testkit::eventually_async("the other's turn is over", async || {
        let key = key.clone();
        let db = &scene.world.context("github").db;
        let state = db.read(move |db| chassis::jobs::state(db, "github.comment", &key));
        let state = state.await.unwrap();
        state
            .is_some_and(chassis::jobs::JobState::is_final)
            .then_some(())
    })
    .await;
    let said = scene.github.comments(1, 5);
    assert!(
        said.iter()
            .all(|comment| !comment.body.contains(theirs.state.project_id.as_str())),
        "{said:?}"
    );
    scene.end().await;
}
