//! The routes of publications.

use actix_web::web;
use chassis::auth::scope::{EnvironmentsRead, EnvironmentsWrite};
use chassis::auth::{AccountMember, Admin, Developer, Viewer};
use chassis::http::{ApiError, ClientAddress, Json, Path};
use common::event::Visibility;
use common::id::{AccountId, EnvironmentId};
use common::names::ServiceName;
use common::problem::Problem;
use common::rules::{CorsRules, EndpointRule, HealthCheck, ServiceRules};
use common::scope::Verb;
use common::time::Time;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::{Publication, PublicationError, Wanted, store};
use crate::State;
use crate::answer::{Actor, Deleted, invalid};
use crate::environments::{self, EnvironmentError};
use crate::paths::EnvironmentPath;

/// The most accounts that a service is opened to by name.
const MAX_ACCOUNTS: usize = 100;

impl From<PublicationError> for ApiError {
    fn from(error: PublicationError) -> Self {
        match error {
            PublicationError::NotPublished => Problem::not_found("publication").into(),
            PublicationError::NameTaken(name) => {
                Problem::conflict("service_name_taken", format!("The name `{name}` is taken"))
                    .into()
            }
            PublicationError::NotPublic => {
                Problem::conflict("not_public", "Only a public service needs an approval").into()
            }
            PublicationError::Environment(error) => error.into(),
            PublicationError::Kept(error) => Self::internal(error),
            PublicationError::Db(error) => error.into(),
        }
    }
}

/// How an environment is to be published.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PutPublication {
    /// The first segment of `/v1/<name>/…`.
    name: ServiceName,
    /// Who may call it: `"account"` (unless told), `{"accounts": [ids]}`, or `"public"`, which an
    /// admin has to approve.
    visibility: Option<Visibility>,
    /// The verbs that its callers' scopes may name: `read` and `write` unless told.
    scopes: Option<Vec<Verb>>,
    /// Endpoints that need another verb, or more time, than the others.
    #[serde(default)]
    endpoints: Vec<EndpointRule>,
    /// Whose pages may call; nobody's unless told.
    #[serde(default)]
    cors: CorsRules,
    /// For how many seconds, 1 to 600, the head of an answer is waited for.
    timeout: Option<u32>,
    /// The longest body of a request, in bytes.
    max_body: Option<u64>,
    /// The longest body of an answer, in bytes: a longer one is 502, or breaks off.
    max_response_body: Option<u64>,
    /// How its instances are asked whether they are well; they aren't unless told.
    health: Option<HealthCheck>,
}

impl PutPublication {
    fn check(self) -> Result<Wanted, ApiError> {
        let visibility = self.visibility.unwrap_or(Visibility::Account);
        if let Visibility::Accounts(accounts) = &visibility
            && !(1..=MAX_ACCOUNTS).contains(&accounts.len())
        {
            let message = format!("must name 1 to {MAX_ACCOUNTS} accounts");
            return Err(invalid("visibility.accounts", message));
        }
        let scopes = self.scopes.unwrap_or_else(|| vec![Verb::Read, Verb::Write]);
        if scopes.is_empty() || scopes.contains(&Verb::Admin) {
            return Err(invalid("scopes", "must be `read`, `write` or both"));
        }
        let rules = ServiceRules {
            endpoints: self.endpoints,
            cors: self.cors,
            timeout: self.timeout,
            max_body: self.max_body,
            max_response_body: self.max_response_body,
            health: self.health,
        };
        rules
            .check(&scopes)
            .map_err(|wrong| invalid(&wrong.field, wrong.message))?;
        Ok(Wanted {
            name: self.name,
            visibility,
            scopes,
            rules,
        })
    }
}

/// A publication as a caller sees it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PublicationView {
    name: ServiceName,
    account_id: AccountId,
    environment_id: EnvironmentId,
    /// Where its paths begin, at the gateway.
    path: String,
    visibility: Visibility,
    scopes: Vec<Verb>,
    #[serde(flatten)]
    rules: ServiceRules,
    /// Whether an admin has yet to approve that everyone may call it; its own members may until then.
    pending_approval: bool,
    created_at: Time,
    updated_at: Time,
}

/// A publication.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PublicationBody {
    publication: PublicationView,
}

fn show(publication: Publication) -> Result<web::Json<PublicationBody>, ApiError> {
    let state = publication.state().map_err(ApiError::internal)?;
    let publication = PublicationView {
        path: format!("/v1/{}/", state.name),
        name: state.name,
        account_id: state.account_id,
        environment_id: state.environment_id,
        visibility: state.visibility,
        scopes: state.scopes,
        rules: state.rules,
        pending_approval: state.pending_approval,
        created_at: publication.created_at,
        updated_at: publication.updated_at,
    };
    Ok(web::Json(PublicationBody { publication }))
}

