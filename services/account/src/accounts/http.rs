//! `/v1/accounts…`

use actix_web::http::header::ETAG;
use actix_web::{HttpRequest, HttpResponse, web};
use chassis::auth::scope::{AccountsRead, AccountsWrite};
use chassis::auth::{ApiCaller, Owner, Person, Viewer};
use chassis::http::{ApiError, ClientAddress, Json, Query, if_match};
use common::id::{AccountId, UserId};
use common::names::DisplayName;
use common::page::PageQuery;
use common::problem::Problem;
use common::scope::{Resource, Scope, Verb};
use common::time::Time;
use common::token::ActorType;
use serde::{Deserialize, Serialize};

use super::store::Visible;
use super::{Account, ChangeError, Origin, store};
use crate::access::{AccountAccess, is_admin};
use crate::state::State;
use crate::users;

/// What an account is made of or changed to.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountName {
    /// Its name, for people to read: 1 to 100 characters.
    name: DisplayName,
}

/// An account.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct AccountBody {
    id: AccountId,
    name: String,
    created_at: Time,
    updated_at: Time,
    /// When it was deleted, where it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted_at: Option<Time>,
}

impl From<Account> for AccountBody {
    fn from(account: Account) -> Self {
        let Account {
            id,
            name,
            created_at,
            updated_at,
            deleted_at,
            version: _,
        } = account;
        Self {
            id,
            name,
            created_at,
            updated_at,
            deleted_at,
        }
    }
}

/// An account in its singular name.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct AccountAnswer {
    account: AccountBody,
}

/// A page of accounts.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct AccountsAnswer {
    accounts: Vec<AccountBody>,
    /// What to ask for as `after` to get the next page.
    next: Option<String>,
}

fn show(mut response: actix_web::HttpResponseBuilder, account: Account) -> HttpResponse {
    let tag = format!("\"{}\"", account.version);
    response.insert_header((ETAG, tag)).json(AccountAnswer {
        account: account.into(),
    })
}

/// Makes an account: an admin does, or where the operator lets them external users, who own it then.
#[utoipa::path(
    post,
    path = "/v1/accounts",
    tag = "accounts",
    request_body = AccountName,
    responses(
        (status = 201, description = "The account", body = AccountAnswer),
        (status = 403, description = "Only admins make accounts here"),
    ),
)]
pub async fn create(
    caller: Person,
    state: web::Data<State>,
    address: ClientAddress,
    Json(body): Json<AccountName>,
) -> Result<HttpResponse, ApiError> {
    let owner = match caller.actor {
        ActorType::Admin => None,
        ActorType::Euser if state.settings.self_service => Some(user_of(&state, &caller).await?),
        ActorType::Euser | ActorType::Service => {
            return Err(Problem::forbidden("wrong_actor", "Only admins make accounts here").into());
        }
    };
    let (origin, now) = (
        Origin {
            claims: caller.claims,
            address,
        },
        state.clock.now(),
    );
    let account = state
        .db
        .write(move |db| super::create(db, &body.name, owner.as_ref(), &origin, now))
        .await?;
    Ok(show(HttpResponse::Created(), account))
}

async fn user_of(state: &State, caller: &Person) -> Result<UserId, ApiError> {
    if let Some(user) = &caller.user_id {
        return Ok(user.clone());
    }
    let identity = caller.identity_id.clone();
    let user = state
        .db
        .read(move |db| users::store::by_identity(db, &identity))
        .await?;
    Ok(user.map(|user| user.id).ok_or_else(no_user)?)
}

fn no_user() -> Problem {
    Problem::forbidden(
        "user_required",
        "Make your user first: POST /v1/users with your email",
    )
}

