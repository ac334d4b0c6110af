//! `/v1/audit` and `/v1/accounts/{account_id}/audit`

use actix_web::{HttpResponse, web};
use chassis::auth::scope::AccountsRead;
use chassis::auth::{Admin, Owner};
use chassis::http::{ApiError, Query};
use common::api::audit::{AuditEntry, AuditQuery};
use common::id::AccountId;
use common::page::PageQuery;
use common::problem::Problem;
use common::time::Time;
use common::token::ActorType;
use serde::{Deserialize, Serialize};

use super::{Found, ReadError, read};
use crate::access::AccountAccess;
use crate::accounts::{self, ChangeError};
use crate::state::State;

/// Which entries to list; what isn't given holds for all.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// Only this act, such as `member.removed`.
    action: Option<String>,
    /// Only what this user, identity or service did. A person is named by her user where her token knew of
    /// it, else by her identity.
    actor: Option<String>,
    /// Only what was done to this.
    subject: Option<String>,
    /// Only what was done in this account.
    account_id: Option<AccountId>,
    /// From this time on, to the millisecond.
    from: Option<Time>,
    /// Before this time, to the millisecond.
    to: Option<Time>,
    /// How many entries, 1 to 100; 20 unless told.
    limit: Option<u32>,
    /// The `next` of the page before.
    after: Option<String>,
}

/// An entry, and the service in which it was done.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct EntryBody {
    service: &'static str,
    #[serde(flatten)]
    entry: AuditEntry,
}

/// A page of the audit log.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct AuditAnswer {
    entries: Vec<EntryBody>,
    /// What to ask for as `after` to get the next page.
    next: Option<String>,
}

/// What was done on the platform, newest first.
#[utoipa::path(
    get,
    path = "/v1/audit",
    tag = "audit",
    params(Filter),
    responses(
        (status = 200, description = "A page of the log", body = AuditAnswer),
        (status = 403, description = "The caller is no admin"),
        (status = 503, description = "A service that has a part of it can't be reached"),
    ),
)]
pub async fn list(
    _: Admin,
    state: web::Data<State>,
    Query(filter): Query<Filter>,
) -> Result<HttpResponse, ApiError> {
    answer(&state, filter, |entry| entry).await
}

/// What was done in an account, newest first, for its owners. From where its operators acted isn't
/// told them.
#[utoipa::path(
    get,
    path = "/v1/accounts/{account_id}/audit",
    tag = "audit",
    params(("account_id" = AccountId, Path), Filter),
    responses(
        (status = 200, description = "A page of the log", body = AuditAnswer),
        (status = 404, description = "No account that the caller may know of"),
        (status = 503, description = "A service that has a part of it can't be reached"),
    ),
)]
pub async fn of_account(
    access: AccountAccess<Owner, AccountsRead>,
    state: web::Data<State>,
    Query(filter): Query<Filter>,
) -> Result<HttpResponse, ApiError> {
    let id = access.account_id.clone();
    let found = state
        .db
        .read(move |db| accounts::store::find(db, &id))
        .await?;
    found.ok_or(ChangeError::Unknown)?;
    if filter
        .account_id
        .is_some_and(|named| named != access.account_id)
    {
        let detail = "`account_id` is another account than that of the path";
        return Err(Problem::bad_request("invalid_query", detail).into());
    }
    let filter = Filter {
        account_id: Some(access.account_id),
        ..filter
    };
    answer(&state, filter, |entry| match entry.actor_type {
        ActorType::Admin => AuditEntry { ip: None, ..entry },
        ActorType::Euser | ActorType::Service => entry,
    })
    .await
}

async fn answer(
    state: &State,
    filter: Filter,
    told: fn(AuditEntry) -> AuditEntry,
) -> Result<HttpResponse, ApiError> {
    let after = filter.after.as_deref().map(str::parse).transpose();
    let after = after.map_err(|_invalid| {
        Problem::bad_request("invalid_query", "`after` is no cursor of this list")
    })?;
    let page = PageQuery::new(filter.limit, filter.after);
    let wanted = AuditQuery {
        limit: page.fetch(),
        after,
        action: filter.action,
        actor: filter.actor,
        subject: filter.subject,
        account_id: filter.account_id,
        from: filter.from,
        to: filter.to,
    };
    let page = read(state, &wanted, &page).await?;
    let page = page.map(|Found { service, entry }| EntryBody {
        service,
        entry: told(entry),
    });
    Ok(HttpResponse::Ok().json(AuditAnswer {
        entries: page.items,
        next: page.next,
    }))
}

impl From<ReadError> for ApiError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Call(error) => error.into(),
            ReadError::Query(error) => Self::internal(error),
            ReadError::Db(error) => error.into(),
        }
    }
}
