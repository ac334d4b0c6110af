//! `/auth/{actor}/github…`: GitHub as one of Medusa's providers.

use actix_web::{HttpRequest, HttpResponse, web};
use chassis::auth::Person;
use chassis::http::{ApiError, ClientAddress, Json, Path, Query, unstored};
use common::id::IdentityId;
use common::problem::Problem;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::arrival::{Comer, arrived};
use super::returned::Returned;
use super::{callback_url, trip};
use crate::identities::Provider;
use crate::medusa::{Medusa, slugged};
use crate::public::bound;
use crate::requests::{self, Ask, Code, Kind, LIFETIME};
use crate::sign_in::EnteredAnswer;
use crate::state::State;

/// The cookie that binds a browser to its trip.
const COOKIE: &str = "slipway-oauth";

/// How a trip begins; other fields are passed over.
#[derive(Debug, Default, Deserialize, utoipa::ToSchema)]
pub struct Departure {
    /// Where GitHub sends the person back to: on the platform's own origin or one of `cors.origins`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    callback_url: Value,
}

/// Where the person goes.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct LocationAnswer {
    /// GitHub's page.
    location: String,
}

/// Begins signing in: answers where to send the person.
#[utoipa::path(
    post,
    path = "/auth/{actor}/github",
    tag = "auth",
    security(()),
    params(("actor" = String, Path, example = "euser")),
    request_body = Departure,
    responses(
        (status = 200, description = "Where to send the person", body = LocationAnswer),
        (status = 400, description = "Not for this actor, or not with this callback"),
        (status = 429, description = "Too many of this address are under way"),
        (status = 501, description = "GitHub isn't set up"),
    ),
)]
pub async fn start(
    state: web::Data<State>,
    request: HttpRequest,
    actor: Path<String>,
    address: ClientAddress,
    Medusa(Json(body)): Medusa<Json<Departure>>,
) -> Result<HttpResponse, ApiError> {
    departed(&state, &request, &actor.0, (address, None), &body)
        .await
        .map_err(slugged)
}

/// The same, as Medusa's clients may ask.
#[utoipa::path(
    get,
    path = "/auth/{actor}/github",
    tag = "auth",
    security(()),
    params(("actor" = String, Path, example = "euser")),
    responses(
        (status = 200, description = "Where to send the person", body = LocationAnswer),
        (status = 400, description = "Not for this actor"),
    ),
)]
pub async fn start_by_get(
    state: web::Data<State>,
    request: HttpRequest,
    actor: Path<String>,
    address: ClientAddress,
    body: Medusa<Json<Departure>>,
) -> Result<HttpResponse, ApiError> {
    start(state, request, actor, address, body).await
}

/// Begins linking GitHub to the caller's identity.
#[utoipa::path(
    post,
    path = "/auth/{actor}/github/link",
    tag = "auth",
    params(("actor" = String, Path, example = "euser")),
    request_body = Departure,
    responses(
        (status = 200, description = "Where to send the person", body = LocationAnswer),
        (status = 400, description = "Not for this actor, or not with this callback"),
        (status = 401, description = "No token, or one of another actor"),
        (status = 501, description = "GitHub isn't set up"),
    ),
)]
pub async fn link(
    Medusa(person): Medusa<Person>,
    state: web::Data<State>,
    request: HttpRequest,
    Path(actor): Path<String>,
    address: ClientAddress,
    Medusa(Json(body)): Medusa<Json<Departure>>,
) -> Result<HttpResponse, ApiError> {
    if actor != person.actor.as_str() {
        return Err(slugged(Problem::unauthorized().into()));
    }
    let who = Some(person.identity_id);
    departed(&state, &request, &actor, (address, who), &body)
        .await
        .map_err(slugged)
}

/// Nobody registers by GitHub: signing in does that, too.
#[utoipa::path(
    post,
    path = "/auth/{actor}/github/register",
    tag = "auth",
    security(()),
    params(("actor" = String, Path, example = "euser")),
    responses((status = 400, description = "It can't be done so")),
)]
pub async fn register(
    state: web::Data<State>,
    Path(actor): Path<String>,
) -> Result<HttpResponse, ApiError> {
    let allowed = state.providers.check(&actor, Provider::Github.as_str());
    let detail = "Github does not support registration. Use method `authenticate` instead.";
    let refused = allowed
        .err()
        .unwrap_or_else(|| Problem::bad_request("not_allowed", detail));
    Err(slugged(refused.into()))
}

