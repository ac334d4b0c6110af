use common::event::Visibility;
use common::scope::Verb;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use testkit::{Backend, eventually_async, expect, on_both_backends};

use crate::support::{App, World};
use crate::upstream::Upstream;

const QUOTA_EXCEEDED: &str = "https://iana.org/assignments/http-problem-types#quota-exceeded";

/// A gateway with one service that everybody may call.
async fn world(backend: &Backend, upstream: &Upstream) -> World {
    let world = World::start(backend).await;
    let new = json!({"name": "location", "upstream": format!("http://{}", upstream.address)});
    let admin = world.harness.issuer().admin();
    let made = world
        .platform(Method::POST, "/v1/services")
        .bearer_auth(admin)
        .json(&new);
    expect(201, made).await;
    world
}

impl World {
    fn limit(&self, user: &str, limits: &Value) -> reqwest::RequestBuilder {
        self.platform(Method::PUT, &format!("/v1/quotas/{user}"))
            .bearer_auth(self.harness.issuer().admin())
            .json(&json!({ "limits": limits }))
    }

    async fn locate(&self, token: &str) -> Response {
        let call = self.platform(Method::GET, "/v1/location/track/1");
        call.bearer_auth(token).send().await.unwrap()
    }

    async fn statuses(&self, token: &str, number: usize) -> Vec<u16> {
        let mut statuses = Vec::new();
        for _ in 0..number {
            statuses.push(self.locate(token).await.status().as_u16());
        }
        statuses
    }
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers()[name].to_str().unwrap()
}

