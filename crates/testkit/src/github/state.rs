//! What the simulator knows.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::SystemTime;

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{DATE, HttpDate, TryIntoHeaderValue as _};
use actix_web::middleware::Next;
use actix_web::{HttpResponse, web};
use common::random;
use common::time::{Clock, Span, Time};
use serde_json::Value;

use super::pulls::{Comment, PullRequest};
pub(super) use super::world::InstallationToken;
use super::world::{Installation, Repository};

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

/// What goes wrong with one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// This status, with nothing readable.
    Status(u16),
    /// The credentials are called bad, whatever they are.
    BadCredentials,
    /// Nothing is answered.
    Silent,
    /// The answer breaks off after half its body.
    Half,
    /// The primary rate limit is used up, for so many seconds.
    Limit(i64),
    /// The secondary rate limit is hit, for so many seconds.
    SecondaryLimit(i64),
}

/// What was posted to the API.
#[derive(Clone, Debug)]
pub struct Posted {
    /// The repository, as `owner/name`.
    pub repository: String,
    /// The path behind that.
    pub what: String,
    /// The body.
    pub body: Value,
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
    /// Paths and the statuses that were answered.
    pub(super) answered: Vec<(String, u16)>,
    /// What goes wrong next, for paths that hold the text.
    pub(super) faults: Vec<(String, Fault)>,
    /// How far this clock is ahead of everybody else's.
    pub(super) skew: Span,
    pub(super) web_url: String,
    pub(super) installations: Vec<Installation>,
    pub(super) repositories: Vec<Repository>,
    /// What somebody is in an organisation: `admin`, `member`, or `outside`.
    pub(super) roles: HashMap<(String, u64), &'static str>,
    pub(super) installation_tokens: HashMap<String, InstallationToken>,
    pub(super) longest_page: usize,
    pub(super) posted: Vec<Posted>,
    pub(super) pull_requests: Vec<PullRequest>,
    pub(super) comments: Vec<Comment>,
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
            answered: Vec::new(),
            faults: Vec::new(),
            skew: Span::zero(),
            web_url: String::new(),
            installations: Vec::new(),
            repositories: Vec::new(),
            roles: HashMap::new(),
            installation_tokens: HashMap::new(),
            longest_page: 100,
            posted: Vec::new(),
            pull_requests: Vec::new(),
            comments: Vec::new(),
        }
    }

    /// The time as GitHub sees it.
    pub(super) fn now(&self) -> Time {
        self.clock.now() + self.skew
    }

    /// What goes wrong with an answer to this path, once.
    fn fault(&mut self, path: &str) -> Option<Fault> {
        let found = self
            .faults
            .iter()
            .position(|(part, _)| path.contains(part))?;
        Some(self.faults.remove(found).1)
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
    let Some(shared) = request.app_data::<web::Data<Mutex<State>>>().cloned() else {
        return next.call(request).await;
    };
    let path = request.path().to_owned();
    let (mood, fault, now) = {
        let mut state = super::lock(&shared);
        state.asked.push(path.clone());
        (state.mood, state.fault(&path), state.now())
    };
    let mut response = match (in_mood(mood).await, fault) {
        (Some(answer), _) => request.into_response(answer),
        (None, Some(fault)) => wrong(fault, now, request, next).await?,
        (None, None) => next.call(request).await?,
    };
    let seconds = u64::try_from(now.unix()).unwrap_or_default();
    let date = HttpDate::from(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds));
    if let Ok(date) = date.try_into_value() {
        response.headers_mut().insert(DATE, date);
    }
    let status = response.status().as_u16();
    super::lock(&shared).answered.push((path, status));
    Ok(response)
}

/// What it answers to everything in this mood; none if it is well.
async fn in_mood(mood: Mood) -> Option<HttpResponse> {
    Some(match mood {
        Mood::Well => return None,
        Mood::Silent => std::future::pending::<HttpResponse>().await,
        Mood::Garbage => HttpResponse::Ok().body("<html>Unicorn!</html>"),
        Mood::Endless => HttpResponse::Ok()
            .content_type("application/json")
            .body(format!("{{\"login\":\"{}\"}}", "x".repeat(4 << 20))),
        Mood::Status(status) => unicorn(status),
    })
}

fn unicorn(status: u16) -> HttpResponse {
    let status = actix_web::http::StatusCode::from_u16(status)
        .unwrap_or(actix_web::http::StatusCode::INTERNAL_SERVER_ERROR);
    HttpResponse::build(status).body("Unicorn!")
}

/// An answer with which something is wrong.
async fn wrong(
    fault: Fault,
    now: Time,
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let mut answer = match fault {
        Fault::Status(status) => unicorn(status),
        Fault::BadCredentials => super::app::message(401, "Bad credentials"),
        Fault::Silent => std::future::pending::<HttpResponse>().await,
        Fault::Half => return halved(next.call(request).await?).await,
        Fault::Limit(_) => super::app::message(403, "API rate limit exceeded for installation."),
        Fault::SecondaryLimit(_) => {
            let text = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.";
            super::app::message(403, text)
        }
    };
    let headers = match fault {
        Fault::Limit(seconds) => vec![
            ("x-ratelimit-remaining", 0),
            ("x-ratelimit-reset", now.unix() + seconds),
        ],
        Fault::SecondaryLimit(seconds) => vec![("retry-after", seconds)],
        _ => Vec::new(),
    };
    for (name, value) in headers {
        let name = actix_web::http::header::HeaderName::from_static(name);
        answer.headers_mut().insert(name, value.into());
    }
    Ok(request.into_response(answer))
}

/// The first half of an answer; then the connection ends.
async fn halved(
    response: ServiceResponse<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let (request, response) = response.into_parts();
    let (head, body) = response.into_parts();
    let whole = actix_web::body::to_bytes(body).await.unwrap_or_default();
    let half = whole.slice(..whole.len() / 2);
    let stream = futures_util::stream::iter([
        Ok(half),
        Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset)),
    ]);
    let body = actix_web::body::BodyStream::new(stream);
    Ok(ServiceResponse::new(
        request,
        head.set_body(BoxBody::new(body)),
    ))
}
