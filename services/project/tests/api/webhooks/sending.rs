//! What is sent, to whom, and how it is signed.

use common::event::{AccountEvent, BuildState, MemberState, ProvisionerEvent};
use common::id::UserId;
use common::role::Role;
use serde_json::{Value, json};
use testkit::{Reply, on_both_backends};

use super::{deliveries, make, newest_is, test, with_hooks};
use crate::builds::{deployment, progress};

/// Whether every value of it is a name or a number of ours, or a text that a test knows.
fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<_> = value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    keys.sort_unstable();
    keys
}

on_both_backends! {
    async fn an_event_is_sent_to_those_who_want_it_and_signed_with_their_secret(backend: Backend) {
        with_hooks(backend, &[], async |api, hooks| {
            let owner = api.account();
            let all = make(api, &owner, hooks, "/all", &["*"]).await;
            let builds = make(api, &owner, hooks, "/builds", &["build.*", "deployment.live"]).await;
            assert_ne!(all.secret, builds.secret);
            let project = api.project(&owner, "shop").await;
            let build = api.build(&owner, &project).await;
            let live = progress(&owner, &project, &build, BuildState::Live);
            api.tell(ProvisionerEvent::BuildSucceeded(live), 1).await;
            let mut deployed = deployment(api, &owner, &project, Some(&build));
            deployed.upstreams = vec!["127.0.0.1:4711".parse().unwrap()];
            api.tell(ProvisionerEvent::DeploymentLive(deployed), 1).await;

            let hook = hooks.of_type("/builds", "build.succeeded").await;
            assert!(hook.is_signed_by(&builds.secret) && !hook.is_signed_by(&all.secret));
            assert_eq!(hook.signatures(), 1);
            assert!(hook.id().starts_with("evt_") && !hook.id().contains('.'));
            assert_eq!(hook.header("content-type"), "application/json");
            let sent: i64 = hook.header("webhook-timestamp").parse().unwrap();
            assert!((api.now().unix() - sent).abs() < 300);
            let body = hook.json();
            assert_eq!(keys(&body), ["data", "timestamp", "type"]);
            assert!(body["timestamp"].as_str().unwrap().ends_with('Z'));
            let data = &body["data"];
            assert_eq!(keys(data), ["account_id", "build_id", "commit", "environment_id", "project_id", "state"]);
            assert_eq!(data["build_id"], build.as_str());
            assert_eq!(data["project_id"], project.id.as_str());
            assert_eq!((&data["state"], &data["commit"]), (&json!("live"), &json!("0123456789abcdef")));

            // One event is one message, whoever is sent it; and nothing says where apps run.
            let same = hooks.of_type("/all", "build.succeeded").await;
            assert_eq!((same.id(), &same.body), (hook.id(), &hook.body));
            let live = hooks.of_type("/builds", "deployment.live").await;
            assert!(!live.body.contains("4711"), "{}", live.body);
            hooks.of_type("/all", "project.created").await;
            hooks.of_type("/all", "environment.created").await;
            hooks.of_type("/builds", "build.requested").await;
            let others = hooks.came("/builds");
            assert!(others.iter().all(|hook| hook.json()["type"] != "project.created"));
        }).await;
    }

    async fn members_are_told_of_by_account(backend: Backend) {
        with_hooks(backend, &[], async |api, hooks| {
            let owner = api.account();
            make(api, &owner, hooks, "/members", &["member.*"]).await;
            let user = UserId::new(api.now());
            let state = MemberState { account_id: owner.account.clone(), user_id: user.clone(), role: Some(Role::Viewer) };
            api.tell(AccountEvent::MemberAdded(state), 1).await;
            let hook = hooks.of_type("/members", "member.added").await;
            let wanted = json!({ "account_id": owner.account, "user_id": user, "role": "viewer" });
            assert_eq!(hook.json()["data"], wanted);
        }).await;
    }

    async fn nobody_is_sent_what_is_another_accounts(backend: Backend) {
        with_hooks(backend, &[], async |api, hooks| {
            let (owner, stranger) = (api.account(), api.account());
            make(api, &owner, hooks, "/owner", &["*"]).await;
            make(api, &stranger, hooks, "/stranger", &["*"]).await;
            let (ours, theirs) = (api.project(&owner, "ours").await, api.project(&stranger, "theirs").await);
            hooks.until("/owner", 2).await;
            hooks.until("/stranger", 2).await;
            for (path, project, other) in [("/owner", &ours, &theirs), ("/stranger", &theirs, &ours)] {
                let bodies: Vec<_> = hooks.came(path).into_iter().map(|hook| hook.body).collect();
                assert!(bodies.iter().all(|body| body.contains(&project.id) && !body.contains(&other.id)), "{bodies:?}");
            }
        }).await;
    }

    async fn what_a_receiver_answers_is_kept_and_shown_in_pages(backend: Backend) {
        with_hooks(backend, &[], async |api, hooks| {
            let owner = api.account();
            let made = make(api, &owner, hooks, "/shown", &["webhook.test"]).await;
            let body = format!("a\0{}", "é".repeat(2_000));
            hooks.reply("/shown", Reply::Answer { status: 201, header: None, body });
            let mut ids = Vec::new();
            for _ in 0..3 {
                ids.push(test(api, &owner, &made).await);
                deliveries(api, &owner, &made, newest_is("delivered")).await;
            }
            let newest = &deliveries(api, &owner, &made, |_| true).await[0];
            assert_eq!(newest["id"], ids[2].as_str());
            assert_eq!((&newest["attempts"], &newest["response"]["status"]), (&json!(1), &json!(201)));
            let kept = newest["response"]["body"].as_str().unwrap();
            assert!(kept.starts_with("a\u{fffd}é") && kept.len() <= 1_024 + 6, "{}", kept.len());
            assert!(newest["duration_ms"].as_i64().unwrap() >= 0);
            assert_eq!((&newest["next_attempt_at"], &newest["problem"]), (&Value::Null, &Value::Null));
            assert_eq!(newest["payload"]["data"]["webhook_id"], made.id.as_str());

            let pages = format!("{}/deliveries?limit=2", made.path);
            let first = api.get(&pages, &owner).await.expect(200);
            assert_eq!(first["deliveries"].as_array().unwrap().len(), 2);
            let next = first["next"].as_str().unwrap();
            let second = api.get(&format!("{pages}&after={next}"), &owner).await.expect(200);
            assert_eq!((&second["deliveries"][0]["id"], &second["next"]), (&json!(ids[0]), &Value::Null));
            let failed = api.get(&format!("{}/deliveries?status=failed", made.path), &owner).await.expect(200);
            assert_eq!(failed["deliveries"], json!([]));
            api.get(&format!("{}/deliveries?after=nonsense", made.path), &owner).await.refused(400, "invalid_cursor");
        }).await;
    }

    async fn while_a_secret_is_replaced_both_sign_and_then_the_new_one_alone(backend: Backend) {
        with_hooks(backend, &[], async |api, hooks| {
            let owner = api.account();
            let made = make(api, &owner, hooks, "/rotated", &["webhook.test"]).await;
            let rotate = format!("{}/rotate-secret", made.path);
            let body = api.post(&rotate, &owner, json!({})).await.expect(200);
            let second = body["secret"].as_str().unwrap().to_owned();
            assert!(body["webhook"]["previous_secret_until"].is_string());
            test(api, &owner, &made).await;
            let hook = hooks.until("/rotated", 1).await.remove(0);
            assert!(hook.signatures() == 2 && hook.is_signed_by(&made.secret) && hook.is_signed_by(&second));

            api.post(&rotate, &owner, json!({ "overlap": "8d" })).await.refused(422, "invalid_data");
            let body = api.post(&rotate, &owner, json!({ "overlap": 0 })).await.expect(200);
            let third = body["secret"].as_str().unwrap().to_owned();
            assert_eq!(body["webhook"]["previous_secret_until"], Value::Null);
            test(api, &owner, &made).await;
            let hook = hooks.until("/rotated", 2).await.remove(1);
            assert!(hook.signatures() == 1 && hook.is_signed_by(&third) && !hook.is_signed_by(&second));
        }).await;
    }

    async fn a_secret_before_signs_no_more_when_its_time_is_over(backend: Backend) {
        with_hooks(backend, &[], async |api, hooks| {
            let owner = api.account();
            let made = make(api, &owner, hooks, "/over", &["webhook.test"]).await;
            let rotate = format!("{}/rotate-secret", made.path);
            api.post(&rotate, &owner, json!({ "overlap": "1ms" })).await.expect(200);
            test(api, &owner, &made).await;
            let hook = hooks.until("/over", 1).await.remove(0);
            assert!(hook.signatures() == 1 && !hook.is_signed_by(&made.secret));
        }).await;
    }
}
