//! A gateway with everything around it made by the test.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use chassis::db::own_migrations;
use chassis::http::{ApiError, ClientAddress, Routes};
use chassis::{Assembly, Service};
use common::api::account::Membership;
use common::event::{
    Deployment, DomainChallenge, DomainState, EnvironmentKind, EnvironmentState, Event,
    ProjectEvent, ProvisionerEvent, ServicePublication, Visibility,
};
use common::id::{AccountId, EnvironmentId, IdentityId, ProjectId, ReleaseId, UserId};
use common::names::{DomainName, ServiceName};
use common::role::Role;
use common::rules::ServiceRules;
use common::scope::Verb;
use common::time::{Clock, Time};
use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Backend, Builder, Double, Harness, Issuer, eventually_async};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The platform's own host.
pub const PLATFORM: &str = "slipway.example";

/// Who is a member of which account, as the account service would tell.
#[derive(Clone, Default)]
pub struct Accounts(
    Arc<Mutex<HashMap<(String, String), Role>>>,
    Arc<Mutex<HashMap<String, UserId>>>,
);

impl Accounts {
    pub fn join(&self, account: &AccountId, user: &UserId) {
        self.0
            .lock()
            .unwrap()
            .insert((account.to_string(), user.to_string()), Role::Developer);
    }

    fn answer(&self, path: &str) -> (u16, Value) {
        let parts: Vec<_> = path.trim_start_matches("/internal/").split('/').collect();
        match parts.as_slice() {
            ["memberships", account, user] => {
                let role = self
                    .0
                    .lock()
                    .unwrap()
                    .get(&((*account).to_owned(), (*user).to_owned()))
                    .copied();
                let membership = Membership {
                    account_id: account.parse().unwrap(),
                    user_id: user.parse().unwrap(),
                    role,
                    version: i64::from(role.is_some()),
                };
                (200, json!(membership))
            }
            ["identities", identity, "user"] => (
                200,
                json!({ "user_id": self.1.lock().unwrap().get(*identity) }),
            ),
            _ => (404, json!({})),
        }
    }

    fn service(&self) -> Service {
        let accounts = self.clone();
        Service::new("account", own_migrations(), move |_| async move {
            Ok(Assembly::new().data(accounts).routes(account_routes))
        })
    }
}

fn account_routes(r: &mut Routes) {
    r.internal_any("/internal/{tail:.*}", answer_account);
    r.any("/v1/users/{tail:.*}", echo);
    r.any("/v1/accounts/{tail:.*}", echo);
}

async fn answer_account(
    accounts: actix_web::web::Data<Accounts>,
    request: actix_web::HttpRequest,
) -> actix_web::HttpResponse {
    let (status, body) = accounts.answer(request.path());
    actix_web::HttpResponse::build(actix_web::http::StatusCode::from_u16(status).unwrap())
        .json(body)
}

/// Says what arrived.
async fn echo(
    request: actix_web::HttpRequest,
    address: ClientAddress,
) -> Result<actix_web::HttpResponse, ApiError> {
    let headers: HashMap<String, String> = request
        .headers()
        .iter()
        .map(|(name, value)| {
            (
                name.to_string(),
                value.to_str().unwrap_or_default().to_owned(),
            )
        })
        .collect();
    let body = json!({ "path": request.uri().to_string(), "headers": headers, "address": address.to_string() });
    Ok(actix_web::HttpResponse::Ok().json(body))
}

/// A running gateway.
pub struct World {
    pub harness: Harness,
    pub accounts: Accounts,
    pub address: SocketAddr,
}

impl World {
    pub async fn start(backend: &Backend) -> Self {
        Self::with(backend, &[]).await
    }

    pub async fn with(backend: &Backend, settings: &[(&str, &str)]) -> Self {
        Self::replica(backend, Issuer::new(), settings).await
    }

    /// A gateway that shares its database, its bus and its issuer of tokens with others.
    pub async fn replica(backend: &Backend, issuer: Issuer, settings: &[(&str, &str)]) -> Self {
        let nothing = Double::new("provisioner", |_| (404, json!({})));
        Self::beside(backend, issuer, settings, &nothing).await
    }

    /// A gateway beside this double of the provisioner.
    pub async fn beside(
        backend: &Backend,
        issuer: Issuer,
        settings: &[(&str, &str)],
        provisioner: &Double,
    ) -> Self {
        let accounts = Accounts::default();
        let nothing = |name| Double::new(name, |_| (404, json!({})));
        let mut builder = Builder::new(backend)
            .issuer(issuer)
            .service(accounts.service())
            .double(&nothing("project"))
            .double(&nothing("github"))
            .double(provisioner)
            .service(slipway_v1api::service())
            .setting("gateway.public_url", "http://slipway.example")
            .setting("cors.origins", "https://admin.example")
            // What upstreams see is what the tests send.
            .setting("gateway.endpoints_refresh", "0s");
        for (key, value) in settings {
            builder = builder.setting(key, value);
        }
        let harness = builder.start().await;
        let api = &harness.platform().directory().get("v1api").unwrap().api;
        let address = api.trim_start_matches("http://").parse().unwrap();
        Self {
            harness,
            accounts,
            address,
        }
    }

    /// A request to the gateway, on the platform's host.
    pub fn platform(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.harness.request(method, "v1api", path)
    }

    /// A request to the gateway, on this host.
    pub fn on(&self, host: &str, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.platform(method, path).header("host", host)
    }

    /// Tells what a service would tell.
    pub async fn tell<E: Event>(&self, event: E, version: i64) {
        let db = self
            .harness
            .platform()
            .context(E::SOURCE)
            .unwrap()
            .db
            .clone();
        let now = self.harness.clock.now();
        db.write(move |db| chassis::events::emit(db, event, version, now))
            .await
            .unwrap();
    }

