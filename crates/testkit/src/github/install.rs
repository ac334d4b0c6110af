//! The page where a person installs the App, with "Request user authorization during installation"
//! on: she comes back with a code of her own, the installation's number, and our state.

use std::collections::HashMap;

use actix_web::http::header::LOCATION;
use actix_web::{HttpResponse, web};
use common::time::Span;
use url::Url;

use super::app::{APP_SLUG, Shared};
use super::lock;
use super::state::{Grant, hex};
use super::world::Installation;

type Parameters = HashMap<String, String>;

const CODE_LIFETIME: Span = Span::minutes(10);

/// Asks where it is to be installed; the test answers by the form.
pub(super) async fn page(slug: web::Path<String>) -> HttpResponse {
    if *slug != APP_SLUG {
        return HttpResponse::NotFound().finish();
    }
    HttpResponse::Ok()
        .content_type("text/html")
        .body("<form method=\"post\"><button>Install</button></form>")
}

/// What the form sends: who it is, on what it is installed, and the page's state.
pub(super) async fn installed(state: Shared, form: web::Form<Parameters>) -> HttpResponse {
    let mut state = lock(&state);
    let text = |name: &str| form.get(name).cloned().unwrap_or_default();
    let (login, owner) = (text("login"), text("owner"));
    let Some(person) = state.person_called(&login).map(|person| person.id) else {
        return HttpResponse::NotFound().body("Nobody is called that");
    };
    let known = state
        .installations
        .iter()
        .find(|known| known.owner == owner)
        .map(|known| known.id);
    let id = known.unwrap_or_else(|| {
        let own = owner == login;
        let number = state.installations.len() as u64;
        let installation = Installation {
            id: 9_000 + number,
            owner_id: if own { person } else { 500 + number },
            owner: owner.clone(),
            kind: if own { "User" } else { "Organization" },
            suspended: false,
            withheld: Vec::new(),
        };
        state.installations.push(installation);
        9_000 + number
    });
    let code = hex(10);
    let grant = Grant {
        client_id: super::CLIENT_ID.to_owned(),
        redirect_uri: None,
        challenge: None,
        scope: String::new(),
        person,
        expires_at: state.clock.now() + CODE_LIFETIME,
    };
    state.grants.insert(code.clone(), grant);
    let callback = state
        .app(super::CLIENT_ID)
        .map(|app| app.callback.clone())
        .unwrap_or_default();
    let Ok(mut back) = Url::parse(&callback) else {
        return HttpResponse::InternalServerError().finish();
    };
    back.query_pairs_mut()
        .append_pair("code", &code)
        .append_pair("installation_id", &id.to_string())
        .append_pair(
            "setup_action",
            if known.is_some() { "update" } else { "install" },
        )
        .append_pair("state", &text("state"));
    HttpResponse::Found()
        .insert_header((LOCATION, back.as_str()))
        .finish()
}
