//! `/api/users/{user_number}/accounts…`: by the project key from a project's server, by a token from its owner.

use actix_web::{HttpRequest, HttpResponse, web};
use chassis::auth::Euser;
use chassis::http::{ApiError, ClientAddress, Json, Path, Query, unstored};
use common::ExposeSecret as _;
use common::page::PageQuery;
use common::problem::Problem;
use common::token::ActorType;
use serde::{Deserialize, Serialize};

use super::User;
use super::accounts::{self, Opened};
use super::answer::{AccountView, EmailAndPassword, Verte, failed, refused};
use crate::emailpass::{Credentials, SignInError};
use crate::identities::Realm;
use crate::realms::ProjectKey;
use crate::state::State;
use crate::tokens::Signed;

/// An account, after signing up or in.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreatedAccount {
    created_account: AccountView,
    success: bool,
    /// The same, as it was spelt first.
    sucess: bool,
}

/// One account.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct AccountAnswer {
    account: AccountView,
    success: bool,
}

/// A page of accounts, the newest first.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct AccountsAnswer {
    accounts: Vec<AccountView>,
    /// The cursor of the next page.
    next: Option<String>,
    success: bool,
}

/// What can be changed.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// Whether the account is kept from signing in.
    disabled: bool,
}

/// That something was done.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Done {
    success: bool,
}

/// The key of the request's header, and the realm that it opens.
async fn opened(
    state: &State,
    owner: i64,
    request: &HttpRequest,
) -> Result<(Opened, ProjectKey), ApiError> {
    let unauthorized = || failed(Problem::unauthorized());
    let key = request
        .headers()
        .get("key")
        .and_then(|key| key.to_str().ok());
    let key = ProjectKey::given(key.ok_or_else(unauthorized)?);
    let opened = accounts::open(state, owner, &key).await.map_err(failed)?;
    Ok((opened.ok_or_else(unauthorized)?, key))
}

async fn owned(state: &State, caller: Euser, owner: i64) -> Result<Opened, ApiError> {
    accounts::own(state, caller.identity_id, owner)
        .await
        .map_err(failed)?
        .ok_or_else(|| failed(Problem::unauthorized()))
}

fn credentials(
    opened: &Opened,
    body: &EmailAndPassword,
    address: ClientAddress,
) -> Result<Credentials, ApiError> {
    body.read(|email, password| Credentials {
        realm: Realm::Own(opened.realm.clone()),
        email,
        password,
        actor: ActorType::Euser,
        address,
    })
}

/// Makes an account in the key's realm.
#[utoipa::path(
    post,
    path = "/api/users/{user_number}/accounts/signup",
    tag = "verte-auth",
    security(()),
    params(("user_number" = i64, Path), ("key" = String, Header, description = "The project key")),
    request_body = EmailAndPassword,
    responses(
        (status = 200, description = "The account and its token", body = CreatedAccount),
        (status = 401, description = "No key, or not one to a realm of this user"),
        (status = 409, description = "The email is taken in this realm"),
    ),
)]
pub async fn sign_up(
    request: HttpRequest,
    state: web::Data<State>,
    address: ClientAddress,
    Verte(Path(owner)): Verte<Path<i64>>,
    Verte(Json(body)): Verte<Json<EmailAndPassword>>,
) -> Result<HttpResponse, ApiError> {
    let (opened, key) = opened(&state, owner, &request).await?;
    let credentials = credentials(&opened, &body, address)?;
    let entered = accounts::sign_up(&state, &opened, &credentials).await;
    shown(&opened, &key, entered)
}

/// Signs an account of the key's realm in.
#[utoipa::path(
    post,
    path = "/api/users/{user_number}/accounts/login",
    tag = "verte-auth",
    security(()),
    params(("user_number" = i64, Path), ("key" = String, Header, description = "The project key")),
    request_body = EmailAndPassword,
    responses(
        (status = 200, description = "The account and its token", body = CreatedAccount),
        (status = 401, description = "Wrong email or password; or no key, or not one to a realm of this user"),
        (status = 429, description = "Too many wrong tries"),
    ),
)]
pub async fn log_in(
    request: HttpRequest,
    state: web::Data<State>,
    address: ClientAddress,
    Verte(Path(owner)): Verte<Path<i64>>,
    Verte(Json(body)): Verte<Json<EmailAndPassword>>,
) -> Result<HttpResponse, ApiError> {
    let (opened, key) = opened(&state, owner, &request).await?;
    let credentials = credentials(&opened, &body, address)?;
    let entered = accounts::log_in(&state, &opened, &credentials).await;
    shown(&opened, &key, entered)
}

