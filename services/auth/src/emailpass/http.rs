//! `/auth/{actor}/{provider}…`

use actix_web::{HttpResponse, web};
use chassis::http::{ApiError, ClientAddress, Json, Path};
use common::email::EmailAddress;
use common::problem::Problem;
use common::token::ActorType;
use serde::Deserialize;
use serde_json::Value;

use super::{Credentials, SignInError, login as sign_in, register as sign_up};
use crate::identities::{Provider, Realm};
use crate::medusa::{Medusa, slugged};
use crate::password::{HashError, Password, Refused};
use crate::providers::ProviderSettings;
use crate::sign_in::{EnteredAnswer, show};
use crate::state::State;

/// What a client sends; other fields are passed over.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub struct EmailAndPassword {
    /// The address.
    #[serde(default)]
    #[schema(value_type = String, example = "seb@medusajs.com")]
    email: Value,
    /// The password.
    #[serde(default)]
    #[schema(value_type = String, format = Password)]
    password: Value,
}

/// Registers an email and a password. The token tells of no user yet: `POST /v1/users` makes one.
#[utoipa::path(
    post,
    path = "/auth/{actor}/{provider}/register",
    tag = "auth",
    security(()),
    params(("actor" = String, Path, example = "euser"), ("provider" = String, Path, example = "emailpass")),
    request_body = EmailAndPassword,
    responses(
        (status = 200, description = "A first token", body = EnteredAnswer),
        (status = 400, description = "Not possible for this actor, or with this password"),
        (status = 401, description = "The email is taken"),
        (status = 429, description = "Too many wrong tries"),
    ),
)]
pub async fn register(
    state: web::Data<State>,
    Path(path): Path<(String, String)>,
    address: ClientAddress,
    Medusa(Json(body)): Medusa<Json<EmailAndPassword>>,
) -> Result<HttpResponse, ApiError> {
    let work = async {
        let credentials =
            credentials(&state.providers, &path, &body, address)?.ok_or_else(|| {
                Problem::bad_request("invalid_email", "Email should be an email address")
                    .with_field("email", "should be an email address")
            })?;
        Ok(show(sign_up(&state, &credentials).await?))
    };
    work.await.map_err(slugged)
}

/// Signs in.
#[utoipa::path(
    post,
    path = "/auth/{actor}/{provider}",
    tag = "auth",
    security(()),
    params(("actor" = String, Path, example = "euser"), ("provider" = String, Path, example = "emailpass")),
    request_body = EmailAndPassword,
    responses(
        (status = 200, description = "A token, or what completes the login", body = EnteredAnswer),
        (status = 400, description = "The provider isn't for this actor"),
        (status = 401, description = "Wrong email or password"),
        (status = 429, description = "Too many wrong tries"),
    ),
)]
pub async fn login(
    state: web::Data<State>,
    path: Path<(String, String)>,
    address: ClientAddress,
    body: Medusa<Json<EmailAndPassword>>,
) -> Result<HttpResponse, ApiError> {
    logged_in(&state, path.0, address, body.0.0)
        .await
        .map_err(slugged)
}

/// The same, as Medusa's clients may ask.
#[utoipa::path(
    get,
    path = "/auth/{actor}/{provider}",
    tag = "auth",
    security(()),
    params(("actor" = String, Path, example = "euser"), ("provider" = String, Path, example = "emailpass")),
    responses(
        (status = 200, description = "A token, or what completes the login", body = EnteredAnswer),
        (status = 401, description = "Wrong email or password"),
    ),
)]
pub async fn login_by_get(
    state: web::Data<State>,
    path: Path<(String, String)>,
    address: ClientAddress,
    body: Medusa<Json<EmailAndPassword>>,
) -> Result<HttpResponse, ApiError> {
    logged_in(&state, path.0, address, body.0.0)
        .await
        .map_err(slugged)
}

async fn logged_in(
    state: &State,
    path: (String, String),
    address: ClientAddress,
    body: EmailAndPassword,
) -> Result<HttpResponse, ApiError> {
    // What can't be an address is nobody's.
    let credentials =
        credentials(&state.providers, &path, &body, address)?.ok_or(SignInError::Wrong)?;
    Ok(show(sign_in(state, &credentials).await?))
}

/// Reads a path's actor and provider, for what is possible only where there are passwords.
pub(crate) fn with_password(
    providers: &ProviderSettings,
    (actor, provider): &(String, String),
) -> Result<(ActorType, Provider), Problem> {
    let (actor, provider) = providers.check(actor, provider)?;
    match provider {
        Provider::Emailpass => Ok((actor, provider)),
        Provider::Github => {
            let detail = format!("The auth provider {provider} has no passwords");
            Err(Problem::bad_request("not_allowed", detail))
        }
    }
}

