//! The examples of the documents that the product was asked for from, called through the gateway as
//! they stand there: with the password policy under which their passwords are taken, and under the
//! default one with other passwords.

mod clients;
mod keystone;
mod platform;
mod verte;

use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Backend, expect};

use crate::harness::{InProcess, client};

const ADMIN: [&str; 2] = ["root@x.dev", "the operator's own"];

/// Which passwords are taken.
#[derive(Clone, Copy)]
pub(crate) enum Policy {
    Seed,
    Standard,
}

impl Policy {
    /// The document's own password, or one that this policy takes instead.
    fn password(self, literal: &str) -> String {
        match self {
            Self::Seed => literal.to_owned(),
            Self::Standard => format!("{literal} and then some"),
        }
    }
}

/// A platform under a policy.
struct Seeds {
    up: InProcess,
    policy: Policy,
}

impl Seeds {
    async fn start(backend: &Backend, policy: Policy) -> Self {
        let name = match policy {
            Policy::Seed => "seed",
            Policy::Standard => "standard",
        };
        let settings = [
            ("auth.admin_email", ADMIN[0]),
            ("auth.admin_password", ADMIN[1]),
            ("auth.password.policy", name),
        ];
        let up = InProcess::on(backend, &settings).await;
        Self { up, policy }
    }

    /// A document's body, with its password as the policy takes it.
    fn body(&self, mut literal: Value) -> Value {
        if let Some(password) = literal.get_mut("password") {
            *password = self.policy.password(password.as_str().unwrap()).into();
        }
        literal
    }

    fn request(&self, method: Method, path: &str, token: &str) -> reqwest::RequestBuilder {
        let request = client().request(method, format!("{}{path}", self.up.url));
        if token.is_empty() {
            request
        } else {
            request.bearer_auth(token)
        }
    }

    async fn post(&self, status: u16, path: &str, token: &str, literal: Value) -> Value {
        let request = self.request(Method::POST, path, token);
        expect(status, request.json(&self.body(literal))).await
    }

    async fn get(&self, path: &str, token: &str) -> Value {
        expect(200, self.request(Method::GET, path, token)).await
    }

    async fn admin(&self) -> String {
        let body = json!({ "email": ADMIN[0], "password": ADMIN[1] });
        let request = self.request(Method::POST, "/auth/admin/emailpass", "");
        text(&expect(200, request.json(&body)).await["token"])
    }

    async fn stop(self) {
        self.up.platform.stop().await;
    }
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value}"))
        .to_owned()
}

/// Defines each test on both backends under both policies.
macro_rules! replayed {
    ($($name:ident;)+) => {$(
        mod $name {
            use crate::seeds::Policy;

            testkit::on_both_backends! {
                async fn with_its_own_passwords(backend: Backend) {
                    super::super::$name(&backend, Policy::Seed).await;
                }

                async fn with_passwords_of_the_default_policy(backend: Backend) {
                    super::super::$name(&backend, Policy::Standard).await;
                }
            }
        }
    )+};
}

use replayed;
