//! Somebody who uses the platform over its public API.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Up, client};

const PASSWORD: &str = "correct horse battery staple";

/// Who holds a token. The platform's address is asked of it each time: it changes with a restart.
#[derive(Clone)]
pub(super) struct Person {
    http: reqwest::Client,
    token: String,
}

impl Person {
    fn nobody() -> Self {
        Self {
            http: client(),
            token: String::new(),
        }
    }

    /// The first operator.
    pub(super) async fn admin(up: &Up) -> Self {
        let file = std::fs::read(up.data_dir.join("admin-credentials.json")).unwrap();
        let credentials: Value = serde_json::from_slice(&file).unwrap();
        let body = json!({ "email": credentials["email"], "password": credentials["password"] });
        let nobody = Self::nobody();
        let signed_in = nobody.post(up, "/auth/admin/emailpass", &body).await;
        nobody.with(&signed_in)
    }

    /// Somebody new, who is a user of the platform.
    pub(super) async fn register(up: &Up, email: &str) -> Self {
        let nobody = Self::nobody();
        let body = json!({ "email": email, "password": PASSWORD });
        let path = "/auth/euser/emailpass/register";
        let person = nobody.with(&nobody.post(up, path, &body).await);
        person
            .post(up, "/v1/users", &json!({ "email": email }))
            .await;
        person
    }

    fn with(&self, signed_in: &Value) -> Self {
        let token = signed_in["token"].as_str().unwrap().to_owned();
        Self {
            token,
            ..self.clone()
        }
    }

    /// The same with a new token, whose claims are those of now.
    pub(super) async fn refreshed(&self, up: &Up) -> Self {
        self.with(&self.post(up, "/auth/token/refresh", &json!({})).await)
    }

    /// What she shows.
    pub(super) fn token(&self) -> &str {
        &self.token
    }

    /// The status and the JSON of an answer.
    pub(super) async fn ask(
        &self,
        up: &Up,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> (u16, Value) {
        let mut request = self.http.request(method, format!("{}{path}", up.url));
        if !self.token.is_empty() {
            request = request.bearer_auth(&self.token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        (
            status,
            serde_json::from_str(&text).unwrap_or(Value::String(text)),
        )
    }

    /// What a request answers that must succeed.
    pub(super) async fn post(&self, up: &Up, path: &str, body: &Value) -> Value {
        let (status, answer) = self.ask(up, Method::POST, path, Some(body)).await;
        assert!(
            (200..300).contains(&status),
            "POST {path}: {status} {answer}\n{}",
            up.log()
        );
        answer
    }

    /// The same.
    pub(super) async fn get(&self, up: &Up, path: &str) -> Value {
        let (status, answer) = self.ask(up, Method::GET, path, None).await;
        assert_eq!(status, 200, "GET {path}: {answer}\n{}", up.log());
        answer
    }
}
