//! What the simulator knows.

use std::collections::HashMap;
use std::sync::Mutex;

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::{HttpResponse, web};
use common::random;
use common::time::{Clock, Time};

/// Somebody with an account at GitHub.
#[derive(Clone, Debug)]
pub struct Person {
    /// Her number, which stays.
    pub id: u64,
    /// Her login, which she can change.
    pub login: String,
    /// What she calls herself.
    pub name: Option<String>,
    /// Her addresses: each with whether it is the primary one, and whether it is verified.
    pub emails: Vec<(String, bool, bool)>,
}

impl Person {
    /// Somebody with one address, primary and verified.
    #[must_use]
    pub fn new(id: u64, login: &str, name: &str, email: &str) -> Self {
        Self {
            id,
            login: login.to_owned(),
            name: Some(name.to_owned()),
            emails: vec![(email.to_owned(), true, true)],
        }
    }
}

/// An app that is registered at GitHub.
#[derive(Clone, Debug)]
pub struct OauthApp {
    /// Its client id.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
    /// Its callback; whatever is below it is good, too.
    pub callback: String,
    /// Whether only the callback itself is: a GitHub App's.
    pub exact: bool,
}

impl OauthApp {
    /// An OAuth app.
    #[must_use]
    pub fn new(client_id: &str, client_secret: &str, callback: &str) -> Self {
        Self {
            client_id: client_id.to_owned(),
            client_secret: client_secret.to_owned(),
            callback: callback.to_owned(),
            exact: false,
        }
    }
}

/// How the simulator behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// As documented.
    Well,
    /// It answers everything with this status and no JSON.
    Status(u16),
    /// It answers 200 with something that isn't JSON.
    Garbage,
    /// It answers 200 with JSON that doesn't end for megabytes.
    Endless,
    /// It takes requests and doesn't answer.
    Silent,
}

/// A consent that waits to become a token.
#[derive(Clone, Debug)]
pub(super) struct Grant {
    pub(super) client_id: String,
    pub(super) redirect_uri: Option<String>,
    pub(super) challenge: Option<String>,
    pub(super) scope: String,
    pub(super) person: u64,
    pub(super) expires_at: Time,
}

/// What a token is good for.
#[derive(Clone, Debug)]
pub(super) struct Issued {
    pub(super) client_id: String,
    pub(super) person: u64,
    pub(super) scope: String,
}

pub(super) struct State {
    pub(super) clock: Clock,
    pub(super) apps: Vec<OauthApp>,
    pub(super) people: Vec<Person>,
    pub(super) grants: HashMap<String, Grant>,
    pub(super) tokens: HashMap<String, Issued>,
    pub(super) mood: Mood,
    pub(super) asked: Vec<String>,
}

impl State {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            apps: Vec::new(),
            people: Vec::new(),
            grants: HashMap::new(),
            tokens: HashMap::new(),
            mood: Mood::Well,
            asked: Vec::new(),
        }
    }

    pub(super) fn app(&self, client_id: &str) -> Option<&OauthApp> {
        self.apps.iter().find(|app| app.client_id == client_id)
    }

    pub(super) fn person_called(&self, login: &str) -> Option<&Person> {
        self.people.iter().find(|person| person.login == login)
    }

    pub(super) fn person(&self, id: u64) -> Option<&Person> {
        self.people.iter().find(|person| person.id == id)
    }

    pub(super) fn issue(&mut self, client_id: &str, person: u64, scope: &str) -> String {
        let token = format!("gho_{}", hex(18));
        let issued = Issued {
            client_id: client_id.to_owned(),
            person,
            scope: scope.to_owned(),
        };
        self.tokens.insert(token.clone(), issued);
        token
    }
}

/// Random bytes as text, of which GitHub's codes and tokens are made.
pub(super) fn hex(length: usize) -> String {
    random::bytes::<32>()
        .iter()
        .take(length)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Notes what is asked, and answers as the mood is.
pub(super) async fn in_its_mood(
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let mood = match request.app_data::<web::Data<Mutex<State>>>() {
        Some(state) => {
            let mut state = super::lock(state);
            state.asked.push(request.path().to_owned());
            state.mood
        }
        None => Mood::Well,
    };
    let answer = match mood {
        Mood::Well => return next.call(request).await,
        Mood::Silent => std::future::pending::<HttpResponse>().await,
        Mood::Garbage => HttpResponse::Ok().body("<html>Unicorn!</html>"),
        Mood::Endless => HttpResponse::Ok()
            .content_type("application/json")
            .body(format!("{{\"login\":\"{}\"}}", "x".repeat(4 << 20))),
        Mood::Status(status) => {
            let status = actix_web::http::StatusCode::from_u16(status)
                .unwrap_or(actix_web::http::StatusCode::INTERNAL_SERVER_ERROR);
            HttpResponse::build(status).body("Unicorn!")
        }
    };
    Ok(request.into_response(answer))
}
