//! Starts the service with its surroundings, and speaks HTTP with it.

use chassis::platform::Platform;
use common::event::{Envelope, Event, ProjectEvent};
use common::id::{AccountId, IdentityId, UserId};
use common::role::Role;
use common::scope::ScopeSet;
use common::time::Time;
use common::token::{ActorType, AppMetadata, Claims, TokenKind, audience};
use reqwest::{Method, StatusCode, header::HeaderMap};
use serde_json::{Value, json};
use testkit::{Backend, Builder, Harness};

use crate::fakes::{self, World};

/// A running service.
pub(crate) struct Api {
    pub(crate) world: World,
    pub(crate) harness: Harness,
}

/// A member of an account.
#[derive(Clone)]
pub(crate) struct Member {
    pub(crate) account: AccountId,
    pub(crate) user: UserId,
    pub(crate) token: String,
}

impl Member {
    /// A path in the member's account.
    pub(crate) fn path(&self, rest: &str) -> String {
        format!("/v1/accounts/{}{rest}", self.account)
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    /// The body, if the status is this one.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{:#}", self.body);
        self.body
    }

    /// Checks status and code of a problem.
    #[track_caller]
    pub(crate) fn refused(self, status: u16, code: &str) -> Value {
        let body = self.expect(status);
        assert_eq!(body["code"], code, "{body:#}");
        assert!(body["message"].is_string(), "{body:#}");
        body
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }
}

/// Starts the service, runs the test, stops the service.
pub(crate) async fn run(backend: Backend, test: impl AsyncFnOnce(&Api)) {
    run_with(backend, &[], test).await;
}

/// The same, with these settings.
pub(crate) async fn run_with(
    backend: Backend,
    settings: &[(&str, &str)],
    test: impl AsyncFnOnce(&Api),
) {
    let world = World::new();
    let mut builder = Builder::new(&backend)
        .service(slipway_project::service())
        .setting("gateway.public_url", "http://localhost:8080")
        .setting("aws.check", "false");
    for service in fakes::services(&world) {
        builder = builder.service(service);
    }
    for (key, value) in settings {
        builder = builder.setting(key, value);
    }
    let api = Api {
        world,
        harness: builder.start().await,
    };
    test(&api).await;
    api.harness.stop().await;
}

impl Api {
    /// The running services.
    pub(crate) fn platform(&self) -> &Platform {
        self.harness.platform()
    }

    /// The time by which the services go.
    pub(crate) fn now(&self) -> Time {
        self.harness.clock.now()
    }

    /// A new account with an owner.
    pub(crate) fn account(&self) -> Member {
        self.member(&AccountId::new(self.now()), Role::Owner)
    }

    /// A new member of an account.
    pub(crate) fn member(&self, account: &AccountId, role: Role) -> Member {
        let user = UserId::new(self.now());
        self.world
            .roles
            .lock()
            .unwrap()
            .insert((account.clone(), user.clone()), role);
        let token = self.token_of(&user, ActorType::Euser, &ScopeSet::euser());
        Member {
            account: account.clone(),
            user,
            token,
        }
    }

    /// A person's claims.
    pub(crate) fn person(&self, user: &UserId, actor: ActorType, scopes: &ScopeSet) -> Claims {
        let identity = IdentityId::new(self.now());
        let mut claims = self
            .harness
            .issuer()
            .claims(identity.as_str(), audience::PLATFORM);
        claims.actor_type = Some(actor);
        claims.auth_identity_id = Some(identity);
        claims.scope = scopes.clone();
        if actor == ActorType::Euser {
            claims.app_metadata = AppMetadata::of(Some(user.clone()));
        }
        claims
    }

    /// Claims as a token of this kind.
    pub(crate) fn sign(&self, kind: TokenKind, claims: &Claims) -> String {
        self.harness.issuer().sign(kind, claims)
    }

    /// A person's token.
    pub(crate) fn token_of(&self, user: &UserId, actor: ActorType, scopes: &ScopeSet) -> String {
        self.sign(TokenKind::Access, &self.person(user, actor, scopes))
    }

