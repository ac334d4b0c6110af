//! Active health checks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::event::{ProjectEvent, Visibility};
use common::scope::Verb;
use reqwest::Method;
use serde_json::{Value, json};
use testkit::{eventually_async, expect, on_both_backends};
use tokio::net::TcpListener;

use crate::support::{App, World};
use crate::upstream::{Upstream, ok};

/// An upstream that is as well as it is told to be.
struct Patient {
    upstream: Upstream,
    is_well: Arc<AtomicBool>,
}

impl Patient {
    async fn saying(text: &'static str) -> Self {
        let is_well = Arc::new(AtomicBool::new(true));
        let condition = Arc::clone(&is_well);
        let upstream = Upstream::start(move |seen| {
            if seen.first_line().contains(" /healthz ") && !condition.load(Ordering::SeqCst) {
                "HTTP/1.1 500 Ill\r\ncontent-length: 0\r\n\r\n".into()
            } else {
                ok(text)
            }
        });
        Self {
            upstream: upstream.await,
            is_well,
        }
    }

    fn becomes(&self, well: bool) {
        self.is_well.store(well, Ordering::SeqCst);
    }

    fn url(&self) -> String {
        format!("http://{}", self.upstream.address)
    }

    /// How many calls it has got, checks aside.
    fn calls(&self) -> usize {
        let seen = self.upstream.seen();
        let is_call = |line: &str| !line.contains(" /healthz ");
        seen.iter()
            .filter(|seen| is_call(seen.first_line()))
            .count()
    }
}

/// Checks that one slow answer, on a machine with much to do, doesn't make anybody unhealthy.
fn often() -> Value {
    json!({ "path": "/healthz", "interval": 1, "healthy_after": 1, "unhealthy_after": 3 })
}

impl World {
    async fn instances(&self, token: &str) -> Value {
        let asked = self.platform(Method::GET, "/v1/services/location");
        let seen = expect(200, asked.bearer_auth(token)).await;
        seen["service"]["instances"].clone()
    }

    /// Waits until the instance at this place of the list is healthy.
    async fn until_healthy(&self, at: usize) -> Value {
        self.until_seen(at, "healthy", &Value::Null).await
    }

    /// Waits until the instance at this place of the list is unhealthy, and was found so by this.
    async fn until_unhealthy(&self, at: usize, failure: &str) -> Value {
        self.until_seen(at, "unhealthy", &json!(failure)).await
    }

    async fn until_seen(&self, at: usize, condition: &str, failure: &Value) -> Value {
        let admin = self.harness.issuer().admin();
        eventually_async(&format!("{at} is {condition}: {failure}"), || async {
            let seen = self.instances(&admin).await[at].clone();
            (seen["condition"] == condition && seen["failure"] == *failure).then_some(seen)
        })
        .await
    }
}

