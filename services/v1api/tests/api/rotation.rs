use common::time::{Span, Time};
use reqwest::Method;
use serde_json::{Value, json};
use testkit::{eventually_async, expect, on_both_backends};

use crate::support::World;

impl World {
    fn rotate(&self, by: &str, id: &str, body: &Value) -> reqwest::RequestBuilder {
        let path = format!("/v1/api-keys/{id}/rotate");
        self.platform(Method::POST, &path)
            .bearer_auth(by)
            .json(body)
    }

    async fn made(&self, by: &str, body: &Value) -> (String, String) {
        let generate = self.platform(Method::POST, "/v1/generate").bearer_auth(by);
        let made = expect(201, generate.json(body)).await;
        (text(&made["token"]), text(&made["api_key"]["id"]))
    }

    async fn status(&self, key: &str) -> u16 {
        let asked = self.platform(Method::GET, "/v1/usage").bearer_auth(key);
        asked.send().await.unwrap().status().as_u16()
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn time(value: &Value) -> Time {
    text(value).parse().unwrap()
}

on_both_backends! {
    async fn both_tokens_of_a_rotated_key_work_until_the_overlap_ends(backend: Backend) {
        let world = World::start(&backend).await;
        let (_, token) = world.person();
        let (old, id) = world.made(&token, &json!({"scopes": ["usage:read"], "name": "ci", "expires_in": "10d"})).await;
        let rotated = expect(200, world.rotate(&token, &id, &json!({"overlap": "2s"}))).await;
        let new = text(&rotated["token"]);
        assert_ne!(old, new);
        assert_eq!(rotated["api_key"]["id"], id.as_str());
        assert_eq!(rotated["api_key"]["scopes"], json!(["usage:read"]));
        assert_eq!(rotated["api_key"]["name"], "ci");
        assert!(time(&rotated["api_key"]["rotated_at"]) < time(&rotated["previous_ends_at"]));
        assert_eq!(world.status(&new).await, 200);
        eventually_async("the old token ends", || async { (world.status(&old).await == 401).then_some(()) }).await;
        assert!(world.harness.clock.now() >= time(&rotated["previous_ends_at"]));
        assert_eq!(world.status(&new).await, 200);
        let shown = expect(200, world.platform(Method::GET, &format!("/v1/api-keys/{id}")).bearer_auth(&token)).await;
        assert!(shown["api_key"]["rotated_at"].is_string() && shown["api_key"]["revoked_at"].is_null());
        world.stop().await;
    }

    async fn an_overlap_is_a_day_unless_told_and_never_beyond_a_week_or_the_key(backend: Backend) {
        let world = World::start(&backend).await;
        let (_, token) = world.person();
        let (old, id) = world.made(&token, &json!({"scopes": ["usage:read"]})).await;
        let before = world.harness.clock.now();
        let rotated = expect(200, world.rotate(&token, &id, &json!({}))).await;
        let span = time(&rotated["previous_ends_at"]) - before;
        assert!((Span::hours(24)..Span::hours(25)).contains(&span), "{span}");
        assert_eq!(world.status(&old).await, 200);
        expect(422, world.rotate(&token, &id, &json!({"overlap": "8d"}))).await;
        expect(422, world.rotate(&token, &id, &json!({"unknown": 1}))).await;
        let (_, short) = world.made(&token, &json!({"scopes": ["usage:read"], "expires_in": "1h"})).await;
        let rotated = expect(200, world.rotate(&token, &short, &json!({"overlap": "7d"}))).await;
        assert_eq!(rotated["previous_ends_at"], rotated["api_key"]["expires_at"]);
        world.stop().await;
    }

    async fn without_an_overlap_every_earlier_token_ends_at_once(backend: Backend) {
        let world = World::start(&backend).await;
        let (_, token) = world.person();
        let (mut last, id) = world.made(&token, &json!({"scopes": ["usage:read"]})).await;
        let mut earlier = Vec::new();
        for _ in 0..5 {
            earlier.push(last);
            last = text(&expect(200, world.rotate(&token, &id, &json!({}))).await["token"]);
        }
        assert_eq!(expect(409, world.rotate(&token, &id, &json!({}))).await["code"], "too_many_tokens");
        for old in &earlier {
            assert_eq!(world.status(old).await, 200);
        }
        earlier.push(last);
        let new = text(&expect(200, world.rotate(&token, &id, &json!({"overlap": 0}))).await["token"]);
        for old in &earlier {
            assert_eq!(world.status(old).await, 401);
        }
        assert_eq!(world.status(&new).await, 200);
        world.stop().await;
    }

    async fn revoking_a_key_ends_all_its_tokens(backend: Backend) {
        let world = World::start(&backend).await;
        let (_, token) = world.person();
        let (old, id) = world.made(&token, &json!({"scopes": ["usage:read"]})).await;
        let new = text(&expect(200, world.rotate(&token, &id, &json!({}))).await["token"]);
        expect(200, world.platform(Method::DELETE, &format!("/v1/api-keys/{id}")).bearer_auth(&token)).await;
        assert_eq!(world.status(&old).await, 401);
        assert_eq!(world.status(&new).await, 401);
        assert_eq!(expect(409, world.rotate(&token, &id, &json!({}))).await["code"], "key_ended");
        world.stop().await;
    }

    async fn a_key_is_rotated_by_its_owner_or_by_one_that_can_do_all_that_it_can(backend: Backend) {
        let world = World::start(&backend).await;
        let (_, token) = world.person();
        let (_, stranger) = world.person();
        let (narrow, _) = world.made(&token, &json!({"scopes": ["keys:write", "usage:read"]})).await;
        let (_, wide) = world.made(&token, &json!({"scopes": ["projects:write"]})).await;
        let (reader, own) = world.made(&token, &json!({"scopes": ["usage:read"]})).await;
        let (_, child) = world.made(&narrow, &json!({"scopes": ["usage:read"]})).await;
        expect(401, world.platform(Method::POST, &format!("/v1/api-keys/{wide}/rotate")).json(&json!({}))).await;
        expect(404, world.rotate(&stranger, &wide, &json!({}))).await;
        expect(403, world.rotate(&reader, &own, &json!({}))).await;
        assert_eq!(expect(403, world.rotate(&narrow, &wide, &json!({}))).await["code"], "scope_escalation");
        expect(200, world.rotate(&narrow, &child, &json!({}))).await;
        let (selfish, id) = world.made(&token, &json!({"scopes": ["keys:write"]})).await;
        expect(200, world.rotate(&selfish, &id, &json!({}))).await;
        world.stop().await;
    }

    async fn a_rotation_that_is_sent_again_happens_once(backend: Backend) {
        let world = World::start(&backend).await;
        let (_, token) = world.person();
        let (_, id) = world.made(&token, &json!({"scopes": ["usage:read"]})).await;
        let rotate = || world.rotate(&token, &id, &json!({})).header("idempotency-key", "once");
        let new = text(&expect(200, rotate()).await["token"]);
        let again = expect(409, rotate()).await;
        assert_eq!(again["code"], "already_done");
        assert!(again.to_string().contains(&id), "{again}");
        assert_eq!(world.status(&new).await, 200);
        world.stop().await;
    }

    async fn the_last_use_of_a_key_is_told(backend: Backend) {
        let world = World::start(&backend).await;
        let (_, token) = world.person();
        let (key, id) = world.made(&token, &json!({"scopes": ["usage:read"]})).await;
        let read = || world.platform(Method::GET, &format!("/v1/api-keys/{id}")).bearer_auth(&token);
        assert!(expect(200, read()).await["api_key"]["last_used_at"].is_null());
        let mut last = world.harness.clock.now();
        for _ in 0..2 {
            assert_eq!(world.status(&key).await, 200);
            let used = eventually_async("the use is told", || async {
                let told = expect(200, read()).await;
                told["api_key"]["last_used_at"].as_str().map(|text| text.parse::<Time>().unwrap()).filter(|used| *used > last)
            }).await;
            assert!(used <= world.harness.clock.now());
            last = world.harness.clock.now();
        }
        world.stop().await;
    }
}
