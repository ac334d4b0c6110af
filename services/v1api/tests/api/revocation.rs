//! Keys that end, as every replica sees it.

use diesel::RunQueryDsl as _;
use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Proxy, eventually_async, expect, on_both_backends};

use crate::support::World;

impl World {
    async fn answers(&self, token: &str) -> u16 {
        let asked = self
            .platform(Method::GET, "/v1/users/me")
            .bearer_auth(token);
        asked.send().await.unwrap().status().as_u16()
    }
}

async fn key(world: &World, token: &str) -> (String, String) {
    let body = json!({"scopes": ["usage:read"]});
    let generate = world.platform(Method::POST, "/v1/generate");
    let made = expect(201, generate.bearer_auth(token).json(&body)).await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&made["token"]), text(&made["api_key"]["id"]))
}

on_both_backends! {
    async fn a_key_revoked_at_one_gateway_is_refused_at_the_others(backend: Backend) {
        if backend.postgres_url().is_none() {
            return;
        }
        let one = World::start(&backend).await;
        let issuer = one.harness.issuer().clone();
        let (url, _) = backend.amqp().unwrap();
        let broker = Proxy::before(&url).await;
        let other = World::replica(&backend, issuer.clone(), &[]).await;
        let alone = World::replica(&backend, issuer, &[("amqp.url", broker.url())]).await;
        let (_, token) = one.harness.issuer().someone();
        // What is known of keys doesn't come by the bus: one replica does without it.
        for cut in [false, true] {
            broker.cut(cut);
            let (key, id) = key(&one, &token).await;
            for world in [&other, &alone] {
                assert_eq!(world.answers(&key).await, 200);
            }
            expect(200, one.platform(Method::DELETE, &format!("/v1/api-keys/{id}")).bearer_auth(&token)).await;
            for world in [&other, &alone] {
                eventually_async("it is refused", || async { (world.answers(&key).await == 401).then_some(()) }).await;
            }
        }
        broker.cut(false);
        alone.stop().await;
        other.stop().await;
        one.stop().await;
    }

    async fn a_gateway_that_has_heard_nothing_of_keys_for_too_long_lets_none_in(backend: Backend) {
        let world = World::with(&backend, &[("tokens.max_staleness", "2s")]).await;
        let (_, token) = world.person();
        let (key, _) = key(&world, &token).await;
        assert_eq!(world.answers(&key).await, 200);
        let db = backend.database("v1api", None).await;
        let execute = |sql: &'static str| db.write(move |db| diesel::sql_query(sql).execute(db).map(drop));
        execute("ALTER TABLE rule_changes RENAME TO away").await.unwrap();
        let call = || world.platform(Method::GET, "/v1/users/me").bearer_auth(&key);
        eventually_async("keys are refused", || async { (world.answers(&key).await == 503).then_some(()) }).await;
        let refused = expect(503, call()).await;
        assert_eq!(refused["code"], "auth_unavailable");
        expect(503, world.platform(Method::GET, "/v1/api-keys").bearer_auth(&key)).await;
        // A person's own token doesn't hang on it.
        assert_eq!(world.answers(&token).await, 200);
        execute("ALTER TABLE away RENAME TO rule_changes").await.unwrap();
        eventually_async("keys are let in again", || async { (world.answers(&key).await == 200).then_some(()) }).await;
        world.stop().await;
    }

    async fn a_gateway_that_is_cut_off_from_its_database_lets_nobody_in_for_long(backend: Backend) {
        let Some(url) = backend.postgres_url() else { return };
        let database = Proxy::before(&url).await;
        let world = World::with(&backend, &[("tokens.max_staleness", "2s"), ("database.url", database.url())]).await;
        let (_, token) = world.person();
        let (key, _) = key(&world, &token).await;
        assert_eq!((world.answers(&key).await, world.answers(&token).await), (200, 200));
        database.cut(true);
        for token in [&key, &token] {
            eventually_async("it is refused", || async { (world.answers(token).await == 503).then_some(()) }).await;
        }
        database.cut(false);
        for token in [&key, &token] {
            eventually_async("it is let in again", || async { (world.answers(token).await == 200).then_some(()) }).await;
        }
        world.stop().await;
    }
}
