use common::event::{AccountEvent, AccountState, ProjectEvent};
use common::role::Role;
use reqwest::Method;
use serde_json::json;
use testkit::on_both_backends;

use crate::fakes::unique;
use crate::harness::run;

fn repository() -> serde_json::Value {
    json!({ "owner": "medusajs", "repo": "medusa-starter-default" })
}

on_both_backends! {
    async fn a_project_comes_with_its_production_environment(backend: Backend) {
        run(backend, async |api| {
            let owner = api.account();
            let name = unique("My Store");
            let body = json!({ "name": name, "github_data": repository() });
            let made = api.post(&owner.path("/projects"), &owner, body).await;
            assert_eq!(made.header("etag"), "\"1\"");
            let body = made.expect(201);
            let project = &body["project"];
            assert_eq!(project["name"], name);
            assert_eq!(project["account_id"], owner.account.as_str());
            assert_eq!(project["github_data"], repository());
            let environment = &project["environments"][0];
            assert_eq!(environment["name"], "production");
            assert_eq!(environment["database"], false);
            assert_eq!(environment["status"], "idle");
            let label = format!("{}-production", name.to_lowercase().replace(' ', "-"));
            assert_eq!(environment["url"], format!("http://{label}.localhost:8080/"));

            let path = owner.path(&format!("/projects/{}", project["id"].as_str().unwrap()));
            assert_eq!(api.get(&path, &owner).await.expect(200)["project"], *project);
            let told = api.told(project["id"].as_str().unwrap(), 1).await;
            assert!(matches!(&told[0].event, ProjectEvent::ProjectCreated(_)));
            let told = api.told(environment["id"].as_str().unwrap(), 1).await;
            assert!(matches!(&told[0].event, ProjectEvent::EnvironmentCreated(state) if state.label == label));
        }).await;
    }

    async fn a_repository_that_the_account_may_not_use_makes_no_project(backend: Backend) {
        run(backend, async |api| {
            let owner = api.account();
            let ask = async |owner_name: &str| {
                let github_data = json!({ "owner": owner_name, "repo": "x" });
                api.post(&owner.path("/projects"), &owner, json!({ "name": "x", "github_data": github_data })).await
            };
            let refused = ask("nobody").await.refused(422, "repository_not_found");
            assert_eq!(refused["errors"][0]["field"], "github_data");
            let refused = ask("not-installed").await.refused(422, "github_app_not_installed");
            assert_eq!(refused["install_url"], "http://install.example/");
            ask("..").await.refused(422, "invalid_data");
            ask("-oProxyCommand=x").await.refused(422, "invalid_data");
            let listed = api.get(&owner.path("/projects"), &owner).await.expect(200);
            assert_eq!(listed["projects"], json!([]));
        }).await;
    }

    async fn two_projects_of_one_name_get_different_addresses(backend: Backend) {
        run(backend, async |api| {
            let (one, other) = (api.account(), api.account());
            let name = unique("shop");
            let (first, second) = tokio::join!(api.project(&one, &name), api.project(&other, &name));
            assert_ne!(first.label, second.label);
            let plain = format!("{name}-production");
            assert!(first.label == plain || second.label == plain);
            assert!(first.label.starts_with(&plain) && second.label.starts_with(&plain));
        }).await;
    }

    async fn a_label_stays_reserved_after_its_project_is_gone(backend: Backend) {
        run(backend, async |api| {
            let (one, other) = (api.account(), api.account());
            let name = unique("shop");
            let first = api.project(&one, &name).await;
            api.delete(&first.path, &one).await.expect(200);
            let second = api.project(&other, &name).await;
            assert_ne!(first.label, second.label);
        }).await;
    }

    async fn a_deleted_project_is_gone_and_its_environments_are_told_so(backend: Backend) {
        run(backend, async |api| {
            let owner = api.account();
            let project = api.project(&owner, "gone").await;
            let build = api.build(&owner, &project).await;
            let body = api.delete(&project.path, &owner).await.expect(200);
            assert_eq!(body, json!({ "id": project.id, "object": "project", "deleted": true }));
            api.get(&project.path, &owner).await.refused(404, "not_found");
            api.delete(&project.path, &owner).await.refused(404, "not_found");
            api.get(&project.environment_path, &owner).await.refused(404, "not_found");
            api.get(&format!("{}/builds/{build}", project.path), &owner).await.refused(404, "not_found");
            let told = api.told(&project.environment, 2).await;
            assert!(matches!(&told[1].event, ProjectEvent::EnvironmentDeleted(state) if state.deleted));
            assert!(told[1].aggregateversion > told[0].aggregateversion);
            let told = api.told(&project.id, 2).await;
            assert!(matches!(&told[1].event, ProjectEvent::ProjectDeleted(state) if state.deleted));
            let told = api.told(&build, 2).await;
            assert!(matches!(&told[1].event, ProjectEvent::BuildRequested(request) if request.cancel));
        }).await;
    }

    async fn a_project_is_changed_only_in_the_version_that_was_read(backend: Backend) {
        run(backend, async |api| {
            let owner = api.account();
            let project = api.project(&owner, "before").await;
            let change = |tag: &'static str, name: &'static str| {
                api.request(Method::PATCH, &project.path, &owner.token).header("if-match", tag).json(&json!({ "name": name }))
            };
            let changed = api.send(change("\"1\"", "after")).await;
            assert_eq!(changed.header("etag"), "\"2\"");
            let body = changed.expect(200);
            assert_eq!(body["project"]["name"], "after");
            assert_eq!(body["project"]["environments"][0]["label"], project.label);
            api.send(change("\"1\"", "late")).await.refused(412, "precondition_failed");
            let same = api.send(change("\"2\"", "after")).await;
            assert_eq!(same.header("etag"), "\"2\"", "nothing was changed");
            let told = api.told(&project.id, 2).await;
            assert!(matches!(&told[1].event, ProjectEvent::ProjectUpdated(state) if state.name == "after"));
            assert_eq!(told[1].aggregateversion, 2);
        }).await;
    }

    async fn a_new_repository_is_checked_like_the_first(backend: Backend) {
        run(backend, async |api| {
            let owner = api.account();
            let project = api.project(&owner, "moving").await;
            let to = |owner: &str| json!({ "github_data": { "owner": owner, "repo": "medusa-starter-default" } });
            api.patch(&project.path, &owner, to("nobody")).await.refused(422, "repository_not_found");
            api.patch(&project.path, &owner, to("medusajs")).await.expect(200);
        }).await;
    }

    async fn projects_come_page_by_page_newest_first(backend: Backend) {
        run(backend, async |api| {
            let owner = api.account();
            let mut made = Vec::new();
            for place in 0..5 {
                made.push(api.project(&owner, &format!("p{place}")).await.id);
            }
            let mut seen = Vec::new();
            let mut after = String::new();
            loop {
                let body = api.get(&owner.path(&format!("/projects?limit=2{after}")), &owner).await.expect(200);
                let page = body["projects"].as_array().unwrap();
                assert!(page.iter().all(|project| project["environments"][0]["name"] == "production"));
                seen.extend(page.iter().map(|project| project["id"].as_str().unwrap().to_owned()));
                let Some(next) = body["next"].as_str() else { break };
                after = format!("&after={next}");
            }
            made.sort_unstable_by(|one, other| other.cmp(one));
            assert_eq!(seen, made);
            api.get(&owner.path("/projects?after=x"), &owner).await.refused(400, "invalid_cursor");
        }).await;
    }

    async fn another_accounts_project_looks_like_none(backend: Backend) {
        run(backend, async |api| {
            let (owner, stranger) = (api.account(), api.account());
            let project = api.project(&owner, "mine").await;
            api.get(&project.path, &stranger).await.refused(404, "not_found");
            let through_own = stranger.path(&format!("/projects/{}", project.id));
            api.get(&through_own, &stranger).await.refused(404, "not_found");
            api.delete(&through_own, &stranger).await.refused(404, "not_found");
            let environment = format!("{through_own}/environments/{}", project.environment);
            api.get(&environment, &stranger).await.refused(404, "not_found");
            api.get(&format!("{environment}/variables"), &stranger).await.refused(404, "not_found");
            api.get(&project.path, &owner).await.expect(200);
        }).await;
    }

    async fn a_viewer_looks_but_makes_nothing(backend: Backend) {
        run(backend, async |api| {
            let owner = api.account();
            let viewer = api.member(&owner.account, Role::Viewer);
            let project = api.project(&owner, "seen").await;
            api.get(&project.path, &viewer).await.expect(200);
            api.delete(&project.path, &viewer).await.refused(403, "insufficient_role");
            let body = json!({ "name": "x", "github_data": repository() });
            api.post(&owner.path("/projects"), &viewer, body).await.refused(403, "insufficient_role");
            let body = json!({ "environment_id": project.environment });
            api.post(&format!("{}/build", project.path), &viewer, body).await.refused(403, "insufficient_role");
        }).await;
    }

    async fn a_deleted_accounts_projects_go_with_it_and_no_new_ones_come(backend: Backend) {
        run(backend, async |api| {
            let owner = api.account();
            let project = api.project(&owner, "orphan").await;
            let state = AccountState { account_id: owner.account.clone(), name: "x".into(), deleted: true };
            api.tell(AccountEvent::AccountDeleted(state), 2).await;
            api.told(&project.id, 2).await;
            api.get(&project.path, &owner).await.refused(404, "not_found");
            let body = json!({ "name": "late", "github_data": repository() });
            api.post(&owner.path("/projects"), &owner, body).await.refused(404, "not_found");
        }).await;
    }

    async fn a_body_with_unknown_or_wrong_fields_is_refused(backend: Backend) {
        run(backend, async |api| {
            let owner = api.account();
            let ask = async |body| api.post(&owner.path("/projects"), &owner, body).await.expect(422);
            let body = ask(json!({ "name": "x", "github_data": repository(), "extra": 1 })).await;
            assert_eq!(body["code"], "invalid_data");
            assert_eq!(ask(json!({ "name": " ", "github_data": repository() })).await["errors"][0]["field"], "name");
            ask(json!({ "github_data": repository() })).await;
            ask(json!({ "name": "x" })).await;
        }).await;
    }
}
