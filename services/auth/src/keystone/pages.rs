//! `/login-request/{reference}`: the page where a person sees who asks, and clicks.

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, LOCATION};
use actix_web::{HttpRequest, HttpResponse, ResponseError as _, web};
use chassis::http::{ApiError, Form, Path};
use serde::Deserialize;
use subtle::ConstantTimeEq as _;

use super::{COOKIE, page_of};
use crate::github::trip;
use crate::page::{self, Page};
use crate::public::bound;
use crate::requests::{self, Code, Kind, Request, Stage, store};
use crate::state::State;

/// What the form sends.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub struct Decision {
    /// Shows that the form came from the page.
    proof: String,
    /// `continue` or `decline`.
    decision: String,
}

/// Shows who asks for a login, and what to compare.
#[utoipa::path(
    get,
    path = "/login-request/{reference}",
    tag = "keystone",
    security(()),
    params(("reference" = String, Path)),
    responses(
        (status = 200, description = "The page", content_type = "text/html", body = String),
        (status = 404, description = "There is no such request", content_type = "text/html", body = String),
        (status = 409, description = "Another browser has taken it on", content_type = "text/html", body = String),
        (status = 410, description = "It has ended", content_type = "text/html", body = String),
    ),
)]
pub async fn show(
    state: web::Data<State>,
    request: HttpRequest,
    Path(reference): Path<String>,
) -> HttpResponse {
    let cookie = bound(&request, COOKIE);
    let shown = shown(&state, reference, cookie).await;
    shown.unwrap_or_else(|error| trouble(&error))
}

async fn shown(
    state: &State,
    reference: String,
    cookie: Option<Code>,
) -> Result<HttpResponse, ApiError> {
    let found = state
        .db
        .read(move |db| store::by_reference(db, &reference))
        .await?;
    let login = match fit(state, found, cookie.as_ref()) {
        Ok(login) => login,
        Err(answer) => return Ok(answer),
    };
    let cookie = cookie.unwrap_or_else(Code::random);
    let mut answer = question(state, &login, &cookie).answer(StatusCode::OK);
    let binding = state.place.binding(COOKIE, "/", &cookie);
    answer.add_cookie(&binding).map_err(ApiError::internal)?;
    Ok(answer)
}

/// The page itself. What it shows of the request is what the program's person can tell apart:
/// from where and when it was asked, and the code that the program shows, too.
fn question(state: &State, login: &Request, cookie: &Code) -> Page {
    let form = page::Form::to(&page_of(login))
        .hidden("proof", &cookie.form_token(&login.reference))
        .button("Continue to GitHub", "decision", "continue")
        .button("This wasn't me", "decision", "decline");
    let from = login
        .client_address
        .as_deref()
        .unwrap_or("an unknown address");
    Page::new("A program wants to sign you in")
        .text("Go on only if you have just started this sign-in yourself, and the program shows this code:")
        .code(&login.shown_code())
        .facts(&[("Asked from", from), ("At", &login.created_at.to_string())])
        .form(form)
        .form_leads_to(&state.github.origin())
}

/// Takes the person's click: on to GitHub, or not.
#[utoipa::path(
    post,
    path = "/login-request/{reference}",
    tag = "keystone",
    security(()),
    params(("reference" = String, Path)),
    request_body(content = Decision, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "She has declined", content_type = "text/html", body = String),
        (status = 303, description = "On to GitHub"),
        (status = 403, description = "The form isn't this browser's", content_type = "text/html", body = String),
        (status = 409, description = "Another browser has taken it on", content_type = "text/html", body = String),
        (status = 410, description = "It has ended", content_type = "text/html", body = String),
    ),
)]
pub async fn decide(
    state: web::Data<State>,
    request: HttpRequest,
    Path(reference): Path<String>,
    Form(decision): Form<Decision>,
) -> HttpResponse {
    let cookie =
        bound(&request, COOKIE).filter(|cookie| is_own(&request, cookie, &reference, &decision));
    let Some(cookie) = cookie else {
        return Page::new("This form can't be taken")
            .text("It wasn't sent from our page in this browser, or cookies are off. Open the address again.")
            .link(&format!("/login-request/{reference}"), "Open it again")
            .answer(StatusCode::FORBIDDEN);
    };
    let decided = decided(&state, reference, cookie, decision.decision == "continue").await;
    decided.unwrap_or_else(|error| trouble(&error))
}