/// Publish an environment
///
/// It is then reachable as `/v1/<name>/…` with a token of the platform. Names are unique across
/// accounts; a withdrawn one stays its account's for 90 days. Another name withdraws the one before.
#[utoipa::path(
    put, path = "/v1/accounts/{account_id}/projects/{project_id}/environments/{environment_id}/publication",
    tag = "publications", params(EnvironmentPath), responses(
        (status = 200, description = "The publication", body = PublicationBody),
        (status = 409, description = "`service_name_taken`"),
    ),
)]
pub(crate) async fn put(
    member: AccountMember<Developer, EnvironmentsWrite>,
    address: ClientAddress,
    state: web::Data<State>,
    Path(path): Path<EnvironmentPath>,
    Json(body): Json<PutPublication>,
) -> Result<web::Json<PublicationBody>, ApiError> {
    let wanted = body.check()?;
    let actor = Actor::new(member.claims, address, member.account_id);
    let now = state.clock.now();
    let publication = state
        .db
        .write(move |db| {
            let environment = environments::locked(db, &actor.account_id, &path)?;
            let publication = super::publish(db, &environment, wanted, now)?;
            let details =
                json!({ "service": publication.name, "visibility": publication.visibility()? });
            actor.record(
                db,
                "service.published",
                environment.id.as_str(),
                details,
                now,
            )?;
            Ok::<_, PublicationError>(publication)
        })
        .await?;
    tracing::info!(service.name = %publication.name, environment.id = %publication.environment_id, "a service was published");
    show(publication)
}

/// Look at how an environment is published
#[utoipa::path(
    get, path = "/v1/accounts/{account_id}/projects/{project_id}/environments/{environment_id}/publication",
    tag = "publications", params(EnvironmentPath), responses((status = 200, description = "The publication", body = PublicationBody)),
)]
pub(crate) async fn get(
    member: AccountMember<Viewer, EnvironmentsRead>,
    state: web::Data<State>,
    Path(path): Path<EnvironmentPath>,
) -> Result<web::Json<PublicationBody>, ApiError> {
    let publication = state
        .db
        .read(move |db| {
            let found = environments::store::find(
                db,
                &member.account_id,
                &path.project_id,
                &path.environment_id,
            )?;
            let environment = found.ok_or(EnvironmentError::NotFound)?;
            store::of_environment(db, &environment.id)?.ok_or(PublicationError::NotPublished)
        })
        .await?;
    show(publication)
}

/// Withdraw an environment's publication
#[utoipa::path(
    delete, path = "/v1/accounts/{account_id}/projects/{project_id}/environments/{environment_id}/publication",
    tag = "publications", params(EnvironmentPath), responses((status = 200, description = "It is withdrawn", body = Deleted)),
)]
pub(crate) async fn withdraw(
    member: AccountMember<Developer, EnvironmentsWrite>,
    address: ClientAddress,
    state: web::Data<State>,
    Path(path): Path<EnvironmentPath>,
) -> Result<web::Json<Deleted>, ApiError> {
    let actor = Actor::new(member.claims, address, member.account_id);
    let now = state.clock.now();
    let name = state
        .db
        .write(move |db| {
            let environment = environments::locked(db, &actor.account_id, &path)?;
            let publication = store::of_environment(db, &environment.id)?
                .ok_or(PublicationError::NotPublished)?;
            let name = publication.name.clone();
            super::withdraw(db, publication, now)?;
            actor.record(
                db,
                "service.withdrawn",
                environment.id.as_str(),
                json!({ "service": name }),
                now,
            )?;
            Ok::<_, PublicationError>(name)
        })
        .await?;
    tracing::info!(service.name = %name, "a service was withdrawn");
    Ok(web::Json(Deleted::new("publication", name)))
}

/// Approve a public service
///
/// An admin lets every external user call it. The approval ends when the service is withdrawn or
/// is public no more.
#[utoipa::path(
    post, path = "/v1/accounts/{account_id}/projects/{project_id}/environments/{environment_id}/publication/approve",
    tag = "publications", params(EnvironmentPath), responses(
        (status = 200, description = "The publication", body = PublicationBody),
        (status = 409, description = "`not_public`: there is nothing to approve"),
    ),
)]
pub(crate) async fn approve(
    admin: Admin,
    address: ClientAddress,
    state: web::Data<State>,
    Path(path): Path<EnvironmentPath>,
) -> Result<web::Json<PublicationBody>, ApiError> {
    let actor = Actor::new(admin.claims, address, path.account_id.clone());
    let now = state.clock.now();
    let publication = state
        .db
        .write(move |db| {
            let environment = environments::locked(db, &actor.account_id, &path)?;
            let publication = store::of_environment(db, &environment.id)?
                .ok_or(PublicationError::NotPublished)?;
            let publication = super::approve(db, publication, now)?;
            let details = json!({ "service": publication.name });
            actor.record(
                db,
                "service.approved",
                environment.id.as_str(),
                details,
                now,
            )?;
            Ok::<_, PublicationError>(publication)
        })
        .await?;
    tracing::info!(service.name = %publication.name, "a public service was approved");
    show(publication)
}
