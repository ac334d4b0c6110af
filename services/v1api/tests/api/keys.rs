use common::event::Visibility;
use common::id::AccountId;
use common::scope::Verb;
use common::time::Clock;
use reqwest::Method;
use serde_json::{Value, json};
use testkit::{expect, on_both_backends};

use crate::support::{App, World};
use crate::upstream::Upstream;

impl World {
    fn generate(&self, token: &str, body: &Value) -> reqwest::RequestBuilder {
        self.platform(Method::POST, "/v1/generate")
            .bearer_auth(token)
            .json(body)
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

#[test]
fn a_secret_scanner_knows_a_key_by_its_shape() {
    let now = Clock::system().now();
    let issuer = testkit::Issuer::new();
    let key = issuer.api_key(&common::id::UserId::new(now), "usage:read", None);
    let parts: Vec<_> = key.split('.').collect();
    assert_eq!(parts.len(), 3);
    assert!(parts[0].starts_with("eyJ0eXAiOiJrZXkrand0Iiwi"), "{key}");
    assert!(parts[1].starts_with("eyJ") && parts[2].len() == 86, "{key}");
    let person = issuer.admin();
    assert!(!person.starts_with("eyJ0eXAiOiJrZXkrand0"), "{person}");
}

on_both_backends! {
    async fn a_key_is_shown_once_and_works(backend: Backend) {
        let world = World::start(&backend).await;
        let (_, token) = world.person();
        let made = expect(201, world.generate(&token, &json!({"name": "ci", "scopes": ["usage:read", "keys:read"], "expires_in": "30d"}))).await;
        let (key, id) = (text(&made["token"]), text(&made["api_key"]["id"]));
        assert_eq!(made["api_key"]["scopes"], json!(["keys:read", "usage:read"]));
        let list = expect(200, world.platform(Method::GET, "/v1/api-keys").bearer_auth(&key)).await;
        assert_eq!(list["api_keys"][0]["id"], id.as_str());
        assert!(!list.to_string().contains(&key), "{list}");
        expect(200, world.platform(Method::GET, "/v1/usage").bearer_auth(&key)).await;
        expect(403, world.generate(&key, &json!({}))).await;
        let renamed = world.platform(Method::PATCH, &format!("/v1/api-keys/{id}")).bearer_auth(&token).json(&json!({"name": "cd"}));
        assert_eq!(expect(200, renamed).await["api_key"]["name"], "cd");
        let (_, other) = world.person();
        expect(404, world.platform(Method::GET, &format!("/v1/api-keys/{id}")).bearer_auth(&other)).await;
        expect(404, world.platform(Method::DELETE, &format!("/v1/api-keys/{id}")).bearer_auth(&other)).await;
        world.stop().await;
    }

    async fn a_key_can_do_no_more_than_its_maker(backend: Backend) {
        let world = World::start(&backend).await;
        let issuer = world.harness.issuer();
        let (user, token) = world.person();
        for scopes in [json!(["*"]), json!(["projects:admin", "usage:read"]), json!(["service:location:read"]), json!("users:admin")] {
            let refused = expect(403, world.generate(&token, &json!({ "scopes": scopes }))).await;
            assert_eq!(refused["code"], "scope_escalation");
            assert!(!refused["scopes"].as_array().unwrap().iter().any(|scope| scope == "usage:read"), "{refused}");
        }
        let key = issuer.api_key(&user, "keys:write usage:read", None);
        expect(403, world.generate(&key, &json!({"scopes": ["projects:read"]}))).await;
        expect(422, world.generate(&key, &json!({"scopes": ["usage:read"], "expires_in": "2h"}))).await;
        let narrower = expect(201, world.generate(&key, &json!({"scopes": ["usage:read"]}))).await;
        let ends: common::time::Time = text(&narrower["api_key"]["expires_at"]).parse().unwrap();
        assert!(ends <= world.harness.clock.now() + common::time::Span::hours(1));
        let confined = AccountId::new(Clock::system().now());
        expect(403, world.generate(&token, &json!({"account_id": confined}))).await;
        expect(403, world.generate(&token, &json!({"namespace": "other"}))).await;
        expect(403, world.generate(&issuer.admin(), &json!({}))).await;
        expect(401, world.platform(Method::POST, "/v1/generate").json(&json!({}))).await;
        expect(422, world.generate(&token, &json!({"scopes": ["nonsense"]}))).await;
        expect(422, world.generate(&token, &json!({"unknown": 1}))).await;
        expect(422, world.generate(&token, &json!({"expires_in": "1000d"}))).await;
        world.stop().await;
    }

    async fn a_key_that_asks_for_nothing_calls_what_its_maker_may(backend: Backend) {
        let upstream = Upstream::saying("x").await;
        let (world, app) = (World::start(&backend).await, App::new("location"));
        world.tell(app.live(&[upstream.address]), 1).await;
        world.tell(app.published("location", Visibility::Account, &[Verb::Read]), 1).await;
        world.until_known("location").await;
        let (user, token) = world.person();
        world.accounts.join(&app.account, &user);
        let made = expect(201, world.platform(Method::POST, "/generate").bearer_auth(&token).json(&json!({"account_id": app.account}))).await;
        assert_eq!(made["api_key"]["scopes"], json!(["usage:read", "services:read", "service:location:read"]));
        assert_eq!(made["api_key"]["account_id"], app.account.as_str());
        expect(403, world.platform(Method::GET, "/v1/api-keys").bearer_auth(text(&made["token"]))).await;
        world.stop().await;
    }

    async fn a_revoked_key_is_refused_at_once_and_so_are_those_made_with_it(backend: Backend) {
        let world = World::start(&backend).await;
        let (_, token) = world.person();
        let made = expect(201, world.generate(&token, &json!({"scopes": ["keys:write", "usage:read"]}))).await;
        let (key, id) = (text(&made["token"]), text(&made["api_key"]["id"]));
        let delete = || world.platform(Method::DELETE, &format!("/v1/api-keys/{id}")).bearer_auth(&token);
        let child = expect(201, world.generate(&key, &json!({"scopes": ["usage:read"]}))).await;
        let probe = |key: &str| world.platform(Method::GET, "/v1/usage").bearer_auth(key);
        expect(200, probe(&key)).await;
        expect(200, probe(child["token"].as_str().unwrap())).await;
        let gone = expect(200, delete()).await;
        assert!(gone["api_key"]["revoked_at"].is_string());
        assert_eq!(expect(401, probe(&key)).await["code"], "unauthorized");
        expect(401, probe(child["token"].as_str().unwrap())).await;
        // Again: the same answer, and nothing happens twice.
        assert_eq!(expect(200, delete()).await["api_key"]["revoked_at"], gone["api_key"]["revoked_at"]);
        world.stop().await;
    }
}
