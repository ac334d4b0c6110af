//! `/v1/invite/accept`

use actix_web::{HttpResponse, web};
use chassis::Context;
use chassis::auth::{AuthError, EuserWithUser};
use chassis::http::{ApiError, ClientAddress, Json};
use common::api::auth::Identity;
use common::id::{IdentityId, InviteId};
use common::problem::Problem;
use common::token::{ActorType, Rejection, TokenKind, audience};
use serde::{Deserialize, Serialize};

use super::{AcceptError, Caller, Invite, Inviter, store};
use crate::accounts::Origin;
use crate::accounts::http::AccountBody;
use crate::members::http::MemberBody;
use crate::state::State;

/// What accepts an invite.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptInvite {
    /// The invite's token.
    token: String,
}

/// What came of accepting.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct AcceptAnswer {
    account: AccountBody,
    membership: MemberBody,
}

/// Makes the caller a member of the account that invites. Doing it again answers the same.
#[utoipa::path(
    post,
    path = "/v1/invite/accept",
    tag = "invites",
    request_body = AcceptInvite,
    responses(
        (status = 200, description = "The account and the membership", body = AcceptAnswer),
        (status = 400, description = "It is no invite's token"),
        (status = 403, description = "It is for another email, or the inviter may not give the role any more"),
        (status = 409, description = "It is used up"),
        (status = 410, description = "It has expired or was revoked"),
    ),
)]
pub async fn accept(
    caller: EuserWithUser,
    state: web::Data<State>,
    context: web::Data<Context>,
    address: ClientAddress,
    Json(body): Json<AcceptInvite>,
) -> Result<HttpResponse, ApiError> {
    let id = read_token(&context, &body.token).await?;
    let known = {
        let id = id.clone();
        state.db.read(move |db| store::find(db, &id)).await?
    };
    let invite = known.ok_or(AcceptError::Unknown)?;
    let inviter = Inviter {
        is_admin: invited_by_admin(&state, &invite).await?,
    };
    let who = who_accepts(&state, &caller, &invite).await?;
    let (origin, now) = (
        Origin {
            claims: caller.claims,
            address,
        },
        state.clock.now(),
    );
    let accepted = state
        .db
        .write(move |db| super::accept(db, &id, &who, inviter, &origin, now))
        .await?;
    Ok(HttpResponse::Ok().json(AcceptAnswer {
        account: accepted.account.into(),
        membership: MemberBody::new(accepted.member, None),
    }))
}

/// The invite that a token is of.
async fn read_token(context: &Context, token: &str) -> Result<InviteId, ApiError> {
    let verified = match context
        .verifier
        .verify(token, &[TokenKind::Invite], audience::INVITE)
        .await
    {
        Ok(verified) => verified,
        Err(AuthError::Rejected(Rejection::Expired)) => return Err(AcceptError::Expired.into()),
        Err(AuthError::Rejected(Rejection::Revoked)) => return Err(AcceptError::Revoked.into()),
        Err(AuthError::Rejected(_) | AuthError::Missing) => return Err(no_invite_token().into()),
        Err(error @ AuthError::Stale) => return Err(error.into()),
    };
    Ok(verified
        .claims
        .sub
        .parse()
        .map_err(|_other| no_invite_token())?)
}

fn no_invite_token() -> Problem {
    Problem::bad_request("invite_invalid", "This is not the token of an invite")
        .with_field("token", "is not valid")
}

/// Whether the one who invited as an admin is one still. A member's right is looked at in the
/// transaction.
async fn invited_by_admin(state: &State, invite: &Invite) -> Result<bool, ApiError> {
    if invite.inviter_user_id.is_some() {
        return Ok(false);
    }
    let identity = read_identity(state, &invite.inviter_identity_id).await?;
    Ok(identity.is_some_and(|identity| identity.actors.contains(&ActorType::Admin)))
}

async fn who_accepts(
    state: &State,
    caller: &EuserWithUser,
    invite: &Invite,
) -> Result<Caller, ApiError> {
    let identity = match invite.email {
        Some(_) => read_identity(state, &caller.identity_id).await?,
        None => None,
    };
    Ok(Caller {
        user_id: caller.user_id.clone(),
        email_verified: identity
            .as_ref()
            .is_some_and(|identity| identity.email_verified),
        email: identity.and_then(|identity| identity.email),
    })
}

async fn read_identity(state: &State, id: &IdentityId) -> Result<Option<Identity>, ApiError> {
    Ok(state
        .calls
        .get_opt("auth", &format!("/internal/identities/{id}"))
        .await?)
}

impl From<AcceptError> for ApiError {
    fn from(error: AcceptError) -> Self {
        let problem = match error {
            AcceptError::Unknown => {
                Problem::new(404, "invite_not_found", "There is no such invite any more")
            }
            AcceptError::Expired => Problem::new(
                410,
                "invite_expired",
                "The invite has expired; ask for another",
            ),
            AcceptError::Revoked => {
                Problem::new(410, "invite_revoked", "The invite was taken back")
            }
            AcceptError::UsedUp => {
                Problem::conflict("invite_used_up", "The invite has been used already")
            }
            AcceptError::OtherEmail => {
                Problem::forbidden("invite_wrong_email", "The invite is for another email")
            }
            AcceptError::EmailNotVerified => Problem::forbidden(
                "email_not_verified",
                "Verify your email first: the invite is for it alone",
            ),
            AcceptError::InviterLostRight => Problem::forbidden(
                "inviter_lost_right",
                "Whoever invited you may not give this role any more",
            ),
            AcceptError::Db(error) => return error.into(),
        };
        problem.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_not_to_accept_has_a_code_of_its_own() {
        let told = |error: AcceptError| {
            let error = ApiError::from(error);
            (error.problem().status, error.problem().code.to_string())
        };
        let all = [
            (AcceptError::Unknown, 404, "invite_not_found"),
            (AcceptError::Expired, 410, "invite_expired"),
            (AcceptError::Revoked, 410, "invite_revoked"),
            (AcceptError::UsedUp, 409, "invite_used_up"),
            (AcceptError::OtherEmail, 403, "invite_wrong_email"),
            (AcceptError::EmailNotVerified, 403, "email_not_verified"),
            (AcceptError::InviterLostRight, 403, "inviter_lost_right"),
        ];
        for (error, status, code) in all {
            assert_eq!(told(error), (status, code.to_owned()));
        }
    }
}
