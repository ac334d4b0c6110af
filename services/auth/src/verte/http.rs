//! `/api/users/signup`, `…/login` and `…/{user_number}/key`.

use actix_web::{HttpResponse, web};
use chassis::auth::Euser;
use chassis::http::{ApiError, ClientAddress, Json, Path, unstored};
use common::problem::Problem;
use common::time::Span;
use common::token::ActorType;
use serde::{Deserialize, Serialize};

use super::answer::{EmailAndPassword, UserView, Verte, failed, refused};
use crate::emailpass::Credentials;
use crate::identities::Realm;
use crate::sign_in::EnteredAnswer;
use crate::state::State;

/// How long the old keys live on beside a new one, unless told; and the most.
const GRACE: Span = Span::days(1);
const LONGEST_GRACE: i64 = 90 * 86_400;

/// A new user.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreatedUser {
    created_user: UserView,
    success: bool,
}

/// A user who has signed in.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoggedIn {
    success: bool,
    user_id: i64,
    #[serde(flatten)]
    entered: EnteredAnswer,
}

/// Asks for a key.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// For how many seconds the keys before it live on: at most 90 days, a day unless told.
    grace: Option<i64>,
}

/// A new key.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct KeyAnswer {
    success: bool,
    /// Shown once.
    key: String,
}

fn credentials(body: &EmailAndPassword, address: ClientAddress) -> Result<Credentials, ApiError> {
    body.read(|email, password| Credentials {
        realm: Realm::Platform,
        email,
        password,
        actor: ActorType::Euser,
        address,
    })
}

/// Makes a user, with a realm and the key that opens it. The key is shown once.
#[utoipa::path(
    post,
    path = "/api/users/signup",
    tag = "verte-auth",
    security(()),
    request_body = EmailAndPassword,
    responses(
        (status = 200, description = "The user and her key", body = CreatedUser),
        (status = 400, description = "Not with this password"),
        (status = 409, description = "The email is taken"),
        (status = 429, description = "Too many wrong tries"),
    ),
)]
pub async fn sign_up(
    state: web::Data<State>,
    address: ClientAddress,
    Verte(Json(body)): Verte<Json<EmailAndPassword>>,
) -> Result<HttpResponse, ApiError> {
    let credentials = credentials(&body, address)?;
    let (user, key) = super::sign_up(&state, &credentials)
        .await
        .map_err(refused)?;
    Ok(unstored().json(CreatedUser {
        created_user: UserView::new(&user, key.expose()),
        success: true,
    }))
}

/// Signs a user in. The token is good for everything that one of `/auth/euser/emailpass` is.
#[utoipa::path(
    post,
    path = "/api/users/login",
    tag = "verte-auth",
    security(()),
    request_body = EmailAndPassword,
    responses(
        (status = 200, description = "A token, or what completes the login", body = LoggedIn),
        (status = 401, description = "Wrong email or password"),
        (status = 429, description = "Too many wrong tries"),
    ),
)]
pub async fn log_in(
    state: web::Data<State>,
    address: ClientAddress,
    Verte(Json(body)): Verte<Json<EmailAndPassword>>,
) -> Result<HttpResponse, ApiError> {
    let credentials = credentials(&body, address)?;
    let (number, entered) = super::log_in(&state, &credentials).await.map_err(refused)?;
    Ok(unstored().json(LoggedIn {
        success: true,
        user_id: number,
        entered: entered.into(),
    }))
}

/// Makes another key to the same realm; the ones before it live on for a while.
#[utoipa::path(
    post,
    path = "/api/users/{user_number}/key",
    tag = "verte-auth",
    params(("user_number" = i64, Path)),
    request_body = NewKey,
    responses(
        (status = 200, description = "The key", body = KeyAnswer),
        (status = 401, description = "No token, or another user's"),
        (status = 422, description = "The time is out of bounds"),
    ),
)]
pub async fn new_key(
    Verte(caller): Verte<Euser>,
    state: web::Data<State>,
    Verte(Path(number)): Verte<Path<i64>>,
    Verte(Json(body)): Verte<Json<NewKey>>,
) -> Result<HttpResponse, ApiError> {
    let grace = body.grace.unwrap_or(GRACE.num_seconds());
    if !(0..=LONGEST_GRACE).contains(&grace) {
        let wrong = Problem::invalid_field("grace", format_args!("must be 0 to {LONGEST_GRACE} s"));
        return Err(failed(wrong));
    }
    let key = super::new_key(&state, caller.identity_id, number, Span::seconds(grace))
        .await
        .map_err(failed)?
        .ok_or_else(|| failed(Problem::unauthorized()))?;
    Ok(unstored().json(KeyAnswer {
        success: true,
        key: key.expose().to_owned(),
    }))
}
