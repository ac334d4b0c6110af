use common::event::ProjectEvent;
use common::role::Role;
use reqwest::Method;
use serde_json::{Value, json};
use testkit::on_both_backends;

use crate::fakes::unique;
use crate::harness::run;

on_both_backends! {
    async fn an_environment_is_published_changed_and_withdrawn(backend: Backend) {
        run(backend, async |api| {
            let owner = api.account();
            let project = api.project(&owner, "published").await;
            let path = format!("{}/publication", project.environment_path);
            let (name, other) = (unique("location"), unique("places"));
            api.get(&path, &owner).await.refused(404, "not_found");
            let body = api.put(&path, &owner, json!({ "name": name })).await.expect(200);
            assert_eq!(body["publication"]["visibility"], "account");
            assert_eq!(body["publication"]["scopes"], json!(["read", "write"]));
            assert_eq!(body["publication"]["pending_approval"], false);
            assert_eq!(body["publication"]["path"], format!("/v1/{name}/"));
            assert_eq!(api.get(&path, &owner).await.expect(200), body);

            let friends = api.account();
            let visibility = json!({ "accounts": [friends.account] });
            let wanted = json!({ "name": other, "visibility": visibility, "scopes": ["read"] });
            let body = api.put(&path, &owner, wanted).await.expect(200);
            assert_eq!(body["publication"]["visibility"], visibility);
            let told = api.told(&name, 2).await;
            assert!(matches!(&told[1].event, ProjectEvent::ServiceWithdrawn(service) if service.withdrawn));
            assert_eq!((told[0].aggregateversion, told[1].aggregateversion), (1, 2));

            let body = api.delete(&path, &owner).await.expect(200);
            assert_eq!(body["id"], other);
            api.delete(&path, &owner).await.refused(404, "not_found");
            let told = api.told(&other, 2).await;
            assert!(matches!(&told[0].event, ProjectEvent::ServicePublished(service)
                if service.scopes.len() == 1 && service.environment_id.as_str() == project.environment));
        }).await;
    }

    async fn a_name_is_one_environments_and_stays_its_accounts_when_withdrawn(backend: Backend) {
        run(backend, async |api| {
            let (owner, other) = (api.account(), api.account());
            let mine = api.project(&owner, "mine").await;
            let also_mine = api.project(&owner, "also-mine").await;
            let theirs = api.project(&other, "theirs").await;
            let name = unique("wanted");
            let put = async |project: &crate::harness::Project, by| {
                api.put(&format!("{}/publication", project.environment_path), by, json!({ "name": name })).await
            };
            let (one, two) = tokio::join!(put(&mine, &owner), put(&theirs, &other));
            let (winner, by, loser, loser_by) = match (one.status.as_u16(), two.status.as_u16()) {
                (200, 409) => (&mine, &owner, &theirs, &other),
                (409, 200) => (&theirs, &other, &mine, &owner),
                statuses => panic!("{statuses:?}"),
            };
            put(loser, loser_by).await.refused(409, "service_name_taken");
            api.delete(&format!("{}/publication", winner.environment_path), by).await.expect(200);
            put(loser, loser_by).await.refused(409, "service_name_taken");
            put(winner, by).await.expect(200);
            if by.account == owner.account {
                put(&also_mine, by).await.refused(409, "service_name_taken");
            }
            let told = api.told(&name, 3).await;
            let versions: Vec<_> = told.iter().map(|envelope| envelope.aggregateversion).collect();
            assert_eq!(versions, [1, 2, 3]);
        }).await;
    }

    async fn a_public_service_waits_for_an_admin(backend: Backend) {
        run(backend, async |api| {
            let owner = api.account();
            let project = api.project(&owner, "public").await;
            let path = format!("{}/publication", project.environment_path);
            let approve = format!("{path}/approve");
            let name = unique("public");
            let admin = api.admin();
            let approved = async || api.send(api.request(Method::POST, &approve, &admin)).await;
            approved().await.refused(404, "not_found");
            api.put(&path, &owner, json!({ "name": name })).await.expect(200);
            approved().await.refused(409, "not_public");

            let wanted = json!({ "name": name, "visibility": "public" });
            let body = api.put(&path, &owner, wanted.clone()).await.expect(200);
            assert_eq!(body["publication"]["pending_approval"], true);
            api.post(&approve, &owner, json!({})).await.refused(403, "wrong_actor");
            assert_eq!(approved().await.expect(200)["publication"]["pending_approval"], false);
            approved().await.expect(200);
            let body = api.put(&path, &owner, wanted.clone()).await.expect(200);
            assert_eq!(body["publication"]["pending_approval"], false, "it goes on being public");

            api.put(&path, &owner, json!({ "name": name })).await.expect(200);
            let body = api.put(&path, &owner, wanted).await.expect(200);
            assert_eq!(body["publication"]["pending_approval"], true, "it was not public in between");
            let told = api.told(&name, 6).await;
            let pending: Vec<_> = told.iter().map(|envelope| match &envelope.event {
                ProjectEvent::ServicePublished(service) => service.pending_approval,
                other => panic!("{other:?}"),
            }).collect();
            assert_eq!(pending, [false, true, false, false, false, true]);
        }).await;
    }

    async fn a_deleted_environments_service_is_withdrawn(backend: Backend) {
        run(backend, async |api| {
            let owner = api.account();
            let project = api.project(&owner, "gone").await;
            let name = unique("gone");
            let path = format!("{}/publication", project.environment_path);
            api.put(&path, &owner, json!({ "name": name })).await.expect(200);
            api.delete(&project.path, &owner).await.expect(200);
            let told = api.told(&name, 2).await;
            assert!(matches!(&told[1].event, ProjectEvent::ServiceWithdrawn(_)));
        }).await;
    }

    async fn a_publication_says_what_holds_for_its_calls(backend: Backend) {
        run(backend, async |api| {
            let owner = api.account();
            let project = api.project(&owner, "ruled").await;
            let path = format!("{}/publication", project.environment_path);
            let name = unique("ruled");
            let wanted = json!({
                "name": name,
                "endpoints": [{ "method": "POST", "path": "/search", "scope": "read", "timeout": 5 }, { "path": "/admin/**", "scope": "write" }],
                "cors": { "origins": ["https://shop.example"] },
                "timeout": 30,
                "max_body": 1_000_000,
                "max_response_body": 5_000_000,
                "health": { "path": "/healthz", "interval": 5, "timeout": 1, "healthy_after": 1, "unhealthy_after": 2, "status": 204 },
            });
            let body = api.put(&path, &owner, wanted.clone()).await.expect(200);
            for (field, value) in wanted.as_object().unwrap() {
                assert_eq!(&body["publication"][field], value, "{field}");
            }
            assert_eq!(api.get(&path, &owner).await.expect(200), body);
            // What isn't said again holds no more: it is put as a whole.
            let body = api.put(&path, &owner, json!({ "name": name })).await.expect(200);
            assert_eq!(body["publication"]["endpoints"], json!([]));
            assert_eq!(body["publication"]["timeout"], Value::Null);
            let told = api.told(&name, 2).await;
            let rules: Vec<_> = told.iter().map(|envelope| match &envelope.event {
                ProjectEvent::ServicePublished(service) => service.rules.clone(),
                other => panic!("{other:?}"),
            }).collect();
            assert_eq!((rules[0].endpoints.len(), rules[0].max_body), (2, Some(1_000_000)));
            assert_eq!(rules[1], common::rules::ServiceRules::default());
        }).await;
    }

    async fn a_wrong_publication_is_refused(backend: Backend) {
        run(backend, async |api| {
            let owner = api.account();
            let viewer = api.member(&owner.account, Role::Viewer);
            let project = api.project(&owner, "wrong").await;
            let path = format!("{}/publication", project.environment_path);
            let wrong: [(Value, &str); 15] = [
                (json!({ "name": "users" }), "name"),
                (json!({ "name": "X" }), "name"),
                (json!({ "name": "good", "visibility": "everyone" }), "visibility"),
                (json!({ "name": "good", "visibility": { "accounts": [] } }), "visibility.accounts"),
                (json!({ "name": "good", "scopes": [] }), "scopes"),
                (json!({ "name": "good", "scopes": ["admin"] }), "scopes"),
                (json!({ "name": "good", "extra": 1 }), "extra"),
                (json!({ "name": "good", "endpoints": [{ "path": "x" }] }), "endpoints[0].path"),
                (json!({ "name": "good", "endpoints": [{ "path": "/x", "extra": 1 }] }), "extra"),
                (json!({ "name": "good", "scopes": ["read"], "endpoints": [{ "path": "/x", "scope": "write" }] }), "endpoints[0].scope"),
                (json!({ "name": "good", "cors": { "origins": ["null"] } }), "cors.origins[0]"),
                (json!({ "name": "good", "timeout": 100_000 }), "timeout"),
                (json!({ "name": "good", "max_body": 0 }), "max_body"),
                (json!({ "name": "good", "max_response_body": 0 }), "max_response_body"),
                (json!({ "name": "good", "health": { "path": "/", "interval": 0 } }), "health.interval"),
            ];
            for (body, field) in wrong {
                let refused = api.put(&path, &owner, body).await.refused(422, "invalid_data");
                assert!(refused["errors"][0]["field"].as_str().unwrap().contains(field), "{refused:#}");
            }
            api.put(&path, &viewer, json!({ "name": "good" })).await.refused(403, "insufficient_role");
        }).await;
    }
}
