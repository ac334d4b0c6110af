//! `/v1/accounts/{account_id}/members…`

use actix_web::{HttpResponse, web};
use chassis::auth::scope::{AccountsRead, AccountsWrite};
use chassis::auth::{Owner, ServiceCaller, Viewer};
use chassis::http::{ApiError, ClientAddress, Json, Path, Query};
use common::api::account::Membership;
use common::id::{AccountId, UserId};
use common::page::PageQuery;
use common::problem::Problem;
use common::role::Role;
use common::time::Time;
use serde::{Deserialize, Serialize};

use super::{Member, MemberError, store};
use crate::access::AccountAccess;
use crate::accounts::{self, ChangeError, Origin};
use crate::state::State;

/// What a member is changed to.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MemberChange {
    role: Role,
}

/// A member.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct MemberBody {
    account_id: AccountId,
    user_id: UserId,
    /// The role; none once the member is gone.
    role: Option<Role>,
    joined_at: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
}

impl MemberBody {
    /// A member with or without the address.
    pub fn new(member: Member, email: Option<String>) -> Self {
        let Member {
            account_id,
            user_id,
            role,
            joined_at,
            version: _,
        } = member;
        Self {
            account_id,
            user_id,
            role,
            joined_at,
            email,
        }
    }
}

/// A member in its singular name.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct MemberAnswer {
    member: MemberBody,
}

/// A page of members.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct MembersAnswer {
    members: Vec<MemberBody>,
    /// What to ask for as `after` to get the next page.
    next: Option<String>,
}

/// The account's members, those who came last first.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account_id}/members",
    tag = "members",
    params(("account_id" = AccountId, Path), PageQuery),
    responses((status = 200, description = "A page of members", body = MembersAnswer)),
)]
pub async fn list(
    access: AccountAccess<Viewer, AccountsRead>,
    state: web::Data<State>,
    Query(page): Query<PageQuery>,
) -> Result<HttpResponse, ApiError> {
    let after = page.after.as_deref().map(str::parse::<UserId>).transpose();
    let after = after.map_err(|_invalid| {
        Problem::bad_request("invalid_query", "`after` is no cursor of this list")
    })?;
    let limit = page.fetch();
    let members = state
        .db
        .read(move |db| {
            accounts::store::find(db, &access.account_id)?.ok_or(ChangeError::Unknown)?;
            Ok::<_, ChangeError>(store::list(db, &access.account_id, after.as_ref(), limit)?)
        })
        .await?;
    let page = page.cut(members, |(member, _)| member.user_id.to_string());
    let page = page.map(|(member, email)| MemberBody::new(member, Some(email)));
    Ok(HttpResponse::Ok().json(MembersAnswer {
        members: page.items,
        next: page.next,
    }))
}

/// Gives a member another role. The last owner stays one.
#[utoipa::path(
    patch,
    path = "/v1/accounts/{account_id}/members/{user_id}",
    tag = "members",
    params(("account_id" = AccountId, Path), ("user_id" = UserId, Path)),
    request_body = MemberChange,
    responses(
        (status = 200, description = "The member", body = MemberAnswer),
        (status = 409, description = "The last owner can't be demoted"),
    ),
)]
pub async fn change(
    access: AccountAccess<Owner, AccountsWrite>,
    state: web::Data<State>,
    address: ClientAddress,
    path: Path<(AccountId, UserId)>,
    Json(body): Json<MemberChange>,
) -> Result<HttpResponse, ApiError> {
    let (_, user) = path.0;
    let (origin, now) = (
        Origin {
            claims: access.claims,
            address,
        },
        state.clock.now(),
    );
    let account = access.account_id;
    let member = state
        .db
        .write(move |db| super::change(db, &account, &user, body.role, &origin, now))
        .await?;
    Ok(HttpResponse::Ok().json(MemberAnswer {
        member: MemberBody::new(member, None),
    }))
}

/// Removes a member, or oneself. The last owner can't leave.
#[utoipa::path(
    delete,
    path = "/v1/accounts/{account_id}/members/{user_id}",
    tag = "members",
    params(("account_id" = AccountId, Path), ("user_id" = UserId, Path)),
    responses(
        (status = 200, description = "Who is no member any more", body = MemberAnswer),
        (status = 409, description = "The last owner can't leave"),
    ),
)]
pub async fn remove(
    access: AccountAccess<Viewer, AccountsWrite>,
    state: web::Data<State>,
    address: ClientAddress,
    path: Path<(AccountId, UserId)>,
) -> Result<HttpResponse, ApiError> {
    let (_, user) = path.0;
    let (origin, now) = (
        Origin {
            claims: access.claims,
            address,
        },
        state.clock.now(),
    );
    let (account, right) = (access.account_id, access.right);
    let member = state
        .db
        .write(move |db| super::remove(db, &account, &user, &right, &origin, now))
        .await?;
    Ok(HttpResponse::Ok().json(MemberAnswer {
        member: MemberBody::new(member, None),
    }))
}

/// `GET /internal/memberships/{account_id}/{user_id}`
pub async fn membership(
    caller: ServiceCaller,
    state: web::Data<State>,
    Path((account_id, user_id)): Path<(AccountId, UserId)>,
) -> Result<HttpResponse, ApiError> {
    caller.require(&["auth", "project", "github", "provisioner", "v1api"])?;
    let (account, user) = (account_id.clone(), user_id.clone());
    let (role, version) = state
        .db
        .read(move |db| store::standing(db, &account, &user))
        .await?;
    Ok(HttpResponse::Ok().json(Membership {
        account_id,
        user_id,
        role,
        version,
    }))
}

impl From<MemberError> for ApiError {
    fn from(error: MemberError) -> Self {
        match error {
            MemberError::NoAccount => Problem::not_found("account").into(),
            MemberError::Unknown => Problem::not_found("member").into(),
            MemberError::LastOwner => {
                let detail =
                    "The last owner can't leave or be demoted; make somebody else an owner first";
                Problem::conflict("last_owner", detail).into()
            }
            MemberError::NotOwner => Problem::forbidden(
                "insufficient_role",
                "Only an owner may do this to another member",
            )
            .into(),
            MemberError::Db(error) => error.into(),
        }
    }
}
