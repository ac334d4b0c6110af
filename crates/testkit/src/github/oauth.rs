//! `/login/oauth/…`

use std::collections::HashMap;
use std::sync::Mutex;

use actix_web::http::header::{ACCEPT, LOCATION};
use actix_web::{HttpRequest, HttpResponse, web};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use common::time::Span;
use ring::digest::{SHA256, digest};
use url::Url;

use super::lock;
use super::state::{Grant, OauthApp, State, hex};

type Shared = web::Data<Mutex<State>>;
type Parameters = HashMap<String, String>;

/// How long a code lives, as documented.
const CODE_LIFETIME: Span = Span::minutes(10);

/// Asks the person; the test answers for her by the form.
pub(super) async fn consent_page(state: Shared, query: web::Query<Parameters>) -> HttpResponse {
    match checked(&lock(&state), &query) {
        Ok(_) => HttpResponse::Ok()
            .content_type("text/html")
            .body("<form method=\"post\"><button name=\"authorize\" value=\"1\">Authorize</button></form>"),
        Err(refusal) => refusal,
    }
}

/// What the form sends: the parameters of the page, who it is, and whether she agrees.
pub(super) async fn consented(state: Shared, form: web::Form<Parameters>) -> HttpResponse {
    let mut state = lock(&state);
    let (client_id, mut back) = match checked(&state, &form) {
        Ok((app, back)) => (app.client_id.clone(), back),
        Err(refusal) => return refusal,
    };
    if form.get("authorize").map(String::as_str) != Some("1") {
        let said = (
            "access_denied",
            "The user has denied your application access.",
        );
        return refused(back, said, &form);
    }
    let login = form.get("login").map(String::as_str).unwrap_or_default();
    let Some(person) = state.person_called(login).map(|person| person.id) else {
        return HttpResponse::NotFound().body("Nobody is called that");
    };
    let code = hex(10);
    let grant = Grant {
        client_id,
        redirect_uri: form.get("redirect_uri").cloned(),
        challenge: form.get("code_challenge").cloned(),
        scope: form.get("scope").cloned().unwrap_or_default(),
        person,
        expires_at: state.clock.now() + CODE_LIFETIME,
    };
    state.grants.insert(code.clone(), grant);
    back.query_pairs_mut().append_pair("code", &code);
    to(with_state(back, &form))
}

/// The app and where the person goes back to, or where she goes instead.
fn checked<'a>(state: &'a State, asked: &Parameters) -> Result<(&'a OauthApp, Url), HttpResponse> {
    let client_id = asked
        .get("client_id")
        .map(String::as_str)
        .unwrap_or_default();
    let app = state
        .app(client_id)
        .ok_or_else(|| HttpResponse::NotFound().body("Not Found"))?;
    let Ok(registered) = Url::parse(&app.callback) else {
        return Err(HttpResponse::InternalServerError().finish());
    };
    let back = match asked.get("redirect_uri").map(|uri| Url::parse(uri)) {
        None => registered.clone(),
        Some(Ok(uri)) if is_below(&uri, &registered, app.exact) => uri,
        Some(_) => {
            let description =
                "The redirect_uri MUST match the registered callback URL for this application.";
            return Err(refused(
                registered,
                ("redirect_uri_mismatch", description),
                asked,
            ));
        }
    };
    if asked.contains_key("code_challenge")
        && asked.get("code_challenge_method").map(String::as_str) != Some("S256")
    {
        let said = (
            "invalid_request",
            "Only the S256 code challenge method is accepted.",
        );
        return Err(refused(back, said, asked));
    }
    Ok((app, back))
}

/// The host and port must be the same, and the path below the registered one.
fn is_below(uri: &Url, registered: &Url, exact: bool) -> bool {
    if exact {
        return uri == registered;
    }
    let base = registered.path().trim_end_matches('/');
    let below = uri.path().strip_prefix(base);
    uri.origin() == registered.origin()
        && below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn refused(mut back: Url, (error, description): (&str, &str), asked: &Parameters) -> HttpResponse {
    back.query_pairs_mut()
        .append_pair("error", error)
        .append_pair("error_description", description)
        .append_pair("error_uri", &format!("/apps/troubleshooting/#{error}"));
    to(with_state(back, asked))
}

fn with_state(mut back: Url, asked: &Parameters) -> Url {
    if let Some(state) = asked.get("state") {
        back.query_pairs_mut().append_pair("state", state);
    }
    back
}

fn to(url: Url) -> HttpResponse {
    HttpResponse::Found()
        .insert_header((LOCATION, url.as_str()))
        .finish()
}

/// Makes a code a token. What is wrong is said with status 200, as GitHub does.
pub(super) async fn access_token(
    request: HttpRequest,
    state: Shared,
    form: web::Form<Parameters>,
) -> HttpResponse {
    let mut state = lock(&state);
    let answer = match exchanged(&mut state, &form) {
        Ok((token, scope)) => vec![
            ("access_token", token),
            ("scope", scope.replace(' ', ",")),
            ("token_type", "bearer".to_owned()),
        ],
        Err((error, description)) => vec![
            ("error", error.to_owned()),
            ("error_description", description.to_owned()),
            ("error_uri", format!("/apps/troubleshooting/#{error}")),
        ],
    };
    let wants_json = request
        .headers()
        .get(ACCEPT)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|accept| accept.contains("application/json"));
    if wants_json {
        return HttpResponse::Ok().json(answer.into_iter().collect::<HashMap<_, _>>());
    }
    let mut url = Url::parse("x:?").ok();
    if let Some(url) = &mut url {
        url.query_pairs_mut().extend_pairs(&answer);
    }
    let text = url.and_then(|url| url.query().map(str::to_owned));
    HttpResponse::Ok()
        .content_type("application/x-www-form-urlencoded")
        .body(text.unwrap_or_default())
}

type Said = (&'static str, &'static str);

fn exchanged(state: &mut State, form: &Parameters) -> Result<(String, String), Said> {
    const CREDENTIALS: Said = (
        "incorrect_client_credentials",
        "The client_id and/or client_secret passed are incorrect.",
    );
    const CODE: Said = (
        "bad_verification_code",
        "The code passed is incorrect or expired.",
    );
    const REDIRECT: Said = (
        "redirect_uri_mismatch",
        "The redirect_uri MUST match the registered callback URL for this application.",
    );
    let text = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    let app = state.app(text("client_id")).ok_or(CREDENTIALS)?;
    if app.client_secret != text("client_secret") {
        return Err(CREDENTIALS);
    }
    let client_id = app.client_id.clone();
    // A code is gone with the first try, whatever comes of it.
    let grant = state.grants.remove(text("code")).ok_or(CODE)?;
    if grant.client_id != client_id || grant.expires_at <= state.clock.now() {
        return Err(CODE);
    }
    if grant.redirect_uri.as_ref() != form.get("redirect_uri") {
        return Err(REDIRECT);
    }
    if let Some(challenge) = &grant.challenge {
        let verifier = form.get("code_verifier").ok_or(CODE)?;
        if URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes())) != *challenge {
            return Err(CODE);
        }
    }
    let token = state.issue(&client_id, grant.person, &grant.scope);
    Ok((token, grant.scope))
}
