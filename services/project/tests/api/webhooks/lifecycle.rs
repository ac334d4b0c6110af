//! Making, changing and deleting webhooks, and who may.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use common::event::{AccountEvent, AccountState};
use common::role::Role;
use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Reply, on_both_backends};

use super::{deliveries, make, newest_is, test, with_hooks};
use crate::harness::run;

on_both_backends! {
    async fn a_secret_is_shown_once_and_kept_sealed(backend: Backend) {
        with_hooks(backend, &[], async |api, hooks| {
            let owner = api.account();
            let body = json!({ "url": hooks.url("/once"), "description": "Chat" });
            let ask = async || {
                let request = api.request(Method::POST, &owner.path("/webhooks"), &owner.token);
                api.send(request.header("idempotency-key", "one").json(&body)).await
            };
            let made = ask().await;
            assert_eq!(made.header("cache-control"), "no-store");
            let made = made.expect(201);
            let secret = made["secret"].as_str().unwrap();
            let id = made["webhook"]["id"].as_str().unwrap();
            assert_eq!(made["webhook"]["event_types"], json!(["*"]));
            assert_eq!(ask().await.refused(409, "already_done")["id"], id);
            let path = owner.path(&format!("/webhooks/{id}"));
            let shown = api.get(&path, &owner).await.expect(200);
            assert_eq!(shown["webhook"]["description"], "Chat");
            let listed = api.get(&owner.path("/webhooks"), &owner).await.expect(200);
            assert_eq!(listed["webhooks"], json!([shown["webhook"]]));
            assert!(!shown.to_string().contains("whsec_") && !listed.to_string().contains("whsec_"));
            let rows: Vec<Row> = api.platform().context("project").unwrap().db.read(|db| {
                use diesel::RunQueryDsl as _;
                diesel::sql_query("SELECT sealed_secret FROM webhooks").load(db)
            }).await.map_err(|error: diesel::result::Error| error).unwrap();
            let key = STANDARD.decode(&secret[6..]).unwrap();
            assert!(!rows[0].sealed_secret.windows(8).any(|window| window == &key[..8]));
        }).await;
    }

    async fn a_webhook_is_changed_in_the_version_that_was_read(backend: Backend) {
        with_hooks(backend, &[], async |api, hooks| {
            let owner = api.account();
            let made = make(api, &owner, hooks, "/before", &["*"]).await;
            let read = api.get(&made.path, &owner).await;
            let tag = read.header("etag").to_owned();
            let wanted = json!({ "url": hooks.url("/after"), "event_types": ["build.*"], "description": "Chat" });
            let change = async |tag: &str| {
                let request = api.request(Method::PATCH, &made.path, &owner.token);
                api.send(request.header("if-match", tag).json(&wanted)).await
            };
            let body = change(&tag).await.expect(200);
            assert_eq!(body["webhook"]["event_types"], json!(["build.*"]));
            change(&tag).await.refused(412, "precondition_failed");
            test(api, &owner, &made).await;
            hooks.until("/after", 1).await;
            let body = api.patch(&made.path, &owner, json!({ "description": "" })).await.expect(200);
            assert_eq!(body["webhook"]["description"], Value::Null);
            assert_eq!(hooks.came("/before").len(), 0);
        }).await;
    }

    async fn what_cannot_be_a_webhook_is_refused_without_being_repeated(backend: Backend) {
        run(backend, async |api| {
            let owner = api.account();
            let path = owner.path("/webhooks");
            let long = format!("https://canary.example/{}", "x".repeat(2_000));
            for (url, says) in [
                ("http://canary.example/", "plain text"),
                ("https://canary:canary@example.com/", "password"),
                ("ftp://canary.example/", "https address"),
                ("canary", "https address"),
                (long.as_str(), "https address"),
                ("https://127.0.0.1/canary", "private network"),
                ("https://10.0.0.1/canary", "private network"),
                ("https://169.254.169.254/canary", "private network"),
                ("https://[::1]/canary", "private network"),
                ("https://[::ffff:10.0.0.1]/canary", "private network"),
                ("https://0x7f.1/canary", "private network"),
                ("https://2130706433/canary", "private network"),
            ] {
                let refused = api.post(&path, &owner, json!({ "url": url })).await.refused(422, "invalid_data");
                assert_eq!(refused["errors"][0]["field"], "url", "{url}");
                assert!(refused.to_string().contains(says), "{url}: {refused:#}");
                assert!(!refused.to_string().contains("canary"), "{refused:#}");
            }
            for (field, value) in [
                ("event_types", json!(["canary.*"])),
                ("event_types", json!([])),
                ("description", json!("canary\n")),
            ] {
                let mut body = json!({ "url": "https://example.com/" });
                body[field] = value;
                let refused = api.post(&path, &owner, body).await.refused(422, "invalid_data");
                assert_eq!(refused["errors"][0]["field"], field);
                assert!(!refused.to_string().contains("canary"), "{refused:#}");
            }
        }).await;
    }

    async fn an_account_has_twenty_webhooks_at_most(backend: Backend) {
        with_hooks(backend, &[], async |api, hooks| {
            let owner = api.account();
            for number in 0..20 {
                make(api, &owner, hooks, &format!("/{number}"), &["build.*"]).await;
            }
            let body = json!({ "url": hooks.url("/more") });
            api.post(&owner.path("/webhooks"), &owner, body).await.refused(409, "too_many_webhooks");
            make(api, &api.account(), hooks, "/other", &["build.*"]).await;
            let first = api.get(&owner.path("/webhooks?limit=15"), &owner).await.expect(200);
            let next = first["next"].as_str().unwrap();
            let rest = api.get(&owner.path(&format!("/webhooks?limit=15&after={next}")), &owner).await.expect(200);
            assert_eq!(rest["webhooks"].as_array().unwrap().len(), 5);
        }).await;
    }

    async fn developers_look_and_owners_act_and_nobody_else_knows_of_it(backend: Backend) {
        with_hooks(backend, &[], async |api, hooks| {
            let owner = api.account();
            let made = make(api, &owner, hooks, "/mine", &["webhook.test"]).await;
            let delivery = test(api, &owner, &made).await;
            deliveries(api, &owner, &made, newest_is("delivered")).await;
            let listed = format!("{}/deliveries", made.path);
            let replay = format!("{listed}/{delivery}/replay");
            let developer = api.member(&owner.account, Role::Developer);
            for path in [&owner.path("/webhooks"), &made.path, &listed] {
                api.get(path, &developer).await.expect(200);
                let viewer = api.member(&owner.account, Role::Viewer);
                api.get(path, &viewer).await.refused(403, "insufficient_role");
            }
            let acts = [
                (Method::POST, owner.path("/webhooks"), json!({ "url": hooks.url("/theirs") })),
                (Method::PATCH, made.path.clone(), json!({ "url": hooks.url("/theirs") })),
                (Method::POST, format!("{}/rotate-secret", made.path), json!({})),
                (Method::POST, format!("{}/test", made.path), json!({})),
                (Method::POST, replay.clone(), json!({})),
                (Method::DELETE, made.path.clone(), json!({})),
            ];
            for (method, path, body) in acts {
                let request = api.request(method, &path, &developer.token).json(&body);
                api.send(request).await.refused(403, "insufficient_role");
            }
            // Under her own account's path, too, another's webhook isn't there.
            let stranger = api.account();
            let other = make(api, &stranger, hooks, "/other", &["webhook.test"]).await;
            let elsewhere = stranger.path(&format!("/webhooks/{}", made.id));
            api.get(&elsewhere, &stranger).await.refused(404, "not_found");
            api.delete(&elsewhere, &stranger).await.refused(404, "not_found");
            api.post(&format!("{elsewhere}/test"), &stranger, json!({})).await.refused(404, "not_found");
            api.post(&format!("{elsewhere}/rotate-secret"), &stranger, json!({})).await.refused(404, "not_found");
            let theirs = format!("{}/deliveries/{delivery}/replay", other.path);
            api.post(&theirs, &stranger, json!({})).await.refused(404, "not_found");
            assert_eq!(hooks.came("/mine").len(), 1);
        }).await;
    }

    async fn a_deleted_webhook_is_sent_nothing_more(backend: Backend) {
        with_hooks(backend, &[("webhooks.retries", "10ms,10ms,10ms,10ms,10ms")], async |api, hooks| {
            let owner = api.account();
            let gone = make(api, &owner, hooks, "/gone", &["*"]).await;
            hooks.reply("/gone", Reply::Silence);
            test(api, &owner, &gone).await;
            hooks.until("/gone", 1).await;
            test(api, &owner, &gone).await;
            api.delete(&gone.path, &owner).await.expect(200);
            api.get(&gone.path, &owner).await.refused(404, "not_found");
            api.delete(&gone.path, &owner).await.refused(404, "not_found");
            make(api, &owner, hooks, "/stays", &["*"]).await;
            api.project(&owner, "later").await;
            hooks.until("/stays", 2).await;
            assert_eq!(hooks.came("/gone").len(), 1);
        }).await;
    }

    async fn with_a_deleted_account_go_its_webhooks(backend: Backend) {
        with_hooks(backend, &[], async |api, hooks| {
            let owner = api.account();
            let made = make(api, &owner, hooks, "/closed", &["*"]).await;
            let project = api.project(&owner, "last").await;
            hooks.of_type("/closed", "environment.created").await;
            let state = AccountState { account_id: owner.account.clone(), name: "x".into(), deleted: true };
            api.tell(AccountEvent::AccountDeleted(state), 2).await;
            api.told(&project.id, 2).await;
            api.get(&made.path, &owner).await.refused(404, "not_found");
            let body = json!({ "url": hooks.url("/closed") });
            api.post(&owner.path("/webhooks"), &owner, body).await.refused(404, "not_found");
            // Its project's end was told to nobody.
            let other = api.account();
            make(api, &other, hooks, "/other", &["*"]).await;
            api.project(&other, "after").await;
            hooks.until("/other", 2).await;
            assert!(hooks.came("/closed").iter().all(|hook| hook.json()["type"] != "project.deleted"));
        }).await;
    }
}

#[derive(diesel::QueryableByName)]
struct Row {
    #[diesel(sql_type = diesel::sql_types::Binary)]
    sealed_secret: Vec<u8>,
}
