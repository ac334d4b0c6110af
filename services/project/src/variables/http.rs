//! The routes of variables.

use std::collections::BTreeMap;

use actix_web::web;
use chassis::auth::scope::{EnvironmentsRead, EnvironmentsWrite};
use chassis::auth::{AccountMember, Developer};
use chassis::http::{ApiError, ClientAddress, Json, Path};
use chassis::seal::{SealError, Sealer};
use common::ExposeSecret as _;
use common::event::EnvironmentKind;
use common::id::EnvironmentId;
use common::problem::Problem;
use common::time::Time;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::input::VariableInput;
use super::{Changes, MAX_VARIABLES, Value, Variable, VariableError, VariableName, store};
use crate::State;
use crate::answer::{Actor, Deleted};
use crate::environments::{self, EnvironmentError};
use crate::paths::{EnvironmentPath, VariablePath};

impl From<VariableError> for ApiError {
    fn from(error: VariableError) -> Self {
        match error {
            VariableError::NotFound => Problem::not_found("variable").into(),
            VariableError::OfFork => Problem::conflict(
                "preview_of_fork",
                "The preview runs a commit of somebody else's: it gets no secret variables",
            )
            .into(),
            VariableError::TooMany => {
                let detail = format!("An environment has at most {MAX_VARIABLES} variables");
                Problem::unprocessable("too_many_variables", detail).into()
            }
            VariableError::Environment(error) => error.into(),
            VariableError::Db(error) => error.into(),
        }
    }
}

/// Variables to be set or removed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PutVariables {
    /// By name: a text, `{"value", "secret"?}`, or `null` to remove it. Those not named stay as they are.
    #[schema(value_type = BTreeMap<String, VariableInput>)]
    variables: BTreeMap<String, Option<VariableInput>>,
}

/// A variable as a caller sees it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VariableView {
    name: String,
    /// Whether its value is never shown again, and masked in logs.
    secret: bool,
    /// The value; absent of a secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    updated_at: Time,
}

/// An environment's variables, by name.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VariablesBody {
    variables: Vec<VariableView>,
    /// Always null: they come on one page.
    next: Option<String>,
}

fn show(sealer: &Sealer, rows: Vec<Variable>) -> Result<web::Json<VariablesBody>, SealError> {
    let view = |row: Variable| {
        let value = if row.secret {
            None
        } else {
            Some(row.open(sealer)?.expose_secret().to_owned())
        };
        Ok(VariableView {
            name: row.name,
            secret: row.secret,
            value,
            updated_at: row.updated_at,
        })
    };
    let variables = rows
        .into_iter()
        .map(view)
        .collect::<Result<_, SealError>>()?;
    Ok(web::Json(VariablesBody {
        variables,
        next: None,
    }))
}

/// Checks and seals what is to be set.
fn changes(
    sealer: &Sealer,
    environment: &EnvironmentId,
    wanted: BTreeMap<String, Option<VariableInput>>,
    now: Time,
) -> Result<Changes, ApiError> {
    let mut changes = Changes::default();
    for (name, input) in wanted {
        let field = || format!("variables.{}", name.chars().take(64).collect::<String>());
        let name =
            VariableName::parse(&name).map_err(|error| Problem::invalid_field(field(), error))?;
        let Some(VariableInput { value, secret }) = input else {
            changes.remove.push(name);
            continue;
        };
        let value =
            Value::new(value, secret).map_err(|error| Problem::invalid_field(field(), error))?;
        changes
            .set
            .push(Variable::seal(sealer, environment, &name, &value, now)?);
    }
    Ok(changes)
}

