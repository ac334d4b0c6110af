//! `/auth/devices`: the programs that a person has let in, and ending that.

use actix_web::{HttpResponse, web};
use chassis::Context;
use chassis::auth::Person;
use chassis::http::{ApiError, ClientAddress, Path, Query};
use common::id::RefreshFamilyId;
use common::page::PageQuery;
use common::problem::Problem;
use common::time::Time;
use serde::Serialize;

use super::store::{self, Device};
use super::{EndReason, end};
use crate::medusa::{Medusa, cursor, slugged};
use crate::oauth::Client;
use crate::sessions::http::Done;
use crate::state::State;

/// A program on one of a person's machines, which has been let in by her.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct DeviceView {
    id: RefreshFamilyId,
    /// Which program.
    client_id: Client,
    created_at: Time,
    /// When it last asked for a token.
    last_seen_at: Time,
    expires_at: Time,
}

/// A page of devices, the newest first.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct DevicesAnswer {
    devices: Vec<DeviceView>,
    /// The cursor of the next page.
    next: Option<String>,
}

impl From<Device> for DeviceView {
    fn from(
        Device {
            family,
            last_seen_at,
        }: Device,
    ) -> Self {
        Self {
            id: family.id,
            client_id: family.client,
            created_at: family.sign_in.at,
            last_seen_at,
            expires_at: family.expires_at,
        }
    }
}

/// Lists the programs that one has let in by a browser, such as `slipway login`.
#[utoipa::path(
    get,
    path = "/auth/devices",
    tag = "auth",
    params(PageQuery),
    responses(
        (status = 200, description = "A page of devices", body = DevicesAnswer),
        (status = 401, description = "No token"),
    ),
)]
pub async fn list(
    Medusa(person): Medusa<Person>,
    state: web::Data<State>,
    Medusa(Query(page)): Medusa<Query<PageQuery>>,
) -> Result<HttpResponse, ApiError> {
    let before: Option<RefreshFamilyId> = cursor(&page)?;
    let (limit, now) = (page.fetch(), state.clock.now());
    let rows = state
        .db
        .read(move |db| store::page(db, &person.identity_id, before.as_ref(), limit, now))
        .await
        .map_err(|error: diesel::result::Error| slugged(error.into()))?;
    let page = page
        .cut(rows, |device| device.family.id.to_string())
        .map(DeviceView::from);
    Ok(HttpResponse::Ok().json(DevicesAnswer {
        devices: page.items,
        next: page.next,
    }))
}

/// Ends what a program was let in by: its tokens hold no longer.
#[utoipa::path(
    delete,
    path = "/auth/devices/{device_id}",
    tag = "auth",
    params(("device_id" = RefreshFamilyId, Path)),
    responses(
        (status = 200, description = "It has ended", body = Done),
        (status = 401, description = "No token"),
        (status = 404, description = "No such device of one's own"),
    ),
)]
pub async fn end_one(
    Medusa(person): Medusa<Person>,
    cx: web::Data<Context>,
    state: web::Data<State>,
    address: ClientAddress,
    Medusa(Path(id)): Medusa<Path<RefreshFamilyId>>,
) -> Result<HttpResponse, ApiError> {
    let now = state.clock.now();
    let ended = state
        .db
        .write(
            move |db| match store::of(db, &id, &person.identity_id, now)? {
                Some(family) => end(db, &family, EndReason::Revoked, address, now).map(Some),
                None => Ok(None),
            },
        )
        .await
        .map_err(|error: diesel::result::Error| slugged(error.into()))?;
    for entry in ended.ok_or_else(|| slugged(Problem::not_found("device").into()))? {
        cx.verifier.revoke(entry);
    }
    Ok(HttpResponse::Ok().json(Done::YES))
}
