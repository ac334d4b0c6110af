//! Environments of pull requests.

use common::api::project::{PullRequestAnswer, PullRequestTold};
use common::event::{
    BuildProgress, BuildState, EnvironmentKind, PreviewState, PreviewStatus, ProjectEvent,
    ProvisionerEvent, PullRequestState,
};
use common::id::AccountId;
use common::role::Role;
use common::time::Span;
use serde_json::{Value, json};

use crate::harness::{Api, Member, Project, run};

const FIRST: &str = "1111111111111111111111111111111111111111";
const SECOND: &str = "2222222222222222222222222222222222222222";

/// An open pull request from a branch of the repository.
fn pull(account: &AccountId, number: i64, commit: &str) -> PullRequestState {
    PullRequestState {
        account_id: account.clone(),
        owner: "medusajs".into(),
        repo: "Medusa-Starter-Default".into(),
        number,
        open: true,
        base_branch: "main".into(),
        head_repository: Some("medusajs/medusa-starter-default".into()),
        head_branch: "feature".into(),
        commit: commit.into(),
        fork: false,
        author: "octocat".into(),
    }
}

/// The same from somebody's copy of it.
fn fork(account: &AccountId, number: i64, commit: &str) -> PullRequestState {
    PullRequestState {
        head_repository: Some("mallory/medusa-starter-default".into()),
        fork: true,
        author: "mallory".into(),
        ..pull(account, number, commit)
    }
}

fn closed(pull: PullRequestState) -> PullRequestState {
    PullRequestState {
        open: false,
        ..pull
    }
}

async fn tell(api: &Api, pull: PullRequestState) -> PullRequestAnswer {
    // Each at a time of its own, by which it is known what is newer.
    api.harness.clock.advance(Span::milliseconds(1));
    tell_at(api, pull, Span::zero()).await
}

async fn tell_at(api: &Api, pull_request: PullRequestState, ago: Span) -> PullRequestAnswer {
    let told = PullRequestTold {
        pull_request,
        changed_at: api.now() - ago,
    };
    let calls = &api.platform().context("github").unwrap().calls;
    calls
        .post("project", "/internal/pull-requests", &told)
        .await
        .unwrap()
}

async fn set(api: &Api, by: &Member, project: &Project, settings: Value) -> Value {
    let path = format!("{}/preview-settings", project.path);
    api.put(&path, by, settings).await.expect(200)
}

async fn preview(api: &Api, by: &Member, project: &Project, number: i64) -> Value {
    let path = format!("{}/previews/{number}", project.path);
    api.get(&path, by).await.expect(200)["preview"].clone()
}

/// A project whose previews are on.
async fn previewed(api: &Api, by: &Member, settings: Value) -> Project {
    let project = api.project(by, "shop").await;
    let mut all = json!({ "enabled": true });
    for (name, value) in settings.as_object().unwrap() {
        all[name] = value.clone();
    }
    set(api, by, &project, all).await;
    project
}

async fn environment(api: &Api, by: &Member, project: &Project, preview: &Value) -> Value {
    let id = preview["environment_id"].as_str().unwrap();
    let path = format!("{}/environments/{id}", project.path);
    api.get(&path, by).await.expect(200)["environment"].clone()
}

async fn variables(api: &Api, by: &Member, project: &Project, preview: &Value) -> Vec<String> {
    let id = preview["environment_id"].as_str().unwrap();
    let path = format!("{}/environments/{id}/variables", project.path);
    let body = api.get(&path, by).await.expect(200);
    let all = body["variables"].as_array().unwrap();
    let name = |variable: &Value| variable["name"].as_str().unwrap().to_owned();
    all.iter().map(name).collect()
}

/// How the project service told of a preview last.
async fn told(api: &Api, project: &Project, number: i64, count: usize) -> PreviewState {
    let told = api.told(&format!("{}/{number}", project.id), count).await;
    let last = told.into_iter().max_by_key(|told| told.aggregateversion);
    match last.map(|told| told.event) {
        Some(ProjectEvent::PreviewChanged(state)) => state,
        other => panic!("{other:?}"),
    }
}