/// Whether the form came from our page in the browser with this cookie: no other site can read
/// the proof, and browsers say where a request comes from (Fetch Metadata).
fn is_own(request: &HttpRequest, cookie: &Code, reference: &str, decision: &Decision) -> bool {
    let site = request
        .headers()
        .get("sec-fetch-site")
        .and_then(|value| value.to_str().ok());
    let expected = cookie.form_token(reference);
    let proven: bool = expected.as_bytes().ct_eq(decision.proof.as_bytes()).into();
    proven && matches!(site, None | Some("same-origin" | "none"))
}

async fn decided(
    state: &State,
    reference: String,
    cookie: Code,
    goes_on: bool,
) -> Result<HttpResponse, ApiError> {
    let now = state.clock.now();
    let found = state
        .db
        .read(move |db| store::by_reference(db, &reference))
        .await?;
    let login = match fit(state, found, Some(&cookie)) {
        Ok(login) => login,
        Err(answer) => return Ok(answer),
    };
    if !goes_on {
        let declined = state
            .db
            .write(move |db| {
                let own = requests::claim(db, &login, &cookie, now)?;
                Ok::<_, diesel::result::Error>(own && requests::decline(db, &login, now)?)
            })
            .await?;
        let page = Page::new(if declined {
            "You have declined"
        } else {
            "This has ended"
        });
        return Ok(page
            .text("Nobody is signed in by this. You can close this page.")
            .answer(StatusCode::OK));
    }
    let path = if state.github.wants_exact_callback() {
        "/auth-redirect".to_owned()
    } else {
        format!("/auth-redirect/{}", login.reference)
    };
    let (location, trip) = trip::set_out(state, &state.place.address(&path))?;
    let begun = state
        .db
        .write(move |db| {
            let own = requests::claim(db, &login, &cookie, now)?;
            Ok::<_, diesel::result::Error>(own && requests::begin_trip(db, &login, &trip, now)?)
        })
        .await?;
    if !begun {
        return Ok(elsewhere());
    }
    Ok(HttpResponse::SeeOther()
        .insert_header((LOCATION, location.as_str()))
        .insert_header((CACHE_CONTROL, "no-store"))
        .finish())
}

/// The request, if a person can answer it in this browser; else the page that says why not.
fn fit(
    state: &State,
    found: Option<Request>,
    cookie: Option<&Code>,
) -> Result<Request, HttpResponse> {
    let Some(login) = found.filter(|login| login.kind == Kind::Login) else {
        return Err(Page::new("There is no such sign-in")
            .text("The address is wrong or old. Start the sign-in in your program again.")
            .answer(StatusCode::NOT_FOUND));
    };
    if !login.is_open(state.clock.now()) {
        let title = match login.stage {
            Stage::Answered | Stage::Redeemed => "This sign-in has been answered",
            Stage::Declined => "This sign-in was declined",
            Stage::Asked | Stage::Claimed => "This sign-in has expired",
        };
        return Err(Page::new(title)
            .text("If you still want to sign in, start again in your program.")
            .answer(StatusCode::GONE));
    }
    if login.stage == Stage::Claimed && !login.is_of_browser(cookie) {
        return Err(elsewhere());
    }
    Ok(login)
}

fn elsewhere() -> HttpResponse {
    Page::new("This sign-in was opened in another browser")
        .text("Go on there. If that wasn't you, do nothing, and start again in your program.")
        .answer(StatusCode::CONFLICT)
}

/// A page instead of a problem document; the log has the cause all the same.
pub(super) fn trouble(error: &ApiError) -> HttpResponse {
    // This is what writes the log line.
    let answer = error.error_response();
    Page::new("That didn't work")
        .text(&error.problem().detail)
        .answer(answer.status())
}
