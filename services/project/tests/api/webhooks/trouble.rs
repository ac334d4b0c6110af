//! Receivers that fail, wait, redirect, have gone, or are inside.

use common::event::ProjectEvent;
use common::time::{Span, Time};
use serde_json::{Value, json};
use testkit::{Reply, on_both_backends};

use super::{Made, deliveries, make, newest_is, test, with_hooks};
use crate::harness::{Api, Member};
use crate::names::Names;

async fn view(api: &Api, by: &Member, made: &Made) -> Value {
    api.get(&made.path, by).await.expect(200)["webhook"].clone()
}

on_both_backends! {
    async fn what_fails_is_sent_again_under_the_same_id_and_given_up_at_the_schedules_end(backend: Backend) {
        with_hooks(backend, &[], async |api, hooks| {
            let owner = api.account();
            let made = make(api, &owner, hooks, "/failing", &["webhook.test"]).await;
            hooks.reply("/failing", Reply::status(500));
            let delivery = test(api, &owner, &made).await;
            let failed = deliveries(api, &owner, &made, newest_is("failed")).await.remove(0);
            assert_eq!((&failed["attempts"], &failed["response"]["status"]), (&json!(3), &json!(500)));
            assert!(failed["finished_at"].is_string());
            let came = hooks.came("/failing");
            assert_eq!(came.len(), 3);
            assert!(came.iter().all(|hook| hook.id() == came[0].id() && hook.body == came[0].body && hook.is_signed_by(&made.secret)));
            assert!(view(api, &owner, &made).await["failing_since"].is_string());

            // Replayed, it is the same message; and what was taken can be replayed as well.
            hooks.reply("/failing", Reply::status(204));
            let replay = format!("{}/deliveries/{delivery}/replay", made.path);
            for attempts in [4, 5] {
                let queued = api.post(&replay, &owner, json!({})).await.expect(202);
                assert_eq!(queued["delivery"]["status"], "pending");
                let all = deliveries(api, &owner, &made, newest_is("delivered")).await;
                assert_eq!((all.len(), &all[0]["attempts"]), (1, &json!(attempts)));
            }
            let came = hooks.came("/failing");
            assert_eq!((came.len(), came[4].id()), (5, came[0].id()));
            assert_eq!(view(api, &owner, &made).await["failing_since"], Value::Null);
        }).await;
    }

    async fn what_waits_to_be_sent_again_says_when_and_is_not_replayed(backend: Backend) {
        with_hooks(backend, &[("webhooks.retries", "1h")], async |api, hooks| {
            let owner = api.account();
            let made = make(api, &owner, hooks, "/later", &["webhook.test"]).await;
            hooks.reply("/later", Reply::status(500));
            let delivery = test(api, &owner, &made).await;
            let all = deliveries(api, &owner, &made, |all| all[0]["attempts"] == 1).await;
            let next: Time = serde_json::from_value(all[0]["next_attempt_at"].clone()).unwrap();
            let wait = next - api.now();
            assert!(wait > Span::minutes(50) && wait <= Span::minutes(67), "{wait}");
            let replay = format!("{}/deliveries/{delivery}/replay", made.path);
            api.post(&replay, &owner, json!({})).await.refused(409, "delivery_under_way");
        }).await;
    }

    async fn a_redirect_is_a_failure_and_followed_by_nobody(backend: Backend) {
        with_hooks(backend, &[], async |api, hooks| {
            let owner = api.account();
            let made = make(api, &owner, hooks, "/from", &["webhook.test"]).await;
            for status in [302, 307, 308] {
                hooks.reply("/from", Reply::with_header(status, "location", &hooks.url("/to")));
                test(api, &owner, &made).await;
                let failed = deliveries(api, &owner, &made, newest_is("failed")).await;
                assert_eq!(failed[0]["response"]["status"], status);
            }
            assert_eq!(hooks.came("/to").len(), 0);
        }).await;
    }

    async fn who_answers_that_it_is_gone_is_sent_nothing_more_and_its_account_knows(backend: Backend) {
        with_hooks(backend, &[("webhooks.retries", "1h")], async |api, hooks| {
            let owner = api.account();
            let made = make(api, &owner, hooks, "/gone", &["webhook.test"]).await;
            make(api, &owner, hooks, "/other", &["webhook.disabled"]).await;
            hooks.reply("/gone", Reply::status(500));
            test(api, &owner, &made).await;
            deliveries(api, &owner, &made, |all| all[0]["attempts"] == 1).await;
            hooks.reply("/gone", Reply::status(410));
            test(api, &owner, &made).await;
            let told = api.told(&made.id, 1).await;
            let ProjectEvent::WebhookDisabled(state) = &told[0].event else {
                panic!("{told:?}");
            };
            assert_eq!((state.account_id.clone(), state.reason.as_str()), (owner.account.clone(), "gone"));
            let hook = hooks.of_type("/other", "webhook.disabled").await;
            assert_eq!(hook.json()["data"]["webhook_id"], made.id.as_str());
            assert_eq!(view(api, &owner, &made).await["status"], "gone");
            // What waited is given up, nothing new is sent, and it can be asked for once it is back.
            let all = deliveries(api, &owner, &made, |_| true).await;
            assert!(all.iter().all(|delivery| delivery["status"] == "failed"), "{all:?}");
            let ask = format!("{}/test", made.path);
            api.post(&ask, &owner, json!({})).await.refused(409, "webhook_disabled");
            let waited = all[1]["id"].as_str().unwrap();
            let replay = format!("{}/deliveries/{waited}/replay", made.path);
            api.post(&replay, &owner, json!({})).await.refused(409, "webhook_disabled");
            hooks.reply("/gone", Reply::status(200));
            let body = api.patch(&made.path, &owner, json!({ "enabled": true })).await.expect(200);
            assert_eq!((&body["webhook"]["status"], &body["webhook"]["failing_since"]), (&json!("enabled"), &Value::Null));
            api.post(&replay, &owner, json!({})).await.expect(202);
            hooks.until("/gone", 3).await;
        }).await;
    }

    async fn who_has_failed_for_too_long_is_sent_nothing_more(backend: Backend) {
        let quick = [("webhooks.disable_after", "0s"), ("webhooks.retries", "10ms,1h")];
        with_hooks(backend, &quick, async |api, hooks| {
            let owner = api.account();
            let made = make(api, &owner, hooks, "/dead", &["webhook.test"]).await;
            hooks.reply("/dead", Reply::status(503));
            test(api, &owner, &made).await;
            let told = api.told(&made.id, 1).await;
            assert!(matches!(&told[0].event, ProjectEvent::WebhookDisabled(state) if state.reason.as_str() == "failing"));
            assert_eq!(view(api, &owner, &made).await["status"], "failing");
            let audit: Vec<Acted> = api.platform().context("project").unwrap().db.read(|db| {
                use diesel::RunQueryDsl as _;
                diesel::sql_query("SELECT actor, subject FROM audit_log WHERE action = 'webhook.disabled'").load(db)
            }).await.map_err(|error: diesel::result::Error| error).unwrap();
            assert_eq!((audit.len(), audit[0].actor.as_str(), &audit[0].subject), (1, "project", &made.id));
            assert_eq!(hooks.came("/dead").len(), 2);
        }).await;
    }

    async fn what_its_owner_has_disabled_is_sent_nothing(backend: Backend) {
        with_hooks(backend, &[], async |api, hooks| {
            let owner = api.account();
            let made = make(api, &owner, hooks, "/off", &["*"]).await;
            make(api, &owner, hooks, "/on", &["*"]).await;
            let body = api.patch(&made.path, &owner, json!({ "enabled": false })).await.expect(200);
            assert_eq!(body["webhook"]["status"], "disabled");
            api.project(&owner, "quiet").await;
            hooks.until("/on", 2).await;
            api.patch(&made.path, &owner, json!({ "enabled": true })).await.expect(200);
            test(api, &owner, &made).await;
            let came = hooks.until("/off", 1).await;
            assert_eq!((came.len(), &came[0].json()["type"]), (1, &json!("webhook.test")));
        }).await;
    }

    async fn who_asks_to_be_left_alone_is_left_alone(backend: Backend) {
        with_hooks(backend, &[], async |api, hooks| {
            let owner = api.account();
            let made = make(api, &owner, hooks, "/busy", &["webhook.test"]).await;
            hooks.reply("/busy", Reply::with_header(429, "retry-after", "3600"));
            test(api, &owner, &made).await;
            let all = deliveries(api, &owner, &made, |all| all[0]["attempts"] == 1).await;
            let next: Time = serde_json::from_value(all[0]["next_attempt_at"].clone()).unwrap();
            assert!(next - api.now() > Span::minutes(50), "{next}");
            // Nor is it sent anything else; others go on.
            test(api, &owner, &made).await;
            let other = make(api, &owner, hooks, "/idle", &["webhook.test"]).await;
            for count in 1..=3 {
                test(api, &owner, &other).await;
                hooks.until("/idle", count).await;
            }
            assert_eq!(hooks.came("/busy").len(), 1);
        }).await;
    }

    async fn one_that_never_answers_delays_no_other(backend: Backend) {
        let slow = [("webhooks.timeout", "60s")];
        with_hooks(backend, &slow, async |api, hooks| {
            let (owner, stranger) = (api.account(), api.account());
            let silent = make(api, &owner, hooks, "/silent", &["webhook.test"]).await;
            let good = make(api, &owner, hooks, "/good", &["webhook.test"]).await;
            let theirs = make(api, &stranger, hooks, "/theirs", &["webhook.test"]).await;
            hooks.reply("/silent", Reply::Silence);
            for _ in 0..30 {
                test(api, &owner, &silent).await;
            }
            hooks.until("/silent", 1).await;
            for _ in 0..10 {
                test(api, &owner, &good).await;
                test(api, &stranger, &theirs).await;
            }
            hooks.until("/good", 10).await;
            hooks.until("/theirs", 10).await;
            assert_eq!(hooks.came("/silent").len(), 1, "one at a time, until it has answered once");
        }).await;
    }

    async fn a_receiver_that_answers_has_a_few_at_once_and_no_more(backend: Backend) {
        with_hooks(backend, &[("webhooks.timeout", "60s")], async |api, hooks| {
            let owner = api.account();
            let made = make(api, &owner, hooks, "/slow", &["webhook.test"]).await;
            test(api, &owner, &made).await;
            deliveries(api, &owner, &made, newest_is("delivered")).await;
            hooks.reply("/slow", Reply::Silence);
            for _ in 0..12 {
                test(api, &owner, &made).await;
            }
            hooks.until("/slow", 5).await;
            let other = make(api, &owner, hooks, "/other", &["webhook.test"]).await;
            for count in 1..=5 {
                test(api, &owner, &other).await;
                hooks.until("/other", count).await;
            }
            assert_eq!(hooks.most_at_once("/slow"), 4);
        }).await;
    }

    async fn no_answer_in_time_is_a_failure(backend: Backend) {
        with_hooks(backend, &[("webhooks.timeout", "200ms"), ("webhooks.retries", "")], async |api, hooks| {
            let owner = api.account();
            let made = make(api, &owner, hooks, "/late", &["webhook.test"]).await;
            hooks.reply("/late", Reply::Silence);
            test(api, &owner, &made).await;
            let failed = deliveries(api, &owner, &made, newest_is("failed")).await;
            assert_eq!((&failed[0]["problem"], &failed[0]["response"]), (&json!("there was no answer in time"), &Value::Null));
        }).await;
    }

    async fn a_name_that_leads_inside_is_not_called_whenever_it_does_so(backend: Backend) {
        let names = Names::start().await;
        let server = names.server.to_string();
        let settings = [("domains.resolvers", server.as_str()), ("webhooks.retries", "")];
        with_hooks(backend, &settings, async |api, hooks| {
            let owner = api.account();
            let body = json!({ "url": format!("http://rebinding.example:{}/inside", hooks.port()) });
            let body = api.post(&owner.path("/webhooks"), &owner, body).await.expect(201);
            let id = body["webhook"]["id"].as_str().unwrap().to_owned();
            let made = Made { path: owner.path(&format!("/webhooks/{id}")), id, secret: String::new() };
            // Loopback, but not the address that the operator allows.
            for address in [[127, 0, 0, 2], [10, 0, 0, 1], [169, 254, 169, 254]] {
                names.address("rebinding.example", address);
                test(api, &owner, &made).await;
                let failed = deliveries(api, &owner, &made, newest_is("failed")).await;
                assert_eq!(failed[0]["problem"], "the address isn't allowed");
                assert_eq!(failed[0]["response"], Value::Null);
            }
            assert_eq!(hooks.came("/inside").len(), 0);
            names.address("rebinding.example", [127, 0, 0, 1]);
            test(api, &owner, &made).await;
            hooks.until("/inside", 1).await;
        }).await;
    }
}

#[derive(diesel::QueryableByName)]
struct Acted {
    #[diesel(sql_type = diesel::sql_types::Text)]
    actor: String,
    #[diesel(sql_type = diesel::sql_types::Text)]
    subject: String,
}