testkit::on_both_backends! {
    async fn a_pull_request_has_an_environment_as_long_as_it_is_open(backend: Backend) {
        run(backend, async |api| {
            let owner = api.account();
            let project = previewed(api, &owner, json!({})).await;
            let begun = tell(api, pull(&owner.account, 5, FIRST)).await;
            assert_eq!((begun.builds.len(), begun.changed, begun.reason), (1, true, None));
            let shown = preview(api, &owner, &project, 5).await;
            assert_eq!((&shown["status"], &shown["build_state"]), (&json!("active"), &json!("queued")), "{shown:#}");
            assert_eq!(shown["url"], "http://shop-pr-5.localhost:8080/");
            let place = environment(api, &owner, &project, &shown).await;
            assert_eq!((&place["name"], &place["kind"], &place["database"]), (&json!("pr-5"), &json!("preview"), &json!(false)));
            assert_eq!(place["sleep_after"], 1_800);
            let build = api.get(&format!("{}/builds/{}", project.path, begun.builds[0]), &owner).await.expect(200);
            assert_eq!((&build["build"]["ref"], &build["build"]["requested_by"]), (&json!(FIRST), &Value::Null));

            // Told again nothing is built; a new commit is, in the same place.
            assert!(tell(api, pull(&owner.account, 5, FIRST)).await.builds.is_empty());
            assert_eq!(tell(api, pull(&owner.account, 5, SECOND)).await.builds.len(), 1);
            let second = preview(api, &owner, &project, 5).await;
            assert_eq!(second["environment_id"], shown["environment_id"]);
            assert_eq!(second["built_commit"], SECOND);

            let over = tell(api, closed(pull(&owner.account, 5, SECOND))).await;
            assert!(over.changed && over.builds.is_empty());
            let gone = preview(api, &owner, &project, 5).await;
            assert_eq!((&gone["status"], &gone["environment_id"], &gone["url"]), (&json!("closed"), &Value::Null, &Value::Null));
            let path = format!("{}/environments/{}", project.path, shown["environment_id"].as_str().unwrap());
            api.get(&path, &owner).await.refused(404, "not_found");
            let state = told(api, &project, 5, 4).await;
            assert_eq!((state.status, state.environment), (PreviewStatus::Closed, None));

            // Opened again it is another app's name: the one before is nobody's for ever.
            assert_eq!(tell(api, pull(&owner.account, 5, SECOND)).await.builds.len(), 1);
            let again = preview(api, &owner, &project, 5).await;
            let url = again["url"].as_str().unwrap();
            assert!(url.starts_with("http://shop-pr-5-") && url != shown["url"], "{url}");
        }).await;
    }

    async fn previews_are_off_until_somebody_turns_them_on_and_go_when_they_are_turned_off(backend: Backend) {
        run(backend, async |api| {
            let owner = api.account();
            let project = api.project(&owner, "shop").await;
            let off = tell(api, pull(&owner.account, 1, FIRST)).await;
            assert!(!off.changed && off.builds.is_empty());
            assert_eq!(off.reason.unwrap(), "Previews are off for the project");
            let path = format!("{}/previews", project.path);
            assert_eq!(api.get(&path, &owner).await.expect(200)["previews"], json!([]));
            let viewer = api.member(&owner.account, Role::Viewer);
            let settings = format!("{}/preview-settings", project.path);
            assert_eq!(api.get(&settings, &viewer).await.expect(200)["preview_settings"]["enabled"], false);
            api.put(&settings, &viewer, json!({ "enabled": true })).await.refused(403, "insufficient_role");

            set(api, &owner, &project, json!({ "enabled": true, "base_branches": ["main", "release/1"], "sleep_after": null })).await;
            let other = PullRequestState { base_branch: "old".into(), ..pull(&owner.account, 1, FIRST) };
            assert_eq!(tell(api, other.clone()).await.reason.unwrap(), "Pull requests to `old` get no previews");
            assert_eq!(tell(api, pull(&owner.account, 1, FIRST)).await.builds.len(), 1);
            let first = preview(api, &owner, &project, 1).await;
            assert_eq!(environment(api, &owner, &project, &first).await["sleep_after"], Value::Null);
            // Led to another branch it has none any more.
            assert!(tell(api, other).await.changed);
            assert_eq!(preview(api, &owner, &project, 1).await["status"], "closed");
            assert_eq!(tell(api, pull(&owner.account, 1, FIRST)).await.builds.len(), 1);
            set(api, &owner, &project, json!({ "enabled": false })).await;
            let gone = preview(api, &owner, &project, 1).await;
            assert_eq!((&gone["status"], &gone["environment_id"]), (&json!("closed"), &Value::Null));
            for wrong in [json!({ "most": 0 }), json!({ "sleep_after": 59 }), json!({ "source_environment": "none" }), json!({ "base_branches": ["a..b"] })] {
                api.put(&settings, &owner, wrong).await.expect(422);
            }
        }).await;
    }

    async fn variables_are_copied_and_secrets_only_where_that_is_allowed(backend: Backend) {
        run(backend, async |api| {
            let owner = api.account();
            let project = previewed(api, &owner, json!({})).await;
            let given = json!({ "variables": {
                "COLOUR": { "value": "blue", "secret": false },
                "API_KEY": { "value": "hidden", "secret": true },
                "DATABASE_URL": { "value": "postgres://production", "secret": true },
            } });
            api.put(&format!("{}/variables", project.environment_path), &owner, given).await.expect(200);
            tell(api, pull(&owner.account, 1, FIRST)).await;
            let plain = preview(api, &owner, &project, 1).await;
            assert_eq!(variables(api, &owner, &project, &plain).await, ["COLOUR"]);
            // Production's data is out of reach: there is a database of its own instead.
            assert_eq!(environment(api, &owner, &project, &plain).await["database"], true);

            set(api, &owner, &project, json!({ "secrets": true })).await;
            tell(api, pull(&owner.account, 2, FIRST)).await;
            let trusted = preview(api, &owner, &project, 2).await;
            assert_eq!(variables(api, &owner, &project, &trusted).await, ["API_KEY", "COLOUR"]);
            let id = trusted["environment_id"].as_str().unwrap();
            let calls = &api.platform().context("provisioner").unwrap().calls;
            let path = format!("/internal/environments/{id}/runtime");
            let runtime: Value = calls.get("project", &path).await.unwrap();
            assert_eq!((&runtime["variables"]["COLOUR"], &runtime["secrets"]["API_KEY"]), (&json!("blue"), &json!("hidden")));

            // A fork's never has any, and can't be given one.
            tell(api, fork(&owner.account, 3, FIRST)).await;
            let approve = format!("{}/previews/3/approve", project.path);
            api.post(&approve, &owner, json!({ "commit": FIRST })).await.expect(202);
            let strange = preview(api, &owner, &project, 3).await;
            assert_eq!(variables(api, &owner, &project, &strange).await, ["COLOUR"]);
            let path = format!("{}/environments/{}/variables", project.path, strange["environment_id"].as_str().unwrap());
            let secret = json!({ "variables": { "X": { "value": "y", "secret": true } } });
            api.put(&path, &owner, secret).await.refused(409, "preview_of_fork");
        }).await;
    }

    async fn a_fork_runs_only_the_very_commit_that_a_member_has_approved(backend: Backend) {
        run(backend, async |api| {
            let owner = api.account();
            let project = previewed(api, &owner, json!({})).await;
            let opened = tell(api, fork(&owner.account, 7, FIRST)).await;
            assert!(opened.builds.is_empty() && opened.changed);
            let waiting = preview(api, &owner, &project, 7).await;
            assert_eq!((&waiting["status"], &waiting["environment_id"]), (&json!("awaiting_approval"), &Value::Null));

            let path = format!("{}/previews/7", project.path);
            let (approve, rebuild) = (format!("{path}/approve"), format!("{path}/rebuild"));
            let viewer = api.member(&owner.account, Role::Viewer);
            let developer = api.member(&owner.account, Role::Developer);
            api.post(&rebuild, &developer, json!({})).await.refused(409, "approval_needed");
            api.post(&approve, &viewer, json!({ "commit": FIRST })).await.refused(403, "insufficient_role");
            let stale = api.post(&approve, &developer, json!({ "commit": SECOND })).await.refused(409, "commit_changed");
            assert_eq!(stale["commit"], FIRST);
            let approved = api.post(&approve, &developer, json!({ "commit": FIRST })).await.expect(202);
            let approved = &approved["preview"];
            assert_eq!((&approved["status"], &approved["approved_by"]), (&json!("active"), &json!(developer.user)));
            let place = environment(api, &owner, &project, approved).await;
            assert_eq!(place["kind"], "fork_preview");
            let build = approved["build_id"].as_str().unwrap();
            let requested = api.told(build, 1).await;
            let ProjectEvent::BuildRequested(request) = &requested[0].event else { panic!("{requested:?}") };
            assert_eq!((request.git_ref.as_deref(), request.settings_ref.as_deref()), (Some(FIRST), Some("main")));
            assert_eq!(request.environment.kind, EnvironmentKind::ForkPreview);

            // What comes later has to be approved anew; what runs goes on.
            let pushed = tell(api, fork(&owner.account, 7, SECOND)).await;
            assert!(pushed.builds.is_empty());
            let later = preview(api, &owner, &project, 7).await;
            assert_eq!((&later["status"], &later["built_commit"]), (&json!("awaiting_approval"), &json!(FIRST)));
            assert_eq!(later["environment_id"], approved["environment_id"]);
            api.post(&approve, &developer, json!({ "commit": FIRST })).await.refused(409, "commit_changed");
            let again = api.post(&approve, &developer, json!({ "commit": SECOND })).await.expect(202);
            assert_eq!(again["preview"]["built_commit"], SECOND);

            // So does the same commit that is led to another branch, whose settings it would run by.
            let led = PullRequestState { base_branch: "lax".into(), ..fork(&owner.account, 7, SECOND) };
            assert!(tell(api, led).await.builds.is_empty());
            assert_eq!(preview(api, &owner, &project, 7).await["status"], "awaiting_approval");

            tell(api, pull(&owner.account, 8, FIRST)).await;
            let own = format!("{}/previews/8/approve", project.path);
            api.post(&own, &owner, json!({ "commit": FIRST })).await.refused(409, "no_approval_needed");
            tell(api, closed(fork(&owner.account, 7, SECOND))).await;
            api.post(&approve, &owner, json!({ "commit": SECOND })).await.refused(409, "preview_closed");
        }).await;
    }

    async fn one_too_many_waits_until_another_is_over(backend: Backend) {
        run(backend, async |api| {
            let owner = api.account();
            let project = previewed(api, &owner, json!({ "most": 1 })).await;
            tell(api, pull(&owner.account, 1, FIRST)).await;
            let second = tell(api, pull(&owner.account, 2, FIRST)).await;
            assert!(second.builds.is_empty() && second.reason.unwrap().contains("limit"));
            assert_eq!(preview(api, &owner, &project, 2).await["status"], "waiting");
            let path = format!("{}/previews/2/rebuild", project.path);
            api.post(&path, &owner, json!({})).await.refused(409, "preview_waits");
            // It is told of the newest commit all the same.
            tell(api, pull(&owner.account, 2, SECOND)).await;
            let over = tell(api, closed(pull(&owner.account, 1, FIRST))).await;
            assert_eq!(over.builds.len(), 1);
            let begun = preview(api, &owner, &project, 2).await;
            assert_eq!((&begun["status"], &begun["built_commit"]), (&json!("active"), &json!(SECOND)));
        }).await;
    }

    async fn what_was_so_earlier_changes_nothing_later(backend: Backend) {
        run(backend, async |api| {
            let owner = api.account();
            let project = previewed(api, &owner, json!({})).await;
            tell(api, pull(&owner.account, 1, SECOND)).await;
            api.harness.clock.advance(Span::seconds(9));
            tell(api, closed(pull(&owner.account, 1, SECOND))).await;
            let late = tell_at(api, pull(&owner.account, 1, FIRST), Span::seconds(5)).await;
            assert!(!late.changed && late.builds.is_empty(), "{late:?}");
            assert_eq!(preview(api, &owner, &project, 1).await["status"], "closed");
        }).await;
    }

    async fn a_preview_is_built_and_removed_as_one_alone(backend: Backend) {
        run(backend, async |api| {
            let owner = api.account();
            let project = previewed(api, &owner, json!({})).await;
            tell(api, pull(&owner.account, 4, FIRST)).await;
            let shown = preview(api, &owner, &project, 4).await;
            let id = shown["environment_id"].clone();
            let body = json!({ "environment_id": id, "ref": SECOND });
            api.post(&format!("{}/build", project.path), &owner, body).await.refused(409, "preview_environment");
            let place = format!("{}/environments/{}", project.path, id.as_str().unwrap());
            api.delete(&place, &owner).await.refused(409, "preview_environment");
            // A push to the default branch is none to it.
            let push = common::api::project::Pushed {
                account_id: owner.account.clone(),
                trigger: "1/1".into(),
                owner: "medusajs".into(),
                repo: "medusa-starter-default".into(),
                branch: "main".into(),
                is_default: true,
            };
            let calls = &api.platform().context("github").unwrap().calls;
            let pushed: Value = calls.post("project", "/internal/pushes", &push).await.unwrap();
            assert_eq!(pushed["builds"].as_array().unwrap().len(), 1, "production's alone");

            let path = format!("{}/previews/4", project.path);
            let rebuilt = api.post(&format!("{path}/rebuild"), &owner, json!({})).await.expect(202);
            assert_ne!(rebuilt["preview"]["build_id"], shown["build_id"]);
            api.delete(&path, &owner).await.expect(200);
            api.get(&place, &owner).await.expect(404);
            // A push doesn't bring it back; a member does, and so does opening it again.
            let ignored = tell(api, pull(&owner.account, 4, SECOND)).await;
            assert_eq!(ignored.reason.unwrap(), "A member has removed the preview");
            assert_eq!(preview(api, &owner, &project, 4).await["status"], "removed");
            let back = api.post(&format!("{path}/rebuild"), &owner, json!({})).await.expect(202);
            assert_eq!((&back["preview"]["status"], &back["preview"]["built_commit"]), (&json!("active"), &json!(SECOND)));
            api.delete(&path, &owner).await.expect(200);
            tell(api, closed(pull(&owner.account, 4, SECOND))).await;
            assert_eq!(tell(api, pull(&owner.account, 4, SECOND)).await.builds.len(), 1);
        }).await;
    }

    async fn a_repository_of_two_accounts_is_previewed_by_each_on_its_own(backend: Backend) {
        run(backend, async |api| {
            let (one, other) = (api.account(), api.account());
            let mine = previewed(api, &one, json!({})).await;
            let theirs = previewed(api, &other, json!({})).await;
            tell(api, fork(&one.account, 1, FIRST)).await;
            tell(api, fork(&other.account, 1, FIRST)).await;
            let path = format!("{}/previews/1/approve", mine.path);
            api.post(&path, &one, json!({ "commit": FIRST })).await.expect(202);
            assert_eq!(preview(api, &other, &theirs, 1).await["status"], "awaiting_approval");
            // Nobody sees or decides what is another's.
            let prying = Member { account: one.account.clone(), ..other.clone() };
            for path in ["previews", "previews/1", "preview-settings"] {
                api.get(&format!("{}/{path}", mine.path), &prying).await.expect(404);
            }
            let moved = mine.path.replace(one.account.as_str(), other.account.as_str());
            api.get(&format!("{moved}/previews/1"), &other).await.expect(404);
            api.get(&format!("{moved}/previews"), &other).await.expect(404);
            api.post(&format!("{moved}/previews/1/approve"), &other, json!({ "commit": FIRST })).await.expect(404);
        }).await;
    }

    async fn how_the_build_goes_is_told_of_its_preview_and_all_end_with_the_project(backend: Backend) {
        run(backend, async |api| {
            let owner = api.account();
            let project = previewed(api, &owner, json!({})).await;
            let begun = tell(api, pull(&owner.account, 1, FIRST)).await;
            let first = told(api, &project, 1, 1).await;
            let place = first.environment.unwrap();
            assert_eq!((place.label.as_str(), first.build.unwrap().state), ("shop-pr-1", BuildState::Queued));
            let progress = BuildProgress {
                build_id: begun.builds[0].clone(),
                environment_id: place.environment_id,
                account_id: owner.account.clone(),
                state: BuildState::Live,
                commit: Some(FIRST.into()),
                commit_message: None,
                reason: None,
                started_at: None,
                finished_at: None,
            };
            api.tell(ProvisionerEvent::BuildSucceeded(progress), 4).await;
            let live = told(api, &project, 1, 2).await.build.unwrap();
            assert_eq!((live.state, live.commit.as_str()), (BuildState::Live, FIRST));
            api.delete(&project.path, &owner).await.expect(200);
            let over = told(api, &project, 1, 3).await;
            assert_eq!((over.status, over.environment, over.build), (PreviewStatus::Closed, None, None));
        }).await;
    }

    async fn a_name_that_a_member_has_given_is_no_hindrance_and_only_github_tells(backend: Backend) {
        run(backend, async |api| {
            let owner = api.account();
            let project = previewed(api, &owner, json!({})).await;
            let body = json!({ "name": "pr-9" });
            api.post(&format!("{}/environments", project.path), &owner, body).await.expect(201);
            assert_eq!(tell(api, pull(&owner.account, 9, FIRST)).await.builds.len(), 1);
            let shown = preview(api, &owner, &project, 9).await;
            let name = environment(api, &owner, &project, &shown).await["name"].clone();
            assert!(name.as_str().unwrap().starts_with("pr-9-"), "{name}");
            let told = PullRequestTold { pull_request: pull(&owner.account, 1, FIRST), changed_at: api.now() };
            let calls = &api.platform().context("provisioner").unwrap().calls;
            let refused = calls.post::<_, Value>("project", "/internal/pull-requests", &told).await.unwrap_err();
            assert_eq!(refused.problem().unwrap().status, 403);
        }).await;
    }
}
