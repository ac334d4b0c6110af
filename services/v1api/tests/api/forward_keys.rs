//! The gateway's own keys, as services and admins see them.

use std::collections::BTreeSet;

use common::names::ServiceName;
use common::time::Clock;
use common::token::{JwkSet, KeyRing, TokenKind, audience};
use reqwest::Method;
use serde_json::json;
use testkit::{Backend, eventually_async, expect, on_both_backends};

use crate::support::World;
use crate::upstream::Upstream;

impl World {
    async fn forward_keys(&self) -> JwkSet {
        let path = "/.well-known/forward-jwks.json";
        let keys = expect(200, self.platform(Method::GET, path)).await;
        serde_json::from_value(keys).unwrap()
    }
}

fn kids(keys: &JwkSet) -> BTreeSet<String> {
    keys.keys.iter().map(|key| key.kid.clone()).collect()
}

async fn rotating(backend: &Backend) -> World {
    World::with(backend, &[("gateway.forward_key_notice", "2s")]).await
}

on_both_backends! {
    async fn a_rotated_key_reaches_a_service_without_a_refused_call(backend: Backend) {
        let (world, replica) = (rotating(&backend).await, rotating(&backend).await);
        let upstream = Upstream::saying("here").await;
        world.name_location(json!({ "upstream": format!("http://{}", upstream.address) })).await;
        let admin = world.harness.issuer().admin();
        let before = kids(&world.forward_keys().await);
        let asked = world.platform(Method::POST, "/v1/forward-keys/rotate").bearer_auth(&admin);
        let made = expect(200, asked).await;
        let kid = made["forward_key"]["kid"].as_str().unwrap().to_owned();
        assert!(!before.contains(&kid));
        assert!(kids(&world.forward_keys().await).contains(&kid), "it is published at once");
        eventually_async("the other replica publishes it, too", || async {
            kids(&replica.forward_keys().await).contains(&kid).then_some(())
        }).await;
        // As a service that verifies each call by the keys of the replica.
        let wanted = audience::upstream(&ServiceName::parse("location").unwrap());
        eventually_async("the new key signs", || async {
            // Another caller each time: a token is handed out for a while.
            let key = world.key("service:location:read");
            assert_eq!(world.call(Method::GET, "/x", &key).send().await.unwrap().status(), 200);
            let token = upstream.last().one("slipway-identity");
            let keys = replica.forward_keys().await;
            let ring = KeyRing::new("micro", &keys);
            let now = Clock::system().now();
            ring.verify(&token, &[TokenKind::Forward], &wanted, now).unwrap();
            let only_new = JwkSet { keys: keys.keys.into_iter().filter(|key| key.kid == kid).collect() };
            let ring = KeyRing::new("micro", &only_new);
            ring.verify(&token, &[TokenKind::Forward], &wanted, now).is_ok().then_some(())
        }).await;
        world.stop().await;
        replica.stop().await;
    }

    async fn only_an_admin_has_keys_rotated_and_it_is_written_down(backend: Backend) {
        let world = World::start(&backend).await;
        let (_, anyone) = world.harness.issuer().someone();
        let rotate = |token: &str| world.platform(Method::POST, "/v1/forward-keys/rotate").bearer_auth(token);
        expect(403, rotate(&anyone)).await;
        expect(401, world.platform(Method::POST, "/v1/forward-keys/rotate")).await;
        let admin = world.harness.issuer().admin();
        let made = expect(200, rotate(&admin)).await;
        assert_eq!(expect(200, rotate(&admin)).await, made, "while one waits there is no further one");
        assert!(made["forward_key"]["signs_from"].as_str() > made["forward_key"]["created_at"].as_str());
        let audit = world.harness.private(Method::GET, "v1api", "/internal/audit?limit=10&action=forward_key.rotated");
        let token = world.harness.issuer().service_token("account", "v1api");
        let log = expect(200, audit.bearer_auth(token)).await;
        assert_eq!(log.to_string().matches("forward_key.rotated").count(), 1, "{log}");
        world.stop().await;
    }
}
