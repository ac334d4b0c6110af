//! account with the real auth beside it, on both backends.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

mod accounts;
mod audit;
mod departures;
mod export;
mod invites;
mod members;
mod users;

use common::time::Clock;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use testkit::{Backend, Builder, Double, Harness, expect};

const PASSWORD: &str = "correct horse battery";

/// The two services, and who is there from the start.
struct World {
    harness: Harness,
    admin: String,
}

/// A person with a user of the platform.
struct Person {
    id: String,
    token: String,
}

impl World {
    async fn new(backend: &Backend) -> Self {
        Self::with(backend, &[], Clock::system()).await
    }

    async fn with(backend: &Backend, settings: &[(&str, &str)], clock: Clock) -> Self {
        Self::beside(backend, settings, clock, &[]).await
    }

    /// With these in the place of other services.
    async fn beside(
        backend: &Backend,
        settings: &[(&str, &str)],
        clock: Clock,
        doubles: &[&Double],
    ) -> Self {
        let mut builder = Builder::new(backend)
            .real_auth()
            .service(slipway_auth::service())
            .service(slipway_account::service())
            .clock(clock)
            .setting("auth.admin_email", "root@x.dev")
            .setting("auth.admin_password", "the operator's own")
            .setting("services.auth.secret", "auth's secret")
            .setting("services.v1api.secret", "v1api's secret");
        for (key, value) in settings {
            builder = builder.setting(key, value);
        }
        for double in doubles {
            builder = builder.double(double);
        }
        let harness = builder.start().await;
        let body = json!({ "email": "root@x.dev", "password": "the operator's own" });
        let login = harness
            .request(Method::POST, "auth", "/auth/admin/emailpass")
            .json(&body);
        let admin = text(&expect(200, login).await["token"]);
        Self { harness, admin }
    }

    /// Somebody who has registered, and gone no further.
    async fn registered(&self, email: &str) -> String {
        let body = json!({ "email": email, "password": PASSWORD });
        let request = self
            .harness
            .request(Method::POST, "auth", "/auth/euser/emailpass/register");
        text(&expect(200, request.json(&body)).await["token"])
    }

    /// Somebody with a user. The token is the first one, which doesn't tell of the user.
    async fn person(&self, email: &str) -> Person {
        let token = self.registered(email).await;
        let user = expect(
            201,
            self.post(&token, "/v1/users", &json!({ "email": email })),
        )
        .await;
        Person {
            id: text(&user["user"]["id"]),
            token,
        }
    }

    /// An account with this owner.
    async fn account(&self, owner: &Person) -> String {
        let made = expect(
            201,
            self.post(&self.admin, "/v1/accounts", &json!({ "name": "Shop" })),
        )
        .await;
        let account = text(&made["account"]["id"]);
        self.join(&account, &self.admin, owner, "owner").await;
        account
    }

    async fn invite(&self, account: &str, by: &str, body: &Value) -> Value {
        expect(
            201,
            self.post(by, &format!("/v1/accounts/{account}/invite"), body),
        )
        .await
    }

    fn accept(&self, who: &str, invite: &Value) -> RequestBuilder {
        self.post(
            who,
            "/v1/invite/accept",
            &json!({ "token": invite["token"] }),
        )
    }

    async fn join(&self, account: &str, by: &str, who: &Person, role: &str) {
        let invite = self.invite(account, by, &json!({ "role": role })).await;
        expect(200, self.accept(&who.token, &invite)).await;
    }

    fn request(&self, method: Method, token: &str, path: &str) -> RequestBuilder {
        self.harness
            .request(method, "account", path)
            .bearer_auth(token)
    }

    fn get(&self, token: &str, path: &str) -> RequestBuilder {
        self.request(Method::GET, token, path)
    }

    fn post(&self, token: &str, path: &str, body: &Value) -> RequestBuilder {
        self.request(Method::POST, token, path).json(body)
    }

    fn patch(&self, token: &str, path: &str, body: &Value) -> RequestBuilder {
        self.request(Method::PATCH, token, path).json(body)
    }

    fn delete(&self, token: &str, path: &str) -> RequestBuilder {
        self.request(Method::DELETE, token, path)
    }

    fn login(&self, email: &str) -> RequestBuilder {
        let body = json!({ "email": email, "password": PASSWORD });
        self.harness
            .request(Method::POST, "auth", "/auth/euser/emailpass")
            .json(&body)
    }

    /// The identity by which a person signs in.
    async fn identity(&self, who: &Person) -> String {
        let me = expect(200, self.get(&who.token, "/v1/users/me")).await;
        text(&me["user"]["identity_id"])
    }

    /// An admin's request about an identity.
    fn administer(&self, method: Method, identity: &str, rest: &str) -> RequestBuilder {
        let path = format!("/auth/admin/identities/{identity}{rest}");
        self.harness
            .request(method, "auth", &path)
            .bearer_auth(&self.admin)
    }

    /// What account tells the other services of a membership.
    async fn membership(&self, account: &str, user: &str) -> Value {
        let token = self.v1api_token("account").await;
        let path = format!("/internal/memberships/{account}/{user}");
        expect(
            200,
            self.harness
                .private(Method::GET, "account", &path)
                .bearer_auth(token),
        )
        .await
    }

    async fn v1api_token(&self, audience: &str) -> String {
        self.token_of("v1api", audience).await
    }

    /// A service's token for calling account.
    async fn service_token(&self, service: &str) -> String {
        self.token_of(service, "account").await
    }

    async fn token_of(&self, service: &str, audience: &str) -> String {
        let secret = format!("{service}'s secret");
        let body = json!({ "service": service, "secret": secret, "audience": audience });
        let request = self
            .harness
            .private(Method::POST, "auth", "/internal/service-tokens")
            .json(&body);
        text(&expect(200, request).await["token"])
    }
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("no text: {value}"))
        .to_owned()
}
