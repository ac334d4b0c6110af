//! One route of each of the six services, to see which tokens it takes.

use common::id::AccountId;
use common::time::Clock;
use common::token::{Claims, TokenKind};
use reqwest::Method;
use serde_json::json;
use testkit::expect;

use super::claims::service_claims;
use super::world::{Door, SECRET, World};
use crate::harness::client;

/// A service, and where a token is checked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Every {
    pub(super) service: &'static str,
    method: &'static str,
    path: &'static str,
    door: Door,
}

/// The provisioner has routes for other services alone.
pub(super) const EVERY: [Every; 6] = [
    Every::new("auth", "POST", "/auth/token/refresh", Door::Direct),
    Every::new("account", "GET", "/v1/accounts", Door::Direct),
    Every::new(
        "project",
        "GET",
        "/v1/accounts/{account}/projects",
        Door::Direct,
    ),
    Every::new(
        "github",
        "GET",
        "/v1/accounts/{account}/github/repositories",
        Door::Direct,
    ),
    Every::new("v1api", "GET", "/v1/services", Door::Gateway),
    Every::new("provisioner", "GET", "/internal/doctor", Door::Private),
];

impl Every {
    const fn new(
        service: &'static str,
        method: &'static str,
        path: &'static str,
        door: Door,
    ) -> Self {
        Self {
            service,
            method,
            path,
            door,
        }
    }

    /// The kind that it takes.
    pub(super) fn kind(self) -> TokenKind {
        if self.door == Door::Private {
            TokenKind::Service
        } else {
            TokenKind::Access
        }
    }

    /// Claims of a token that it takes.
    pub(super) fn claims(self, world: &World) -> Claims {
        if self.door == Door::Private {
            service_claims(world, "project", self.service)
        } else {
            world.admin.clone()
        }
    }

    /// The status that a token is answered with.
    pub(super) async fn ask(self, world: &World, token: &str) -> u16 {
        let account = AccountId::new(Clock::system().now()).to_string();
        let path = self.path.replace("{account}", &account);
        let url = format!("{}{path}", world.url(self.door, self.service));
        let method: Method = self.method.parse().unwrap();
        let request = client().request(method, url).bearer_auth(token);
        request.send().await.unwrap().status().as_u16()
    }

    /// Whether this status says that the token held, whatever came after that.
    pub(super) fn held(status: u16) -> bool {
        matches!(status, 200 | 403 | 404)
    }
}

/// A token that account calls another service with, as auth gives it now.
pub(super) async fn service_token(world: &World, audience: &str) -> String {
    let body = json!({ "service": "account", "secret": SECRET, "audience": audience });
    let url = format!(
        "{}/internal/service-tokens",
        world.url(Door::Private, "auth")
    );
    let answer = expect(200, client().post(url).json(&body)).await;
    answer["token"].as_str().unwrap().to_owned()
}
