//! A world with the github service in it, and stand-ins for the services that it talks to.

mod git;
mod stand_ins;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chassis::platform::{self, Launch, Platform};
use chassis::settings::{Settings, Sources};
use common::api::github::{Checkout, CheckoutRequest};
use common::event::{Envelope, GithubEvent, RepositoryPushed};
use common::id::{AccountId, IdentityId, UserId};
use common::problem::Problem;
use common::role::Role;
use common::scope::ScopeSet;
use common::time::Clock;
use common::token::{ActorType, AppMetadata, Claims, SigningKey, TokenKind, audience};
use diesel::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use testkit::Backend;

pub(crate) use git::{Repository, git};
use stand_ins::{Memberships, Pushes};

/// The running services.
pub(crate) struct World {
    pub(crate) backend: Backend,
    pub(crate) clock: Clock,
    settings: BTreeMap<String, String>,
    key: SigningKey,
    members: Memberships,
    events: Arc<Mutex<Vec<Envelope<GithubEvent>>>>,
    pub(crate) pushes: Arc<Pushes>,
    running: Option<Platform>,
}

/// A person with a user and a token.
#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) user_id: UserId,
    pub(crate) claims: Claims,
    pub(crate) token: String,
}

impl World {
    pub(crate) async fn start(backend: Backend) -> Self {
        Self::start_with(backend, &[]).await
    }

    pub(crate) async fn start_with(backend: Backend, settings: &[(&str, &str)]) -> Self {
        let clock = Clock::manual(Clock::system().now());
        Self::start_at(backend, clock, settings).await
    }

    /// The same, by this clock.
    pub(crate) async fn start_at(
        backend: Backend,
        clock: Clock,
        settings: &[(&str, &str)],
    ) -> Self {
        let mut all: BTreeMap<String, String> = settings
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        all.insert("data_dir".into(), backend.directory().display().to_string());
        if let Some(url) = backend.postgres_url() {
            all.insert("database.url".into(), url);
        }
        if let Some((url, prefix)) = backend.amqp() {
            all.insert("amqp.url".into(), url);
            all.insert("amqp.prefix".into(), prefix);
            backend.clean_up_queues_of(&platform::SERVICES.map(|(name, _)| name));
        }
        let mut world = Self {
            backend,
            clock,
            settings: all,
            key: stand_ins::key(),
            members: Arc::new(Mutex::new(HashMap::new())),
            events: Arc::default(),
            pushes: Arc::default(),
            running: None,
        };
        world.run().await;
        world
    }

    /// Starts the services, again with what they had left.
    pub(crate) async fn run(&mut self) {
        let settings = Settings::load(Sources {
            overrides: self.settings.clone(),
            ..Sources::default()
        })
        .unwrap();
        let services = vec![
            stand_ins::auth(self.key.clone()),
            stand_ins::account(Arc::clone(&self.members)),
            stand_ins::project(Arc::clone(&self.events), Arc::clone(&self.pushes)),
            stand_ins::provisioner(),
            slipway_github::service(),
        ];
        let launch = Launch {
            services,
            settings,
            clock: self.clock.clone(),
            embedded: true,
        };
        let platform = platform::start(launch).await.unwrap();
        platform
            .wait_until_ready(Duration::from_secs(30))
            .await
            .unwrap();
        self.running = Some(platform);
    }

    pub(crate) async fn stop(&mut self) {
        if let Some(platform) = self.running.take() {
            platform.stop().await;
        }
    }

    pub(crate) fn context(&self, service: &str) -> &chassis::Context {
        self.running.as_ref().unwrap().context(service).unwrap()
    }

    /// The service as the gateway reaches it.
    pub(crate) fn url(&self) -> String {
        self.context("github")
            .calls
            .directory()
            .get("github")
            .unwrap()
            .api
            .clone()
    }

    /// A repository's address.
    pub(crate) fn repository_url(&self, owner: &str, name: &str) -> String {
        format!("{}/git/{owner}/{name}.git", self.url())
    }

    pub(crate) fn account(&self) -> AccountId {
        AccountId::new(self.clock.now())
    }

    /// A person who is a member of the account.
    pub(crate) fn member(&self, account: &AccountId, role: Role) -> Person {
        let user_id = UserId::new(self.clock.now());
        let claims = self.claims(&user_id);
        self.members
            .lock()
            .unwrap()
            .insert((account.clone(), user_id.clone()), role);
        let token = self.sign(TokenKind::Access, &claims);
        Person {
            user_id,
            claims,
            token,
        }
    }

    /// The same person as a member of another account.
    pub(crate) fn also_member(&self, account: &AccountId, person: &Person, role: Role) -> Person {
        self.members
            .lock()
            .unwrap()
            .insert((account.clone(), person.user_id.clone()), role);
        person.clone()
    }

