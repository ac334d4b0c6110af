//! A platform, and who is there.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use common::token::{Claims, TokenKind};
use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Backend, expect};

use super::policy::Row;
use super::scene::Scene;
use super::signer::Signer;
use crate::harness::{InProcess, client};

pub(super) const PASSWORD: &str = "correct horse battery";
/// account's own, as the platform is told it.
pub(super) const SECRET: &str = "account's own secret";
const ADMIN: [&str; 2] = ["root@x.dev", "the operator's own"];

/// By which way a request comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    /// Through the gateway.
    Gateway,
    /// Through the gateway, by the other name of the account's paths.
    Singular,
    /// Straight to the service's listener behind the gateway.
    Direct,
    /// Straight to the service's private listener.
    Private,
}

pub(super) struct World {
    pub(super) up: InProcess,
    pub(super) signer: Signer,
    pub(super) admin: Claims,
    client: reqwest::Client,
}

/// Somebody who has registered.
#[derive(Clone)]
pub(super) struct Person {
    pub(super) email: String,
    pub(super) token: String,
    pub(super) claims: Claims,
}

/// What came back.
pub(super) struct Answer {
    pub(super) status: u16,
    /// The challenge, which tells what is wrong with a token, and the body.
    pub(super) text: String,
}

impl World {
    pub(super) async fn start(backend: &Backend) -> Self {
        Self::start_with(backend, &[]).await
    }

    /// With further settings.
    pub(super) async fn start_with(backend: &Backend, further: &[(&str, &str)]) -> Self {
        let mut settings = vec![
            ("auth.admin_email", ADMIN[0]),
            ("auth.admin_password", ADMIN[1]),
            ("services.account.secret", SECRET),
        ];
        settings.extend(further);
        let up = InProcess::on(backend, &settings).await;
        let signer = Signer::of(&up.platform).await;
        let client = client();
        let body = json!({ "email": ADMIN[0], "password": ADMIN[1] });
        let login = client
            .post(format!("{}/auth/admin/emailpass", up.url))
            .json(&body);
        let admin = claims_of(expect(200, login).await["token"].as_str().unwrap());
        Self {
            up,
            signer,
            admin,
            client,
        }
    }

    pub(super) async fn stop(self) {
        self.up.platform.stop().await;
    }

    /// Where a door leads.
    pub(super) fn url(&self, door: Door, service: &str) -> String {
        let address = || self.up.platform.directory().get(service).unwrap();
        match door {
            Door::Gateway | Door::Singular => self.up.url.clone(),
            Door::Direct => address().api.clone(),
            Door::Private => address().private.clone(),
        }
    }

    pub(super) fn sign(&self, kind: TokenKind, claims: &Claims) -> String {
        self.signer.sign(kind, claims)
    }

    pub(super) fn admin_token(&self) -> String {
        self.sign(TokenKind::Access, &self.admin)
    }

    /// Asks for a row's route.
    pub(super) async fn ask(
        &self,
        door: Door,
        (row, scene): (&Row, &Scene),
        token: Option<&str>,
        body: &str,
    ) -> Answer {
        let mut path = scene.path(row);
        if door == Door::Singular {
            path = path.replacen("/v1/accounts/", "/v1/account/", 1);
        }
        let method: Method = row.method.parse().unwrap();
        let url = format!("{}{path}", self.url(door, row.service));
        let mut request = self.client.request(method, url);
        if !body.is_empty() {
            let git = row.path.rsplit_once(".git/").map(|(_, service)| service);
            let content_type = match git {
                Some(service) => format!("application/x-{service}-request"),
                None if ["/oauth/", "/login-request/"]
                    .iter()
                    .any(|below| row.path.starts_with(below)) =>
                {
                    "application/x-www-form-urlencoded".to_owned()
                }
                None => "application/json".to_owned(),
            };
            request = request
                .header("content-type", content_type)
                .body(scene.fill(body));
        }
        if let Some((name, value)) = row.header
            && body == row.body
        {
            request = request.header(name, scene.fill(value));
            // Browsers say from which page they ask.
            if name == "cookie" {
                request = request.header("origin", &self.up.url);
            }
        }
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.unwrap();
        let challenge = response.headers().get("www-authenticate");
        let challenge = challenge
            .map_or("", |value| value.to_str().unwrap())
            .to_owned();
        Answer {
            status: response.status().as_u16(),
            text: format!("{challenge}\n{}", response.text().await.unwrap()),
        }
    }

    /// Asks the gateway, which must answer with this status.
    pub(super) async fn call(
        &self,
        status: u16,
        method: Method,
        path: &str,
        token: &str,
        body: &Value,
    ) -> Value {
        let request = self
            .client
            .request(method, format!("{}{path}", self.up.url))
            .bearer_auth(token);
        expect(status, request.json(body)).await
    }

    /// Somebody who has registered, and gone no further.
    pub(super) async fn newcomer(&self, email: &str) -> Person {
        let body = json!({ "email": email, "password": PASSWORD });
        let url = format!("{}/auth/euser/emailpass/register", self.up.url);
        let answer = expect(200, self.client.post(url).json(&body)).await;
        Person::of(email, &answer)
    }

    /// Somebody with a user of the platform, and a token that tells of it.
    pub(super) async fn person(&self, email: &str) -> Person {
        let first = self.newcomer(email).await.token;
        let body = json!({ "email": email });
        self.call(201, Method::POST, "/v1/users", &first, &body)
            .await;
        let path = "/auth/token/refresh";
        let answer = self.call(200, Method::POST, path, &first, &json!({})).await;
        Person::of(email, &answer)
    }
}

impl Person {
    fn of(email: &str, answer: &Value) -> Self {
        let token = answer["token"].as_str().unwrap();
        Self {
            email: email.to_owned(),
            token: token.to_owned(),
            claims: claims_of(token),
        }
    }

    pub(super) fn user(&self) -> String {
        self.claims.user_id().unwrap().to_string()
    }
}

/// What a token says.
pub(super) fn claims_of(token: &str) -> Claims {
    let body = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(body).unwrap()).unwrap()
}
