//! What GitHub delivers, and what comes of it.

use std::sync::atomic::Ordering;

use common::event::GithubEvent;
use common::id::AccountId;
use common::role::Role;
use reqwest::Method;
use serde_json::{Value, json};
use testkit::Backend;
use testkit::github::Delivery;

use super::Scene;
use crate::support::{self, Person};

pub(super) const NONE: &str = "0000000000000000000000000000000000000000";

impl Scene {
    pub(super) async fn deliver(&self, delivery: &Delivery) -> (u16, Value) {
        // Each at a time of its own, by which the log is in order.
        self.world
            .clock
            .advance(common::time::Span::milliseconds(1));
        let url = format!("{}/github/webhooks", self.world.url());
        let response = delivery.on(support::http().post(url)).send().await.unwrap();
        let status = response.status().as_u16();
        (status, response.json().await.unwrap())
    }

    pub(super) async fn log(&self, account: &AccountId, person: &Person) -> Vec<Value> {
        let path = format!("/v1/accounts/{account}/github/deliveries?limit=100");
        let (status, body) = self
            .world
            .ask(Method::GET, &path, Some(&person.token), None)
            .await;
        assert_eq!(status, 200, "{body}");
        body["deliveries"].as_array().unwrap().clone()
    }

    /// The newest entry of the log, once there are so many and none waits.
    pub(super) async fn settled(
        &self,
        account: &AccountId,
        person: &Person,
        count: usize,
    ) -> Vec<Value> {
        testkit::eventually_async("the deliveries are worked off", async || {
            let log = self.log(account, person).await;
            let over = log.iter().all(|delivery| delivery["state"] != "queued");
            (log.len() == count && over).then_some(log)
        })
        .await
    }

    pub(super) async fn head(&self) -> String {
        self.source.git(&["rev-parse", "HEAD"]).await
    }
}

