//! The GitHub App, at a GitHub that is as strict as the real one.

mod calls;
mod comments;
mod deliveries;
mod installations;
mod moves;
mod pulls;
mod reports;
mod sources;

use common::api::github::{Repository as Resolved, ResolveRepository};
use common::id::AccountId;
use common::problem::Problem;
use common::role::Role;
use common::time::Clock;
use reqwest::Method;
use serde_json::{Value, json};
use testkit::Backend;
use testkit::github::{
    CLIENT_ID, CLIENT_SECRET, Github, Installation, OauthApp, Person, Repository,
};
use url::Url;

use crate::support::{self, World};

/// Where GitHub sends people back to.
const CALLBACK: &str = "http://localhost/github/installed";

/// The services, and a GitHub where the App is registered.
pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) github: Github,
    /// What GitHub's repositories are made of.
    pub(crate) source: support::Repository,
}

impl Scene {
    /// There are `octocat` and `mallory` at GitHub; `acme` is an organisation that `octocat` owns,
    /// with the repositories `acme/shop` (1) and `acme/blog` (2).
    pub(crate) async fn start(backend: Backend) -> Self {
        let clock = Clock::manual(Clock::system().now());
        let github = Github::start(CALLBACK, clock.clone());
        github.register(OauthApp {
            exact: true,
            ..OauthApp::new(CLIENT_ID, CLIENT_SECRET, CALLBACK)
        });
        github.add(Person::new(1, "octocat", "Octocat", "octocat@x.dev"));
        github.add(Person::new(2, "mallory", "Mallory", "mallory@x.dev"));
        github.set_role("acme", "octocat", "admin");
        let settings = github.app_settings();
        let settings: Vec<_> = settings
            .iter()
            .map(|(key, value)| (*key, value.as_str()))
            .collect();
        let world = World::start_at(backend, clock, &settings).await;
        let source = support::Repository::new("main").await;
        for (id, name) in [(1, "shop"), (2, "blog")] {
            github.add_repository(Repository::new(
                id,
                "acme",
                name,
                source.path().join(".git"),
            ));
        }
        Self {
            world,
            github,
            source,
        }
    }

    /// An account with a developer who has connected `acme`'s installation.
    pub(crate) async fn connected(&self) -> (AccountId, support::Person, i64) {
        let account = self.world.account();
        let person = self.world.member(&account, Role::Developer);
        let (status, body) = self.connect(&account, &person, "octocat", "acme").await;
        assert_eq!(status, 201, "{body}");
        let id = body["installation"]["id"].as_i64().unwrap();
        (account, person, id)
    }

    /// Goes the whole way: link, GitHub as `login`, back with what GitHub says.
    pub(crate) async fn connect(
        &self,
        account: &AccountId,
        person: &support::Person,
        login: &str,
        owner: &str,
    ) -> (u16, Value) {
        let link = self.link(account, person).await;
        let back = self.github.install(&link, login, owner).await;
        self.bring_back(account, person, &proof(&back)).await
    }

    pub(crate) async fn link(&self, account: &AccountId, person: &support::Person) -> String {
        let path = format!("/v1/accounts/{account}/github/install");
        let token = Some(person.token.as_str());
        let (status, body) = self.world.ask(Method::GET, &path, token, None).await;
        assert_eq!(status, 200, "{body}");
        body["install_url"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn bring_back(
        &self,
        account: &AccountId,
        person: &support::Person,
        proof: &Value,
    ) -> (u16, Value) {
        let path = format!("/v1/accounts/{account}/github/installations");
        let token = Some(person.token.as_str());
        self.world
            .ask(Method::POST, &path, token, Some(proof.clone()))
            .await
    }

    /// What project is told of a repository.
    pub(crate) async fn resolve(
        &self,
        account: &AccountId,
        (owner, repo): (&str, &str),
        requested_by: Option<&support::Person>,
    ) -> Result<Resolved, Problem> {
        let request = ResolveRepository {
            account_id: account.clone(),
            owner: owner.into(),
            repo: repo.into(),
            requested_by: requested_by.map(|person| person.user_id.clone()),
        };
        let path = "/internal/repositories/resolve";
        self.world.internal("project", path, &request).await
    }

    /// An installation of another number or owner than the one that is connected.
    pub(crate) fn installation(&self, id: i64, suspended: bool) {
        self.github.set_installation(Installation {
            id: id.try_into().unwrap(),
            owner_id: 500,
            owner: "acme".into(),
            kind: "Organization",
            suspended,
            withheld: Vec::new(),
        });
    }

    /// How often a path that ends like this was asked for and answered with this status.
    pub(crate) fn asked(&self, path: &str, status: u16) -> usize {
        let answered = self.github.answered();
        let is_it = |(asked, given): &&(String, u16)| asked.ends_with(path) && *given == status;
        answered.iter().filter(is_it).count()
    }

    pub(crate) async fn end(mut self) {
        self.world.stop().await;
    }
}

/// What a person brings back from GitHub.
pub(crate) fn proof(back: &Url) -> Value {
    let query: std::collections::HashMap<_, _> = back.query_pairs().into_owned().collect();
    json!({
        "state": query["state"], "code": query["code"],
        "installation_id": query["installation_id"].parse::<i64>().unwrap(),
    })
}
