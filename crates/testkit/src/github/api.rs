//! The REST API, as far as it tells who somebody is.

use std::sync::Mutex;

use actix_web::http::header::{AUTHORIZATION, USER_AGENT};
use actix_web::{HttpRequest, HttpResponse, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::lock;
use super::state::{Issued, Person, State};

type Shared = web::Data<Mutex<State>>;

fn message(status: u16, text: &str) -> HttpResponse {
    let status = actix_web::http::StatusCode::from_u16(status)
        .unwrap_or(actix_web::http::StatusCode::INTERNAL_SERVER_ERROR);
    let body = json!({
        "message": text, "documentation_url": "https://docs.github.com/rest", "status": status.as_str(),
    });
    HttpResponse::build(status).json(body)
}

fn header<'a>(
    request: &'a HttpRequest,
    name: &actix_web::http::header::HeaderName,
) -> Option<&'a str> {
    request.headers().get(name)?.to_str().ok()
}

/// Whose token the request has, and what it may see.
fn caller(state: &State, request: &HttpRequest) -> Result<(Person, Issued), HttpResponse> {
    if header(request, &USER_AGENT).is_none() {
        let text = "Request forbidden by administrative rules. Please make sure your request has a User-Agent header";
        return Err(message(403, text));
    }
    let token = header(request, &AUTHORIZATION)
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer") || *scheme == "token")
        .map(|(_, token)| token);
    let found = token
        .and_then(|token| state.tokens.get(token))
        .and_then(|issued| Some((state.person(issued.person)?.clone(), issued.clone())));
    found.ok_or_else(|| message(401, "Bad credentials"))
}

pub(super) async fn user(state: Shared, request: HttpRequest) -> HttpResponse {
    match caller(&lock(&state), &request) {
        Ok((person, _)) => HttpResponse::Ok().json(shown(&person)),
        Err(refusal) => refusal,
    }
}

pub(super) async fn emails(state: Shared, request: HttpRequest) -> HttpResponse {
    let (person, issued) = match caller(&lock(&state), &request) {
        Ok(found) => found,
        Err(refusal) => return refusal,
    };
    if !issued
        .scope
        .split(' ')
        .any(|scope| matches!(scope, "user" | "user:email"))
    {
        return message(404, "Not Found");
    }
    let emails = person.emails.iter().map(|(email, primary, verified)| {
        json!({ "email": email, "primary": primary, "verified": verified, "visibility": "private" })
    });
    HttpResponse::Ok().json(emails.collect::<Vec<_>>())
}

/// Checks a token: for its own app alone, which proves who it is by its secret.
pub(super) async fn check_token(
    state: Shared,
    request: HttpRequest,
    path: web::Path<String>,
    body: web::Json<Value>,
) -> HttpResponse {
    let state = lock(&state);
    let Some(app) = state.app(&path) else {
        return message(404, "Not Found");
    };
    let credentials = STANDARD.encode(format!("{}:{}", app.client_id, app.client_secret));
    if header(&request, &AUTHORIZATION) != Some(&format!("Basic {credentials}")) {
        return message(401, "Bad credentials");
    }
    let Some(token) = body.get("access_token").and_then(Value::as_str) else {
        return message(422, "Invalid request.\n\n\"access_token\" wasn't supplied.");
    };
    let issued = state
        .tokens
        .get(token)
        .filter(|issued| issued.client_id == app.client_id);
    let person = issued.and_then(|issued| state.person(issued.person));
    let (Some(issued), Some(person)) = (issued, person) else {
        return message(404, "Not Found");
    };
    HttpResponse::Ok().json(json!({
        "id": 1,
        "app": { "client_id": app.client_id, "name": "Slipway" },
        "token": token,
        "scopes": issued.scope.split(' ').collect::<Vec<_>>(),
        "user": shown(person),
        "expires_at": null,
    }))
}

/// A person as the API shows her to herself.
fn shown(person: &Person) -> Value {
    json!({
        "login": person.login,
        "id": person.id,
        "node_id": "MDQ6VXNlcjE=",
        "avatar_url": "https://github.com/images/error/octocat_happy.gif",
        "type": "User",
        "site_admin": false,
        "name": person.name,
        // The public address, which anybody can write there.
        "email": person.emails.first().map(|(email, ..)| email),
    })
}