/// Reads path and body in the order in which Medusa complains; none if the email can't be one.
fn credentials(
    providers: &ProviderSettings,
    path: &(String, String),
    body: &EmailAndPassword,
    address: ClientAddress,
) -> Result<Option<Credentials>, Problem> {
    let (actor, _) = with_password(providers, path)?;
    let text = |value: &Value, complaint: &'static str| match value.as_str() {
        Some(text) if !text.is_empty() => Ok(text.to_owned()),
        _ => Err(Problem {
            detail: complaint.into(),
            ..Problem::unauthorized()
        }),
    };
    let password = text(&body.password, "Password should be a string")?;
    let email = text(&body.email, "Email should be a string")?;
    let email = EmailAddress::parse(&email).ok();
    Ok(email.map(|email| Credentials {
        realm: Realm::Platform,
        email,
        password: Password::new(&password),
        actor,
        address,
    }))
}

impl From<SignInError> for ApiError {
    fn from(error: SignInError) -> Self {
        let unauthorized = |detail: &'static str| Problem {
            detail: detail.into(),
            ..Problem::unauthorized()
        };
        match error {
            SignInError::Wrong => unauthorized("Invalid email or password").into(),
            SignInError::Taken => unauthorized("Identity with email already exists").into(),
            SignInError::NotRegistrable(actor) => Problem::bad_request(
                "not_allowed",
                format!("Nobody registers as {actor}; an admin grants it"),
            )
            .into(),
            SignInError::Password(why) => {
                let code = match why {
                    Refused::TooShort(_) => "password_too_short",
                    Refused::TooLong(_) => "password_too_long",
                    Refused::Common => "password_too_common",
                };
                Problem::bad_request(code, why.to_string())
                    .with_field("password", why.to_string())
                    .into()
            }
            SignInError::Blocked(blocked) => {
                let detail = "Too many wrong tries; wait before the next one";
                Problem::new(429, "too_many_attempts", detail)
                    .retry_after(blocked.retry_after)
                    .into()
            }
            SignInError::Hash(HashError::Busy) => {
                Problem::unavailable("busy", "Too many people are signing in at the moment").into()
            }
            SignInError::Hash(error @ HashError::Failed(_)) => Self::internal(error),
            SignInError::Key(error) => Self::internal(error),
            SignInError::Db(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(actor: &str, provider: &str, body: Value) -> Result<Option<Credentials>, Problem> {
        let body = serde_json::from_value(body).unwrap();
        let path = (actor.into(), provider.into());
        credentials(
            &ProviderSettings::default(),
            &path,
            &body,
            ClientAddress(None),
        )
    }

    fn complaint(body: Value) -> String {
        read("euser", "emailpass", body)
            .unwrap_err()
            .detail
            .into_owned()
    }

    #[test]
    fn a_missing_empty_or_wrong_field_is_complained_of_password_first() {
        for body in [
            json!({}),
            json!({"email": 1, "password": ""}),
            json!({"email": "a@b", "password": 1}),
        ] {
            assert_eq!(complaint(body), "Password should be a string");
        }
        for body in [
            json!({"password": "x"}),
            json!({"password": "x", "email": null}),
        ] {
            assert_eq!(complaint(body), "Email should be a string");
        }
    }

    #[test]
    fn a_provider_or_actor_that_is_not_offered_is_a_400() {
        let body = json!({"email": "a@b", "password": "x"});
        for (actor, provider) in [
            ("euser", "google"),
            ("customer", "emailpass"),
            ("service", "emailpass"),
        ] {
            let problem = read(actor, provider, body.clone()).unwrap_err();
            let expected = format!(
                "The actor type {actor} is not allowed to use the auth provider {provider}"
            );
            assert_eq!(
                (problem.status, problem.detail.as_ref()),
                (400, expected.as_str())
            );
        }
    }

    #[test]
    fn what_went_wrong_decides_status_and_code() {
        let told = |error: SignInError| {
            let error = ApiError::from(error);
            (
                error.problem().status,
                error.problem().code.to_string(),
                error.problem().detail.to_string(),
            )
        };
        let unauthorized = |detail: &str| (401, "unauthorized".to_owned(), detail.to_owned());
        assert_eq!(
            told(SignInError::Wrong),
            unauthorized("Invalid email or password")
        );
        assert_eq!(
            told(SignInError::Taken),
            unauthorized("Identity with email already exists")
        );
        assert_eq!(told(SignInError::NotRegistrable(ActorType::Admin)).0, 400);
        assert_eq!(told(Refused::Common.into()).1, "password_too_common");
        assert_eq!(told(Blocked { retry_after: 30 }.into()).0, 429);
        assert_eq!(told(HashError::Busy.into()).0, 503);
    }

    use crate::pacing::Blocked;
}