on_both_backends! {
    async fn a_quota_is_told_kept_and_its_end_explained(backend: Backend) {
        let upstream = Upstream::saying("x").await;
        let world = world(&backend, &upstream).await;
        let (user, token) = world.person();
        let (_, other) = world.person();
        assert!(world.locate(&token).await.headers().get("ratelimit").is_none());
        expect(200, world.limit(user.as_str(), &json!([{"period": "month", "quota": 3}]))).await;
        for left in [2, 1, 0] {
            let response = world.locate(&token).await;
            assert_eq!(response.status(), 200);
            assert_eq!(header(&response, "ratelimit-policy"), r#""month";q=3;w=2592000"#);
            let told = header(&response, "ratelimit");
            assert!(told.starts_with(&format!(r#""month";r={left};t="#)), "{told}");
        }
        let refused = world.locate(&token).await;
        assert_eq!(refused.status(), 429);
        let wait: i64 = header(&refused, "retry-after").parse().unwrap();
        assert!((1..=31 * 86_400).contains(&wait), "{wait}");
        assert_eq!(header(&refused, "ratelimit-policy"), r#""month";q=3;w=2592000"#);
        assert!(header(&refused, "ratelimit").starts_with(r#""month";r=0;t="#));
        assert_eq!(header(&refused, "content-type"), "application/problem+json");
        let problem: Value = refused.json().await.unwrap();
        assert_eq!(problem["type"], QUOTA_EXCEEDED);
        assert_eq!(problem["code"], "quota_exceeded");
        assert_eq!(problem["violated-policies"], json!(["month"]));
        assert_eq!(upstream.seen().len(), 4);
        // Nobody else's is touched, nor what isn't a service's.
        assert_eq!(world.locate(&other).await.status(), 200);
        expect(200, world.platform(Method::GET, "/v1/usage").bearer_auth(&token)).await;
        world.stop().await;
    }

    async fn a_refused_call_is_counted_but_takes_nothing(backend: Backend) {
        let upstream = Upstream::saying("x").await;
        let world = world(&backend, &upstream).await;
        let (user, token) = world.person();
        let admin = world.harness.issuer().admin();
        expect(200, world.limit(user.as_str(), &json!([{"period": "day", "quota": 2}]))).await;
        assert_eq!(world.statuses(&token, 6).await, [200, 200, 429, 429, 429, 429]);
        let read = || world.platform(Method::GET, &format!("/v1/quotas/{user}")).bearer_auth(&admin);
        eventually_async("what was used is told", || async {
            (expect(200, read()).await["quota"]["limits"][0]["used"] == 2).then_some(())
        }).await;
        let usage = || world.platform(Method::GET, "/v1/usage").bearer_auth(&token);
        eventually_async("the calls are counted", || async {
            let told = expect(200, usage()).await;
            let refused = told["usage"].as_array().unwrap().iter().any(|row| {
                row["service"] == "location" && row["status_class"] == "4xx" && row["count"] == 4
            });
            refused.then_some(())
        }).await;
        // More from now on: what was refused is not owed.
        expect(200, world.limit(user.as_str(), &json!([{"period": "day", "quota": 4}]))).await;
        eventually_async("there is more", || async { (world.locate(&token).await.status() == 200).then_some(()) }).await;
        expect(200, world.limit(user.as_str(), &json!([]))).await;
        assert_eq!(world.statuses(&token, 5).await, [200; 5]);
        world.stop().await;
    }

    async fn a_key_has_limits_of_its_own_beside_its_makers(backend: Backend) {
        let upstream = Upstream::saying("x").await;
        let world = world(&backend, &upstream).await;
        let (_, token) = world.person();
        let new = |limits: Value| json!({"scopes": ["service:location:read", "keys:write"], "limits": limits});
        let generate = |by: &str, body: &Value| world.platform(Method::POST, "/v1/generate").bearer_auth(by).json(body);
        let made = expect(201, generate(&token, &new(json!([{"period": "hour", "quota": 4}])))).await;
        assert_eq!(made["api_key"]["limits"], json!([{"period": "hour", "quota": 4}]));
        let key = made["token"].as_str().unwrap();
        let child = expect(201, generate(key, &new(json!([{"period": "hour", "quota": 2}])))).await;
        let child = child["token"].as_str().unwrap();
        let response = world.locate(child).await;
        assert_eq!(header(&response, "ratelimit-policy"), r#""key-hour";q=2;w=3600, "key1-hour";q=4;w=3600"#);
        assert_eq!(world.statuses(child, 2).await, [200, 429]);
        // What the child did counts for the key that it was made with, what was refused doesn't.
        assert_eq!(world.statuses(key, 3).await, [200, 200, 429]);
        assert_eq!(world.statuses(&token, 3).await, [200; 3]);
        // A key can't widen itself; its maker can.
        let path = format!("/v1/api-keys/{}", made["api_key"]["id"].as_str().unwrap());
        let change = |by: &str, limits: Value| world.platform(Method::PATCH, &path).bearer_auth(by).json(&json!({ "limits": limits }));
        let wider = json!([{"period": "hour", "quota": 5}]);
        assert_eq!(expect(403, change(key, wider.clone())).await["code"], "restriction_escalation");
        assert_eq!(expect(403, change(key, json!([]))).await["code"], "restriction_escalation");
        expect(403, change(child, json!([{"period": "hour", "quota": 1}]))).await;
        expect(200, change(key, json!([{"period": "hour", "quota": 3}]))).await;
        expect(200, change(&token, wider)).await;
        eventually_async("there is more", || async { (world.locate(key).await.status() == 200).then_some(()) }).await;
        for wrong in [json!([{"period": "week", "quota": 1}]), json!([{"period": "day", "quota": 0}]), json!([{"period": "day"}])] {
            expect(422, change(&token, wrong)).await;
        }
        world.stop().await;
    }

    async fn a_service_limits_each_of_its_callers(backend: Backend) {
        let upstream = Upstream::saying("x").await;
        let world = world(&backend, &upstream).await;
        let admin = world.harness.issuer().admin();
        let ((_, one), (_, other)) = (world.person(), world.person());
        let change = |limits: Value| world.platform(Method::PATCH, "/v1/services/location").bearer_auth(&admin).json(&json!({ "limits": limits }));
        expect(422, change(json!([{"period": "minute", "quota": 1, "burst": 1}]))).await;
        let changed = expect(200, change(json!([{"period": "day", "quota": 2}]))).await;
        assert_eq!(changed["service"]["limits"], json!([{"period": "day", "quota": 2}]));
        assert_eq!(world.statuses(&one, 3).await, [200, 200, 429]);
        let response = world.locate(&other).await;
        assert_eq!(header(&response, "ratelimit-policy"), r#""service-day";q=2;w=86400"#);
        let shown = expect(200, world.platform(Method::GET, "/v1/services/location").bearer_auth(&admin)).await;
        assert_eq!(shown["service"]["limits"][0]["quota"], 2);
        let told = expect(200, world.platform(Method::GET, "/v1/services/location").bearer_auth(&other)).await;
        assert!(told["service"].get("limits").is_none(), "{told}");
        expect(200, change(json!([]))).await;
        assert_eq!(world.statuses(&one, 2).await, [200; 2]);
        world.stop().await;
    }

    async fn a_published_service_is_limited_by_an_admin_and_otherwise_its_accounts(backend: Backend) {
        let upstream = Upstream::saying("x").await;
        let (world, app) = (World::start(&backend).await, App::new("location"));
        world.tell(app.created(), 1).await;
        world.tell(app.live(&[upstream.address]), 1).await;
        world.tell(app.published("location", Visibility::Public, &[Verb::Read]), 1).await;
        world.until_known("location").await;
        let admin = world.harness.issuer().admin();
        let (_, token) = world.person();
        let change = |by: &str, body: Value| world.platform(Method::PATCH, "/v1/services/location").bearer_auth(by).json(&body);
        let limits = json!([{"period": "day", "quota": 1}]);
        expect(403, change(&token, json!({ "limits": limits }))).await;
        assert_eq!(expect(409, change(&admin, json!({ "limits": limits, "scopes": ["read"] }))).await["code"], "published_service");
        assert_eq!(expect(200, change(&admin, json!({ "limits": limits }))).await["service"]["limits"], limits);
        assert_eq!(world.statuses(&token, 2).await, [200, 429]);
        world.stop().await;
    }

    async fn a_rate_allows_a_burst(backend: Backend) {
        let upstream = Upstream::saying("x").await;
        let world = world(&backend, &upstream).await;
        let (user, token) = world.person();
        expect(200, world.limit(user.as_str(), &json!([{"period": "second", "quota": 1, "burst": 2}]))).await;
        let response = world.locate(&token).await;
        assert_eq!(header(&response, "ratelimit-policy"), r#""second";q=1;w=1"#);
        // However slow the machine is: some ten in a row are faster than one a second.
        let refused = eventually_async("one is refused", || async {
            let calls: Vec<_> = (0..10).map(|_| world.locate(&token)).collect();
            let answers = futures_util::future::join_all(calls).await;
            answers.into_iter().find(|answer| answer.status() == 429)
        }).await;
        assert_eq!(header(&refused, "retry-after"), "1");
        eventually_async("it goes on", || async { (world.locate(&token).await.status() == 200).then_some(()) }).await;
        world.stop().await;
    }

    async fn quotas_are_an_admins_to_set(backend: Backend) {
        let world = World::start(&backend).await;
        let (user, token) = world.person();
        let path = format!("/v1/quotas/{user}");
        let admin = world.harness.issuer().admin();
        let as_admin = |method: Method| world.platform(method, &path).bearer_auth(&admin);
        expect(401, world.platform(Method::GET, &path)).await;
        expect(403, world.platform(Method::GET, &path).bearer_auth(&token)).await;
        expect(403, world.platform(Method::PUT, &path).bearer_auth(&token).json(&json!({"limits": []}))).await;
        assert_eq!(expect(200, as_admin(Method::GET)).await["quota"]["limits"], json!([]));
        let response = as_admin(Method::PUT).json(&json!({"limits": [{"period": "day", "quota": 5}, {"period": "second", "quota": 2}]})).send().await.unwrap();
        let tag = header(&response, "etag").to_owned();
        let quota: Value = response.json().await.unwrap();
        assert_eq!(quota["quota"]["limits"][1]["period"], "day");
        assert_eq!(quota["quota"]["limits"][1]["used"], 0);
        let none = json!({"limits": []});
        expect(200, as_admin(Method::PUT).header("if-match", &tag).json(&none)).await;
        expect(412, as_admin(Method::PUT).header("if-match", &tag).json(&none)).await;
        for wrong in [json!({}), json!({"limits": [{"period": "day", "quota": -1}]}), json!({"limits": [], "x": 1})] {
            expect(422, as_admin(Method::PUT).json(&wrong)).await;
        }
        expect(404, world.platform(Method::GET, "/v1/quotas/nobody").bearer_auth(&admin)).await;
        world.stop().await;
    }

    async fn two_gateways_share_one_quota(backend: Backend) {
        if backend.postgres_url().is_none() {
            return;
        }
        let upstream = Upstream::saying("x").await;
        let one = world(&backend, &upstream).await;
        let other = World::replica(&backend, one.harness.issuer().clone(), &[]).await;
        let (user, token) = one.harness.issuer().someone();
        expect(200, one.limit(user.as_str(), &json!([{"period": "day", "quota": 40}]))).await;
        eventually_async("the other knows", || async {
            other.locate(&token).await.headers().get("ratelimit").map(drop)
        }).await;
        let mut passed = upstream.seen().len();
        for _ in 0..60 {
            for world in [&one, &other] {
                passed += usize::from(world.locate(&token).await.status() == 200);
            }
        }
        // Those before the other knew took nothing.
        let free = upstream.seen().len();
        assert_eq!(passed, free);
        assert!((40..=60).contains(&passed), "{passed}");
        assert_eq!(one.locate(&token).await.status(), 429);
        assert_eq!(other.locate(&token).await.status(), 429);
        other.stop().await;
        one.stop().await;
    }
}