    /// An admin's token.
    pub(crate) fn admin(&self) -> String {
        self.harness.issuer().admin()
    }

    /// A request, ready to be sent.
    pub(crate) fn request(
        &self,
        method: Method,
        path: &str,
        token: &str,
    ) -> reqwest::RequestBuilder {
        self.harness
            .request(method, "project", path)
            .bearer_auth(token)
    }

    /// Sends a request and reads what comes back.
    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Answer {
            status,
            headers,
            body,
        }
    }

    pub(crate) async fn get(&self, path: &str, by: &Member) -> Answer {
        self.send(self.request(Method::GET, path, &by.token)).await
    }

    pub(crate) async fn delete(&self, path: &str, by: &Member) -> Answer {
        self.send(self.request(Method::DELETE, path, &by.token))
            .await
    }

    pub(crate) async fn post(&self, path: &str, by: &Member, body: Value) -> Answer {
        self.send(self.request(Method::POST, path, &by.token).json(&body))
            .await
    }

    pub(crate) async fn put(&self, path: &str, by: &Member, body: Value) -> Answer {
        self.send(self.request(Method::PUT, path, &by.token).json(&body))
            .await
    }

    pub(crate) async fn patch(&self, path: &str, by: &Member, body: Value) -> Answer {
        self.send(self.request(Method::PATCH, path, &by.token).json(&body))
            .await
    }

    /// Makes a project of this name.
    pub(crate) async fn project(&self, by: &Member, name: &str) -> Project {
        let repo = json!({ "owner": "medusajs", "repo": "medusa-starter-default" });
        let body = json!({ "name": name, "github_data": repo });
        let body = self.post(&by.path("/projects"), by, body).await.expect(201);
        let project = &body["project"];
        let id = project["id"].as_str().unwrap().to_owned();
        let path = by.path(&format!("/projects/{id}"));
        let environment = project["environments"][0]["id"]
            .as_str()
            .unwrap()
            .to_owned();
        let environment_path = format!("{path}/environments/{environment}");
        let label = project["environments"][0]["label"]
            .as_str()
            .unwrap()
            .to_owned();
        Project {
            id,
            path,
            environment,
            environment_path,
            label,
        }
    }

    /// Asks for a build of a project's production.
    pub(crate) async fn build(&self, by: &Member, project: &Project) -> String {
        let body = json!({ "environment_id": project.environment });
        let body = self
            .post(&format!("{}/build", project.path), by, body)
            .await
            .expect(202);
        body["build"]["id"].as_str().unwrap().to_owned()
    }

    /// Tells an event in another service's name.
    pub(crate) async fn tell<E: Event>(&self, event: E, version: i64) {
        let now = self.now();
        let db = &self.platform().context(E::SOURCE).unwrap().db;
        db.write(move |db| chassis::events::emit(db, event, version, now))
            .await
            .unwrap();
    }

    /// What the project service has told of a subject, once there are so many events.
    pub(crate) async fn told(&self, subject: &str, count: usize) -> Vec<Envelope<ProjectEvent>> {
        testkit::eventually(&format!("{count} events of {subject}"), || {
            let told = self.world.told.lock().unwrap();
            let of: Vec<_> = told
                .iter()
                .filter(|envelope| envelope.subject == subject)
                .cloned()
                .collect();
            (of.len() >= count).then_some(of)
        })
        .await
    }

    /// Waits until something read from the service is as wanted.
    pub(crate) async fn until(
        &self,
        path: &str,
        by: &Member,
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        testkit::eventually_async(path, || async {
            let body = self.get(path, by).await.expect(200);
            wanted(&body).then_some(body)
        })
        .await
    }
}

/// A project, with the paths of itself and its production.
pub(crate) struct Project {
    pub(crate) id: String,
    pub(crate) path: String,
    pub(crate) environment: String,
    pub(crate) environment_path: String,
    pub(crate) label: String,
}
