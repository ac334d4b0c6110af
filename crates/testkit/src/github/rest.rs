//! The REST API as an installation's token, or a person's, opens it.

use actix_web::http::header::{ACCEPT, ETAG, IF_NONE_MATCH, LINK, LOCATION};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};

use super::app::{Shared, message, the_app, token};
use super::lock;
use super::state::{InstallationToken, Person, State};
use super::world::{Named, Repository};

pub(super) type Name = web::Path<(String, String)>;

/// The installation's token of a request.
pub(super) fn installed(
    state: &State,
    token: Option<&str>,
) -> Result<InstallationToken, HttpResponse> {
    let found = token.and_then(|token| state.installation_tokens.get(token));
    let found = found.filter(|found| found.expires_at > state.now());
    let known = found.filter(|found| {
        state
            .installation(found.installation)
            .is_some_and(|installation| !installation.suspended)
    });
    known
        .cloned()
        .ok_or_else(|| message(401, "Bad credentials"))
}

/// The repository of this name, if the token opens it this far. What it doesn't open isn't there.
pub(super) fn opened(
    state: &State,
    token: &InstallationToken,
    (owner, name): (&str, &str),
    (permission, level): (&str, &str),
) -> Result<Repository, HttpResponse> {
    let repository = match state.named(owner, name) {
        Some(Named::Now(found)) => found.clone(),
        Some(Named::Formerly(found)) => {
            return Err(moved(state, &format!("repositories/{}", found.id)));
        }
        None => return Err(message(404, "Not Found")),
    };
    let of_token = state
        .installation_on(&repository)
        .is_some_and(|installation| installation.id == token.installation)
        && token
            .repositories
            .as_ref()
            .is_none_or(|chosen| chosen.contains(&repository.id));
    if !of_token {
        return Err(message(404, "Not Found"));
    }
    if !token.allows(permission, level) {
        return Err(message(403, "Resource not accessible by integration"));
    }
    Ok(repository)
}

fn moved(state: &State, path: &str) -> HttpResponse {
    let location = format!("{}/api/v3/{path}", state.web_url);
    HttpResponse::MovedPermanently()
        .insert_header((LOCATION, location.clone()))
        .json(json!({ "message": "Moved Permanently", "url": location }))
}

/// An answer with its `ETag`, or that it hasn't changed.
fn tagged(request: &HttpRequest, body: &Value, link: Option<String>) -> HttpResponse {
    let tag = format!("W/\"{}\"", common::digest::sha256_hex(body.to_string()));
    let known = request.headers().get(IF_NONE_MATCH);
    let mut answer = if known.is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        HttpResponse::NotModified()
    } else {
        HttpResponse::Ok()
    };
    answer.insert_header((ETAG, tag));
    if let Some(link) = link {
        answer.insert_header((LINK, link));
    }
    answer.json(body)
}

/// `GET /repos/{owner}/{repo}/installation`
pub(super) async fn installation_of(
    state: Shared,
    request: HttpRequest,
    name: Name,
) -> HttpResponse {
    let state = lock(&state);
    if let Err(refusal) = the_app(&state, &request) {
        return refusal;
    }
    match state.named(&name.0, &name.1) {
        Some(Named::Now(found)) => shown_installation(&state, found),
        Some(Named::Formerly(found)) => {
            moved(&state, &format!("repositories/{}/installation", found.id))
        }
        None => message(404, "Not Found"),
    }
}

/// `GET /repositories/{id}/installation`
pub(super) async fn installation_by_id(
    state: Shared,
    request: HttpRequest,
    id: web::Path<u64>,
) -> HttpResponse {
    let state = lock(&state);
    if let Err(refusal) = the_app(&state, &request) {
        return refusal;
    }
    match state.repository(*id) {
        Some(found) => shown_installation(&state, found),
        None => message(404, "Not Found"),
    }
}

fn shown_installation(state: &State, repository: &Repository) -> HttpResponse {
    match state.installation_on(repository) {
        Some(installation) => HttpResponse::Ok().json(installation.shown()),
        None => message(404, "Not Found"),
    }
}

/// `GET /repos/{owner}/{repo}`
pub(super) async fn repository(state: Shared, request: HttpRequest, name: Name) -> HttpResponse {
    let state = lock(&state);
    let found = installed(&state, token(&request))
        .and_then(|token| opened(&state, &token, (&name.0, &name.1), ("metadata", "read")));
    match found {
        Ok(found) => tagged(&request, &found.shown(), None),
        Err(refusal) => refusal,
    }
}

/// `GET /repositories/{id}`
pub(super) async fn repository_by_id(
    state: Shared,
    request: HttpRequest,
    id: web::Path<u64>,
) -> HttpResponse {
    let state = lock(&state);
    let Some(known) = state.repository(*id) else {
        return message(404, "Not Found");
    };
    let name = (known.owner.as_str(), known.name.as_str());
    let found = installed(&state, token(&request))
        .and_then(|token| opened(&state, &token, name, ("metadata", "read")));
    match found {
        Ok(found) => tagged(&request, &found.shown(), None),
        Err(refusal) => refusal,
    }
}

