//! Calls from service to service, with a token made out to the callee.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use common::api::auth::{ServiceTokenRequest, SignedToken};
use common::problem::Problem;
use common::time::{Clock, Span, Time};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;

use crate::http::ApiError;
use crate::telemetry::TraceContext;

/// How long a call may take to be answered, unless it says otherwise.
const TIMEOUT: Duration = Duration::from_secs(15);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long before its end a token is replaced.
const MARGIN: Span = Span::seconds(60);

/// Where each service is.
#[derive(Clone, Debug, Default)]
pub struct Directory(Arc<BTreeMap<String, Address>>);

/// The two listeners of a service, as `http://host:port` without a slash at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// What the gateway forwards to.
    pub api: String,
    /// What the other services call.
    pub private: String,
}

impl Directory {
    /// A directory of these services.
    #[must_use]
    pub fn new(services: BTreeMap<String, Address>) -> Self {
        Self(Arc::new(services))
    }

    /// Where a service is.
    #[must_use]
    pub fn get(&self, service: &str) -> Option<&Address> {
        self.0.get(service)
    }

    /// Every service.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Address)> {
        self.0
            .iter()
            .map(|(name, address)| (name.as_str(), address))
    }
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The callee said no, and why.
    #[error("{service} answered {problem}")]
    Problem {
        /// The callee.
        service: String,
        /// What it said.
        problem: Problem,
    },
    /// The callee could not be reached, or didn't answer in time or in a form that can be read.
    #[error("{service} can't be reached")]
    Unavailable {
        /// The callee.
        service: String,
        /// Why.
        #[source]
        source: Option<reqwest::Error>,
    },
}

impl CallError {
    /// What the callee said, if it said something.
    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Problem { problem, .. } => Some(problem),
            Self::Unavailable { .. } => None,
        }
    }

    /// Whether the callee said that there is no such thing.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.problem().is_some_and(|problem| problem.status == 404)
    }
}

impl From<CallError> for ApiError {
    /// A callee's refusal of *our* call is our fault, unless a handler passes it on deliberately.
    fn from(error: CallError) -> Self {
        match &error {
            CallError::Problem { problem, .. }
                if problem.status < 500 && !matches!(problem.status, 401 | 403) =>
            {
                Self::internal(error)
            }
            CallError::Problem { service, .. } | CallError::Unavailable { service, .. } => {
                let detail = format!("The {service} service can't be reached at the moment");
                Self::caused(Problem::unavailable("service_unavailable", detail), error)
            }
        }
    }
}

struct Shared {
    service: &'static str,
    secret: SecretString,
    directory: Directory,
    client: reqwest::Client,
    clock: Clock,
    tokens: Mutex<HashMap<String, Kept>>,
    /// Goes up when the tokens kept so far are to be used no more.
    epoch: AtomicU64,
}

/// A token for calling one service.
struct Kept {
    ends: Time,
    token: SecretString,
    epoch: u64,
}

/// Calls other services as this one; cheap to clone.
#[derive(Clone)]
pub struct Calls(Arc<Shared>);

impl std::fmt::Debug for Calls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Calls(as {})", self.0.service)
    }
}

