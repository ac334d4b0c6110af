//! GitHub as an OAuth app meets it: where people consent, where codes become tokens, and what
//! the API says of who a token belongs to. It answers as GitHub's documentation says ("Authorizing
//! OAuth apps", "Troubleshooting OAuth app access token request errors", REST API 2022-11-28),
//! under the paths of GitHub Enterprise Server: the API below `/api/v3`.

mod api;
mod browser;
mod oauth;
mod state;

use std::net::TcpListener;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix_web::dev::ServerHandle;
use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer, web};
use common::time::Clock;

use state::State;
pub use state::{Mood, OauthApp, Person};

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
        })
        .workers(1)
        .disable_signals()
        .listen(listener)
        .expect("the simulator listens")
        .run();
        let handle = server.handle();
        tokio::spawn(server);
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

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
