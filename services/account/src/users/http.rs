//! `/v1/users…`

use actix_web::{HttpResponse, web};
use chassis::auth::{Euser, ServiceCaller};
use chassis::http::{ApiError, ClientAddress, Json, Path};
use common::api::account::UserOfIdentity;
use common::api::auth::{Identity, LinkUser};
use common::email::EmailAddress;
use common::id::{AccountId, IdentityId, UserId};
use common::problem::Problem;
use common::role::Role;
use common::time::Time;
use serde::{Deserialize, Serialize};

use super::{CreateError, User, store};
use crate::accounts;
use crate::state::State;

/// What makes a user.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateUser {
    /// The address with which the caller signs in.
    email: EmailAddress,
}

/// A user, as she sees herself.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct UserBody {
    id: UserId,
    email: String,
    identity_id: IdentityId,
    created_at: Time,
    /// The accounts she is a member of.
    #[serde(skip_serializing_if = "Option::is_none")]
    accounts: Option<Vec<AccountOfUser>>,
}

/// An account, and what the user may do there.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct AccountOfUser {
    id: AccountId,
    name: String,
    role: Role,
}

/// A user in her singular name.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct UserAnswer {
    user: UserBody,
}

fn answer(user: User, accounts: Option<Vec<AccountOfUser>>) -> UserAnswer {
    let User {
        id,
        identity_id,
        email,
        created_at,
        version: _,
    } = user;
    UserAnswer {
        user: UserBody {
            id,
            email,
            identity_id,
            created_at,
            accounts,
        },
    }
}

/// Makes the caller's user; the email must be her identity's own.
#[utoipa::path(
    post,
    path = "/v1/users",
    tag = "users",
    request_body = CreateUser,
    responses(
        (status = 201, description = "The user", body = UserAnswer),
        (status = 403, description = "The email is somebody else's"),
        (status = 409, description = "The caller has a user; `user_id` names it"),
    ),
)]
pub async fn create(
    caller: Euser,
    state: web::Data<State>,
    from: ClientAddress,
    Json(body): Json<CreateUser>,
) -> Result<HttpResponse, ApiError> {
    let path = format!("/internal/identities/{}", caller.identity_id);
    let identity: Option<Identity> = state.calls.get_opt("auth", &path).await?;
    let identity = identity.ok_or(CreateError::Gone)?;
    let own = identity
        .email
        .as_deref()
        .is_some_and(|email| email == body.email.as_str());
    if !own {
        return Err(CreateError::OtherEmail.into());
    }
    let now = state.clock.now();
    let user = state
        .db
        .write(move |db| {
            super::create(
                db,
                &caller.identity_id,
                &body.email,
                &caller.claims,
                from,
                now,
            )
        })
        .await?;
    tell_auth(&state, &user).await;
    Ok(HttpResponse::Created().json(answer(user, None)))
}

/// Has the user put into her tokens from the next one on. Where that fails the event does it.
async fn tell_auth(state: &State, user: &User) {
    let path = format!("/internal/identities/{}/user", user.identity_id);
    let link = LinkUser {
        user_id: user.id.clone(),
    };
    if let Err(error) = state.calls.put::<_, LinkUser>("auth", &path, &link).await {
        tracing::warn!(user.id = %user.id, error = %error, "auth will learn of a new user by event");
    }
}

/// The caller's user, with her accounts and roles.
#[utoipa::path(
    get,
    path = "/v1/users/me",
    tag = "users",
    responses(
        (status = 200, description = "The user", body = UserAnswer),
        (status = 404, description = "The caller has no user yet"),
    ),
)]
pub async fn me(caller: Euser, state: web::Data<State>) -> Result<HttpResponse, ApiError> {
    let found = state
        .db
        .read(move |db| {
            let Some(user) = store::by_identity(db, &caller.identity_id)? else {
                return Ok(None);
            };
            let accounts = accounts::store::all_of_user(db, &user.id)?;
            Ok::<_, diesel::result::Error>(Some((user, accounts)))
        })
        .await?;
    let (user, accounts) =
        found.ok_or_else(|| Problem::not_found("user yet; POST /v1/users makes it"))?;
    let accounts = accounts.into_iter().map(|(account, role)| AccountOfUser {
        id: account.id,
        name: account.name,
        role,
    });
    Ok(HttpResponse::Ok().json(answer(user, Some(accounts.collect()))))
}

/// `GET /internal/identities/{identity_id}/user`
pub async fn of_identity(
    _: ServiceCaller,
    state: web::Data<State>,
    Path(identity): Path<IdentityId>,
) -> Result<HttpResponse, ApiError> {
    let user = state
        .db
        .read(move |db| store::by_identity(db, &identity))
        .await?;
    Ok(HttpResponse::Ok().json(UserOfIdentity {
        user_id: user.map(|user| user.id),
    }))
}

impl From<CreateError> for ApiError {
    fn from(error: CreateError) -> Self {
        match error {
            CreateError::Exists(user) => {
                Problem::conflict("user_exists", "You have a user already")
                    .with("user_id", user.as_str())
                    .into()
            }
            CreateError::OtherEmail => Problem::forbidden(
                "email_mismatch",
                "The email must be the one you sign in with",
            )
            .into(),
            CreateError::Gone => {
                Problem::invalid_token("The token speaks for somebody who has been deleted").into()
            }
            CreateError::Db(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_went_wrong_decides_status_and_code() {
        let user = UserId::new(Time::EPOCH);
        let exists = ApiError::from(CreateError::Exists(user.clone()));
        assert_eq!(
            (exists.problem().status, exists.problem().code.as_ref()),
            (409, "user_exists")
        );
        assert_eq!(exists.problem().extra["user_id"], user.as_str());
        let other = ApiError::from(CreateError::OtherEmail);
        assert_eq!(
            (other.problem().status, other.problem().code.as_ref()),
            (403, "email_mismatch")
        );
    }
}
