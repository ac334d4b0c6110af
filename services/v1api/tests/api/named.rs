//! A gateway with a service that an admin has named.

use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Backend, expect};

use crate::support::World;

/// A gateway with one service, `location`, at this address and with these rules.
pub async fn named(backend: &Backend, address: std::net::SocketAddr, rules: Value) -> World {
    let mut new = rules;
    new["upstream"] = json!(format!("http://{address}"));
    let world = World::start(backend).await;
    world.name_location(new).await;
    world
}

impl World {
    /// Names `location`, which is as the body says.
    pub async fn name_location(&self, mut body: Value) -> Value {
        body["name"] = json!("location");
        let asked = self.platform(Method::POST, "/v1/services");
        let asked = asked.bearer_auth(self.harness.issuer().admin());
        let made = expect(201, asked.json(&body)).await;
        assert_eq!(made["service"]["timeout"], body["timeout"], "{made}");
        made
    }

    /// Makes another of `location`.
    pub fn change_location(&self, body: &Value) -> reqwest::RequestBuilder {
        let asked = self.platform(Method::PATCH, "/v1/services/location");
        asked.bearer_auth(self.harness.issuer().admin()).json(body)
    }

    /// A call with a key of these scopes.
    pub fn call(&self, method: Method, path: &str, key: &str) -> reqwest::RequestBuilder {
        self.platform(method, &format!("/v1/location{path}"))
            .bearer_auth(key)
    }

    /// A key of somebody's with these scopes.
    pub fn key(&self, scopes: &str) -> String {
        let (user, _) = self.harness.issuer().someone();
        self.harness.issuer().api_key(&user, scopes, None)
    }
}
