use common::event::{
    AccountEvent, BuildProgress, BuildState, Deployment, MemberState, ProjectEvent,
    ProvisionerEvent,
};
use common::id::ReleaseId;
use common::role::Role;
use common::time::Time;
use serde_json::{Value, json};
use testkit::on_both_backends;

use crate::harness::{Api, Member, Project, run};

/// What the provisioner says of a build.
pub(crate) fn progress(
    by: &Member,
    project: &Project,
    build: &str,
    state: BuildState,
) -> BuildProgress {
    BuildProgress {
        build_id: build.parse().unwrap(),
        environment_id: project.environment.parse().unwrap(),
        account_id: by.account.clone(),
        state,
        commit: Some("0123456789abcdef".into()),
        commit_message: Some("Say hello".into()),
        reason: (state == BuildState::Failed).then(|| "build: `npm ci` ended with 1".into()),
        started_at: Some(Time::from_unix(1_000)),
        finished_at: state.is_final().then(|| Time::from_unix(2_000)),
    }
}

/// What the provisioner says of an environment.
pub(crate) fn deployment(
    api: &Api,
    by: &Member,
    project: &Project,
    build: Option<&str>,
) -> Deployment {
    Deployment {
        environment_id: project.environment.parse().unwrap(),
        project_id: project.id.parse().unwrap(),
        account_id: by.account.clone(),
        label: project.label.clone(),
        release_id: build.map(|_| ReleaseId::new(api.now())),
        build_id: build.map(|build| build.parse().unwrap()),
        upstreams: Vec::new(),
        hold_until: None,
        asleep: false,
        reason: None,
    }
}

/// Has a build of the project go live.
async fn live(api: &Api, by: &Member, project: &Project, version: i64) -> String {
    let build = api.build(by, project).await;
    api.tell(
        ProvisionerEvent::BuildSucceeded(progress(by, project, &build, BuildState::Live)),
        5,
    )
    .await;
    api.tell(
        ProvisionerEvent::DeploymentLive(deployment(api, by, project, Some(&build))),
        version,
    )
    .await;
    api.until(&project.environment_path, by, |body| {
        body["environment"]["live_build_id"] == build.as_str()
    })
    .await;
    api.until(&build_path(project, &build), by, |body| {
        body["build"]["state"] == "live"
    })
    .await;
    build
}

fn build_path(project: &Project, build: &str) -> String {
    format!("{}/builds/{build}", project.path)
}

