//! A client of the public REST API: what every other client could do, no more.

mod accounts;
mod admin;
mod error;
mod follow;
mod gateway;
mod oauth;
mod people;
mod projects;
mod sse;
mod types;

use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::{Host, Url};

pub(crate) use admin::{ImportResult, SigningKey};
pub(crate) use error::ApiError;
pub(crate) use follow::{Following, follow};
pub(crate) use gateway::UsageQuestion;
pub(crate) use oauth::Tokens;
pub(crate) use types::{
    Account, ApiKey, Build, Environment, Invite, Preview, Project, Publication, Role, Usage, User,
};

/// How long an answer may take; streams have no such limit.
const TIMEOUT: Duration = Duration::from_mins(1);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The platform, as one caller; cheap to clone.
#[derive(Clone)]
pub(crate) struct Api {
    http: reqwest::Client,
    base: Url,
    token: Option<SecretString>,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Api({})", self.base)
    }
}

impl Api {
    /// The platform at this address, as nobody yet.
    pub(crate) fn new(base: Url) -> anyhow::Result<Self> {
        // Whoever installed a provider before has installed this one.
        let _already = rustls::crypto::ring::default_provider().install_default();
        anyhow::ensure!(
            matches!(base.scheme(), "http" | "https"),
            "`{base}` is no http:// or https:// address"
        );
        let mut http = reqwest::Client::builder()
            .user_agent(concat!("slipway/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none());
        if is_local(&base) {
            http = http.no_proxy();
        }
        Ok(Self {
            http: http.build()?,
            base,
            token: None,
        })
    }

    /// The same platform, as the one whom the token speaks for.
    pub(crate) fn with_token(&self, token: SecretString) -> Self {
        Self {
            token: Some(token),
            ..self.clone()
        }
    }

    /// Where the platform is.
    pub(crate) fn base(&self) -> &Url {
        &self.base
    }

    /// The token, if there is one.
    pub(crate) fn token(&self) -> Option<&SecretString> {
        self.token.as_ref()
    }

    /// The full address of a path.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base.as_str().trim_end_matches('/'))
    }

    /// A request that carries the token.
    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, self.url(path));
        match &self.token {
            Some(token) => request.bearer_auth(token.expose_secret()),
            None => request,
        }
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ApiError> {
        self.call(Method::GET, path, None::<&()>).await
    }

    pub(crate) async fn post<B: Serialize + Sync, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
    ) -> Result<T, ApiError> {
        self.call(Method::POST, path, Some(body)).await
    }

    pub(crate) async fn put<B: Serialize + Sync, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
    ) -> Result<T, ApiError> {
        self.call(Method::PUT, path, Some(body)).await
    }

    pub(crate) async fn patch<B: Serialize + Sync, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
    ) -> Result<T, ApiError> {
        self.call(Method::PATCH, path, Some(body)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Result<(), ApiError> {
        self.call::<(), serde_json::Value>(Method::DELETE, path, None)
            .await
            .map(drop)
    }

    /// A call whose answer is shown as it is.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<serde_json::Value>,
    ) -> Result<serde_json::Value, ApiError> {
        self.call(method, path, body.as_ref()).await
    }

    async fn call<B: Serialize + Sync, T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&B>,
    ) -> Result<T, ApiError> {
        let mut request = self.request(method.clone(), path).timeout(TIMEOUT);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = self.send(request, &method, path).await?;
        let text = response.bytes().await.map_err(|error| self.lost(&error))?;
        serde_json::from_slice(&text).map_err(|source| ApiError::Unreadable {
            what: format!("{method} {path}"),
            source: source.into(),
        })
    }

    /// Sends, and gives the response if it is a success.
    async fn send(
        &self,
        request: RequestBuilder,
        method: &Method,
        path: &str,
    ) -> Result<Response, ApiError> {
        let response = request.send().await.map_err(|error| self.lost(&error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(error::refused(&self.base, method, path, response).await)
    }

    /// A `GET` whose answer is read as it comes.
    async fn open(
        &self,
        path: &str,
        accept: &str,
        last_event_id: Option<&str>,
    ) -> Result<Response, ApiError> {
        let mut request = self
            .request(Method::GET, path)
            .header(reqwest::header::ACCEPT, accept);
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        self.send(request, &Method::GET, path).await
    }

    /// The status of a path that answers with nothing else.
    pub(crate) async fn status(&self, path: &str) -> Result<u16, ApiError> {
        let request = self.request(Method::GET, path).timeout(TIMEOUT);
        let response = request.send().await.map_err(|error| self.lost(&error))?;
        Ok(response.status().as_u16())
    }

    fn lost(&self, error: &reqwest::Error) -> ApiError {
        ApiError::lost(&self.base, error)
    }
}

/// Whether an address is this machine's, so that no proxy stands in between.
fn is_local(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api(url: &str) -> Api {
        Api::new(url.parse().unwrap()).unwrap()
    }

    #[test]
    fn paths_follow_the_address_with_and_without_a_slash() {
        assert_eq!(
            api("http://localhost:8080").url("/v1/users"),
            "http://localhost:8080/v1/users"
        );
        assert_eq!(
            api("https://slipway.example/").url("/v1/users"),
            "https://slipway.example/v1/users"
        );
    }

    #[test]
    fn what_is_no_web_address_is_refused() {
        assert!(Api::new("ftp://localhost".parse().unwrap()).is_err());
    }

    #[tokio::test]
    async fn where_nothing_listens_the_error_says_what_to_start() {
        let error = api("http://127.0.0.1:1")
            .status("/healthz")
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("http://127.0.0.1:1") && error.contains("slipway up"),
            "{error}"
        );
    }
}
