use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Backend, expect, on_both_backends};

use crate::support::World;
use crate::upstream::Upstream;

/// A gateway that believes its neighbour about addresses, with one service that everybody may call.
async fn world(backend: &Backend, upstream: &Upstream) -> World {
    let world = World::with(backend, &[("http.trusted_proxies", "127.0.0.1")]).await;
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
    fn change(&self, by: &str, key: &Value, body: &Value) -> reqwest::RequestBuilder {
        let path = format!("/v1/api-keys/{}", key["api_key"]["id"].as_str().unwrap());
        self.platform(Method::PATCH, &path)
            .bearer_auth(by)
            .json(body)
    }
}

fn token_of(made: &Value) -> &str {
    made["token"].as_str().unwrap()
}

on_both_backends! {
    async fn a_key_comes_in_from_its_addresses_only(backend: Backend) {
        let upstream = Upstream::saying("x").await;
        let world = world(&backend, &upstream).await;
        let (_, token) = world.person();
        let generate = |body: Value| world.platform(Method::POST, "/v1/generate").bearer_auth(&token).json(&body);
        let made = expect(201, generate(json!({
            "scopes": ["service:location:read", "usage:read", "keys:read"], "allowed_addresses": ["192.0.2.0/24", "2001:db8::/32"],
        }))).await;
        assert_eq!(made["api_key"]["allowed_addresses"], json!(["192.0.2.0/24", "2001:db8::/32"]));
        let from = |path: &str, address: &str| {
            world.platform(Method::GET, path).bearer_auth(token_of(&made)).header("x-forwarded-for", address)
        };
        // The catch-all, the gateway's own routes, and a platform service's.
        for path in ["/v1/location/x", "/v1/api-keys", "/v1/users/me"] {
            for address in ["192.0.2.9", "2001:db8::7"] {
                expect(200, from(path, address)).await;
            }
            for address in ["192.0.3.9", "192.0.2.9, 203.0.113.1", "unknown"] {
                assert_eq!(expect(403, from(path, address)).await["code"], "address_not_allowed", "{path} {address}");
            }
        }
        // The neighbour itself.
        expect(403, world.platform(Method::GET, "/v1/usage").bearer_auth(token_of(&made))).await;
        // Its maker's own token is bound to nothing.
        expect(200, world.platform(Method::GET, "/v1/usage").bearer_auth(&token)).await;
        expect(200, world.change(&token, &made, &json!({"allowed_addresses": ["198.51.100.7"]}))).await;
        expect(403, from("/v1/location/x", "192.0.2.9")).await;
        expect(200, from("/v1/location/x", "198.51.100.7")).await;
        expect(200, world.change(&token, &made, &json!({"allowed_addresses": []}))).await;
        expect(200, from("/v1/location/x", "192.0.2.9")).await;
        for wrong in [json!(["x"]), json!(["10.0.0.0/40"]), json!("10.0.0.1")] {
            expect(422, generate(json!({ "allowed_addresses": wrong }))).await;
        }
        world.stop().await;
    }

    async fn a_key_for_pages_needs_one_of_their_origins(backend: Backend) {
        let upstream = Upstream::saying("x").await;
        let world = world(&backend, &upstream).await;
        let (_, token) = world.person();
        let generate = |body: Value| world.platform(Method::POST, "/v1/generate").bearer_auth(&token).json(&body);
        let made = expect(201, generate(json!({"scopes": ["service:location:read"], "allowed_origins": ["https://shop.example"]}))).await;
        let call = || world.platform(Method::GET, "/v1/location/x").bearer_auth(token_of(&made));
        expect(200, call().header("origin", "https://shop.example")).await;
        for other in ["https://evil.example", "null", "http://shop.example"] {
            assert_eq!(expect(403, call().header("origin", other)).await["code"], "origin_not_allowed", "{other}");
        }
        assert_eq!(expect(403, call()).await["code"], "origin_not_allowed");
        let both = call().header("origin", "https://shop.example").header("origin", "https://evil.example");
        expect(403, both).await;
        expect(422, generate(json!({"allowed_origins": ["https://shop.example/path"]}))).await;
        world.stop().await;
    }

    async fn a_key_made_by_a_key_is_no_wider(backend: Backend) {
        let upstream = Upstream::saying("x").await;
        let world = world(&backend, &upstream).await;
        let (_, token) = world.person();
        let confined = json!({"scopes": ["keys:write", "usage:read"], "allowed_addresses": ["192.0.2.0/24"], "allowed_origins": ["https://a.example"]});
        let made = expect(201, world.platform(Method::POST, "/v1/generate").bearer_auth(&token).json(&confined)).await;
        let inside = |request: reqwest::RequestBuilder| request.header("x-forwarded-for", "192.0.2.5").header("origin", "https://a.example");
        let generate = |body: Value| {
            let body = json!({"scopes": ["keys:write", "usage:read"], "allowed_addresses": body["allowed_addresses"], "allowed_origins": body["allowed_origins"]});
            inside(world.platform(Method::POST, "/v1/generate").bearer_auth(token_of(&made)).json(&body))
        };
        for wider in [
            json!({"allowed_addresses": []}), json!({"allowed_addresses": ["192.0.0.0/16"]}), json!({"allowed_addresses": ["192.0.2.1", "10.0.0.1"]}),
            json!({"allowed_origins": []}), json!({"allowed_origins": ["https://a.example", "https://b.example"]}),
        ] {
            assert_eq!(expect(403, generate(wider.clone())).await["code"], "restriction_escalation", "{wider}");
        }
        let child = expect(201, generate(json!({"allowed_addresses": ["192.0.2.4/30"]}))).await;
        assert_eq!(child["api_key"]["allowed_origins"], json!(["https://a.example"]));
        // Not even its owner makes it wider than what it was made with.
        expect(403, world.change(&token, &child, &json!({"allowed_addresses": ["10.0.0.0/8"]}))).await;
        expect(200, world.change(&token, &child, &json!({"allowed_addresses": ["192.0.2.0/24"]}))).await;
        // A key widens neither itself nor another one.
        let by_key = |key: &Value, body: Value| inside(world.change(token_of(&made), key, &body));
        expect(403, by_key(&made, json!({"allowed_addresses": []}))).await;
        expect(403, by_key(&child, json!({"allowed_origins": []}))).await;
        expect(200, by_key(&child, json!({"allowed_addresses": ["192.0.2.5"]}))).await;
        let other = expect(201, world.platform(Method::POST, "/v1/generate").bearer_auth(&token).json(&json!({"scopes": ["projects:write"]}))).await;
        expect(403, by_key(&other, json!({"allowed_addresses": ["192.0.2.5"]}))).await;
        // Narrowed later, the maker takes the child along.
        let probe = |address: &str| world.platform(Method::GET, "/v1/usage").bearer_auth(token_of(&child)).header("x-forwarded-for", address).header("origin", "https://a.example");
        expect(200, probe("192.0.2.5")).await;
        expect(200, world.change(&token, &made, &json!({"allowed_addresses": ["192.0.2.77"]}))).await;
        expect(403, probe("192.0.2.5")).await;
        world.stop().await;
    }

    async fn a_key_that_git_sends_as_a_password_is_bound_too(backend: Backend) {
        let upstream = Upstream::saying("x").await;
        let world = world(&backend, &upstream).await;
        let (_, token) = world.person();
        let body = json!({"scopes": ["projects:read"], "allowed_addresses": ["192.0.2.0/24"]});
        let made = expect(201, world.platform(Method::POST, "/v1/generate").bearer_auth(&token).json(&body)).await;
        let git = |address: &str| {
            world.platform(Method::GET, "/git/acc/shop.git/info/refs").basic_auth("git", Some(token_of(&made))).header("x-forwarded-for", address)
        };
        assert_eq!(expect(403, git("198.51.100.1")).await["code"], "address_not_allowed");
        // The double behind knows no repository.
        expect(404, git("192.0.2.1")).await;
        world.stop().await;
    }
}