on_both_backends! {
    async fn a_build_goes_on_when_whoever_asked_for_it_is_no_member_any_more(backend: Backend) {
        run(backend, async |api| {
            let owner = api.account();
            let dev = api.member(&owner.account, Role::Developer);
            let project = api.project(&owner, "Store").await;
            let build = api.build(&dev, &project).await;
            let path = build_path(&project, &build);
            api.tell(ProvisionerEvent::BuildProgressed(progress(&owner, &project, &build, BuildState::Building)), 3).await;
            api.until(&path, &dev, |body| body["build"]["state"] == "building").await;

            api.world.roles.lock().unwrap().remove(&(dev.account.clone(), dev.user.clone()));
            let gone = MemberState { account_id: dev.account.clone(), user_id: dev.user.clone(), role: None };
            api.tell(AccountEvent::MemberRemoved(gone), 9).await;
            testkit::eventually_async("she is out", || async {
                (api.get(&path, &dev).await.status == 404).then_some(())
            })
            .await;
            api.post(&format!("{path}/cancel"), &dev, json!({})).await.refused(404, "not_found");
            // It belongs to the account: nothing has asked for its end, and its progress counts.
            assert_eq!(api.get(&path, &owner).await.expect(200)["build"]["state"], "building");
            api.tell(ProvisionerEvent::BuildSucceeded(progress(&owner, &project, &build, BuildState::Live)), 5).await;
            api.until(&path, &owner, |body| body["build"]["state"] == "live").await;
        })
        .await;
    }

    async fn a_build_is_queued_and_told_with_all_that_its_worker_needs(backend: Backend) {
        run(backend, async |api| {
            let owner = api.account();
            let project = api.project(&owner, "built").await;
            let body = json!({ "environment_id": project.environment, "ref": "v1.2" });
            let body = api.post(&format!("{}/build", project.path), &owner, body).await.expect(202);
            let build = &body["build"];
            assert_eq!(build["state"], "queued");
            assert_eq!(build["ref"], "v1.2");
            assert_eq!(build["requested_by"], owner.user.as_str());
            let id = build["id"].as_str().unwrap();
            assert_eq!(api.get(&build_path(&project, id), &owner).await.expect(200)["build"], *build);
            let told = api.told(id, 1).await;
            let ProjectEvent::BuildRequested(request) = &told[0].event else { panic!("{told:?}") };
            assert_eq!(request.environment.label, project.label);
            assert_eq!(request.source.repo, "medusa-starter-default");
            assert_eq!(request.git_ref.as_deref(), Some("v1.2"));
            assert!(!request.cancel && request.rollback_to.is_none());
        }).await;
    }

    async fn an_environments_branch_is_built_unless_told(backend: Backend) {
        run(backend, async |api| {
            let owner = api.account();
            let project = api.project(&owner, "branched").await;
            api.patch(&project.environment_path, &owner, json!({ "branch": "develop" })).await.expect(200);
            let build = api.build(&owner, &project).await;
            assert_eq!(api.get(&build_path(&project, &build), &owner).await.expect(200)["build"]["ref"], "develop");
        }).await;
    }

    async fn another_projects_environment_or_a_wrong_ref_is_not_built(backend: Backend) {
        run(backend, async |api| {
            let owner = api.account();
            let (one, other) = (api.project(&owner, "one").await, api.project(&owner, "other").await);
            let path = format!("{}/build", one.path);
            for environment in [other.environment.as_str(), "projenv_1234", "x"] {
                let body = json!({ "environment_id": environment });
                api.post(&path, &owner, body).await.refused(404, "not_found");
            }
            let body = json!({ "environment_id": one.environment, "ref": "--upload-pack=x" });
            let refused = api.post(&path, &owner, body).await.refused(422, "invalid_data");
            assert_eq!(refused["errors"][0]["field"], "ref");
            api.post(&path, &owner, json!({})).await.expect(422);
        }).await;
    }

    async fn a_builds_way_is_kept_by_the_provisioners_events_whatever_their_order(backend: Backend) {
        run(backend, async |api| {
            let owner = api.account();
            let project = api.project(&owner, "way").await;
            let build = api.build(&owner, &project).await;
            let path = build_path(&project, &build);
            let tell = async |state, version| {
                let progress = progress(&owner, &project, &build, state);
                api.tell(ProvisionerEvent::BuildProgressed(progress), version).await;
            };
            tell(BuildState::Building, 3).await;
            let seen = api.until(&path, &owner, |body| body["build"]["state"] == "building").await;
            assert_eq!(seen["build"]["commit"], "0123456789abcdef");
            assert_eq!(seen["build"]["commit_message"], "Say hello");
            tell(BuildState::Failed, 5).await;
            api.until(&path, &owner, |body| body["build"]["state"] == "failed").await;
            // What comes late must not undo it; a later event of another build shows that it was passed over.
            tell(BuildState::Preparing, 2).await;
            let other = api.build(&owner, &project).await;
            let event = ProvisionerEvent::BuildStarted(progress(&owner, &project, &other, BuildState::Preparing));
            api.tell(event, 1).await;
            api.until(&build_path(&project, &other), &owner, |body| body["build"]["state"] == "preparing").await;
            let seen = api.get(&path, &owner).await.expect(200);
            assert_eq!(seen["build"]["state"], "failed");
            assert!(seen["build"]["reason"].as_str().unwrap().contains("npm ci"));
            assert!(seen["build"]["finished_at"].is_string());
        }).await;
    }

    async fn a_build_is_cancelled_once_however_often_it_is_asked(backend: Backend) {
        run(backend, async |api| {
            let owner = api.account();
            let project = api.project(&owner, "cancelled").await;
            let build = api.build(&owner, &project).await;
            let cancel = format!("{}/cancel", build_path(&project, &build));
            let ask = async || api.post(&cancel, &owner, json!({})).await;
            let (one, other) = tokio::join!(ask(), ask());
            assert_eq!(one.expect(202)["build"]["cancel_requested"], true);
            other.expect(202);
            let told = api.told(&build, 2).await;
            assert!(matches!(&told[1].event, ProjectEvent::BuildRequested(request) if request.cancel));
            assert_eq!(told[1].aggregateversion, 2);

            let event = ProvisionerEvent::BuildCancelled(progress(&owner, &project, &build, BuildState::Cancelled));
            api.tell(event, 2).await;
            api.until(&build_path(&project, &build), &owner, |body| body["build"]["state"] == "cancelled").await;
            ask().await.expect(200);
            assert_eq!(api.told(&build, 2).await.len(), 2, "it was told once");
        }).await;
    }

    async fn a_build_that_has_ended_cannot_be_cancelled(backend: Backend) {
        run(backend, async |api| {
            let owner = api.account();
            let project = api.project(&owner, "ended").await;
            let build = live(api, &owner, &project, 1).await;
            let cancel = format!("{}/cancel", build_path(&project, &build));
            let refused = api.post(&cancel, &owner, json!({})).await.refused(409, "build_finished");
            assert_eq!(refused["state"], "live");
            let nowhere = build_path(&project, "build_01h455vb4pex5vsknk084sn02q");
            api.post(&format!("{nowhere}/cancel"), &owner, json!({})).await.refused(404, "not_found");
        }).await;
    }

    async fn an_environment_tells_what_runs_in_it(backend: Backend) {
        run(backend, async |api| {
            let owner = api.account();
            let project = api.project(&owner, "running").await;
            let build = live(api, &owner, &project, 1).await;
            let seen = api.get(&project.environment_path, &owner).await;
            assert_eq!(seen.header("etag"), "\"1\"", "what runs is not what people edit");
            assert_eq!(seen.expect(200)["environment"]["status"], "live");

            let mut crashed = deployment(api, &owner, &project, None);
            crashed.reason = Some("exit code 1, again and again".into());
            api.tell(ProvisionerEvent::DeploymentFailed(crashed), 2).await;
            let failed = |body: &Value| body["environment"]["status"] == "failed";
            let seen = api.until(&project.environment_path, &owner, failed).await;
            assert_eq!(seen["environment"]["status_reason"], "exit code 1, again and again");
            assert_eq!(seen["environment"]["live_build_id"], build.as_str());

            let stopped = deployment(api, &owner, &project, None);
            api.tell(ProvisionerEvent::DeploymentStopped(stopped), 3).await;
            let stopped = |body: &Value| body["environment"]["status"] == "stopped";
            let seen = api.until(&project.environment_path, &owner, stopped).await;
            assert_eq!(seen["environment"]["live_build_id"], json!(null));
        }).await;
    }

    async fn a_roll_back_goes_to_the_release_before_the_live_one(backend: Backend) {
        run(backend, async |api| {
            let owner = api.account();
            let project = api.project(&owner, "back").await;
            let path = format!("{}/rollback", project.environment_path);
            let ask = async |body: Value| api.post(&path, &owner, body).await;
            ask(json!({})).await.refused(409, "no_earlier_release");
            let first = live(api, &owner, &project, 1).await;
            ask(json!({})).await.refused(409, "no_earlier_release");
            let second = live(api, &owner, &project, 2).await;

            let body = ask(json!({})).await.expect(202);
            let back = body["build"]["id"].as_str().unwrap().to_owned();
            assert_eq!(body["build"]["kind"], "rollback");
            assert_eq!(body["build"]["rollback_to"], first.as_str());
            let told = api.told(&back, 1).await;
            assert!(matches!(&told[0].event, ProjectEvent::BuildRequested(request)
                if request.rollback_to.as_ref().unwrap().as_str() == first));

            // Once the roll-back is live, the second build's release can be gone to, the first's is there.
            api.tell(ProvisionerEvent::BuildSucceeded(progress(&owner, &project, &back, BuildState::Live)), 3).await;
            let event = ProvisionerEvent::DeploymentRolledBack(deployment(api, &owner, &project, Some(&back)));
            api.tell(event, 3).await;
            let is_back = |body: &Value| body["environment"]["live_build_id"] == back.as_str();
            api.until(&project.environment_path, &owner, is_back).await;
            ask(json!({})).await.refused(409, "no_earlier_release");
            ask(json!({ "build_id": first })).await.refused(409, "already_live");
            let body = ask(json!({ "build_id": second })).await.expect(202);
            assert_eq!(body["build"]["rollback_to"], second.as_str());
        }).await;
    }

    async fn only_a_release_of_the_same_environment_can_be_gone_back_to(backend: Backend) {
        run(backend, async |api| {
            let owner = api.account();
            let (one, other) = (api.project(&owner, "one").await, api.project(&owner, "other").await);
            let foreign = live(api, &owner, &other, 1).await;
            live(api, &owner, &one, 1).await;
            let queued = api.build(&owner, &one).await;
            let path = format!("{}/rollback", one.environment_path);
            let ask = async |id: &str| api.post(&path, &owner, json!({ "build_id": id })).await;
            ask(&foreign).await.refused(404, "not_found");
            ask("build_1234").await.refused(404, "not_found");
            ask(&queued).await.refused(409, "build_not_succeeded");
        }).await;
    }

    async fn builds_come_page_by_page_and_by_environment(backend: Backend) {
        run(backend, async |api| {
            let owner = api.account();
            let project = api.project(&owner, "many").await;
            let body = json!({ "name": "staging" });
            let staging = api.post(&format!("{}/environments", project.path), &owner, body).await.expect(201);
            let staging = staging["environment"]["id"].as_str().unwrap();
            let (first, second) = (api.build(&owner, &project).await, api.build(&owner, &project).await);
            let body = json!({ "environment_id": staging });
            let third = api.post(&format!("{}/build", project.path), &owner, body).await.expect(202);
            let third = third["build"]["id"].as_str().unwrap().to_owned();

            let all = format!("{}/builds", project.path);
            let page = api.get(&format!("{all}?limit=2"), &owner).await.expect(200);
            let rest = format!("{all}?limit=2&after={}", page["next"].as_str().unwrap());
            let rest = api.get(&rest, &owner).await.expect(200);
            assert_eq!(rest["next"], json!(null));
            let mut seen = ids(&page);
            seen.extend(ids(&rest));
            let mut made = vec![first, second, third.clone()];
            made.sort_unstable_by(|one, other| other.cmp(one));
            assert_eq!(seen, made);
            let filtered = api.get(&format!("{all}?environment_id={staging}"), &owner).await.expect(200);
            assert_eq!(ids(&filtered), [third]);
        }).await;
    }

    async fn the_same_idempotency_key_asks_for_one_build(backend: Backend) {
        run(backend, async |api| {
            let owner = api.account();
            let project = api.project(&owner, "once").await;
            let ask = || {
                let body = json!({ "environment_id": project.environment });
                let path = format!("{}/build", project.path);
                let request = api.request(reqwest::Method::POST, &path, &owner.token).json(&body);
                api.send(request.header("idempotency-key", "\"8e03978e-40d5-43dd-bc93-6894a57f9324\""))
            };
            let first = ask().await.expect(202);
            assert_eq!(ask().await.expect(202), first);
            let listed = api.get(&format!("{}/builds", project.path), &owner).await.expect(200);
            assert_eq!(ids(&listed).len(), 1);
        }).await;
    }
}

fn ids(body: &Value) -> Vec<String> {
    body["builds"]
        .as_array()
        .unwrap()
        .iter()
        .map(|build| build["id"].as_str().unwrap().to_owned())
        .collect()
}
