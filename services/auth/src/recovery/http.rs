//! `/auth/{actor}/{provider}/reset-password` and `…/update`.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use chassis::Context;
use chassis::auth::Resetter;
use chassis::http::{ApiError, ClientAddress, Json, Path, unstored};
use common::email::EmailAddress;
use common::problem::Problem;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{UpdateError, Wish};
use crate::emailpass::http::with_password;
use crate::medusa::{Medusa, slugged};
use crate::page::{Form, Input, Page};
use crate::password::Password;
use crate::state::State;

/// Who wants a new password; other fields are passed over.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub struct Identifier {
    /// The address by which one signs in.
    #[serde(default)]
    #[schema(value_type = String, example = "seb@medusajs.com")]
    identifier: Value,
}

/// A new password; other fields are passed over.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub struct NewPassword {
    /// The password.
    #[serde(default)]
    #[schema(value_type = String, format = Password)]
    password: Value,
}

/// It is done.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Done {
    success: bool,
}

/// Has a link to choose a new password sent, which is good for 15 minutes.
///
/// The answer is the same, and takes as long, whether or not there is anybody to send it to.
#[utoipa::path(
    post,
    path = "/auth/{actor}/{provider}/reset-password",
    tag = "auth",
    security(()),
    params(("actor" = String, Path, example = "euser"), ("provider" = String, Path, example = "emailpass")),
    request_body = Identifier,
    responses(
        (status = 201, description = "`Created`", body = String, content_type = "text/plain"),
        (status = 400, description = "No identifier, or a provider without passwords"),
    ),
)]
pub async fn reset_password(
    state: web::Data<State>,
    Path(path): Path<(String, String)>,
    address: ClientAddress,
    Medusa(Json(body)): Medusa<Json<Identifier>>,
) -> Result<HttpResponse, ApiError> {
    let work = async {
        let (actor, provider) = with_password(&state.providers, &path)?;
        let identifier = body.identifier.as_str().filter(|text| !text.is_empty());
        let identifier = identifier.ok_or_else(|| {
            Problem::bad_request("invalid_data", "Identifier should be a string")
                .with_field("identifier", "should be a string")
        })?;
        // What can't be an address is nobody's; it is looked for all the same.
        let email = match EmailAddress::parse(identifier) {
            Ok(email) => email.as_str().to_owned(),
            Err(_) => String::new(),
        };
        let wish = Wish {
            email,
            actor,
            provider,
            at: state.clock.now(),
        };
        super::wish(&state, wish, address).await?;
        Ok(HttpResponse::Created()
            .content_type("text/plain; charset=utf-8")
            .body("Created"))
    };
    work.await.map_err(slugged)
}

/// Sets a new password by the token of the link, which works once.
///
/// All that one was signed in by ends.
#[utoipa::path(
    post,
    path = "/auth/{actor}/{provider}/update",
    tag = "auth",
    params(("actor" = String, Path, example = "euser"), ("provider" = String, Path, example = "emailpass")),
    request_body = NewPassword,
    responses(
        (status = 200, description = "The password is set", body = Done),
        (status = 400, description = "Not with this password"),
        (status = 401, description = "No reset token, one that has ended or been used, or another's"),
        (status = 503, description = "Too many people are signing in at the moment"),
    ),
)]
pub async fn update(
    Medusa(caller): Medusa<Resetter>,
    cx: web::Data<Context>,
    state: web::Data<State>,
    Path(path): Path<(String, String)>,
    address: ClientAddress,
    Medusa(Json(body)): Medusa<Json<NewPassword>>,
) -> Result<HttpResponse, ApiError> {
    let work = async {
        let (actor, provider) = with_password(&state.providers, &path)?;
        let claims = caller.claims;
        if claims.actor_type != Some(actor)
            || claims.auth_provider.as_deref() != Some(provider.as_str())
        {
            return Err(UpdateError::Spent.into());
        }
        let password = password_of(&body.password)?;
        let ended = super::update(&state, &claims, provider, password, address).await?;
        // Here at once, everywhere else a moment later.
        cx.verifier.revoke(ended);
        Ok(unstored().json(Done { success: true }))
    };
    work.await.map_err(slugged)
}

/// The page that the link in the letter leads to, unless another is set. The token comes in the
/// fragment, which browsers send to nobody.
#[utoipa::path(
    get,
    path = "/auth/reset",
    tag = "auth",
    security(()),
    responses((status = 200, description = "A page", body = String, content_type = "text/html")),
)]
pub async fn page() -> HttpResponse {
    let form = Form::to("/auth/reset")
        .input(Input::NewPassword, "password", "New password", "")
        .input(Input::NewPassword, "again", "The same again", "")
        .button("Set it", "set", "1");
    Page::new("Choose a new password")
        .text("This page needs JavaScript.")
        .form(form)
        .script(include_str!("page.js"))
        .answer(StatusCode::OK)
}

/// A password as it was sent; what is none is told as on signing in.
pub(crate) fn password_of(value: &Value) -> Result<Password, Problem> {
    match value.as_str() {
        Some(text) if !text.is_empty() => Ok(Password::new(text)),
        _ => Err(Problem {
            detail: "Password should be a string".into(),
            ..Problem::unauthorized()
        }),
    }
}

impl From<UpdateError> for ApiError {
    fn from(error: UpdateError) -> Self {
        match error {
            UpdateError::Spent => Problem::invalid_token("The token holds no more").into(),
            UpdateError::Password(error) => error.into(),
            UpdateError::Db(error) => error.into(),
        }
    }
}
