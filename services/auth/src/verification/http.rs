//! `/auth/verification/…`

use actix_web::http::StatusCode;
use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpResponse, web};
use chassis::auth::Person;
use chassis::http::{ApiError, ClientAddress, Json, unstored};
use common::email::EmailAddress;
use common::id::{IdentityId, VerificationId};
use common::problem::Problem;
use common::time::Time;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Verification, VerificationError};
use crate::medusa::{Medusa, slugged};
use crate::page::{Form, Page};
use crate::self_service;
use crate::state::State;

/// What is verified: addresses.
const EMAIL: &str = "email";
/// How: by a long code that is sent, Medusa's name for which is this.
const TOKEN: &str = "token";

/// What is to be verified; other fields are passed over.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub struct VerificationRequest {
    /// The address.
    #[serde(default)]
    #[schema(value_type = String, example = "seb@medusajs.com")]
    entity_id: Value,
    /// `email`.
    #[serde(default)]
    #[schema(value_type = String, example = "email")]
    entity_type: Value,
    /// `token`, which it is unless said.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "token")]
    code_provider: Value,
}

/// A code that came back; other fields are passed over.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub struct VerificationConfirmation {
    /// The code.
    #[serde(default)]
    #[schema(value_type = String)]
    code: Value,
    /// `token`, which it is unless said.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "token")]
    code_provider: Value,
}

/// A verification that is asked for, without its code.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct VerificationView {
    id: VerificationId,
    auth_identity_id: IdentityId,
    entity_id: String,
    entity_type: &'static str,
    code_provider: &'static str,
    #[schema(value_type = String, format = DateTime)]
    requested_at: Time,
    #[schema(value_type = String, format = DateTime)]
    expires_at: Time,
    #[schema(value_type = Option<String>, format = DateTime)]
    verified_at: Option<Time>,
}

/// The same, wrapped.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct VerificationAnswer {
    verification: VerificationView,
}

/// What is verified now.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Confirmed {
    entity_id: String,
    entity_type: &'static str,
    code_provider: &'static str,
    #[schema(value_type = String, format = DateTime)]
    verified_at: Time,
}

/// The answer that shows a verification.
pub(crate) fn show(verification: Verification) -> HttpResponse {
    let verification = VerificationView {
        id: verification.id,
        auth_identity_id: verification.identity_id,
        entity_id: verification.entity_id,
        entity_type: EMAIL,
        code_provider: TOKEN,
        requested_at: verification.requested_at,
        expires_at: verification.expires_at,
        verified_at: verification.verified_at,
    };
    HttpResponse::Created()
        .insert_header((CACHE_CONTROL, "no-store"))
        .json(VerificationAnswer { verification })
}

/// Has a code sent to one's own address. One that is verified already is answered as it is.
#[utoipa::path(
    post,
    path = "/auth/verification/request",
    tag = "auth",
    request_body = VerificationRequest,
    responses(
        (status = 201, description = "The code is on its way", body = VerificationAnswer),
        (status = 400, description = "Nothing that can be verified, or not one's own"),
        (status = 401, description = "No token"),
        (status = 429, description = "Too many codes were asked for"),
    ),
)]
pub async fn request(
    Medusa(person): Medusa<Person>,
    state: web::Data<State>,
    Medusa(Json(body)): Medusa<Json<VerificationRequest>>,
) -> Result<HttpResponse, ApiError> {
    let work = async {
        let entity_id = text(&body.entity_id, "entity_id")?;
        if text(&body.entity_type, "entity_type")? != EMAIL {
            let detail = "Only an entity_type of `email` can be verified";
            return Err(Problem::bad_request("invalid_data", detail).into());
        }
        check_provider(&body.code_provider)?;
        let identity = self_service::identity_of(&state, &person).await?;
        let email = EmailAddress::parse(entity_id).map_err(|_| VerificationError::NotOwn)?;
        Ok(show(
            super::request(&state, &identity, email.as_str()).await?,
        ))
    };
    work.await.map_err(slugged)
}

/// Takes the code that was sent. It needs no token: whoever has the code has read the letter.
#[utoipa::path(
    post,
    path = "/auth/verification/confirm",
    tag = "auth",
    security(()),
    request_body = VerificationConfirmation,
    responses(
        (status = 200, description = "The address is verified", body = Confirmed),
        (status = 400, description = "No code, one that was used, or one that has expired"),
        (status = 409, description = "Another has come to sign in by this address"),
    ),
)]
pub async fn confirm(
    state: web::Data<State>,
    address: ClientAddress,
    Medusa(Json(body)): Medusa<Json<VerificationConfirmation>>,
) -> Result<HttpResponse, ApiError> {
    let work = async {
        let code = body.code.as_str().filter(|code| !code.is_empty());
        let code = code.ok_or_else(|| {
            Problem::bad_request("invalid_data", "Verification code is required")
                .with_field("code", "is required")
        })?;
        check_provider(&body.code_provider)?;
        let verification = super::confirm(&state, code, address).await?;
        Ok(unstored().json(Confirmed {
            entity_id: verification.entity_id,
            entity_type: EMAIL,
            code_provider: TOKEN,
            verified_at: verification
                .verified_at
                .unwrap_or(verification.requested_at),
        }))
    };
    work.await.map_err(slugged)
}

/// The page that the link in the letter leads to, unless another is set. The code comes in the
/// fragment, and a click is needed: programs that look through mail open links as well.
#[utoipa::path(
    get,
    path = "/auth/verify",
    tag = "auth",
    security(()),
    responses((status = 200, description = "A page", body = String, content_type = "text/html")),
)]
pub async fn page() -> HttpResponse {
    Page::new("Confirm your email address")
        .text("This page needs JavaScript.")
        .form(Form::to("/auth/verify").button("It is mine", "confirm", "1"))
        .script(include_str!("page.js"))
        .answer(StatusCode::OK)
}

fn text<'a>(value: &'a Value, field: &'static str) -> Result<&'a str, Problem> {
    value
        .as_str()
        .filter(|text| !text.is_empty())
        .ok_or_else(|| {
            Problem::bad_request("invalid_data", format!("`{field}` should be a string"))
                .with_field(field, "should be a string")
        })
}

fn check_provider(given: &Value) -> Result<(), Problem> {
    match given {
        Value::Null => Ok(()),
        Value::String(name) if name == TOKEN => Ok(()),
        _ => {
            let detail = "The code_provider can only be `token`";
            Err(Problem::bad_request("invalid_data", detail)
                .with_field("code_provider", "can only be `token`"))
        }
    }
}

impl From<VerificationError> for ApiError {
    fn from(error: VerificationError) -> Self {
        let not_allowed = |detail: &'static str| Problem::bad_request("not_allowed", detail);
        match error {
            VerificationError::NotOwn => {
                not_allowed("The entity_id is not the email of this identity").into()
            }
            VerificationError::Paced(wait) => {
                let seconds = u32::try_from(wait.num_seconds().max(0)).unwrap_or(u32::MAX);
                let detail = "Too many letters were asked for; wait before the next one";
                Problem::new(429, "too_many_letters", detail)
                    .retry_after(seconds.saturating_add(1))
                    .into()
            }
            VerificationError::Invalid => {
                not_allowed("Verification code is invalid or already used").into()
            }
            VerificationError::Expired => not_allowed("Verification code has expired").into(),
            VerificationError::Taken => {
                Problem::conflict("email_taken", "Another signs in by this email").into()
            }
            VerificationError::Db(error) => error.into(),
        }
    }
}