/// The caller's accounts, newest first; an admin sees all.
#[utoipa::path(
    get,
    path = "/v1/accounts",
    tag = "accounts",
    params(PageQuery),
    responses((status = 200, description = "A page of accounts", body = AccountsAnswer)),
)]
pub async fn list(
    caller: ApiCaller,
    state: web::Data<State>,
    Query(page): Query<PageQuery>,
) -> Result<HttpResponse, ApiError> {
    caller.require(&Scope::Platform(Resource::Accounts, Verb::Read))?;
    let after = page
        .after
        .as_deref()
        .map(str::parse::<AccountId>)
        .transpose();
    let after = after.map_err(|_invalid| {
        Problem::bad_request("invalid_query", "`after` is no cursor of this list")
    })?;
    let limit = page.fetch();
    let accounts = state
        .db
        .read(move |db| {
            let Some(visible) = visible_to(db, &caller)? else {
                return Ok(Vec::new());
            };
            store::list(db, &visible, after.as_ref(), limit)
        })
        .await?;
    let page = page
        .cut(accounts, |account| account.id.to_string())
        .map(AccountBody::from);
    Ok(HttpResponse::Ok().json(AccountsAnswer {
        accounts: page.items,
        next: page.next,
    }))
}

/// What the caller sees; none for one who is no user yet.
fn visible_to(
    db: &mut chassis::db::Db,
    caller: &ApiCaller,
) -> diesel::QueryResult<Option<Visible>> {
    if is_admin(caller) {
        return Ok(Some(Visible::All));
    }
    let claims = &caller.claims;
    let user = match (claims.user_id(), &claims.auth_identity_id) {
        (Some(user), _) => Some(user.clone()),
        (None, Some(identity)) => users::store::by_identity(db, identity)?.map(|user| user.id),
        (None, None) => None,
    };
    Ok(user.map(|user| Visible::OfUser(user, claims.account_id.clone())))
}

/// One account.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account_id}",
    tag = "accounts",
    params(("account_id" = AccountId, Path)),
    responses(
        (status = 200, description = "The account; `ETag` tells its version", body = AccountAnswer),
        (status = 404, description = "None that the caller may know of"),
    ),
)]
pub async fn read(
    access: AccountAccess<Viewer, AccountsRead>,
    state: web::Data<State>,
) -> Result<HttpResponse, ApiError> {
    let account = state
        .db
        .read(move |db| store::find(db, &access.account_id))
        .await?;
    Ok(show(
        HttpResponse::Ok(),
        account.ok_or(ChangeError::Unknown)?,
    ))
}

/// Gives an account another name. With `If-Match` only if nobody changed it meanwhile.
#[utoipa::path(
    patch,
    path = "/v1/accounts/{account_id}",
    tag = "accounts",
    params(("account_id" = AccountId, Path)),
    request_body = AccountName,
    responses(
        (status = 200, description = "The account", body = AccountAnswer),
        (status = 412, description = "It was changed meanwhile"),
    ),
)]
pub async fn rename(
    access: AccountAccess<Owner, AccountsWrite>,
    state: web::Data<State>,
    address: ClientAddress,
    request: HttpRequest,
    Json(body): Json<AccountName>,
) -> Result<HttpResponse, ApiError> {
    let seen = if_match(&request)?;
    let (origin, now) = (
        Origin {
            claims: access.claims,
            address,
        },
        state.clock.now(),
    );
    let id = access.account_id;
    let account = state
        .db
        .write(move |db| super::rename(db, &id, &body.name, seen, &origin, now))
        .await?;
    Ok(show(HttpResponse::Ok(), account))
}

/// Deletes an account.
#[utoipa::path(
    delete,
    path = "/v1/accounts/{account_id}",
    tag = "accounts",
    params(("account_id" = AccountId, Path)),
    responses(
        (status = 200, description = "What was deleted", body = AccountAnswer),
        (status = 412, description = "It was changed meanwhile"),
    ),
)]
pub async fn delete(
    access: AccountAccess<Owner, AccountsWrite>,
    state: web::Data<State>,
    address: ClientAddress,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let seen = if_match(&request)?;
    let (origin, now) = (
        Origin {
            claims: access.claims,
            address,
        },
        state.clock.now(),
    );
    let id = access.account_id;
    let account = state
        .db
        .write(move |db| super::delete(db, &id, seen, &origin, now))
        .await?;
    Ok(show(HttpResponse::Ok(), account))
}

impl From<ChangeError> for ApiError {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Unknown => Problem::not_found("account").into(),
            ChangeError::Stale => Problem::new(
                412,
                "precondition_failed",
                "The account was changed meanwhile; read it again",
            )
            .into(),
            ChangeError::Db(error) => error.into(),
        }
    }
}
