//! GitHub as an OAuth app and a GitHub App meet it: where people consent, where codes become tokens,
//! what the API says of who a token belongs to; installations and the tokens that they give,
//! repositories, Git over HTTP with those tokens, deliveries, statuses, deployments, pull requests and their
//! comments. It answers as GitHub's documentation says ("Authorizing
//! OAuth apps", "Troubleshooting OAuth app access token request errors", REST API 2022-11-28),
//! under the paths of GitHub Enterprise Server: the API below `/api/v3`.

mod api;
mod app;
mod browser;
mod deliveries;
mod git;
mod install;
mod key;
mod oauth;
mod posts;
mod pulls;
mod rest;
mod state;
mod world;

use std::net::TcpListener;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix_web::dev::ServerHandle;
use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer, web};
use common::time::Clock;

pub use app::{APP_ID, APP_SLUG, WEBHOOK_SECRET};
pub use deliveries::Delivery;
pub use key::PRIVATE_KEY;
pub use pulls::{Comment, PullRequest};
use state::State;
pub use state::{Fault, Mood, OauthApp, Person, Posted};
pub use world::{Installation, Repository};

/// The client id of the app that is there from the beginning.
pub const CLIENT_ID: &str = "Iv1.51119e0f4a1c0de5";
/// Its secret.
pub const CLIENT_SECRET: &str = "the app's secret at GitHub";

/// A running simulator; it ends with this value.
pub struct Github {
    url: String,
    state: Arc<Mutex<State>>,
    server: ServerHandle,
}

impl std::fmt::Debug for Github {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Github({})", self.url)
    }
}

impl Drop for Github {
    fn drop(&mut self) {
        // It is told at once; nobody needs to wait.
        drop(self.server.stop(false));
    }
}

impl Github {
    /// A GitHub with one app, whose callback is anything below `callback`, and nobody there.
    ///
    /// # Panics
    /// When it can't listen.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test can't go on without")]
    pub fn start(callback: &str, clock: Clock) -> Self {
        let state = Arc::new(Mutex::new(State::new(clock)));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let shared = web::Data::from(Arc::clone(&state));
        let server = HttpServer::new(move || {
            App::new()
                .app_data(shared.clone())
                .wrap(from_fn(state::in_its_mood))
                .route("/login/oauth/authorize", web::get().to(oauth::consent_page))
                .route("/login/oauth/authorize", web::post().to(oauth::consented))
                .route(
                    "/login/oauth/access_token",
                    web::post().to(oauth::access_token),
                )
                .route("/api/v3/user", web::get().to(api::user))
                .route("/api/v3/user/emails", web::get().to(api::emails))
                .route(
                    "/api/v3/applications/{client_id}/token",
                    web::post().to(api::check_token),
                )
                .configure(as_app)
        })
        .workers(1)
        .disable_signals()
        .listen(listener)
        .expect("the simulator listens")
        .run();
        let handle = server.handle();
        tokio::spawn(server);
        lock(&state).web_url.clone_from(&url);
        let github = Self {
            url,
            state,
            server: handle,
        };
        github.register(OauthApp::new(CLIENT_ID, CLIENT_SECRET, callback));
        github
    }