on_both_backends! {
    async fn an_upstream_that_fails_its_checks_gets_no_call_until_it_passes_them_again(backend: Backend) {
        let world = World::start(&backend).await;
        let (one, two) = (Patient::saying("one").await, Patient::saying("two").await);
        world.name_location(json!({ "upstreams": [one.url(), two.url()], "health": often() })).await;
        let key = world.key("service:location:read");
        let call = async || world.call(Method::GET, "/x", &key).send().await.unwrap().text().await.unwrap();
        world.until_healthy(0).await;
        world.until_healthy(1).await;
        one.becomes(false);
        let seen = world.until_unhealthy(0, "it answered 500").await;
        assert_eq!(seen["upstream"], one.url());
        assert!(seen["since"].is_string() && seen["checked_at"].is_string(), "{seen}");
        let before = one.calls();
        for _ in 0..20 {
            assert_eq!(call().await, "two");
        }
        assert_eq!(one.calls(), before);
        one.becomes(true);
        world.until_healthy(0).await;
        eventually_async("it gets calls", || async { (call().await == "one").then_some(()) }).await;
        let check = one.upstream.seen().into_iter().find(|seen| seen.first_line() == "GET /healthz HTTP/1.1");
        assert_eq!(check.unwrap().one("host"), one.upstream.address.to_string());
        world.stop().await;
    }

    async fn where_no_upstream_passes_its_checks_calls_are_refused_at_once(backend: Backend) {
        let world = World::start(&backend).await;
        let only = Patient::saying("only").await;
        only.becomes(false);
        world.name_location(json!({ "upstreams": [only.url()], "health": often() })).await;
        let key = world.key("service:location:read");
        world.until_unhealthy(0, "it answered 500").await;
        let before = only.calls();
        let refused = world.call(Method::GET, "/x", &key).send().await.unwrap();
        assert_eq!(refused.status(), 503);
        assert_eq!(refused.headers()["retry-after"], "5");
        let body: Value = refused.json().await.unwrap();
        assert_eq!(body["code"], "upstream_unavailable");
        assert_eq!(only.calls(), before);
        // Without its checks it is like any other.
        let changed = expect(200, world.change_location(&json!({ "health": null }))).await;
        assert_eq!(changed["service"]["health"], Value::Null);
        eventually_async("it gets calls", || async {
            let answer = world.call(Method::GET, "/x", &key).send().await.unwrap();
            (answer.status() == 200).then_some(())
        }).await;
        let admin = world.harness.issuer().admin();
        assert_eq!(world.instances(&admin).await, Value::Null);
        world.stop().await;
    }

    async fn who_does_not_answer_in_time_or_otherwise_than_wanted_is_unhealthy(backend: Backend) {
        let world = World::start(&backend).await;
        // It takes every connection and never answers.
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let gone = closed.local_addr().unwrap();
        drop(closed);
        let (busy, other) = (Upstream::start(|_| {
            "HTTP/1.1 204 Fine\r\n\r\n".into()
        }).await, Patient::saying("x").await);
        let mut health = often();
        health["status"] = json!(204);
        let upstreams = [silent.local_addr().unwrap(), gone, busy.address, other.upstream.address];
        let upstreams: Vec<_> = upstreams.iter().map(|address| format!("http://{address}")).collect();
        world.name_location(json!({ "upstreams": upstreams, "health": health })).await;
        world.until_healthy(2).await;
        for (at, failure) in [(0, "it didn't answer in time"), (1, "it couldn't be reached"), (3, "it answered 200")] {
            world.until_unhealthy(at, failure).await;
        }
        world.stop().await;
    }

    async fn a_publications_checks_are_shown_to_its_account_without_addresses(backend: Backend) {
        let world = World::start(&backend).await;
        let (app, only) = (App::new("location-production"), Patient::saying("here").await);
        only.becomes(false);
        world.tell(app.created(), 1).await;
        world.tell(app.live(&[only.upstream.address]), 1).await;
        let ProjectEvent::ServicePublished(mut service) = app.published("location", Visibility::Public, &[Verb::Read]) else {
            panic!("it is published");
        };
        service.rules = serde_json::from_value(json!({ "health": often() })).unwrap();
        world.tell(ProjectEvent::ServicePublished(service), 1).await;
        world.until_known("location").await;
        world.until_unhealthy(0, "it answered 500").await;
        let (member, members) = world.person();
        world.accounts.join(&app.account, &member);
        let (_, strangers) = world.person();
        let seen = world.instances(&members).await;
        assert_eq!(seen[0]["condition"], "unhealthy");
        assert_eq!(seen[0].get("upstream"), None, "{seen}");
        assert_eq!(world.instances(&strangers).await, Value::Null);
        let key = world.key("service:location:read");
        assert_eq!(world.call(Method::GET, "/x", &key).send().await.unwrap().status(), 503);
        // The app's own host is none of the service's.
        world.until(&app.host(), 200).await;
        let checks = only.upstream.seen();
        let check = checks.iter().find(|seen| seen.first_line().contains("/healthz")).unwrap();
        assert_eq!(check.one("host"), app.host());
        world.stop().await;
    }

    async fn an_account_whose_instances_hang_delays_no_others_checks(backend: Backend) {
        let world = World::start(&backend).await;
        // Hundreds of instances that take every connection and say nothing for half a minute.
        let silent = TcpListener::bind("0.0.0.0:0").await.unwrap();
        let port = silent.local_addr().unwrap().port();
        let many: Vec<_> = (0..800_u16).map(|number| {
            let [high, low] = number.to_be_bytes();
            std::net::SocketAddr::from(([127, 1, high, low], port))
        }).collect();
        let (hanging, other) = (App::new("hanging-production"), App::new("location-production"));
        let health = json!({ "path": "/healthz", "interval": 30, "timeout": 30, "healthy_after": 1 });
        let publish = |app: &App, name: &str, health: &Value| {
            let ProjectEvent::ServicePublished(mut service) = app.published(name, Visibility::Public, &[Verb::Read]) else {
                panic!("it is published");
            };
            service.rules = serde_json::from_value(json!({ "health": health })).unwrap();
            ProjectEvent::ServicePublished(service)
        };
        world.tell(hanging.created(), 1).await;
        world.tell(hanging.live(&many), 1).await;
        world.tell(publish(&hanging, "hanging", &health), 1).await;
        let mut open = Vec::new();
        while open.len() < 10 {
            open.push(silent.accept().await.unwrap());
        }
        let patient = Patient::saying("here").await;
        world.tell(other.created(), 1).await;
        world.tell(other.live(&[patient.upstream.address]), 1).await;
        world.tell(publish(&other, "location", &often()), 1).await;
        world.until_known("location").await;
        world.until_healthy(0).await;
        // Nor those of a service that an admin has named.
        let body = json!({ "name": "named", "upstream": patient.url(), "health": often() });
        let admin = world.harness.issuer().admin();
        let asked = world.platform(Method::POST, "/v1/services").bearer_auth(&admin);
        expect(201, asked.json(&body)).await;
        eventually_async("it is healthy", || async {
            let asked = world.platform(Method::GET, "/v1/services/named").bearer_auth(&admin);
            let seen = expect(200, asked).await;
            (seen["service"]["instances"][0]["condition"] == "healthy").then_some(())
        }).await;
        world.stop().await;
    }
}
