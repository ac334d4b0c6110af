//! `@medusajs/js-sdk` 2.21 in a browser, request for request: which headers it sends, in which order it
//! reads an answer's fields, and what it takes for an error. Nothing of it knows this platform.

use reqwest::{Method, Response};
use serde_json::Value;

use crate::harness::client;

/// How the client was configured: `auth.type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// `jwt`: the token is kept, and sent with each request.
    Jwt,
    /// `session`: the token becomes a session, whose cookie the browser sends.
    Session,
}

/// What the client throws: any status from 300 up.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FetchError {
    pub(super) status: u16,
    pub(super) message: String,
}

/// The client, and the browser around it.
pub(super) struct Sdk {
    base: String,
    origin: String,
    mode: Mode,
    token: Option<String>,
    /// The browser's jar: scripts never see it.
    pub(super) cookie: Option<String>,
    client: reqwest::Client,
}

impl Sdk {
    pub(super) fn new(base: &str, origin: &str, mode: Mode) -> Self {
        Self {
            base: base.to_owned(),
            origin: origin.to_owned(),
            mode,
            token: None,
            cookie: None,
            client: client(),
        }
    }

    pub(super) fn clear_token(&mut self) {
        self.token = None;
    }

    /// `client.fetch`: JSON is asked for, sent and parsed, whatever the answer's own type.
    pub(super) async fn fetch(
        &mut self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        bearer: Option<&str>,
    ) -> Result<Value, FetchError> {
        let method: Method = method.parse().unwrap();
        let mut request = self
            .client
            .request(method, format!("{}{path}", self.base))
            .header("content-type", "application/json")
            .header("accept", "application/json")
            // The browser's own: it is another origin's page that asks.
            .header("origin", &self.origin);
        let own = self.token.as_deref().filter(|_| self.mode == Mode::Jwt);
        if let Some(token) = bearer.or(own) {
            request = request.bearer_auth(token);
        }
        // `credentials: include` with sessions, `omit` without.
        if let Some(cookie) = self.cookie.as_ref().filter(|_| self.mode == Mode::Session) {
            request = request.header("cookie", format!("connect.sid={cookie}"));
        }
        if let Some(body) = body {
            request = request.body(body.to_string());
        }
        let response = request.send().await.unwrap();
        self.check_cors(&response);
        self.keep_cookie(&response);
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        if status >= 300 {
            let body: Value = serde_json::from_str(&text).unwrap_or_default();
            let message = body["message"].as_str().unwrap_or_default().to_owned();
            return Err(FetchError { status, message });
        }
        Ok(serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}: {text}")))
    }

    /// Without these a browser shows its page no answer at all.
    fn check_cors(&self, response: &Response) {
        let header = |name: &str| {
            response
                .headers()
                .get(name)
                .map(|value| value.to_str().unwrap())
        };
        assert_eq!(
            header("access-control-allow-origin"),
            Some(self.origin.as_str())
        );
        assert_eq!(header("access-control-allow-credentials"), Some("true"));
    }

    fn keep_cookie(&mut self, response: &Response) {
        let Some(set) = response.headers().get("set-cookie") else {
            return;
        };
        assert_eq!(self.mode, Mode::Session, "nobody asked for a cookie");
        let set = set.to_str().unwrap();
        let value = set.split(['=', ';']).nth(1).unwrap();
        self.cookie = (!set.contains("Max-Age=0")).then(|| value.to_owned());
    }

    /// `auth.register`
    pub(super) async fn register(
        &mut self,
        actor: &str,
        method: &str,
        payload: &Value,
    ) -> Result<String, FetchError> {
        let path = format!("/auth/{actor}/{method}/register");
        let answer = self.fetch("POST", &path, Some(payload), None).await?;
        let token = answer["token"]
            .as_str()
            .expect("Unexpected registration response")
            .to_owned();
        self.token = Some(token.clone());
        Ok(token)
    }

    /// `auth.login`: a text, or what else there is to be done.
    pub(super) async fn login(
        &mut self,
        actor: &str,
        method: &str,
        payload: &Value,
    ) -> Result<Value, FetchError> {
        let path = format!("/auth/{actor}/{method}");
        let answer = self.fetch("POST", &path, Some(payload), None).await?;
        if let Some(location) = answer.get("location") {
            return Ok(serde_json::json!({ "location": location }));
        }
        let token = answer["token"]
            .as_str()
            .expect("Unexpected authentication response");
        self.set_token(token).await?;
        if answer["verification_required"] == true || answer.get("mfa_challenge").is_some() {
            return Ok(answer);
        }
        Ok(token.into())
    }

    /// `setToken_`: in sessions the token is turned into one at once, a pending login's as well.
    async fn set_token(&mut self, token: &str) -> Result<(), FetchError> {
        match self.mode {
            Mode::Jwt => self.token = Some(token.to_owned()),
            Mode::Session => {
                self.fetch("POST", "/auth/session", None, Some(token))
                    .await?;
            }
        }
        Ok(())
    }

    /// `auth.refresh`
    pub(super) async fn refresh(&mut self) -> Result<String, FetchError> {
        let answer = self
            .fetch("POST", "/auth/token/refresh", None, None)
            .await?;
        let token = answer["token"].as_str().unwrap().to_owned();
        self.set_token(&token).await?;
        Ok(token)
    }

    /// `auth.logout`
    pub(super) async fn logout(&mut self) -> Result<(), FetchError> {
        if self.mode == Mode::Session {
            self.fetch("DELETE", "/auth/session", None, None).await?;
        }
        self.clear_token();
        Ok(())
    }

    /// `auth.mfa.start`
    pub(super) async fn mfa_start(&mut self, body: &Value) -> Result<Value, FetchError> {
        self.fetch("POST", "/auth/mfa/factors", Some(body), None)
            .await
    }

    /// `auth.mfa.list`
    pub(super) async fn mfa_list(&mut self) -> Result<Value, FetchError> {
        self.fetch("GET", "/auth/mfa/factors", None, None).await
    }

    /// `auth.mfa.verify`
    pub(super) async fn mfa_verify(&mut self, id: &str, code: &str) -> Result<Value, FetchError> {
        let body = serde_json::json!({ "code": code });
        let path = format!("/auth/mfa/factors/{id}/verify");
        self.fetch("POST", &path, Some(&body), None).await
    }

    /// `auth.mfa.disable`
    pub(super) async fn mfa_disable(&mut self, id: &str) -> Result<Value, FetchError> {
        let (path, body) = (format!("/auth/mfa/factors/{id}"), serde_json::json!({}));
        self.fetch("DELETE", &path, Some(&body), None).await
    }

    /// `auth.mfa.generateRecoveryCodes`
    pub(super) async fn recovery_codes(&mut self) -> Result<Value, FetchError> {
        let body = serde_json::json!({});
        self.fetch("POST", "/auth/mfa/recovery-codes", Some(&body), None)
            .await
    }

    /// `auth.mfa.verifyChallenge`
    pub(super) async fn verify_challenge(
        &mut self,
        id: &str,
        method: &str,
        code: &str,
    ) -> Result<String, FetchError> {
        let body = serde_json::json!({ "method": method, "code": code });
        let path = format!("/auth/mfa/challenges/{id}/verify");
        let answer = self.fetch("POST", &path, Some(&body), None).await?;
        let token = answer["token"].as_str().unwrap().to_owned();
        self.set_token(&token).await?;
        Ok(token)
    }

    /// What the page shows of the one who is signed in.
    pub(super) async fn me(&mut self) -> Result<Value, FetchError> {
        self.fetch("GET", "/v1/users/me", None, None).await
    }
}