    /// The settings with which the platform uses it.
    #[must_use]
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("github.client_id", CLIENT_ID.to_owned()),
            ("github.client_secret", CLIENT_SECRET.to_owned()),
            ("github.web_url", self.url.clone()),
            ("github.api_url", format!("{}/api/v3", self.url)),
        ]
    }

    /// The settings with which the platform is its App, too.
    #[must_use]
    pub fn app_settings(&self) -> Vec<(&'static str, String)> {
        let mut settings = self.settings();
        settings.extend([
            ("github.app_id", APP_ID.to_string()),
            ("github.private_key", PRIVATE_KEY.replace('\n', "\\n")),
            ("github.webhook_secret", WEBHOOK_SECRET.to_owned()),
        ]);
        settings
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Adds an app, or changes it.
    pub fn register(&self, app: OauthApp) {
        let mut state = self.state();
        state.apps.retain(|known| known.client_id != app.client_id);
        state.apps.push(app);
    }

    /// Adds a person, or changes her.
    pub fn add(&self, person: Person) {
        let mut state = self.state();
        state.people.retain(|known| known.id != person.id);
        state.people.push(person);
    }

    /// How it behaves from now on.
    pub fn set_mood(&self, mood: Mood) {
        self.state().mood = mood;
    }

    /// The paths that it was asked for so far, without their queries.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        self.state().asked.clone()
    }

    /// A token of a person's for an app, as if she had consented elsewhere.
    ///
    /// # Panics
    /// When there is no such person.
    #[must_use]
    #[expect(clippy::expect_used, reason = "the test is wrong then")]
    pub fn token(&self, client_id: &str, login: &str) -> String {
        let mut state = self.state();
        let person = state.person_called(login).expect("the person is there").id;
        state.issue(client_id, person, "user:email")
    }

    /// Adds a repository, or changes it.
    pub fn add_repository(&self, repository: Repository) {
        let mut state = self.state();
        state.repositories.retain(|known| known.id != repository.id);
        state.repositories.push(repository);
    }

    /// Has the App installed, or changes how it is.
    pub fn set_installation(&self, installation: Installation) {
        let mut state = self.state();
        state
            .installations
            .retain(|known| known.id != installation.id);
        state.installations.push(installation);
    }

    /// Ends an installation.
    pub fn uninstall(&self, id: u64) {
        self.state().installations.retain(|known| known.id != id);
    }

    /// Makes a person `admin` or `member` of an organisation, or somebody from `outside` who works there.
    ///
    /// # Panics
    /// When there is no such person.
    #[expect(clippy::expect_used, reason = "the test is wrong then")]
    pub fn set_role(&self, organisation: &str, login: &str, role: &'static str) {
        let mut state = self.state();
        let person = state.person_called(login).expect("the person is there").id;
        state.roles.insert((organisation.to_owned(), person), role);
    }

    /// The next answer to a path that holds this text goes wrong.
    pub fn fail_next(&self, path: &str, fault: Fault) {
        self.state().faults.push((path.to_owned(), fault));
    }

    /// Puts its clock ahead of everybody else's, or behind.
    pub fn set_skew(&self, skew: common::time::Span) {
        self.state().skew = skew;
    }

    /// How many rows a page of a list has at most.
    pub fn set_longest_page(&self, rows: usize) {
        self.state().longest_page = rows;
    }

    /// The paths that it was asked for so far, with the statuses that it answered.
    #[must_use]
    pub fn answered(&self) -> Vec<(String, u16)> {
        self.state().answered.clone()
    }

    /// What was posted to repositories so far, in order.
    #[must_use]
    pub fn posted(&self) -> Vec<Posted> {
        self.state().posted.clone()
    }

    /// Every token that it gave to installations so far.
    #[must_use]
    pub fn installation_tokens(&self) -> Vec<String> {
        self.state().installation_tokens.keys().cloned().collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What only an App asks for.
fn as_app(config: &mut web::ServiceConfig) {
    let get = || web::get();
    config
        .route("/apps/{slug}/installations/new", get().to(install::page))
        .route("/apps/{slug}/installations/new", web::post().to(install::installed))
        .route("/api/v3/app", get().to(app::about))
        .route("/api/v3/app/installations/{id}", get().to(app::installation))
        .route(
            "/api/v3/app/installations/{id}/access_tokens",
            web::post().to(app::access_token),
        )
        .route("/api/v3/installation/repositories", get().to(rest::repositories))
        .route("/api/v3/repos/{owner}/{repo}/installation", get().to(rest::installation_of))
        .route("/api/v3/repositories/{id}/installation", get().to(rest::installation_by_id))
        .route("/api/v3/repos/{owner}/{repo}", get().to(rest::repository))
        .route("/api/v3/repositories/{id}", get().to(rest::repository_by_id))
        .route("/api/v3/repos/{owner}/{repo}/commits/{ref:.+}", get().to(rest::commit))
        .route("/api/v3/repos/{owner}/{repo}/statuses/{sha}", web::post().to(posts::status))
        .route("/api/v3/repos/{owner}/{repo}/deployments", web::post().to(posts::deployment))
        .route(
            "/api/v3/repos/{owner}/{repo}/deployments/{id}/statuses",
            web::post().to(posts::deployment_status),
        )
        .route("/api/v3/repos/{owner}/{repo}/pulls/{number}", get().to(pulls::pull_request))
        .route("/api/v3/repos/{owner}/{repo}/issues/{number}/comments", get().to(pulls::comments))
        .route(
            "/api/v3/repos/{owner}/{repo}/issues/{number}/comments",
            web::post().to(pulls::comment),
        )
        .route(
            "/api/v3/repos/{owner}/{repo}/issues/comments/{id}",
            web::patch().to(pulls::edit_comment),
        )
        .route("/api/v3/user/installations", get().to(rest::installations))
        .route("/api/v3/user/memberships/orgs/{org}", get().to(rest::membership))
        .route("/{owner}/{repo}.git/{rest:.*}", get().to(git::serve))
        .route("/{owner}/{repo}.git/{rest:.*}", web::post().to(git::serve))
        // As much as a client sends to a Git server.
        .app_data(web::PayloadConfig::new(16 << 20));
}
