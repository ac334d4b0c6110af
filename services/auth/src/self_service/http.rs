//! `/auth/password` and `/auth/email`.

use actix_web::{HttpResponse, web};
use chassis::Context;
use chassis::auth::Person;
use chassis::http::{ApiError, ClientAddress, Json};
use common::email::EmailAddress;
use common::problem::Problem;
use serde::Deserialize;
use serde_json::Value;

use super::ChangeError;
use crate::medusa::{Medusa, slugged};
use crate::recovery::http::password_of;
use crate::state::State;
use crate::tokens::http::{TokenAnswer, show};
use crate::verification::http::{VerificationAnswer, show as show_verification};

/// Two passwords; other fields are passed over.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub struct PasswordChange {
    /// The password one has.
    #[serde(default)]
    #[schema(value_type = String, format = Password)]
    old_password: Value,
    /// The one that takes its place.
    #[serde(default)]
    #[schema(value_type = String, format = Password)]
    password: Value,
}

/// An address and the password; other fields are passed over.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub struct EmailChange {
    /// The new address.
    #[serde(default)]
    #[schema(value_type = String, example = "seb@medusajs.com")]
    email: Value,
    /// The password one has.
    #[serde(default)]
    #[schema(value_type = String, format = Password)]
    password: Value,
}

/// Sets another password. All other tokens and sessions end; one goes on with the token that is answered.
#[utoipa::path(
    post,
    path = "/auth/password",
    tag = "auth",
    request_body = PasswordChange,
    responses(
        (status = 200, description = "A token in the place of the one it was called with", body = TokenAnswer),
        (status = 400, description = "The old password is wrong, or the new one isn't accepted"),
        (status = 401, description = "No token"),
        (status = 429, description = "Too many wrong tries"),
    ),
)]
pub async fn change_password(
    Medusa(person): Medusa<Person>,
    cx: web::Data<Context>,
    state: web::Data<State>,
    address: ClientAddress,
    Medusa(Json(body)): Medusa<Json<PasswordChange>>,
) -> Result<HttpResponse, ApiError> {
    let work = async {
        let passwords = (
            password_of(&body.old_password)?,
            password_of(&body.password)?,
        );
        let (signed, ended) = super::change_password(&state, &person, passwords, address).await?;
        // Here at once, everywhere else a moment later.
        cx.verifier.revoke(ended);
        Ok(show(&signed))
    };
    work.await.map_err(slugged)
}

/// Asks for another address. It counts once the code that is sent there is confirmed by
/// `POST /auth/verification/confirm`; the old address is told at both times.
#[utoipa::path(
    post,
    path = "/auth/email",
    tag = "auth",
    request_body = EmailChange,
    responses(
        (status = 201, description = "The code is on its way", body = VerificationAnswer),
        (status = 400, description = "The password is wrong, or the address is none or the same"),
        (status = 401, description = "No token"),
        (status = 429, description = "Too many wrong tries or letters"),
    ),
)]
pub async fn change_email(
    Medusa(person): Medusa<Person>,
    state: web::Data<State>,
    address: ClientAddress,
    Medusa(Json(body)): Medusa<Json<EmailChange>>,
) -> Result<HttpResponse, ApiError> {
    let work = async {
        let password = password_of(&body.password)?;
        let email = body
            .email
            .as_str()
            .and_then(|text| EmailAddress::parse(text).ok());
        let email = email.ok_or_else(|| {
            Problem::bad_request("invalid_email", "Email should be an email address")
                .with_field("email", "should be an email address")
        })?;
        let sent = super::change_email(&state, &person, (email, password), address).await?;
        Ok(show_verification(sent))
    };
    work.await.map_err(slugged)
}

impl From<ChangeError> for ApiError {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Stale => Problem::unauthorized().into(),
            ChangeError::NoPassword => {
                let detail = "This identity doesn't sign in by a password";
                Problem::bad_request("not_allowed", detail).into()
            }
            ChangeError::WrongPassword => {
                Problem::bad_request("wrong_password", "The password is wrong").into()
            }
            ChangeError::SameEmail => {
                Problem::bad_request("same_email", "This is the identity's email already").into()
            }
            ChangeError::SignIn(error) => error.into(),
            ChangeError::Verification(error) => error.into(),
            ChangeError::Db(error) => error.into(),
        }
    }
}