#[derive(Deserialize)]
pub(super) struct Page {
    #[serde(default)]
    per_page: Option<usize>,
    #[serde(default)]
    page: Option<usize>,
}

/// `GET /installation/repositories`
pub(super) async fn repositories(
    state: Shared,
    request: HttpRequest,
    page: web::Query<Page>,
) -> HttpResponse {
    let state = lock(&state);
    let token = match installed(&state, token(&request)) {
        Ok(token) => token,
        Err(refusal) => return refusal,
    };
    let Some(installation) = state.installation(token.installation) else {
        return message(401, "Bad credentials");
    };
    let all = state.repositories_of(installation);
    // As documented: 30 unless told, 100 at most. The simulator may be told to give fewer.
    let size = page.per_page.unwrap_or(30).clamp(1, state.longest_page);
    let number = page.page.unwrap_or(1).max(1);
    let shown: Vec<_> = all
        .iter()
        .skip((number - 1) * size)
        .take(size)
        .map(Repository::shown)
        .collect();
    let next = (number * size < all.len()).then(|| {
        let (url, next) = (&state.web_url, number + 1);
        format!(
            "<{url}/api/v3/installation/repositories?per_page={size}&page={next}>; rel=\"next\""
        )
    });
    let body = json!({ "total_count": all.len(), "repositories": shown });
    tagged(&request, &body, next)
}

/// `GET /repos/{owner}/{repo}/commits/{ref}`, for its number alone.
pub(super) async fn commit(
    state: Shared,
    request: HttpRequest,
    path: web::Path<(String, String, String)>,
) -> HttpResponse {
    let (owner, name, git_ref) = path.into_inner();
    let wants_sha = request
        .headers()
        .get(ACCEPT)
        .is_some_and(|accept| accept.as_bytes() == b"application/vnd.github.sha");
    let directory = {
        let state = lock(&state);
        let found = installed(&state, token(&request))
            .and_then(|token| opened(&state, &token, (&owner, &name), ("contents", "read")));
        match found {
            Ok(found) => found.directory,
            Err(refusal) => return refusal,
        }
    };
    let git = async |arguments: &[&str]| {
        tokio::process::Command::new("git")
            .arg("-C")
            .arg(&directory)
            .args(arguments)
            .output()
            .await
            .ok()
            .filter(|output| output.status.success())
            .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    if git(&["for-each-ref", "--count=1"])
        .await
        .is_none_or(|refs| refs.is_empty())
    {
        return message(409, "Git Repository is empty.");
    }
    let found = git(&[
        "rev-parse",
        "--verify",
        "--quiet",
        &format!("{git_ref}^{{commit}}"),
    ])
    .await;
    match found {
        Some(sha) if wants_sha => HttpResponse::Ok()
            .content_type("application/vnd.github.sha; charset=utf-8")
            .body(sha),
        Some(sha) => HttpResponse::Ok().json(json!({ "sha": sha })),
        None => message(422, &format!("No commit found for SHA: {git_ref}")),
    }
}

/// Whose token it is: a person's, given to the App.
fn person(state: &State, request: &HttpRequest) -> Result<Person, HttpResponse> {
    token(request)
        .and_then(|token| state.tokens.get(token))
        .and_then(|issued| state.person(issued.person))
        .cloned()
        .ok_or_else(|| message(401, "Bad credentials"))
}

/// `GET /user/installations`: those that the person reaches at all.
pub(super) async fn installations(state: Shared, request: HttpRequest) -> HttpResponse {
    let state = lock(&state);
    let person = match person(&state, &request) {
        Ok(person) => person,
        Err(refusal) => return refusal,
    };
    let reached: Vec<_> = state
        .installations
        .iter()
        .filter(|known| {
            known.owner_id == person.id
                || state.roles.contains_key(&(known.owner.clone(), person.id))
        })
        .map(super::world::Installation::shown)
        .collect();
    HttpResponse::Ok().json(json!({ "total_count": reached.len(), "installations": reached }))
}

/// `GET /user/memberships/orgs/{org}`
pub(super) async fn membership(
    state: Shared,
    request: HttpRequest,
    org: web::Path<String>,
) -> HttpResponse {
    let state = lock(&state);
    let person = match person(&state, &request) {
        Ok(person) => person,
        Err(refusal) => return refusal,
    };
    match state.roles.get(&(org.into_inner(), person.id)) {
        // Who only works on one of its repositories is no member.
        Some(&"outside") | None => message(404, "Not Found"),
        Some(role) => HttpResponse::Ok().json(json!({ "state": "active", "role": role })),
    }
}
