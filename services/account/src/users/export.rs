//! `GET /v1/users/me/export`: all that the services keep of a person, for herself.

use actix_web::http::header::CONTENT_DISPOSITION;
use actix_web::{HttpResponse, web};
use chassis::auth::Euser;
use chassis::db::Db;
use chassis::http::{ApiError, unstored};
use common::api::v1api::{KeyOfUser, KeysOfUser};
use common::id::{AccountId, IdentityId, InviteId, UserId};
use common::problem::Problem;
use common::role::Role;
use common::time::Time;
use diesel::QueryResult;
use serde::Serialize;
use serde_json::Value;

use super::{User, store};
use crate::invites::{self, Invite, Standing};
use crate::members::{self, Member};
use crate::state::State;

/// What is kept of a person.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Export {
    /// When this was put together.
    exported_at: Time,
    /// How she signs in, and as what she acts; without what she signs in by.
    #[schema(value_type = Object)]
    identity: Value,
    /// Her user, once she has one.
    user: Option<ExportedUser>,
    /// The accounts she is or was a member of.
    memberships: Vec<ExportedMembership>,
    /// The invites she made.
    invites: Vec<ExportedInvite>,
    /// The API keys she made, without the keys themselves.
    api_keys: Vec<KeyOfUser>,
}

/// A user.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ExportedUser {
    id: UserId,
    email: String,
    created_at: Time,
}

/// A membership.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ExportedMembership {
    account_id: AccountId,
    /// The role; none where she has left.
    role: Option<Role>,
    joined_at: Time,
}

/// An invite, without whom it is for: that is another's address.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ExportedInvite {
    id: InviteId,
    account_id: AccountId,
    role: Role,
    #[schema(value_type = String)]
    state: Standing,
    created_at: Time,
    expires_at: Time,
}

/// All that is kept of the caller, as one JSON document.
#[utoipa::path(
    get,
    path = "/v1/users/me/export",
    tag = "users",
    responses(
        (status = 200, description = "The document", body = Export),
        (status = 503, description = "A service that has a part of it can't be reached"),
    ),
)]
pub async fn export(caller: Euser, state: web::Data<State>) -> Result<HttpResponse, ApiError> {
    let path = format!("/internal/identities/{}/record", caller.identity_id);
    let identity: Option<Value> = state.calls.get_opt("auth", &path).await?;
    let identity =
        identity.ok_or_else(|| Problem::invalid_token("The token speaks for nobody any more"))?;
    let own = state
        .db
        .read(move |db| own(db, &caller.identity_id))
        .await?;
    let api_keys = match &own.user {
        Some(user) => {
            let path = format!("/internal/users/{}/keys", user.id);
            let keys: KeysOfUser = state.calls.get("v1api", &path).await?;
            keys.api_keys
        }
        None => Vec::new(),
    };
    let now = state.clock.now();
    let export = Export {
        exported_at: now,
        identity,
        user: own.user.map(ExportedUser::from),
        memberships: own.memberships.into_iter().map(Into::into).collect(),
        invites: own
            .invites
            .into_iter()
            .map(|invite| ExportedInvite::of(invite, now))
            .collect(),
        api_keys,
    };
    Ok(unstored()
        .insert_header((CONTENT_DISPOSITION, "attachment; filename=\"slipway.json\""))
        .json(export))
}

/// What this service keeps.
struct Own {
    user: Option<User>,
    memberships: Vec<Member>,
    invites: Vec<Invite>,
}

fn own(db: &mut Db, identity: &IdentityId) -> QueryResult<Own> {
    let user = store::by_identity(db, identity)?;
    let memberships = match &user {
        Some(user) => members::store::ever_of_user(db, &user.id)?,
        None => Vec::new(),
    };
    Ok(Own {
        invites: invites::store::made_by(db, identity)?,
        user,
        memberships,
    })
}

impl From<User> for ExportedUser {
    fn from(user: User) -> Self {
        Self {
            id: user.id,
            email: user.email,
            created_at: user.created_at,
        }
    }
}

impl From<Member> for ExportedMembership {
    fn from(member: Member) -> Self {
        Self {
            account_id: member.account_id,
            role: member.role,
            joined_at: member.joined_at,
        }
    }
}

impl ExportedInvite {
    fn of(invite: Invite, now: Time) -> Self {
        Self {
            state: invite.standing(now),
            id: invite.id,
            account_id: invite.account_id,
            role: invite.role,
            created_at: invite.created_at,
            expires_at: invite.expires_at,
        }
    }
}