    /// Waits until a host answers with this status, and gives the body.
    pub async fn until(&self, host: &str, status: u16) -> String {
        eventually_async(&format!("{host} answers {status}"), || async {
            let response = self.on(host, Method::GET, "/").send().await.unwrap();
            let arrived = response.status().as_u16() == status;
            let text = response.text().await.unwrap_or_default();
            arrived.then_some(text)
        })
        .await
    }

    /// Waits until a host answers with this text.
    pub async fn until_saying(&self, host: &str, text: &str) {
        eventually_async(&format!("{host} says {text}"), || async {
            let response = self.on(host, Method::GET, "/").send().await.unwrap();
            (response.text().await.unwrap_or_default() == text).then_some(())
        })
        .await;
    }

    /// Waits until a service of the catch-all is known to an admin.
    pub async fn until_known(&self, service: &str) {
        let admin = self.harness.issuer().admin();
        eventually_async("the service is known", || async {
            let asked = self
                .platform(Method::GET, &format!("/v1/services/{service}"))
                .bearer_auth(&admin);
            (asked.send().await.unwrap().status() == 200).then_some(())
        })
        .await;
    }

    /// Someone whose identity has become a user.
    pub fn person(&self) -> (UserId, String) {
        let (now, issuer) = (Clock::system().now(), self.harness.issuer());
        let (identity, user) = (IdentityId::new(now), UserId::new(now));
        self.accounts
            .1
            .lock()
            .unwrap()
            .insert(identity.to_string(), user.clone());
        let token = issuer.euser(&identity, Some(&user));
        (user, token)
    }

    pub async fn stop(self) {
        self.harness.stop().await;
    }
}

/// An app and its environment.
#[derive(Clone)]
pub struct App {
    pub account: AccountId,
    project: ProjectId,
    pub environment: EnvironmentId,
    label: String,
}

impl App {
    pub fn new(label: &str) -> Self {
        let now = Clock::system().now();
        Self {
            account: AccountId::new(now),
            project: ProjectId::new(now),
            environment: EnvironmentId::new(now),
            label: label.into(),
        }
    }

    pub fn host(&self) -> String {
        format!("{}.localhost", self.label)
    }

    fn state(&self, deleted: bool) -> EnvironmentState {
        EnvironmentState {
            environment_id: self.environment.clone(),
            project_id: self.project.clone(),
            account_id: self.account.clone(),
            name: "production".into(),
            kind: EnvironmentKind::Standard,
            label: self.label.clone(),
            database: false,
            sleep_after: None,
            instances: 1,
            maintenance: false,
            deleted,
        }
    }

    pub fn created(&self) -> ProjectEvent {
        ProjectEvent::EnvironmentCreated(self.state(false))
    }

    /// The app, that sleeps when nobody asks for it.
    pub fn sleeper(&self) -> ProjectEvent {
        let mut state = self.state(false);
        state.sleep_after = Some(60);
        ProjectEvent::EnvironmentUpdated(state)
    }

    /// The app, in maintenance or no more.
    pub fn in_maintenance(&self, maintenance: bool) -> ProjectEvent {
        let mut state = self.state(false);
        state.maintenance = maintenance;
        ProjectEvent::EnvironmentUpdated(state)
    }

    /// The app sleeps.
    pub fn asleep(&self) -> ProvisionerEvent {
        let mut state = self.deployment(&[], None);
        state.asleep = true;
        ProvisionerEvent::DeploymentAsleep(state)
    }

    pub fn deleted(&self) -> ProjectEvent {
        ProjectEvent::EnvironmentDeleted(self.state(true))
    }

    pub fn deployment(&self, upstreams: &[SocketAddr], hold_until: Option<Time>) -> Deployment {
        Deployment {
            environment_id: self.environment.clone(),
            project_id: self.project.clone(),
            account_id: self.account.clone(),
            label: self.label.clone(),
            release_id: Some(ReleaseId::new(Time::EPOCH)),
            build_id: None,
            upstreams: upstreams.to_vec(),
            hold_until,
            asleep: false,
            reason: None,
        }
    }

    pub fn live(&self, upstreams: &[SocketAddr]) -> ProvisionerEvent {
        ProvisionerEvent::DeploymentLive(self.deployment(upstreams, None))
    }

    fn domain(&self, domain: &str, dropped: bool) -> DomainState {
        DomainState {
            domain: DomainName::parse(domain).unwrap(),
            account_id: self.account.clone(),
            environment_id: self.environment.clone(),
            challenge: DomainChallenge {
                name: "proof-name".into(),
                content: "proof-content".into(),
            },
            dropped,
        }
    }

    pub fn verified(&self, domain: &str) -> ProjectEvent {
        ProjectEvent::DomainVerified(self.domain(domain, false))
    }

    pub fn dropped(&self, domain: &str) -> ProjectEvent {
        ProjectEvent::DomainDropped(self.domain(domain, true))
    }

    pub fn published(&self, name: &str, visibility: Visibility, verbs: &[Verb]) -> ProjectEvent {
        ProjectEvent::ServicePublished(ServicePublication {
            name: ServiceName::parse(name).unwrap(),
            account_id: self.account.clone(),
            environment_id: self.environment.clone(),
            visibility,
            scopes: verbs.to_vec(),
            rules: ServiceRules::default(),
            pending_approval: false,
            withdrawn: false,
        })
    }
}

/// Sends bytes as they are and reads until the gateway closes.
pub async fn raw(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let reading = stream.read_to_end(&mut answer);
    // What came until then tells enough if it doesn't close.
    let _closed = tokio::time::timeout(std::time::Duration::from_secs(10), reading).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// The status of a raw answer.
pub fn status_of(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or("none")
}
