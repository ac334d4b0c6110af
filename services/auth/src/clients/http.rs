//! `/auth`, `/signup`, `/login`, `/logout`, `/reset` and `/password`.

use std::net::IpAddr;

use actix_web::{HttpResponse, web};
use chassis::http::{ApiError, ClientAddress, Json, Query, unstored};
use common::email::EmailAddress;
use common::problem::Problem;
use common::time::Time;
use common::token::ActorType;
use common::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use super::answer::{ClientView, Express, refused};
use super::{Address, ClientError, RealmServer};
use crate::emailpass::{Credentials, SignInError};
use crate::identities::Realm;
use crate::password::Password;
use crate::state::State;

/// The longest public id of a person, in bytes.
const LONGEST_PID: usize = 255;

/// A person and where she is signed in.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub struct PidAndCid {
    pid: String,
    cid: String,
}

/// Where somebody is signed in.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub struct Cid {
    cid: String,
}

/// A person to be signed up.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub struct SignUp {
    #[schema(format = Email)]
    email: String,
    #[schema(value_type = String, format = Password)]
    password: SecretString,
    /// What the server will call her: 1 to 255 bytes, without control characters.
    pid: String,
    /// From where she asks.
    #[schema(value_type = Option<String>)]
    client_ip: Option<IpAddr>,
}

/// A person to be signed in.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub struct LogIn {
    #[schema(format = Email)]
    email: String,
    #[schema(value_type = String, format = Password)]
    password: SecretString,
    /// From where she asks: wrong tries are paced by it.
    #[schema(value_type = Option<String>)]
    client_ip: Option<IpAddr>,
}

/// A person who has forgotten her password.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub struct Reset {
    #[schema(format = Email)]
    email: String,
}

/// A new password.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub struct NewPassword {
    /// What `POST /reset` gave.
    cid: String,
    #[schema(value_type = String, format = Password)]
    password: SecretString,
}

/// Where to sign out.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct LogOutQuery {
    /// `everywhere` ends all clients of the person.
    scope: Option<LogOutScope>,
}

/// Where to sign out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogOutScope {
    /// Wherever the person is signed in.
    Everywhere,
}

/// Until when a client lives.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Extended {
    cid: String,
    expires_at: Time,
}

/// That a client has ended.
#[derive(Debug, Default, Serialize, utoipa::ToSchema)]
pub struct SignedOut {
    cid: Option<String>,
    /// Whose it was, after a new password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<String>,
}

/// The person's own address is what counts, never the calling server's.
fn credentials(
    server: RealmServer,
    email: EmailAddress,
    password: &SecretString,
    client_ip: Option<IpAddr>,
) -> Credentials {
    Credentials {
        realm: Realm::Own(server.realm),
        email,
        password: Password::new(password.expose_secret()),
        actor: ActorType::Euser,
        address: ClientAddress(client_ip),
    }
}

fn checked_pid(pid: String) -> Result<String, ApiError> {
    if pid.is_empty() || pid.len() > LONGEST_PID || pid.chars().any(char::is_control) {
        let rule = "must be 1 to 255 bytes, without control characters";
        return Err(refused(Problem::invalid_field("pid", rule)));
    }
    Ok(pid)
}

/// Tells the secret of a client that holds.
#[utoipa::path(
    post,
    path = "/auth",
    tag = "clients",
    request_body = PidAndCid,
    responses(
        (status = 200, description = "The client", body = ClientView),
        (status = 401, description = "The client is unknown, has ended, or is another's"),
    ),
)]
pub async fn find(
    Express(server): Express<RealmServer>,
    state: web::Data<State>,
    Express(Json(body)): Express<Json<PidAndCid>>,
) -> Result<HttpResponse, ApiError> {
    let client = super::find(&state, server.realm, body.cid, &body.pid).await?;
    Ok(unstored().json(ClientView::new(&client)))
}

/// Has a client live for its whole life from now on.
#[utoipa::path(
    put,
    path = "/auth",
    tag = "clients",
    request_body = Cid,
    responses(
        (status = 200, description = "Until when it lives", body = Extended),
        (status = 401, description = "The client is unknown or has ended"),
        (status = 403, description = "The client is for a password reset"),
    ),
)]
pub async fn extend(
    Express(server): Express<RealmServer>,
    state: web::Data<State>,
    Express(Json(Cid { cid })): Express<Json<Cid>>,
) -> Result<HttpResponse, ApiError> {
    let expires_at = super::extend(&state, server.realm, cid.clone()).await?;
    Ok(unstored().json(Extended { cid, expires_at }))
}

