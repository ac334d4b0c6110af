//! `/auth-redirect…`: where GitHub sends a person back to.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use chassis::http::{ApiError, Path, Query};

use super::pages::trouble;
use super::{COOKIE, page_of};
use crate::github::returned::Returned;
use crate::github::trip;
use crate::page::Page;
use crate::public::bound;
use crate::requests::{self, Answer, Code, Kind, Request};
use crate::state::State;

/// Takes a person back from GitHub, in the browser that she went there with.
#[utoipa::path(
    get,
    path = "/auth-redirect/{reference}",
    tag = "keystone",
    security(()),
    params(("reference" = String, Path), Returned),
    responses(
        (status = 200, description = "She is signed in, or has declined", content_type = "text/html", body = String),
        (status = 400, description = "This isn't what this browser was sent for", content_type = "text/html", body = String),
        (status = 502, description = "GitHub fails", content_type = "text/html", body = String),
    ),
)]
pub async fn come_back(
    state: web::Data<State>,
    request: HttpRequest,
    Path(reference): Path<String>,
    Query(returned): Query<Returned>,
) -> HttpResponse {
    answered(&state, &request, Some(reference), returned).await
}

/// The same without the reference: a GitHub App's callback is one address for all, and it is the
/// registered one to which GitHub sends those who decline.
#[utoipa::path(
    get,
    path = "/auth-redirect",
    tag = "keystone",
    security(()),
    params(Returned),
    responses(
        (status = 200, description = "She is signed in, or has declined", content_type = "text/html", body = String),
        (status = 400, description = "This isn't what this browser was sent for", content_type = "text/html", body = String),
        (status = 502, description = "GitHub fails", content_type = "text/html", body = String),
    ),
)]
pub async fn without_reference(
    state: web::Data<State>,
    request: HttpRequest,
    Query(returned): Query<Returned>,
) -> HttpResponse {
    answered(&state, &request, None, returned).await
}

async fn answered(
    state: &State,
    request: &HttpRequest,
    reference: Option<String>,
    returned: Returned,
) -> HttpResponse {
    let cookie = bound(request, COOKIE);
    let login = match taken_back(state, reference, cookie, &returned).await {
        Ok(Some(login)) => login,
        Ok(None) => return not_under_way(),
        Err(error) => return trouble(&error),
    };
    let result = if returned.is_denial() {
        declined(state, login.clone()).await
    } else if let Some(code) = &returned.code {
        signed_in(state, login.clone(), code).await
    } else {
        Ok(again(
            &login,
            "GitHub didn't sign you in",
            &returned.said(),
            StatusCode::BAD_REQUEST,
        ))
    };
    result.unwrap_or_else(|error| {
        let answer = trouble(&error);
        again(
            &login,
            "GitHub didn't sign you in",
            &error.problem().detail,
            answer.status(),
        )
    })
}

/// The request of this state, if it is this browser's and this address's; the state is spent then.
async fn taken_back(
    state: &State,
    reference: Option<String>,
    cookie: Option<Code>,
    returned: &Returned,
) -> Result<Option<Request>, ApiError> {
    let is_good = move |login: &Request| {
        login.kind == Kind::Login
            && reference.is_none_or(|reference| reference == login.reference)
            && login.is_of_browser(cookie.as_ref())
    };
    Ok(trip::take_back(state, returned.state.as_deref(), is_good).await?)
}

async fn signed_in(state: &State, login: Request, code: &str) -> Result<HttpResponse, ApiError> {
    let profile = trip::come_back(state, &login, code).await?;
    let now = state.clock.now();
    let who = profile.login.clone();
    let answer = Answer {
        identity: None,
        profile: Some(serde_json::to_string(&profile).map_err(ApiError::internal)?),
    };
    let first = state
        .db
        .write(move |db| requests::answer(db, &login, &answer, now))
        .await?;
    if !first {
        return Ok(not_under_way());
    }
    Ok(Page::new("You are signed in")
        .text(&format!(
            "GitHub says that you are {who}. Go back to your program; you can close this page."
        ))
        .answer(StatusCode::OK))
}

async fn declined(state: &State, login: Request) -> Result<HttpResponse, ApiError> {
    let now = state.clock.now();
    state
        .db
        .write(move |db| requests::decline(db, &login, now))
        .await?;
    Ok(Page::new("You have declined")
        .text("Nobody is signed in by this. You can close this page.")
        .answer(StatusCode::OK))
}

fn not_under_way() -> HttpResponse {
    Page::new("This sign-in isn't under way here")
        .text("It has ended, or was begun in another browser. Start again in your program.")
        .answer(StatusCode::BAD_REQUEST)
}

fn again(login: &Request, title: &str, why: &str, status: StatusCode) -> HttpResponse {
    Page::new(title)
        .text(why)
        .link(&page_of(login), "Try again")
        .answer(status)
}
