//! `/oauth/device`: the page where a person sees which program asks, signs in, and lets it in or not.
//!
//! No other site can send its form (a proof bound to a cookie, and what browsers say of where a
//! request comes from) nor show it in a frame. Codes are few bits: wrong ones are paced by address.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, ResponseError as _, web};
use chassis::http::{ApiError, ClientAddress, Form, Query};
use common::email::EmailAddress;
use common::token::ActorType;
use serde::Deserialize;
use subtle::ConstantTimeEq as _;

use crate::emailpass::{self, Credentials, SignInError};
use crate::identities::{Provider, Realm};
use crate::oauth::Client;
use crate::pacing::{self, Subjects};
use crate::page::{Form as PageForm, Input, Page};
use crate::password::Password;
use crate::public::bound;
use crate::requests::{self, Code, Kind, Request, UserCode, store};
use crate::sign_in::show_code;
use crate::state::State;

/// Where the page is.
pub const PATH: &str = "/oauth/device";
/// The cookie that binds a browser to the forms that it was given.
const COOKIE: &str = "slipway-device";
/// What the proof is made for.
const FORM: &str = "device";

/// The code that a link fills in.
#[derive(Debug, Deserialize)]
pub struct CodeQuery {
    user_code: Option<String>,
}

/// What the forms send.
#[derive(Deserialize, utoipa::ToSchema)]
pub struct DevicePageForm {
    /// Shows that the form came from the page.
    #[serde(default)]
    proof: String,
    /// The code that the program shows.
    #[serde(default)]
    user_code: String,
    /// `find`, `allow` or `deny`.
    #[serde(default)]
    decision: String,
    /// Who signs in.
    #[serde(default)]
    email: String,
    /// Her password.
    #[serde(default)]
    #[schema(format = Password)]
    password: String,
    /// A code of her second factor, where she has enabled one.
    #[serde(default)]
    code: String,
}

impl std::fmt::Debug for DevicePageForm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DevicePageForm(***)")
    }
}

/// Shows which program asks, or asks for its code.
#[utoipa::path(
    get,
    path = "/oauth/device",
    tag = "oauth",
    security(()),
    params(("user_code" = Option<String>, Query, description = "The code that the program shows")),
    responses(
        (status = 200, description = "The page", content_type = "text/html", body = String),
        (status = 404, description = "No program waits with this code", content_type = "text/html", body = String),
        (status = 429, description = "Too many wrong codes", content_type = "text/html", body = String),
    ),
)]
pub async fn show(
    state: web::Data<State>,
    request: HttpRequest,
    address: ClientAddress,
    Query(query): Query<CodeQuery>,
) -> HttpResponse {
    let cookie = bound(&request, COOKIE).unwrap_or_else(Code::random);
    let shown = match query.user_code.as_deref().filter(|code| !code.is_empty()) {
        None => Ok(entry(&cookie, None).answer(StatusCode::OK)),
        Some(typed) => found(&state, typed, &cookie, address).await,
    };
    let mut answer = shown.unwrap_or_else(|error| trouble(&error));
    let binding = state.place.binding(COOKIE, PATH, &cookie);
    if answer.add_cookie(&binding).is_err() {
        return trouble(&ApiError::internal("the cookie can't be set"));
    }
    answer
}

/// Takes what the person types and decides.
#[utoipa::path(
    post,
    path = "/oauth/device",
    tag = "oauth",
    security(()),
    request_body(content = DevicePageForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "The next page, or how it went", content_type = "text/html", body = String),
        (status = 401, description = "Wrong email or password", content_type = "text/html", body = String),
        (status = 403, description = "The form isn't this browser's", content_type = "text/html", body = String),
        (status = 404, description = "No program waits with this code", content_type = "text/html", body = String),
        (status = 429, description = "Too many wrong tries", content_type = "text/html", body = String),
    ),
)]
pub async fn decide(
    state: web::Data<State>,
    request: HttpRequest,
    address: ClientAddress,
    Form(form): Form<DevicePageForm>,
) -> HttpResponse {
    let cookie = bound(&request, COOKIE).filter(|cookie| is_own(&request, cookie, &form.proof));
    let Some(cookie) = cookie else {
        return Page::new("This form can't be taken")
            .text("It wasn't sent from our page in this browser, or cookies are off. Open the page again.")
            .link(PATH, "Open it again")
            .answer(StatusCode::FORBIDDEN);
    };
    let decided = match form.decision.as_str() {
        "allow" => allowed(&state, &form, &cookie, address).await,
        "deny" => denied(&state, &form, &cookie, address).await,
        _ => found(&state, &form.user_code, &cookie, address).await,
    };
    decided.unwrap_or_else(|error| trouble(&error))
}

fn is_own(request: &HttpRequest, cookie: &Code, proof: &str) -> bool {
    let site = request
        .headers()
        .get("sec-fetch-site")
        .and_then(|value| value.to_str().ok());
    let proven: bool = cookie
        .form_token(FORM)
        .as_bytes()
        .ct_eq(proof.as_bytes())
        .into();
    proven && matches!(site, None | Some("same-origin" | "none"))
}

/// The page that asks for the code.
fn entry(cookie: &Code, why: Option<&str>) -> Page {
    let form = PageForm::to(PATH)
        .hidden("proof", &cookie.form_token(FORM))
        .input(Input::Text, "user_code", "Code", "")
        .button("Continue", "decision", "find");
    let page = Page::new("Let a program in");
    let page = match why {
        Some(why) => page.text(why),
        None => page,
    };
    page.text("Enter the code that the program shows.")
        .form(form)
}

