//! What follows from a push at GitHub, and from a new name there.

use chassis::calls::CallError;
use common::api::project::{Pushed, PushedAnswer};
use common::event::{GithubEvent, RepositoryMoved};
use common::id::AccountId;
use serde_json::{Value, json};

use crate::harness::{Api, Member, run};

fn push(account: &AccountId, branch: &str, trigger: &str) -> Pushed {
    Pushed {
        account_id: account.clone(),
        trigger: trigger.into(),
        owner: "medusajs".into(),
        repo: "medusa-starter-default".into(),
        branch: branch.into(),
        is_default: branch == "main",
    }
}

async fn tell(api: &Api, push: &Pushed) -> PushedAnswer {
    let calls = &api.platform().context("github").unwrap().calls;
    calls
        .post("project", "/internal/pushes", push)
        .await
        .unwrap()
}

fn moved(by: &Member, from: &str, to: &str) -> GithubEvent {
    GithubEvent::RepositoryMoved(RepositoryMoved {
        account_id: by.account.clone(),
        from_owner: "medusajs".into(),
        from_repo: Some(from.into()),
        owner: "medusajs".into(),
        repo: Some(to.into()),
    })
}

testkit::on_both_backends! {
    async fn a_push_builds_what_follows_its_branch_once(backend: Backend) {
        run(backend, async |api| {
            let owner = api.account();
            let project = api.project(&owner, "pushed").await;
            let body = json!({ "name": "staging", "branch": "dev" });
            let staging = api.post(&format!("{}/environments", project.path), &owner, body).await.expect(201);
            let staging = staging["environment"]["id"].as_str().unwrap().to_owned();

            let built = tell(api, &push(&owner.account, "main", "1/1")).await;
            assert_eq!((built.builds.len(), built.reason.as_deref()), (1, None));
            let path = format!("{}/builds/{}", project.path, built.builds[0]);
            let shown = api.get(&path, &owner).await.expect(200);
            let shown = &shown["build"];
            assert_eq!((&shown["environment_id"], &shown["ref"]), (&json!(project.environment), &json!("main")));
            assert_eq!((&shown["requested_by"], &shown["state"]), (&Value::Null, &json!("queued")));
            assert_eq!(tell(api, &push(&owner.account, "main", "1/1")).await.builds, built.builds);
            assert_ne!(tell(api, &push(&owner.account, "main", "1/2")).await.builds, built.builds);

            let other = tell(api, &push(&owner.account, "dev", "2/1")).await;
            let path = format!("{}/builds/{}", project.path, other.builds[0]);
            assert_eq!(api.get(&path, &owner).await.expect(200)["build"]["environment_id"], json!(staging));
        }).await;
    }

    async fn where_nothing_is_built_it_is_said_why(backend: Backend) {
        run(backend, async |api| {
            let owner = api.account();
            let stranger = api.account();
            api.project(&owner, "pushed").await;
            let unfollowed = tell(api, &push(&owner.account, "feature/x", "1/1")).await;
            assert!(unfollowed.builds.is_empty());
            assert_eq!(unfollowed.reason.unwrap(), "No environment follows the branch `feature/x`");
            let theirs = tell(api, &push(&stranger.account, "main", "1/1")).await;
            assert!(theirs.builds.is_empty() && theirs.reason.unwrap().starts_with("No project"));
            let calls = &api.platform().context("provisioner").unwrap().calls;
            let refused = calls
                .post::<_, PushedAnswer>("project", "/internal/pushes", &push(&owner.account, "main", "2/1"))
                .await
                .unwrap_err();
            assert!(matches!(&refused, CallError::Problem { problem, .. } if problem.status == 403), "{refused}");
        }).await;
    }

    async fn a_project_follows_its_repository_to_another_name(backend: Backend) {
        run(backend, async |api| {
            let (owner, other) = (api.account(), api.account());
            let mine = api.project(&owner, "moving").await;
            let theirs = api.project(&other, "staying").await;
            api.tell(moved(&owner, "Medusa-Starter-Default", "store"), 1).await;
            let changed = api.until(&mine.path, &owner, |body| body["project"]["github_data"]["repo"] == "store").await;
            assert_eq!(changed["project"]["github_data"]["owner"], "medusajs");
            let untouched = api.get(&theirs.path, &other).await.expect(200);
            assert_eq!(untouched["project"]["github_data"]["repo"], "medusa-starter-default");
        }).await;
    }
}