    /// The same person with a new token.
    pub(crate) fn renewed(&self, person: &Person) -> Person {
        let claims = self.claims(&person.user_id);
        let token = self.sign(TokenKind::Access, &claims);
        Person {
            claims,
            token,
            ..person.clone()
        }
    }

    /// All that the github service keeps in its database, as text.
    pub(crate) async fn dump(&self) -> String {
        if self.backend.postgres_url().is_some() {
            let db = &self.context("github").db;
            let dump = db.read(|db| {
                diesel::select(diesel::dsl::sql::<diesel::sql_types::Text>(
                    "schema_to_xml(current_schema(), true, false, '')::text",
                ))
                .get_result::<String>(db)
            });
            return dump.await.unwrap();
        }
        let files = std::fs::read_dir(self.backend.directory()).unwrap();
        let files = files.map(|file| file.unwrap().path());
        let of_github = files.filter(|file| {
            let name = file.file_name().unwrap().to_string_lossy();
            name.starts_with("github.db")
        });
        of_github
            .map(|file| String::from_utf8_lossy(&std::fs::read(file).unwrap()).into_owned())
            .collect()
    }

    fn claims(&self, user_id: &UserId) -> Claims {
        let now = self.clock.now();
        let identity = IdentityId::new(now);
        let mut claims = Claims::new(
            "micro",
            identity.to_string(),
            audience::PLATFORM,
            now.unix(),
            now.unix() + 3600,
            common::random::token(),
        );
        claims.app_metadata = AppMetadata::of(Some(user_id.clone()));
        claims.auth_identity_id = Some(identity);
        claims.actor_type = Some(ActorType::Euser);
        claims.scope = ScopeSet::euser();
        claims
    }

    pub(crate) fn sign(&self, kind: TokenKind, claims: &Claims) -> String {
        self.key.sign(kind, claims).unwrap()
    }

    /// What the provisioner is told of a name.
    pub(crate) async fn checkout(
        &self,
        account: &AccountId,
        owner: &str,
        repo: &str,
        git_ref: Option<&str>,
    ) -> Result<Checkout, Problem> {
        let request = CheckoutRequest {
            account_id: account.clone(),
            owner: owner.into(),
            repo: repo.into(),
            git_ref: git_ref.map(str::to_owned),
        };
        self.internal("provisioner", "/internal/repositories/checkout", &request)
            .await
    }

    /// What github answers this service on its private listener.
    pub(crate) async fn internal<T: DeserializeOwned>(
        &self,
        from: &str,
        path: &str,
        body: &(impl Serialize + Sync),
    ) -> Result<T, Problem> {
        let calls = &self.context(from).calls;
        calls.post("github", path, body).await.map_err(|error| {
            let problem = error.problem().cloned();
            problem.unwrap_or_else(|| panic!("{error:?}"))
        })
    }

    /// The pushes that other services have heard of, in order.
    pub(crate) fn told(&self) -> Vec<(RepositoryPushed, i64)> {
        let told = |envelope: &Envelope<GithubEvent>| match &envelope.event {
            GithubEvent::Push(push) => Some((push.clone(), envelope.aggregateversion)),
            _ => None,
        };
        self.events
            .lock()
            .unwrap()
            .iter()
            .filter_map(told)
            .collect()
    }

    /// All that other services have heard of, in order.
    pub(crate) fn heard(&self) -> Vec<GithubEvent> {
        let events = self.events.lock().unwrap();
        events
            .iter()
            .map(|envelope| envelope.event.clone())
            .collect()
    }

    /// Waits until so many pushes have been heard of, and answers them.
    pub(crate) async fn told_of(&self, count: usize) -> Vec<(RepositoryPushed, i64)> {
        testkit::eventually(&format!("{count} pushes are told"), || {
            let told = self.told();
            (told.len() >= count).then_some(told)
        })
        .await
    }

    /// A repository that was pushed, on the disk.
    pub(crate) fn on_disk(&self, account: &AccountId, name: &str) -> std::path::PathBuf {
        self.backend
            .directory()
            .join("git")
            .join(account.as_str())
            .join(format!("{name}.git"))
    }

    /// A request to the service's public listener; status and body.
    pub(crate) async fn ask(
        &self,
        method: reqwest::Method,
        path: &str,
        token: Option<&str>,
        body: Option<serde_json::Value>,
    ) -> (u16, serde_json::Value) {
        let mut request = http().request(method, format!("{}{path}", self.url()));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        (
            status,
            serde_json::from_str(&text).unwrap_or_else(|_| text.into()),
        )
    }

    /// A `GET` with a token, of the service's public listener.
    pub(crate) async fn get(&self, path: &str, token: Option<&str>) -> (u16, String) {
        let mut request = http().get(format!("{}{path}", self.url()));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }
}

pub(crate) fn http() -> reqwest::Client {
    chassis::install_tls();
    reqwest::Client::builder().no_proxy().build().unwrap()
}