/// Signs somebody up, and in.
#[utoipa::path(
    post,
    path = "/signup",
    tag = "clients",
    request_body = SignUp,
    responses(
        (status = 200, description = "Where she is signed in", body = ClientView),
        (status = 400, description = "The password isn't accepted"),
        (status = 409, description = "The email or the pid is taken in this realm"),
    ),
)]
pub async fn sign_up(
    Express(server): Express<RealmServer>,
    state: web::Data<State>,
    Express(Json(body)): Express<Json<SignUp>>,
) -> Result<HttpResponse, ApiError> {
    let email = EmailAddress::parse(&body.email)
        .map_err(|why| refused(Problem::invalid_field("email", why)))?;
    let pid = checked_pid(body.pid)?;
    let credentials = credentials(server, email, &body.password, body.client_ip);
    let client = super::sign_up(&state, &credentials, pid).await?;
    Ok(unstored().json(ClientView::new(&client)))
}

/// Signs somebody in.
#[utoipa::path(
    post,
    path = "/login",
    tag = "clients",
    request_body = LogIn,
    responses(
        (status = 200, description = "Where she is signed in", body = ClientView),
        (status = 401, description = "Wrong email or password"),
        (status = 429, description = "Too many wrong tries"),
    ),
)]
pub async fn log_in(
    Express(server): Express<RealmServer>,
    state: web::Data<State>,
    Express(Json(body)): Express<Json<LogIn>>,
) -> Result<HttpResponse, ApiError> {
    // What can't be an address is nobody's.
    let email =
        EmailAddress::parse(&body.email).map_err(|_| ClientError::from(SignInError::Wrong))?;
    let credentials = credentials(server, email, &body.password, body.client_ip);
    let client = super::log_in(&state, &credentials).await?;
    Ok(unstored().json(ClientView::new(&client)))
}

/// Signs somebody out, here or everywhere.
#[utoipa::path(
    post,
    path = "/logout",
    tag = "clients",
    params(LogOutQuery),
    request_body = Cid,
    responses(
        (status = 200, description = "`{\"cid\": null}`", body = SignedOut),
        (status = 401, description = "The client is unknown or has ended"),
    ),
)]
pub async fn log_out(
    Express(server): Express<RealmServer>,
    state: web::Data<State>,
    Express(Query(query)): Express<Query<LogOutQuery>>,
    Express(Json(Cid { cid })): Express<Json<Cid>>,
) -> Result<HttpResponse, ApiError> {
    let everywhere = query.scope == Some(LogOutScope::Everywhere);
    super::log_out(&state, server.realm, cid, everywhere).await?;
    Ok(unstored().json(SignedOut::default()))
}

/// Makes a client with which a password can be set once. What this answers is for a mail to the
/// person, never for a browser.
#[utoipa::path(
    post,
    path = "/reset",
    tag = "clients",
    request_body = Reset,
    responses(
        (status = 200, description = "The client, with the address to write to", body = ClientView),
        (status = 404, description = "Nobody of the realm has this email"),
    ),
)]
pub async fn reset(
    Express(server): Express<RealmServer>,
    state: web::Data<State>,
    Express(Json(body)): Express<Json<Reset>>,
) -> Result<HttpResponse, ApiError> {
    let email = EmailAddress::parse(&body.email).map_err(|_| ClientError::NoSuchEmail)?;
    let address = Address {
        realm: Realm::Own(server.realm),
        email,
    };
    let client = super::reset(&state, &address).await?;
    Ok(unstored().json(ClientView::with_email(&client)))
}

/// Sets a new password by what `POST /reset` gave, once. All clients of the person end.
#[utoipa::path(
    put,
    path = "/password",
    tag = "clients",
    request_body = NewPassword,
    responses(
        (status = 200, description = "`{\"cid\": null, \"pid\"}`: she is to sign in again", body = SignedOut),
        (status = 400, description = "The password isn't accepted"),
        (status = 401, description = "The client is unknown, has ended, or was used"),
        (status = 403, description = "The client isn't for a password reset"),
    ),
)]
pub async fn set_password(
    Express(server): Express<RealmServer>,
    state: web::Data<State>,
    Express(Json(body)): Express<Json<NewPassword>>,
) -> Result<HttpResponse, ApiError> {
    let password = Password::new(body.password.expose_secret());
    let pid = super::set_password(&state, server.realm, body.cid, password).await?;
    Ok(unstored().json(SignedOut {
        cid: None,
        pid: Some(pid),
    }))
}