impl Calls {
    pub(crate) fn new(
        service: &'static str,
        secret: SecretString,
        directory: Directory,
        clock: Clock,
    ) -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(Duration::from_mins(1))
            // Services call one another directly, whatever proxy the environment names for the world.
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        let tokens = Mutex::new(HashMap::new());
        Ok(Self(Arc::new(Shared {
            service,
            secret,
            directory,
            client,
            clock,
            tokens,
            epoch: AtomicU64::new(0),
        })))
    }

    /// Where the services are.
    #[must_use]
    pub fn directory(&self) -> &Directory {
        &self.0.directory
    }

    /// `GET`, with the answer read.
    pub async fn get<T: DeserializeOwned>(
        &self,
        service: &str,
        path: &str,
    ) -> Result<T, CallError> {
        self.call(Method::GET, service, path, None::<&()>).await
    }

    /// `GET` where 404 is an answer.
    pub async fn get_opt<T: DeserializeOwned>(
        &self,
        service: &str,
        path: &str,
    ) -> Result<Option<T>, CallError> {
        match self.get(service, path).await {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// `GET` of a private route that takes no token.
    pub async fn get_open<T: DeserializeOwned>(
        &self,
        service: &str,
        path: &str,
    ) -> Result<T, CallError> {
        self.send(service, self.plain(Method::GET, service, path)?)
            .await
    }

    /// `POST` of a body, with the answer read.
    pub async fn post<B: Serialize + Sync, T: DeserializeOwned>(
        &self,
        service: &str,
        path: &str,
        body: &B,
    ) -> Result<T, CallError> {
        self.call(Method::POST, service, path, Some(body)).await
    }

    /// `PUT` of a body, with the answer read.
    pub async fn put<B: Serialize + Sync, T: DeserializeOwned>(
        &self,
        service: &str,
        path: &str,
        body: &B,
    ) -> Result<T, CallError> {
        self.call(Method::PUT, service, path, Some(body)).await
    }

    /// `DELETE`, with the answer read.
    pub async fn delete<T: DeserializeOwned>(
        &self,
        service: &str,
        path: &str,
    ) -> Result<T, CallError> {
        self.call(Method::DELETE, service, path, None::<&()>).await
    }

    /// Calls once, and once more with a new token where the first is refused: the key behind it may
    /// have been revoked. A refused call has done nothing, so that this repeats nothing.
    async fn call<B: Serialize + Sync, T: DeserializeOwned>(
        &self,
        method: Method,
        service: &str,
        path: &str,
        body: Option<&B>,
    ) -> Result<T, CallError> {
        let ask = async || {
            let mut request = self.request(method.clone(), service, path).await?;
            if let Some(body) = body {
                request = request.json(body);
            }
            self.send(service, request).await
        };
        match ask().await {
            Err(error) if error.problem().is_some_and(|problem| problem.status == 401) => {
                ask().await
            }
            other => other,
        }
    }

    /// A request to a private route, authorised, for those who stream or set more.
    pub async fn request(
        &self,
        method: Method,
        service: &str,
        path: &str,
    ) -> Result<RequestBuilder, CallError> {
        let token = self.token(service).await?;
        Ok(self
            .plain(method, service, path)?
            .bearer_auth(token.expose_secret()))
    }

    /// A token for calling this service.
    pub async fn token(&self, service: &str) -> Result<SecretString, CallError> {
        let mut tokens = self.0.tokens.lock().await;
        let now = self.0.clock.now();
        // Read before auth is asked: a token that comes of an older time is asked for again.
        let epoch = self.0.epoch.load(Ordering::Acquire);
        if let Some(kept) = tokens.get(service)
            && kept.ends - MARGIN > now
            && kept.epoch == epoch
        {
            return Ok(kept.token.clone());
        }
        let request = ServiceTokenRequest {
            service: self.0.service.to_owned(),
            secret: self.0.secret.clone(),
            audience: service.to_owned(),
        };
        let builder = self
            .plain(Method::POST, "auth", "/internal/service-tokens")?
            .json(&request);
        let signed: SignedToken = self.send("auth", builder).await?;
        let kept = Kept {
            ends: signed.expires_at,
            token: signed.token.clone(),
            epoch,
        };
        tokens.insert(service.to_owned(), kept);
        Ok(signed.token)
    }

    /// Has all tokens asked for anew, as the key behind them is revoked.
    pub(crate) fn forget_tokens(&self) {
        self.0.epoch.fetch_add(1, Ordering::AcqRel);
    }

    fn plain(
        &self,
        method: Method,
        service: &str,
        path: &str,
    ) -> Result<RequestBuilder, CallError> {
        let address = self
            .0
            .directory
            .get(service)
            .ok_or_else(|| CallError::Unavailable {
                service: service.to_owned(),
                source: None,
            })?;
        let mut builder = self
            .0
            .client
            .request(method, format!("{}{path}", address.private))
            .timeout(TIMEOUT);
        if let Some(trace) = TraceContext::current() {
            builder = builder
                .header("x-request-id", &*trace.request_id)
                .header("traceparent", trace.traceparent());
        }
        Ok(builder)
    }

    async fn send<T: DeserializeOwned>(
        &self,
        service: &str,
        request: RequestBuilder,
    ) -> Result<T, CallError> {
        let unavailable = |error: reqwest::Error| CallError::Unavailable {
            service: service.to_owned(),
            source: Some(error.without_url()),
        };
        let response = request.send().await.map_err(unavailable)?;
        let response = self.accepted(service, response).await?;
        response.json().await.map_err(unavailable)
    }

    /// The response if it is a success; else what it says.
    pub async fn accepted(&self, service: &str, response: Response) -> Result<Response, CallError> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        if status == StatusCode::UNAUTHORIZED {
            // The key behind our token may be gone; the next call gets another one.
            self.0.tokens.lock().await.remove(service);
        }
        let body = response.json().await.unwrap_or(serde_json::Value::Null);
        let problem = Problem::from_body(status.as_u16(), &body).unwrap_or_else(|| {
            Problem::new(
                status.as_u16(),
                "unexpected_answer",
                format!("status {status}"),
            )
        });
        Err(CallError::Problem {
            service: service.to_owned(),
            problem,
        })
    }
}
