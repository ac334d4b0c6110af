//! Boots services for a test, with doubles for those that are not under test.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use chassis::db::own_migrations;
use chassis::http::Routes;
use chassis::platform::{self, Launch, Platform};
use chassis::settings::{Settings, Sources};
use chassis::{Assembly, Service};
use common::time::Clock;
use reqwest::Method;
use serde_json::Value;

use crate::backend::Backend;
use crate::issuer::Issuer;

/// A request that a double has been asked.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// The body, as JSON.
    pub body: Value,
}

type Answer = Arc<dyn Fn(&Asked) -> (u16, Value) + Send + Sync>;

/// Stands in for a service that is not under test: answers its private routes, and notes what it was asked.
#[derive(Clone)]
pub struct Double {
    name: &'static str,
    answer: Answer,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl std::fmt::Debug for Double {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Double({})", self.name)
    }
}

impl Double {
    /// A double that answers by a function: status and JSON.
    pub fn new(
        name: &'static str,
        answer: impl Fn(&Asked) -> (u16, Value) + Send + Sync + 'static,
    ) -> Self {
        Self {
            name,
            answer: Arc::new(answer),
            asked: Arc::default(),
        }
    }

    /// What it was asked so far.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        self.asked
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone()
    }

    fn service(&self) -> Service {
        let double = self.clone();
        Service::new(self.name, own_migrations(), move |_| async move {
            let define = |r: &mut Routes| r.internal_any("/internal/{tail:.*}", answer);
            Ok(Assembly::new().data(double).routes(define))
        })
    }
}

async fn answer(double: web::Data<Double>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    let asked = Asked {
        method: request.method().to_string(),
        path: request.uri().to_string(),
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
    };
    let (status, body) = (double.answer)(&asked);
    double
        .asked
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
        .push(asked);
    let status =
        actix_web::http::StatusCode::from_u16(status).unwrap_or(actix_web::http::StatusCode::OK);
    HttpResponse::build(status).json(body)
}

/// Puts a [`Harness`] together.
#[derive(Debug)]
pub struct Builder<'a> {
    backend: &'a Backend,
    services: Vec<Service>,
    settings: BTreeMap<String, String>,
    clock: Clock,
    issuer: Option<Issuer>,
}

/// Running services of a test.
pub struct Harness {
    platform: Platform,
    issuer: Option<Issuer>,
    client: reqwest::Client,
    /// The clock that all of them go by.
    pub clock: Clock,
}

impl std::fmt::Debug for Harness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Harness({:?})", self.platform)
    }
}

impl<'a> Builder<'a> {
    /// Nothing yet, on this backend. Tokens are made by the test itself: a double of auth that
    /// signs whatever the test asks for.
    #[must_use]
    pub fn new(backend: &'a Backend) -> Self {
        Self {
            backend,
            services: Vec::new(),
            settings: BTreeMap::new(),
            clock: Clock::system(),
            issuer: Some(Issuer::new()),
        }
    }

    /// With the real auth service among the services instead.
    #[must_use]
    pub fn real_auth(mut self) -> Self {
        self.issuer = None;
        self
    }

    /// With tokens of this issuer: replicas trust the same.
    #[must_use]
    pub fn issuer(mut self, issuer: Issuer) -> Self {
        self.issuer = Some(issuer);
        self
    }

    /// Runs a service.
    #[must_use]
    pub fn service(mut self, service: Service) -> Self {
        self.services.push(service);
        self
    }

    /// Runs a double.
    #[must_use]
    pub fn double(self, double: &Double) -> Self {
        let service = double.service();
        self.service(service)
    }

    /// Sets a setting, by its dotted key.
    #[must_use]
    pub fn setting(mut self, key: &str, value: &str) -> Self {
        self.settings.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Goes by another clock than the machine's.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Starts all of it and waits until it is ready.
    ///
    /// # Panics
    /// When something doesn't start.
    #[expect(clippy::expect_used, reason = "a test can't go on without")]
    pub async fn start(self) -> Harness {
        let Self {
            backend,
            mut services,
            mut settings,
            clock,
            issuer,
        } = self;
        if let Some(issuer) = &issuer {
            services.insert(0, issuer.service());
        }
        settings.insert(
            "data_dir".into(),
            backend.directory().to_string_lossy().into_owned(),
        );
        if let Some(url) = backend.postgres_url() {
            settings.entry("database.url".into()).or_insert(url);
            settings.insert("database.pool".into(), "4".into());
        }
        if let Some((url, prefix)) = backend.amqp() {
            // A test may put something between.
            settings.entry("amqp.url".into()).or_insert(url);
            settings.insert("amqp.prefix".into(), prefix);
            backend.clean_up_queues_of(&platform::SERVICES.map(|(name, _)| name));
        }
        let sources = Sources {
            file: None,
            environment: HashMap::new(),
            overrides: settings,
        };
        let settings = Settings::load(sources).expect("the settings are good");
        let launch = Launch {
            services,
            settings,
            clock: clock.clone(),
            embedded: true,
        };
        let platform = platform::start(launch).await.expect("the services start");
        platform
            .wait_until_ready(Duration::from_secs(30))
            .await
            .expect("the services become ready");
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("a client");
        Harness {
            platform,
            issuer,
            client,
            clock,
        }
    }
}

impl Harness {
    /// Makes tokens, as auth would.
    ///
    /// # Panics
    /// When the real auth is running.
    #[must_use]
    #[expect(clippy::expect_used, reason = "the test is wrong then")]
    pub fn issuer(&self) -> &Issuer {
        self.issuer
            .as_ref()
            .expect("the test runs without the real auth")
    }

    /// The running services.
    #[must_use]
    pub fn platform(&self) -> &Platform {
        &self.platform
    }

    /// A request to a service's listener behind the gateway.
    ///
    /// # Panics
    /// When there is no such service.
    #[expect(clippy::expect_used, reason = "the test is wrong then")]
    pub fn request(&self, method: Method, service: &str, path: &str) -> reqwest::RequestBuilder {
        let address = self
            .platform
            .directory()
            .get(service)
            .expect("the service is there");
        self.client
            .request(method, format!("{}{path}", address.api))
    }

    /// A request to a service's private listener.
    ///
    /// # Panics
    /// When there is no such service.
    #[expect(clippy::expect_used, reason = "the test is wrong then")]
    pub fn private(&self, method: Method, service: &str, path: &str) -> reqwest::RequestBuilder {
        let address = self
            .platform
            .directory()
            .get(service)
            .expect("the service is there");
        self.client
            .request(method, format!("{}{path}", address.private))
    }

    /// Stops all of it.
    pub async fn stop(self) {
        self.platform.stop().await;
    }
}

/// Sends a request, checks the status, and gives the JSON of the answer.
///
/// # Panics
/// When the status is another: with the body.
#[expect(clippy::expect_used, reason = "a test can't go on without")]
pub async fn expect(status: u16, request: reqwest::RequestBuilder) -> Value {
    let response = request.send().await.expect("an answer");
    let (got, url) = (response.status().as_u16(), response.url().clone());
    let text = response.text().await.expect("a body");
    assert_eq!(got, status, "{url}: {text}");
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}