async fn departed(
    state: &State,
    request: &HttpRequest,
    actor: &str,
    (address, identity): (ClientAddress, Option<IdentityId>),
    body: &Departure,
) -> Result<HttpResponse, ApiError> {
    let (actor, _) = state.providers.check(actor, Provider::Github.as_str())?;
    let redirect_uri = match &body.callback_url {
        Value::Null => state
            .place
            .address(&format!("/auth/{actor}/github/callback")),
        Value::String(asked)
            if callback_url::is_allowed(
                asked,
                state.place.urls.platform(),
                &state.place.origins,
            ) =>
        {
            asked.clone()
        }
        _ => {
            let detail = "The provided callback_url is not allowed: it must be on the platform's own origin or one of `cors.origins`";
            return Err(Problem::bad_request("not_allowed", detail).into());
        }
    };
    let (location, trip) = trip::set_out(state, &redirect_uri)?;
    let browser = bound(request, COOKIE).unwrap_or_else(Code::random);
    let ask = Ask {
        kind: if identity.is_some() {
            Kind::Link
        } else {
            Kind::Redirect
        },
        poll: None,
        user_code: None,
        browser: Some(browser.clone()),
        actor: Some(actor),
        identity,
        address,
        lifetime: LIFETIME,
    };
    let now = state.clock.now();
    state
        .db
        .read(move |db| requests::check_room(db, address, now))
        .await?;
    state
        .db
        .write(move |db| {
            let request = requests::ask(db, &ask, now)?;
            requests::begin_trip(db, &request, &trip, now)?;
            Ok::<_, requests::AskError>(())
        })
        .await?;
    let mut answer = unstored().json(LocationAnswer {
        location: location.into(),
    });
    let binding = state.place.binding(COOKIE, "/auth", &browser);
    answer.add_cookie(&binding).map_err(ApiError::internal)?;
    Ok(answer)
}

/// Takes a person back: signs her in, registers her, or links GitHub to who she is.
#[utoipa::path(
    get,
    path = "/auth/{actor}/github/callback",
    tag = "auth",
    security(()),
    params(("actor" = String, Path, example = "euser"), Returned),
    responses(
        (status = 200, description = "A token, or what completes the login", body = EnteredAnswer),
        (status = 401, description = "GitHub says no, or the state isn't good"),
        (status = 409, description = "The GitHub account is linked to another identity"),
        (status = 502, description = "GitHub fails"),
        (status = 503, description = "GitHub can't be reached"),
    ),
)]
pub async fn callback(
    state: web::Data<State>,
    request: HttpRequest,
    person: Option<Person>,
    actor: Path<String>,
    address: ClientAddress,
    Medusa(Query(returned)): Medusa<Query<Returned>>,
) -> Result<HttpResponse, ApiError> {
    let comer = Comer {
        cookie: bound(&request, COOKIE),
        identity: person.map(|person| person.identity_id),
        address,
    };
    arrived(&state, &actor.0, comer, &returned)
        .await
        .map_err(slugged)
}

/// The same, as Medusa's clients may ask.
#[utoipa::path(
    post,
    path = "/auth/{actor}/github/callback",
    tag = "auth",
    security(()),
    params(("actor" = String, Path, example = "euser"), Returned),
    responses(
        (status = 200, description = "A token, or what completes the login", body = EnteredAnswer),
        (status = 401, description = "GitHub says no, or the state isn't good"),
    ),
)]
pub async fn callback_by_post(
    state: web::Data<State>,
    request: HttpRequest,
    person: Option<Person>,
    actor: Path<String>,
    address: ClientAddress,
    returned: Medusa<Query<Returned>>,
) -> Result<HttpResponse, ApiError> {
    callback(state, request, person, actor, address, returned).await
}
