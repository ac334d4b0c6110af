//! `/oauth/device_authorization`, as programs call it.

use actix_web::{HttpResponse, web};
use chassis::http::{ApiError, ClientAddress, Form, unstored};
use common::token::ActorType;
use serde::{Deserialize, Serialize};

use super::pages::PATH;
use crate::oauth::{Client, OAuth, OAuthError};
use crate::requests::LIFETIME;
use crate::state::State;

/// Who asks to be let in (RFC 8628, section 3.1); other members are passed over.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub struct DeviceForm {
    /// `slipway-cli`.
    client_id: Option<String>,
    /// As what the person is to sign in: `euser`, or `admin`.
    actor_type: Option<String>,
}

/// What the program shows its person, and what it polls with (RFC 8628, section 3.2).
#[derive(Serialize, utoipa::ToSchema)]
pub struct DeviceAnswer {
    /// What it polls with at `/oauth/token`: its secret.
    device_code: String,
    /// What the person types, or compares.
    user_code: String,
    /// Where she does.
    verification_uri: String,
    /// The same with the code filled in.
    verification_uri_complete: String,
    /// For how many seconds.
    expires_in: i64,
    /// How many seconds lie between two polls.
    interval: i64,
}

impl std::fmt::Debug for DeviceAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DeviceAnswer(***)")
    }
}

/// Asks that a person lets a program in that has no browser of its own (RFC 8628).
#[utoipa::path(
    post,
    path = "/oauth/device_authorization",
    tag = "oauth",
    security(()),
    request_body(content = DeviceForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "What to show, and to poll with", body = DeviceAnswer),
        (status = 400, description = "`invalid_request`"),
        (status = 401, description = "`invalid_client`"),
        (status = 429, description = "Too many of this address wait for an answer"),
    ),
)]
pub async fn authorize(
    state: web::Data<State>,
    address: ClientAddress,
    OAuth(Form(form)): OAuth<Form<DeviceForm>>,
) -> Result<HttpResponse, ApiError> {
    let client = form.client_id.as_deref().map(str::parse::<Client>);
    if !matches!(client, Some(Ok(_))) {
        return Ok(OAuthError::invalid_client().answer());
    }
    let actor = match form.actor_type.as_deref() {
        None | Some("euser") => ActorType::Euser,
        Some("admin") => ActorType::Admin,
        Some(_) => {
            let why = "`actor_type` must be `euser` or `admin`";
            return Ok(OAuthError::invalid_request(why).answer());
        }
    };
    let (request, code) = super::ask(&state, actor, address).await?;
    let uri = state.place.address(PATH);
    let user_code = request.shown_code();
    Ok(unstored().json(DeviceAnswer {
        device_code: code.expose().to_owned(),
        verification_uri_complete: format!("{uri}?user_code={user_code}"),
        user_code,
        verification_uri: uri,
        expires_in: LIFETIME.num_seconds(),
        interval: request.interval_seconds,
    }))
}