testkit::on_both_backends! {
    async fn a_push_is_built_once_and_the_log_says_what_came_of_it(backend: Backend) {
        let scene = Scene::start(backend).await;
        let (account, person, _) = scene.connected().await;
        let head = scene.head().await;
        let push = scene.github.push(1, "main", NONE, &head);
        let (status, body) = scene.deliver(&push).await;
        assert_eq!((status, &body["status"]), (202, &json!("queued")), "{body}");
        let log = scene.settled(&account, &person, 1).await;
        let first = &log[0];
        assert_eq!((&first["state"], &first["event"]), (&json!("built"), &json!("push")), "{first}");
        assert_eq!((&first["branch"], &first["commit"]), (&json!("main"), &json!(head)));
        assert_eq!((&first["repository"], first["builds"].as_array().unwrap().len()), (&json!("acme/shop"), 1));

        // Sent again, by GitHub or by somebody who has read it, under its own or another name.
        for id in [push.id.clone(), "11111111-2222-3333-4444-555555555555".to_owned()] {
            let again = Delivery { id, ..push.clone() };
            let (status, body) = scene.deliver(&again).await;
            assert_eq!((status, &body["status"]), (200, &json!("known")), "{body}");
        }
        // One that follows them has been worked off: so would they have been.
        let (status, _) = scene.deliver(&scene.github.push(1, "other", NONE, &head)).await;
        assert_eq!(status, 202);
        let log = scene.settled(&account, &person, 2).await;
        assert_eq!((&log[0]["state"], &log[0]["reason"]), (&json!("nothing"), &json!("Nothing follows it")));
        let asked = scene.world.pushes.asked.lock().unwrap().clone();
        assert_eq!(asked.len(), 2, "{asked:?}");
        assert_eq!((asked[0].is_default, asked[1].is_default), (true, false));
        let told = scene.world.told_of(2).await;
        assert_eq!((told[0].0.account_id.as_ref(), told[0].0.repo.as_str()), (Some(&account), "shop"));
        scene.end().await;
    }

    async fn what_failed_is_tried_again_and_a_crash_loses_nothing(backend: Backend) {
        let mut scene = Scene::start(backend).await;
        let (account, person, _) = scene.connected().await;
        let head = scene.head().await;
        // project is away at first.
        scene.world.pushes.failing.store(1, Ordering::SeqCst);
        scene.deliver(&scene.github.push(1, "main", NONE, &head)).await;
        testkit::eventually("project was asked", || {
            (!scene.world.pushes.asked.lock().unwrap().is_empty()).then_some(())
        }).await;
        // The process ends before it is asked again.
        scene.world.stop().await;
        scene.world.run().await;
        let person = scene.world.renewed(&person);
        testkit::eventually_async("it is built after all", async || {
            // Its next try is at a time that this clock comes to.
            scene.world.clock.advance(common::time::Span::seconds(5));
            let log = scene.log(&account, &scene.world.renewed(&person)).await;
            (log.len() == 1 && log[0]["state"] == "built").then_some(())
        }).await;
        let asked = scene.world.pushes.asked.lock().unwrap().clone();
        assert!(asked.iter().all(|push| push.trigger == asked[0].trigger), "{asked:?}");
        scene.end().await;
    }

    async fn of_many_pushes_the_newest_is_built(backend: Backend) {
        let scene = Scene::start(backend).await;
        let (account, person, _) = scene.connected().await;
        let gate = scene.world.pushes.gate.lock().await;
        let mut head = NONE.to_owned();
        for number in 1..=50 {
            let next = format!("{number:040x}");
            let (status, _) = scene.deliver(&scene.github.push(1, "main", &head, &next)).await;
            assert_eq!(status, 202);
            head = next;
        }
        drop(gate);
        let log = scene.settled(&account, &person, 50).await;
        assert_eq!((&log[0]["commit"], &log[0]["state"]), (&json!(head), &json!("built")), "{:#}", log[0]);
        let superseded = log.iter().filter(|delivery| delivery["state"] == "superseded").count();
        // One may have been under way when the others came, and the newest had its turn.
        assert!(superseded >= 48, "{superseded} of 50 were passed over");
        let asked = scene.world.pushes.asked.lock().unwrap().len();
        assert_eq!(asked, 50 - superseded);
        scene.end().await;
    }

    async fn installations_are_as_github_says_when_it_is_asked(backend: Backend) {
        let scene = Scene::start(backend).await;
        let (account, person, id) = scene.connected().await;
        let shown = async || {
            let path = format!("/v1/accounts/{account}/github/installations");
            scene.world.ask(Method::GET, &path, Some(&person.token), None).await.1["installations"].clone()
        };
        scene.installation(id, true);
        scene.deliver(&scene.github.installation_event("suspend", id.try_into().unwrap())).await;
        scene.settled(&account, &person, 1).await;
        assert_eq!(shown().await[0]["suspended"], true);
        // A delivery that comes late tells of what isn't so any more.
        let late = scene.github.installation_event("suspend", id.try_into().unwrap());
        scene.installation(id, false);
        scene.deliver(&scene.github.installation_event("unsuspend", id.try_into().unwrap())).await;
        scene.settled(&account, &person, 2).await;
        let late = Delivery::new(&late.event, &{
            let mut body: Value = serde_json::from_slice(&late.body).unwrap();
            body["late"] = json!(true);
            body
        });
        scene.deliver(&late).await;
        scene.settled(&account, &person, 3).await;
        assert_eq!(shown().await[0]["suspended"], false);
        // It ends: nothing of it is the account's any more.
        let deleted = scene.github.installation_event("deleted", id.try_into().unwrap());
        scene.github.uninstall(id.try_into().unwrap());
        scene.deliver(&deleted).await;
        scene.settled(&account, &person, 4).await;
        assert_eq!(shown().await, json!([]));
        testkit::eventually("its end is told", || {
            scene.world.heard().into_iter().find(|event| matches!(event, GithubEvent::InstallationDeleted(_)))
        }).await;
        scene.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_signed_by_github_changes_nothing() {
    let scene = Scene::start(Backend::sqlite()).await;
    let (account, person, _) = scene.connected().await;
    let push = scene.github.push(1, "main", NONE, &scene.head().await);
    let mut changed = push.clone();
    changed.body.push(b' ');
    let forged = Delivery {
        signature: format!("sha256={}", "0".repeat(64)),
        ..push.clone()
    };
    let old = Delivery {
        signature: push.signature.replace("sha256", "sha1"),
        ..push.clone()
    };
    for wrong in [&changed, &forged, &old] {
        let (status, body) = scene.deliver(wrong).await;
        assert_eq!(
            (status, &body["code"]),
            (401, &json!("invalid_signature")),
            "{body}"
        );
    }
    for (id, event) in [
        ("", "push"),
        ("a b", "push"),
        (&*"x".repeat(65), "push"),
        ("x", ""),
    ] {
        let odd = Delivery {
            id: id.to_owned(),
            event: event.to_owned(),
            ..push.clone()
        };
        assert_eq!(scene.deliver(&odd).await.0, 400, "{id:?} {event:?}");
    }
    let unreadable = Delivery::of_bytes("x".into(), "push", b"{\"ref\":".to_vec());
    let (status, body) = scene.deliver(&unreadable).await;
    assert_eq!(
        (status, &body["code"]),
        (400, &json!("invalid_delivery")),
        "{body}"
    );
    assert_eq!(scene.log(&account, &person).await, Vec::<Value>::new());
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_deliveries_are_taken_up_to_githubs_own_limit() {
    let scene = Scene::start(Backend::sqlite()).await;
    let (account, person, _) = scene.connected().await;
    let push = scene.github.push(1, "main", NONE, &scene.head().await);
    let mut body: Value = serde_json::from_slice(&push.body).unwrap();
    body["commits"] = json!("x".repeat(2 << 20));
    let (status, said) = scene.deliver(&Delivery::new("push", &body)).await;
    assert_eq!(status, 202, "{said}");
    scene.settled(&account, &person, 1).await;
    // Announced as too long, it is refused before it is sent.
    let url = format!("{}/github/webhooks", scene.world.url());
    let head = Delivery {
        body: vec![0; (25 << 20) + 1],
        ..push
    };
    let answer = head.on(support::http().post(url)).send().await;
    assert!(answer.is_err() || answer.unwrap().status() == 413);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_is_seen_and_sent_again_by_the_account_it_concerns_alone() {
    let scene = Scene::start(Backend::sqlite()).await;
    let (account, person, _) = scene.connected().await;
    let other = scene.world.account();
    let stranger = scene.world.member(&other, Role::Owner);
    scene.connect(&other, &stranger, "mallory", "mallory").await;
    scene
        .deliver(&scene.github.push(1, "main", NONE, &scene.head().await))
        .await;
    let log = scene.settled(&account, &person, 1).await;
    assert_eq!(scene.log(&other, &stranger).await, Vec::<Value>::new());
    let again = async |account: &AccountId, person: &Person, entry: &Value| {
        let id = entry["id"].as_str().unwrap();
        let path = format!("/v1/accounts/{account}/github/deliveries/{id}/redeliver");
        scene
            .world
            .ask(Method::POST, &path, Some(&person.token), Some(json!({})))
            .await
    };
    assert_eq!(again(&other, &stranger, &log[0]).await.0, 404);
    let (status, body) = again(&account, &person, &log[0]).await;
    assert_eq!(
        (status, &body["delivery"]["run"]),
        (202, &json!(2)),
        "{body}"
    );
    let log = scene.settled(&account, &person, 1).await;
    assert_eq!(
        (&log[0]["state"], &log[0]["run"]),
        (&json!("built"), &json!(2))
    );
    let asked = scene.world.pushes.asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 2);
    assert_ne!(
        asked[0].trigger, asked[1].trigger,
        "a second run asks for a build of its own"
    );
    // Of a deleted branch there is nothing to do the second time either.
    scene
        .deliver(&scene.github.push(1, "old", &scene.head().await, NONE))
        .await;
    let log = scene.settled(&account, &person, 2).await;
    assert_eq!(log[0]["state"], "nothing");
    let (status, body) = again(&account, &person, &log[0]).await;
    assert_eq!(
        (status, &body["code"]),
        (409, &json!("nothing_to_do")),
        "{body}"
    );
    scene.end().await;
}
