//! `DELETE /v1/users/me`, and what auth asks before it deletes an identity.

use actix_web::{HttpResponse, web};
use chassis::audit::Entry;
use chassis::auth::{Euser, ServiceCaller};
use chassis::calls::CallError;
use chassis::http::{ApiError, ClientAddress, Json, Path};
use common::SecretString;
use common::api::account::{Departed, Departure};
use common::api::auth::{Identity, IdentityDeleted, PasswordCheck, PasswordChecked};
use common::id::{IdentityId, UserId};
use common::problem::Problem;
use common::time::{Span, Time};
use common::token::{ActorType, Claims};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::departure::{self, DepartureError};
use super::store;
use crate::state::State;

/// For how long after signing in nobody asks for the password again.
const FRESH: Span = Span::minutes(10);
/// The claim that tells when somebody signed in.
const AUTH_TIME: &str = "auth_time";

/// How the caller shows that it is she.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteMe {
    /// Her password; not needed within ten minutes of signing in.
    #[schema(value_type = Option<String>, format = Password)]
    password: Option<SecretString>,
}

/// What was deleted.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct DeletedUser {
    id: UserId,
    object: &'static str,
    deleted: bool,
}

/// Deletes the caller: her user, her identity, her memberships, and the invites and API keys she made.
/// What belongs to accounts stays theirs.
#[utoipa::path(
    delete,
    path = "/v1/users/me",
    tag = "users",
    request_body = DeleteMe,
    responses(
        (status = 200, description = "What was deleted", body = DeletedUser),
        (status = 403, description = "`sign_in_required`: neither the password nor a sign-in of the last ten minutes; `wrong_password`"),
        (status = 404, description = "The caller has no user"),
        (status = 409, description = "`last_owner`: the accounts in `accounts` have no other owner; `is_admin`: an admin gives that up first"),
    ),
)]
pub async fn delete_me(
    caller: Euser,
    state: web::Data<State>,
    address: ClientAddress,
    Json(body): Json<DeleteMe>,
) -> Result<HttpResponse, ApiError> {
    let identity = caller.identity_id.clone();
    may_go(&state, &identity).await?;
    show_herself(&state, &caller, body.password, address).await?;
    let (gone, claims, now) = (identity.clone(), caller.claims, state.clock.now());
    let user = state
        .db
        .write(move |db| {
            let by = Entry::by(&claims, "user.deleted", "", address);
            departure::depart(db, &gone, false, &by, now)
        })
        .await?
        .ok_or_else(no_user)?;
    tell_auth(&state, &identity).await;
    Ok(HttpResponse::Ok().json(DeletedUser {
        id: user.id,
        object: "user",
        deleted: true,
    }))
}

fn no_user() -> Problem {
    Problem::not_found("user")
}

/// What speaks against it, found out before anybody is asked for a password.
async fn may_go(state: &State, identity: &IdentityId) -> Result<(), ApiError> {
    let id = identity.clone();
    let user = state
        .db
        .read(move |db| {
            let user = store::by_identity(db, &id)?;
            if let Some(user) = &user {
                departure::check(db, &user.id, false)?;
            }
            Ok::<_, DepartureError>(user)
        })
        .await?;
    user.ok_or_else(no_user)?;
    let path = format!("/internal/identities/{identity}");
    let known: Option<Identity> = state.calls.get_opt("auth", &path).await?;
    // An operator goes by another's hand, who sees to it that one is left.
    if known.is_some_and(|known| known.actors.contains(&ActorType::Admin)) {
        let detail = "You are an admin: have another admin take that from you first";
        return Err(Problem::conflict("is_admin", detail).into());
    }
    Ok(())
}