async fn found(
    state: &State,
    typed: &str,
    cookie: &Code,
    address: ClientAddress,
) -> Result<HttpResponse, ApiError> {
    Ok(match look_up(state, typed, address).await? {
        Some(request) => question(&request, cookie, None).answer(StatusCode::OK),
        None => nobody(cookie),
    })
}

fn nobody(cookie: &Code) -> HttpResponse {
    let why = "No program waits with this code: it may be mistyped, or too old.";
    entry(cookie, Some(why)).answer(StatusCode::NOT_FOUND)
}

/// The request of a code that was typed, if it waits. Wrong codes are counted.
async fn look_up(
    state: &State,
    typed: &str,
    address: ClientAddress,
) -> Result<Option<Request>, ApiError> {
    let (subjects, now) = (Subjects::of_address(address), state.clock.now());
    let (code, paced) = (UserCode::typed(typed), subjects.clone());
    let found = state
        .db
        .read(move |db| {
            pacing::check(db, &paced, now)??;
            let found = code
                .map(|code| store::by_user_code(db, Kind::Device, code.as_str()))
                .transpose()?;
            Ok::<_, SignInError>(found.flatten().filter(|request| request.is_open(now)))
        })
        .await?;
    if found.is_none() {
        state
            .db
            .write(move |db| pacing::failed(db, &subjects, now))
            .await?;
    }
    Ok(found)
}

/// The page that shows who asks, and takes the answer.
fn question(request: &Request, cookie: &Code, why: Option<&str>) -> Page {
    let code = request.shown_code();
    let form = || {
        PageForm::to(PATH)
            .hidden("proof", &cookie.form_token(FORM))
            .hidden("user_code", &code)
    };
    let from = request
        .client_address
        .as_deref()
        .unwrap_or("an unknown address");
    let may = match request.actor_type {
        Some(ActorType::Admin) => "all that you may as an operator",
        _ => "all that you may",
    };
    let page = Page::new("A program wants to act for you").text(
        "Go on only if you have just started it yourself, and it shows this code. Whoever asked you to open this page by mail or telephone is not to be trusted.",
    );
    let facts = [
        ("Program", Client::Cli.display_name()),
        ("Asked from", from),
        ("At", &request.created_at.to_string()),
        ("It may do", may),
    ];
    let page = page.code(&code).facts(&facts);
    let page = match why {
        Some(why) => page.text(why),
        None => page,
    };
    let sign_in = form()
        .input(Input::Text, "email", "Email", "")
        .input(Input::Password, "password", "Password", "")
        .input(
            Input::Text,
            "code",
            "Code of your second factor, if you have one",
            "",
        )
        .button("Sign in and let it in", "decision", "allow");
    page.form(sign_in)
        .form(form().button("This wasn't me", "decision", "deny"))
}

async fn allowed(
    state: &State,
    form: &DevicePageForm,
    cookie: &Code,
    address: ClientAddress,
) -> Result<HttpResponse, ApiError> {
    let Some(request) = look_up(state, &form.user_code, address).await? else {
        return Ok(nobody(cookie));
    };
    let actor = request.actor_type.unwrap_or(ActorType::Euser);
    let identity = match sign_in(state, form, actor, address).await {
        Ok(identity) => identity,
        Err(error) => {
            let status = error.error_response().status();
            let why = error.problem().detail.to_string();
            return Ok(question(&request, cookie, Some(&why)).answer(status));
        }
    };
    let (now, cookie) = (state.clock.now(), cookie.clone());
    let approved = state
        .db
        .write(move |db| super::approve(db, &request, &cookie, &identity, address, now))
        .await?;
    Ok(if approved {
        Page::new("The program is let in")
            .text("You can close this page and go back to it.")
            .answer(StatusCode::OK)
    } else {
        over()
    })
}

/// Finds out who she is. Whoever has a second factor must show it before this answers.
async fn sign_in(
    state: &State,
    form: &DevicePageForm,
    actor: ActorType,
    address: ClientAddress,
) -> Result<crate::identities::Identity, ApiError> {
    if !state.providers.of(actor).contains(&Provider::Emailpass) {
        return Err(SignInError::Wrong.into());
    }
    let credentials = Credentials {
        realm: Realm::Platform,
        email: EmailAddress::parse(&form.email).map_err(|_| SignInError::Wrong)?,
        password: Password::new(&form.password),
        actor,
        address,
    };
    let identity = emailpass::authenticate(state, &credentials).await?;
    show_code(state, &identity, form.code.clone().into(), address).await?;
    Ok(identity)
}

async fn denied(
    state: &State,
    form: &DevicePageForm,
    cookie: &Code,
    address: ClientAddress,
) -> Result<HttpResponse, ApiError> {
    let Some(request) = look_up(state, &form.user_code, address).await? else {
        return Ok(nobody(cookie));
    };
    let (now, cookie) = (state.clock.now(), cookie.clone());
    let declined = state
        .db
        .write(move |db| {
            let own = requests::claim(db, &request, &cookie, now)?;
            Ok::<_, diesel::result::Error>(own && requests::decline(db, &request, now)?)
        })
        .await?;
    Ok(if declined {
        Page::new("The program is not let in")
            .text("Nobody is signed in by this. You can close this page.")
            .answer(StatusCode::OK)
    } else {
        over()
    })
}

fn over() -> HttpResponse {
    Page::new("This has been answered")
        .text("Somebody has answered it already, or its time is over. If it wasn't you, start again in the program.")
        .answer(StatusCode::CONFLICT)
}

/// A page instead of a problem document; the log has the cause all the same.
fn trouble(error: &ApiError) -> HttpResponse {
    let answer = error.error_response();
    Page::new("That didn't work")
        .text(&error.problem().detail)
        .answer(answer.status())
}
