//! What a repository is told of its commits: statuses and deployments.

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};

use super::app::{Shared, message, token};
use super::lock;
use super::rest::{Name, installed, opened};
use super::state::Posted;
use super::world::Repository;

fn keep(
    state: &Shared,
    request: &HttpRequest,
    (owner, name): (&str, &str),
    permission: &str,
    posted: impl FnOnce(&Repository) -> Posted,
) -> HttpResponse {
    let mut state = lock(state);
    let found = installed(&state, token(request))
        .and_then(|token| opened(&state, &token, (owner, name), (permission, "write")));
    match found {
        Ok(found) => {
            let posted = posted(&found);
            let answer = json!({ "id": state.posted.len() + 1 });
            state.posted.push(posted);
            HttpResponse::Created().json(answer)
        }
        Err(refusal) => refusal,
    }
}

fn text<'a>(body: &'a Value, name: &str) -> Option<&'a str> {
    body.get(name).and_then(Value::as_str)
}

/// `POST /repos/{owner}/{repo}/statuses/{sha}`
pub(super) async fn status(
    state: Shared,
    request: HttpRequest,
    path: web::Path<(String, String, String)>,
    body: web::Json<Value>,
) -> HttpResponse {
    let known = text(&body, "state")
        .is_some_and(|state| ["error", "failure", "pending", "success"].contains(&state));
    let short = text(&body, "description").is_none_or(|text| text.chars().count() <= 140);
    if !known || !short {
        return message(422, "Validation Failed");
    }
    let (owner, name, sha) = path.into_inner();
    keep(
        &state,
        &request,
        (&owner, &name),
        "statuses",
        |repository| Posted {
            repository: repository.full_name(),
            what: format!("statuses/{sha}"),
            body: body.into_inner(),
        },
    )
}

/// `POST /repos/{owner}/{repo}/deployments`
pub(super) async fn deployment(
    state: Shared,
    request: HttpRequest,
    name: Name,
    body: web::Json<Value>,
) -> HttpResponse {
    keep(
        &state,
        &request,
        (&name.0, &name.1),
        "deployments",
        |repository| Posted {
            repository: repository.full_name(),
            what: "deployments".to_owned(),
            body: body.into_inner(),
        },
    )
}

/// `POST /repos/{owner}/{repo}/deployments/{id}/statuses`
pub(super) async fn deployment_status(
    state: Shared,
    request: HttpRequest,
    path: web::Path<(String, String, u64)>,
    body: web::Json<Value>,
) -> HttpResponse {
    let known = text(&body, "state").is_some_and(|state| {
        [
            "error",
            "failure",
            "inactive",
            "in_progress",
            "queued",
            "pending",
            "success",
        ]
        .contains(&state)
    });
    if !known {
        return message(422, "Validation Failed");
    }
    let (owner, name, id) = path.into_inner();
    keep(
        &state,
        &request,
        (&owner, &name),
        "deployments",
        |repository| Posted {
            repository: repository.full_name(),
            what: format!("deployments/{id}/statuses"),
            body: body.into_inner(),
        },
    )
}
