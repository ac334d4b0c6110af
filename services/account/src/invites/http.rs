//! `/v1/accounts/{account_id}/invite…` and `/v1/invite/accept`

use actix_web::{HttpResponse, web};
use chassis::auth::Developer;
use chassis::auth::scope::{AccountsRead, AccountsWrite};
use chassis::http::{ApiError, ClientAddress, Json, Path, Query, secret_answer};
use chassis::settings::Duration;
use common::ExposeSecret as _;
use common::api::auth::{SignedToken, TokenRequest};
use common::email::EmailAddress;
use common::id::{AccountId, IdentityId, InviteId, UserId};
use common::page::PageQuery;
use common::problem::Problem;
use common::role::Role;
use common::scope::ScopeSet;
use common::time::Time;
use common::token::{Claims, TokenKind, audience};
use serde::{Deserialize, Serialize};

use super::{Draft, Invite, InviteError, Lifetime, MAX_USES, Standing, store};
use crate::access::AccountAccess;
use crate::accounts::{self, ChangeError, Origin};
use crate::state::State;

/// What an invite is made of.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateInvite {
    /// The only address that may accept it; its owner must have verified it.
    email: Option<EmailAddress>,
    /// The role it gives: `developer` unless told, `owner` while the account has none.
    role: Option<Role>,
    /// How long it lives: seconds, or a number with `m`, `h` or `d`; 7 days unless told.
    #[schema(value_type = Option<String>, example = "7d")]
    expires_in: Option<Duration>,
    /// How many users may accept it: 1 unless told.
    #[schema(minimum = 1, maximum = 1000)]
    max_uses: Option<i64>,
}

/// An invite, without its token.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct InviteBody {
    id: InviteId,
    account_id: AccountId,
    role: Role,
    email: Option<String>,
    max_uses: i64,
    uses: i64,
    status: Standing,
    /// The member who invited; none if it was an admin.
    invited_by: Option<UserId>,
    created_at: Time,
    expires_at: Time,
    revoked_at: Option<Time>,
}

impl InviteBody {
    fn new(invite: Invite, now: Time) -> Self {
        Self {
            status: invite.standing(now),
            id: invite.id,
            account_id: invite.account_id,
            role: invite.role,
            email: invite.email,
            max_uses: invite.max_uses,
            uses: invite.uses,
            invited_by: invite.inviter_user_id,
            created_at: invite.created_at,
            expires_at: invite.expires_at,
            revoked_at: invite.revoked_at,
        }
    }
}

/// A new invite; its token is shown this once.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct NewInviteAnswer {
    invite: InviteBody,
    /// A JWT of type `invite+jwt`.
    token: String,
}

/// An invite in its singular name.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct InviteAnswer {
    invite: InviteBody,
}

/// A page of invites.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct InvitesAnswer {
    invites: Vec<InviteBody>,
    /// What to ask for as `after` to get the next page.
    next: Option<String>,
}

/// Invites somebody to the account: an admin or owner to any role, a developer up to her own.
#[utoipa::path(
    post,
    path = "/v1/accounts/{account_id}/invite",
    tag = "invites",
    params(("account_id" = AccountId, Path)),
    request_body = CreateInvite,
    responses(
        (status = 201, description = "The invite and its token", body = NewInviteAnswer),
        (status = 403, description = "The role is above what the caller may give"),
    ),
)]
pub async fn create(
    access: AccountAccess<Developer, AccountsWrite>,
    state: web::Data<State>,
    address: ClientAddress,
    Json(body): Json<CreateInvite>,
) -> Result<HttpResponse, ApiError> {
    let draft = read_draft(body, &state)?;
    let identity = identity_of(&access.claims)?;
    let now = state.clock.now();
    let (account, right) = (access.account_id.clone(), access.right);
    let invite = state
        .db
        .read(move |db| super::draft(db, &account, &draft, (&right, &identity), now))
        .await?;
    // Signed before it is kept: a token without an invite is worth nothing, an invite without
    // a token would be of use to nobody.
    let signed: SignedToken = state
        .calls
        .post("auth", "/internal/tokens", &token_request(&invite))
        .await?;
    let origin = Origin {
        claims: access.claims,
        address,
    };
    let kept = invite.clone();
    state
        .db
        .write(move |db| super::create(db, &kept, &origin, now))
        .await?;
    let id = invite.id.to_string();
    let answer = NewInviteAnswer {
        invite: InviteBody::new(invite, now),
        token: signed.token.expose_secret().to_owned(),
    };
    Ok(secret_answer(HttpResponse::Created().json(answer), &id))
}