async fn show_herself(
    state: &State,
    caller: &Euser,
    password: Option<SecretString>,
    address: ClientAddress,
) -> Result<(), ApiError> {
    let Some(password) = password else {
        if signed_in_since(&caller.claims, state.clock.now() - FRESH) {
            return Ok(());
        }
        let detail = "Send your password, or sign in again: that was more than ten minutes ago";
        return Err(Problem::forbidden("sign_in_required", detail).into());
    };
    let path = format!("/internal/identities/{}/password", caller.identity_id);
    let check = PasswordCheck {
        password,
        address: address.0,
    };
    let checked: Result<PasswordChecked, _> = state.calls.post("auth", &path, &check).await;
    match checked {
        Ok(PasswordChecked { right: true }) => Ok(()),
        Ok(PasswordChecked { right: false }) => {
            Err(Problem::forbidden("wrong_password", "This is not your password").into())
        }
        // What is paced is hers to know.
        Err(CallError::Problem { problem, .. }) if matches!(problem.status, 429 | 503) => {
            Err(problem.into())
        }
        Err(error) => Err(error.into()),
    }
}

fn signed_in_since(claims: &Claims, since: Time) -> bool {
    let at = claims.extra.get(AUTH_TIME).and_then(Value::as_i64);
    at.is_some_and(|at| Time::from_unix(at) >= since)
}

/// Has the identity gone by the time that the caller is answered. Where that fails the event does it.
async fn tell_auth(state: &State, identity: &IdentityId) {
    let path = format!("/internal/identities/{identity}");
    if let Err(error) = state.calls.delete::<IdentityDeleted>("auth", &path).await {
        tracing::warn!(identity.id = %identity, error = %error, "auth will learn of a deleted user by event");
    }
}

/// `POST /internal/identities/{identity_id}/departure`
pub async fn depart(
    caller: ServiceCaller,
    state: web::Data<State>,
    Path(identity): Path<IdentityId>,
    Json(how): Json<Departure>,
) -> Result<HttpResponse, ApiError> {
    caller.require(&["auth"])?;
    let now = state.clock.now();
    let user_id = if how.only_ask {
        let check = move |db: &mut chassis::db::Db| {
            let user = store::by_identity(db, &identity)?;
            if let Some(user) = &user {
                departure::check(db, &user.id, how.force)?;
            }
            Ok::<_, DepartureError>(user.map(|user| user.id))
        };
        state.db.read(check).await?
    } else {
        let depart = move |db: &mut chassis::db::Db| {
            let by = Entry {
                actor: &caller.service,
                actor_type: ActorType::Service,
                action: "user.deleted",
                subject: "",
                account_id: None,
                address: ClientAddress(None),
                details: Value::Null,
            };
            let user = departure::depart(db, &identity, how.force, &by, now)?;
            Ok::<_, DepartureError>(user.map(|user| user.id))
        };
        state.db.write(depart).await?
    };
    Ok(HttpResponse::Ok().json(Departed { user_id }))
}

impl From<DepartureError> for ApiError {
    fn from(error: DepartureError) -> Self {
        match error {
            DepartureError::LastOwner(accounts) => {
                let detail = "Accounts would be left without an owner; make somebody else one first, or delete them";
                let accounts: Vec<_> = accounts.iter().map(ToString::to_string).collect();
                Problem::conflict("last_owner", detail)
                    .with("accounts", accounts)
                    .into()
            }
            DepartureError::Db(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use common::id::AccountId;
    use common::token::audience;

    #[test]
    fn a_sign_in_is_fresh_for_ten_minutes_and_a_token_that_tells_none_never() {
        let mut claims = Claims::new("micro", "authid_1", audience::PLATFORM, 0, 1, "t".into());
        assert!(!signed_in_since(&claims, Time::from_unix(1_000)));
        claims.extra.insert(AUTH_TIME.into(), 1_000.into());
        assert!(signed_in_since(&claims, Time::from_unix(1_000)));
        assert!(!signed_in_since(&claims, Time::from_unix(1_001)));
    }

    #[test]
    fn the_accounts_that_keep_somebody_are_named() {
        let account = AccountId::new(Time::EPOCH);
        let error = ApiError::from(DepartureError::LastOwner(vec![account.clone()]));
        assert_eq!(
            (error.problem().status, error.problem().code.as_ref()),
            (409, "last_owner")
        );
        assert_eq!(error.problem().extra["accounts"][0], account.as_str());
    }
}
