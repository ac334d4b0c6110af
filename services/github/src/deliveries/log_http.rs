//! The log of deliveries: what came, and what came of it.

use actix_web::{HttpResponse, web};
use chassis::audit::{self, Entry};
use chassis::auth::scope::{BuildsWrite, ProjectsRead};
use chassis::auth::{AccountMember, Developer, Viewer};
use chassis::http::{ApiError, ClientAddress, Path, Query};
use common::id::{AccountId, DeliveryId};
use common::page::PageQuery;
use common::problem::Problem;
use common::time::Time;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::content::Content;
use super::{Delivery, Outcome, OutcomeState, store};
use crate::State;

/// `…/github/deliveries/{delivery_id}`
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct DeliveryPath {
    /// The account.
    #[expect(dead_code, reason = "the extractor of the member reads it")]
    account_id: AccountId,
    /// The delivery, as the log names it.
    delivery_id: DeliveryId,
}

/// What GitHub delivered to an account.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeliveryView {
    id: DeliveryId,
    /// GitHub's own name for it.
    github_id: String,
    /// `push`, `installation`, `repository` …
    event: String,
    /// What of it: `renamed`, say.
    action: Option<String>,
    /// `owner/name`
    repository: Option<String>,
    branch: Option<String>,
    commit: Option<String>,
    /// `queued`, `built`, `applied`, `nothing`, `superseded` or `failed`
    state: OutcomeState,
    /// Why nothing was built, or what failed.
    reason: Option<String>,
    /// The builds that it had asked for.
    builds: serde_json::Value,
    /// How often it was worked off, or is being.
    run: i32,
    received_at: Time,
    finished_at: Option<Time>,
}

impl From<(Outcome, Delivery)> for DeliveryView {
    fn from((outcome, delivery): (Outcome, Delivery)) -> Self {
        Self {
            id: outcome.id,
            github_id: delivery.id,
            event: delivery.event,
            action: delivery.action,
            repository: delivery.repository,
            branch: delivery.branch,
            commit: delivery.commit_id,
            state: outcome.state,
            reason: outcome.reason,
            builds: serde_json::from_str(&outcome.builds).unwrap_or_else(|_damaged| json!([])),
            run: outcome.run,
            received_at: delivery.received_at,
            finished_at: outcome.finished_at,
        }
    }
}

/// One delivery.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeliveryBody {
    delivery: DeliveryView,
}

/// Deliveries, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeliveriesBody {
    deliveries: Vec<DeliveryView>,
    /// The cursor of the next page, if there is one.
    next: Option<String>,
}

/// List what GitHub delivered
///
/// Of the last 30 days: what came of each, and why nothing was built where nothing was.
#[utoipa::path(get, path = "/v1/accounts/{account_id}/github/deliveries", tag = "Repositories",
    params(("account_id" = String, Path, description = "The account"), PageQuery),
    responses((status = 200, description = "A page of deliveries", body = DeliveriesBody)))]
pub(crate) async fn list(
    member: AccountMember<Viewer, ProjectsRead>,
    state: web::Data<State>,
    Query(page): Query<PageQuery>,
) -> Result<web::Json<DeliveriesBody>, ApiError> {
    let after = page
        .after
        .as_deref()
        .map(str::parse::<DeliveryId>)
        .transpose();
    let after = after.map_err(|_invalid| {
        let detail = "`after` is no `next` of a page of this list";
        Problem::bad_request("invalid_cursor", detail)
    })?;
    let fetch = page.fetch();
    let rows = state
        .db
        .read(move |db| store::page(db, &member.account_id, after.as_ref(), fetch))
        .await?;
    let page = page
        .cut(rows, |(outcome, _)| outcome.id.to_string())
        .map(DeliveryView::from);
    Ok(web::Json(DeliveriesBody {
        deliveries: page.items,
        next: page.next,
    }))
}

/// Why a delivery isn't worked off again.
#[derive(Debug, thiserror::Error)]
enum RedeliverError {
    #[error("no such delivery")]
    NotFound,
    #[error("the delivery is being worked off")]
    UnderWay,
    #[error("nothing is done about such a delivery")]
    NothingToDo,
    #[error("the database failed")]
    Db(#[from] diesel::result::Error),
}

impl From<RedeliverError> for ApiError {
    fn from(error: RedeliverError) -> Self {
        match error {
            RedeliverError::NotFound => Problem::not_found("delivery").into(),
            RedeliverError::UnderWay => {
                let detail = "The delivery is being worked off already";
                Problem::conflict("delivery_under_way", detail).into()
            }
            RedeliverError::NothingToDo => {
                let detail = "Nothing is done about such a delivery; its `reason` says why";
                Problem::conflict("nothing_to_do", detail).into()
            }
            RedeliverError::Db(error) => error.into(),
        }
    }
}

/// Work a delivery off again
#[utoipa::path(post, path = "/v1/accounts/{account_id}/github/deliveries/{delivery_id}/redeliver",
    tag = "Repositories", params(DeliveryPath),
    responses(
        (status = 202, description = "The delivery, queued", body = DeliveryBody),
        (status = 404, description = "The account has had no such delivery"),
        (status = 409, description = "`delivery_under_way`, or `nothing_to_do`"),
    ))]
pub(crate) async fn redeliver(
    member: AccountMember<Developer, BuildsWrite>,
    address: ClientAddress,
    state: web::Data<State>,
    Path(path): Path<DeliveryPath>,
) -> Result<HttpResponse, ApiError> {
    let now = state.clock.now();
    let delivery = state
        .db
        .write(move |db| {
            super::lock(db, &path.delivery_id)?;
            let found = store::outcome(db, &path.delivery_id)?
                .filter(|(outcome, _)| outcome.account_id == member.account_id);
            let (mut outcome, delivery) = found.ok_or(RedeliverError::NotFound)?;
            if outcome.state == OutcomeState::Queued {
                return Err(RedeliverError::UnderWay);
            }
            if let Content::Nothing { .. } = delivery.content()? {
                return Err(RedeliverError::NothingToDo);
            }
            super::again(db, &delivery, &mut outcome, now)?;
            let action = "github.delivery.redelivered";
            let entry = Entry::by(&member.claims, action, outcome.id.as_str(), address)
                .of_account(&member.account_id);
            audit::record(db, &entry, now)?;
            Ok((outcome, delivery))
        })
        .await?;
    Ok(HttpResponse::Accepted().json(DeliveryBody {
        delivery: delivery.into(),
    }))
}