/// Set and remove variables
///
/// What is named is set, or removed where it is `null`; what isn't named stays. They reach the
/// app with its next build.
#[utoipa::path(
    put, path = "/v1/accounts/{account_id}/projects/{project_id}/environments/{environment_id}/variables",
    tag = "variables", params(EnvironmentPath), responses(
        (status = 200, description = "All variables as they are now, without the values of secrets", body = VariablesBody),
        (status = 409, description = "`preview_of_fork`: a fork's preview gets no secrets"),
        (status = 422, description = "A name or value is wrong; nothing was changed"),
    ),
)]
pub(crate) async fn put(
    member: AccountMember<Developer, EnvironmentsWrite>,
    address: ClientAddress,
    state: web::Data<State>,
    Path(path): Path<EnvironmentPath>,
    Json(body): Json<PutVariables>,
) -> Result<web::Json<VariablesBody>, ApiError> {
    let now = state.clock.now();
    let names: Vec<_> = body.variables.keys().cloned().collect();
    let changes = changes(&state.sealer, &path.environment_id, body.variables, now)?;
    let actor = Actor::new(member.claims, address, member.account_id);
    let rows = state
        .db
        .write(move |db| {
            let environment = environments::locked(db, &actor.account_id, &path)?;
            let is_secret = changes.set.iter().any(|variable| variable.secret);
            if is_secret && environment.kind == EnvironmentKind::ForkPreview {
                return Err(VariableError::OfFork);
            }
            let rows = super::apply(db, &environment.id, &changes)?;
            actor.record(
                db,
                "variables.changed",
                environment.id.as_str(),
                json!({ "names": names }),
                now,
            )?;
            Ok::<_, VariableError>(rows)
        })
        .await?;
    Ok(show(&state.sealer, rows)?)
}

/// List variables
#[utoipa::path(
    get, path = "/v1/accounts/{account_id}/projects/{project_id}/environments/{environment_id}/variables",
    tag = "variables", params(EnvironmentPath), responses((status = 200, description = "All variables, without the values of secrets", body = VariablesBody)),
)]
pub(crate) async fn list(
    member: AccountMember<Developer, EnvironmentsRead>,
    state: web::Data<State>,
    Path(path): Path<EnvironmentPath>,
) -> Result<web::Json<VariablesBody>, ApiError> {
    let rows = state
        .db
        .read(move |db| {
            let found = environments::store::find(
                db,
                &member.account_id,
                &path.project_id,
                &path.environment_id,
            )?;
            let environment = found.ok_or(EnvironmentError::NotFound)?;
            Ok::<_, VariableError>(store::of_environment(db, &environment.id)?)
        })
        .await?;
    Ok(show(&state.sealer, rows)?)
}

/// Remove a variable
#[utoipa::path(
    delete, path = "/v1/accounts/{account_id}/projects/{project_id}/environments/{environment_id}/variables/{name}",
    tag = "variables", params(VariablePath), responses((status = 200, description = "It is removed", body = Deleted)),
)]
pub(crate) async fn delete(
    member: AccountMember<Developer, EnvironmentsWrite>,
    address: ClientAddress,
    state: web::Data<State>,
    Path(path): Path<VariablePath>,
) -> Result<web::Json<Deleted>, ApiError> {
    let actor = Actor::new(member.claims, address, member.account_id);
    let now = state.clock.now();
    let VariablePath {
        account_id,
        project_id,
        environment_id,
        name,
    } = path;
    let path = EnvironmentPath {
        account_id,
        project_id,
        environment_id,
    };
    let deleted = Deleted::new("variable", &name);
    state
        .db
        .write(move |db| {
            let environment = environments::locked(db, &actor.account_id, &path)?;
            if !store::remove(db, &environment.id, &name)? {
                return Err(VariableError::NotFound);
            }
            actor.record(
                db,
                "variables.changed",
                environment.id.as_str(),
                json!({ "names": [name] }),
                now,
            )?;
            Ok(())
        })
        .await?;
    Ok(web::Json(deleted))
}

/// Remove all variables
#[utoipa::path(
    delete, path = "/v1/accounts/{account_id}/projects/{project_id}/environments/{environment_id}/variables",
    tag = "variables", params(EnvironmentPath), responses((status = 200, description = "They are removed", body = Deleted)),
)]
pub(crate) async fn delete_all(
    member: AccountMember<Developer, EnvironmentsWrite>,
    address: ClientAddress,
    state: web::Data<State>,
    Path(path): Path<EnvironmentPath>,
) -> Result<web::Json<Deleted>, ApiError> {
    let actor = Actor::new(member.claims, address, member.account_id);
    let now = state.clock.now();
    let deleted = Deleted::new("variables", &path.environment_id);
    state
        .db
        .write(move |db| {
            let environment = environments::locked(db, &actor.account_id, &path)?;
            store::remove_all(db, &environment.id)?;
            actor.record(
                db,
                "variables.removed",
                environment.id.as_str(),
                json!({}),
                now,
            )?;
            Ok::<_, VariableError>(())
        })
        .await?;
    Ok(web::Json(deleted))
}