fn read_draft(body: CreateInvite, state: &State) -> Result<Draft, Problem> {
    let duration = body.expires_in.unwrap_or(state.settings.invite_lifetime);
    let lifetime =
        Lifetime::new(duration).map_err(|why| Problem::invalid_field("expires_in", why))?;
    let max_uses = body.max_uses.unwrap_or(1);
    if !(1..=MAX_USES).contains(&max_uses) {
        return Err(Problem::invalid_field(
            "max_uses",
            format_args!("must be between 1 and {MAX_USES}"),
        ));
    }
    Ok(Draft {
        email: body.email,
        role: body.role,
        lifetime,
        max_uses,
    })
}

/// Whom a token speaks for: a person's own, or the maker of a key.
fn identity_of(claims: &Claims) -> Result<IdentityId, Problem> {
    claims
        .auth_identity_id
        .clone()
        .ok_or_else(|| Problem::invalid_token("The token is malformed"))
}

fn token_request(invite: &Invite) -> TokenRequest {
    TokenRequest {
        kind: TokenKind::Invite,
        sub: invite.id.to_string(),
        audience: audience::INVITE.to_owned(),
        lifetime: (invite.expires_at - invite.created_at).num_seconds(),
        jti: None,
        scope: ScopeSet::none(),
        namespace: None,
        identity_id: None,
        actor_type: None,
        account_id: Some(invite.account_id.clone()),
        extra: serde_json::Map::new(),
    }
}

/// The account's invites, newest first.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account_id}/invites",
    tag = "invites",
    params(("account_id" = AccountId, Path), PageQuery),
    responses((status = 200, description = "A page of invites", body = InvitesAnswer)),
)]
pub async fn list(
    access: AccountAccess<Developer, AccountsRead>,
    state: web::Data<State>,
    Query(page): Query<PageQuery>,
) -> Result<HttpResponse, ApiError> {
    let after = page
        .after
        .as_deref()
        .map(str::parse::<InviteId>)
        .transpose();
    let after = after.map_err(|_invalid| {
        Problem::bad_request("invalid_query", "`after` is no cursor of this list")
    })?;
    let (limit, now) = (page.fetch(), state.clock.now());
    let invites = state
        .db
        .read(move |db| {
            accounts::store::find(db, &access.account_id)?.ok_or(ChangeError::Unknown)?;
            Ok::<_, ChangeError>(store::list(db, &access.account_id, after.as_ref(), limit)?)
        })
        .await?;
    let page = page
        .cut(invites, |invite| invite.id.to_string())
        .map(|invite| InviteBody::new(invite, now));
    Ok(HttpResponse::Ok().json(InvitesAnswer {
        invites: page.items,
        next: page.next,
    }))
}

/// Takes an invite back.
#[utoipa::path(
    delete,
    path = "/v1/accounts/{account_id}/invites/{invite_id}",
    tag = "invites",
    params(("account_id" = AccountId, Path), ("invite_id" = InviteId, Path)),
    responses(
        (status = 200, description = "What was taken back", body = InviteAnswer),
        (status = 403, description = "The role is above what the caller may give"),
    ),
)]
pub async fn revoke(
    access: AccountAccess<Developer, AccountsWrite>,
    state: web::Data<State>,
    address: ClientAddress,
    path: Path<(AccountId, InviteId)>,
) -> Result<HttpResponse, ApiError> {
    let (_, id) = path.0;
    let (origin, now) = (
        Origin {
            claims: access.claims,
            address,
        },
        state.clock.now(),
    );
    let (account, right) = (access.account_id, access.right);
    let invite = state
        .db
        .write(move |db| super::revoke(db, &account, &id, &right, &origin, now))
        .await?;
    Ok(HttpResponse::Ok().json(InviteAnswer {
        invite: InviteBody::new(invite, now),
    }))
}

impl From<InviteError> for ApiError {
    fn from(error: InviteError) -> Self {
        match error {
            InviteError::NoAccount => Problem::not_found("account").into(),
            InviteError::Unknown => Problem::not_found("invite").into(),
            InviteError::RoleTooHigh(role) => {
                let detail = format!("The role `{role}` is above what yours may give");
                Problem::forbidden("insufficient_role", detail).into()
            }
            InviteError::Db(error) => error.into(),
        }
    }
}