/// Answers with an account that has signed up or in, and its token.
fn shown(
    opened: &Opened,
    key: &ProjectKey,
    entered: Result<(User, Signed), SignInError>,
) -> Result<HttpResponse, ApiError> {
    let (account, signed) = entered.map_err(refused)?;
    let view = AccountView::new(&account, opened.owner);
    Ok(unstored().json(CreatedAccount {
        created_account: view.signed_in(key.expose(), signed.token.expose_secret()),
        success: true,
        sucess: true,
    }))
}

/// Lists the accounts of one's realm.
#[utoipa::path(
    get,
    path = "/api/users/{user_number}/accounts",
    tag = "verte-auth",
    params(("user_number" = i64, Path), PageQuery),
    responses(
        (status = 200, description = "A page of accounts", body = AccountsAnswer),
        (status = 401, description = "No token, or another user's"),
    ),
)]
pub async fn list(
    Verte(caller): Verte<Euser>,
    state: web::Data<State>,
    Verte(Path(owner)): Verte<Path<i64>>,
    Verte(Query(page)): Verte<Query<PageQuery>>,
) -> Result<HttpResponse, ApiError> {
    let opened = owned(&state, caller, owner).await?;
    let below = page.after.as_deref().map(str::parse::<i64>).transpose();
    let below =
        below.map_err(|_| failed(Problem::invalid_field("after", "is no cursor of this list")))?;
    let rows = accounts::page(&state, &opened, below, page.fetch())
        .await
        .map_err(failed)?;
    let page = page
        .cut(rows, |account| account.number.to_string())
        .map(|account| AccountView::new(&account, owner));
    Ok(HttpResponse::Ok().json(AccountsAnswer {
        accounts: page.items,
        next: page.next,
        success: true,
    }))
}

/// Disables an account of one's realm, or lets it in again.
#[utoipa::path(
    patch,
    path = "/api/users/{user_number}/accounts/{account_number}",
    tag = "verte-auth",
    params(("user_number" = i64, Path), ("account_number" = i64, Path)),
    request_body = Change,
    responses(
        (status = 200, description = "The account", body = AccountAnswer),
        (status = 401, description = "No token, or another user's"),
        (status = 404, description = "No such account in one's realm"),
    ),
)]
pub async fn change(
    Verte(caller): Verte<Euser>,
    state: web::Data<State>,
    Verte(Path((owner, number))): Verte<Path<(i64, i64)>>,
    Verte(Json(body)): Verte<Json<Change>>,
) -> Result<HttpResponse, ApiError> {
    let opened = owned(&state, caller, owner).await?;
    let account = accounts::set_disabled(&state, &opened, number, body.disabled)
        .await
        .map_err(failed)?
        .ok_or_else(|| failed(Problem::not_found("account")))?;
    Ok(HttpResponse::Ok().json(AccountAnswer {
        account: AccountView::new(&account, owner),
        success: true,
    }))
}

/// Deletes an account of one's realm. Its number is never given again.
#[utoipa::path(
    delete,
    path = "/api/users/{user_number}/accounts/{account_number}",
    tag = "verte-auth",
    params(("user_number" = i64, Path), ("account_number" = i64, Path)),
    responses(
        (status = 200, description = "It is gone", body = Done),
        (status = 401, description = "No token, or another user's"),
        (status = 404, description = "No such account in one's realm"),
    ),
)]
pub async fn delete(
    Verte(caller): Verte<Euser>,
    state: web::Data<State>,
    Verte(Path((owner, number))): Verte<Path<(i64, i64)>>,
) -> Result<HttpResponse, ApiError> {
    let opened = owned(&state, caller, owner).await?;
    let deleted = accounts::delete(&state, &opened, number)
        .await
        .map_err(failed)?;
    if !deleted {
        return Err(failed(Problem::not_found("account")));
    }
    Ok(HttpResponse::Ok().json(Done { success: true }))
}
