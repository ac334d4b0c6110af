//! The routes of AWS credentials.

use actix_web::web;
use chassis::auth::scope::{SecretsRead, SecretsWrite};
use chassis::auth::{AccountMember, Owner};
use chassis::http::{ApiError, ClientAddress, Json, Path};
use common::id::{AccountId, ProjectId};
use common::problem::Problem;
use common::time::Time;
use common::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::check::{Check, Checked};
use super::{
    AwsCredentials, Given, is_access_key_id, is_region, is_role_arn, is_secret_access_key, store,
};
use crate::State;
use crate::answer::{Actor, Deleted, invalid};
use crate::paths::ProjectPath;
use crate::projects::{self, Project, ProjectError};

/// An access key, or a role: `{access_key_id, secret_access_key, region}` or `{role_arn, region}`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PutCredentials {
    access_key_id: Option<String>,
    #[schema(value_type = Option<String>)]
    secret_access_key: Option<SecretString>,
    /// A role that trusts us under the project's `external_id`.
    role_arn: Option<String>,
    region: String,
}

impl PutCredentials {
    /// Checks the forms; whether AWS takes them is another matter.
    fn check(self) -> Result<(Given, String), ApiError> {
        if !is_region(&self.region) {
            return Err(invalid(
                "region",
                "must be a region's name, such as `eu-central-1`",
            ));
        }
        let given = match (self.access_key_id, self.secret_access_key, self.role_arn) {
            (Some(access_key_id), Some(secret_access_key), None) => {
                key(access_key_id, secret_access_key)?
            }
            (None, None, Some(role_arn)) => role(role_arn)?,
            _ => {
                let detail = "Give either `access_key_id` and `secret_access_key`, or `role_arn`";
                return Err(Problem::unprocessable("invalid_data", detail).into());
            }
        };
        Ok((given, self.region))
    }
}

fn key(access_key_id: String, secret_access_key: SecretString) -> Result<Given, ApiError> {
    if !is_access_key_id(&access_key_id) {
        return Err(invalid("access_key_id", "must be an access key's id"));
    }
    if !is_secret_access_key(secret_access_key.expose_secret()) {
        return Err(invalid(
            "secret_access_key",
            "must be a secret key of 40 characters",
        ));
    }
    Ok(Given::Key {
        access_key_id,
        secret_access_key,
    })
}

fn role(role_arn: String) -> Result<Given, ApiError> {
    if !is_role_arn(&role_arn) {
        return Err(invalid("role_arn", "must be a role's ARN"));
    }
    Ok(Given::Role { role_arn })
}

/// Credentials as an owner sees them: never the secret key.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CredentialsView {
    access_key_id: Option<String>,
    role_arn: Option<String>,
    /// Null while there are no credentials.
    region: Option<String>,
    /// What a role's trust policy must ask for; the project's own, and never another.
    external_id: String,
    updated_at: Option<Time>,
    /// What AWS says of them; null while there are none.
    check: Option<Check>,
}

/// A project's credentials.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CredentialsBody {
    credentials: CredentialsView,
}

fn show(project: Project, credentials: Option<AwsCredentials>) -> web::Json<CredentialsBody> {
    let external_id = project.aws_external_id;
    let credentials = match credentials {
        Some(kept) => CredentialsView {
            access_key_id: kept.access_key_id,
            role_arn: kept.role_arn,
            region: Some(kept.region),
            external_id,
            updated_at: Some(kept.updated_at),
            check: Some(kept.check),
        },
        None => CredentialsView {
            access_key_id: None,
            role_arn: None,
            region: None,
            external_id,
            updated_at: None,
            check: None,
        },
    };
    web::Json(CredentialsBody { credentials })
}

/// The project, to whose external id a role's policy is bound.
async fn project_of(
    state: &State,
    account: &AccountId,
    id: &ProjectId,
) -> Result<Project, ProjectError> {
    let (account, id) = (account.clone(), id.clone());
    state
        .db
        .read(move |db| projects::store::find(db, &account, &id)?.ok_or(ProjectError::NotFound))
        .await
}

/// Set a project's AWS credentials
///
/// They take the place of earlier ones. The secret key is sealed and never comes back. AWS is asked whose
/// they are, and what it refuses isn't kept: 422, with AWS's own code. Where it doesn't answer they are
/// kept, and `check` says so.
#[utoipa::path(
    put, path = "/v1/accounts/{account_id}/projects/{project_id}/credentials/aws", tag = "credentials", params(ProjectPath), responses(
        (status = 200, description = "What may be shown of them", body = CredentialsBody),
        (status = 422, description = "They can't be any, or `aws_credentials_refused`: `aws_code` says why"),
    ),
)]
pub(crate) async fn put(
    member: AccountMember<Owner, SecretsWrite>,
    address: ClientAddress,
    state: web::Data<State>,
    Path(path): Path<ProjectPath>,
    Json(body): Json<PutCredentials>,
) -> Result<web::Json<CredentialsBody>, ApiError> {
    let (given, region) = body.check()?;
    let project = project_of(&state, &member.account_id, &path.project_id).await?;
    // Nothing is held while AWS is asked.
    let external_id = &project.aws_external_id;
    let checked = state.sts.check(&given, &region, external_id).await;
    if let Checked::Refused { code } = &checked {
        return Err(refused(code));
    }
    let now = state.clock.now();
    let check = Check::of(checked, now);
    let status = check.status;
    let credentials = AwsCredentials::seal(&state.sealer, &project.id, given, region, check, now)?;
    let actor = Actor::new(member.claims, address, member.account_id);
    let (project, credentials) = state
        .db
        .write(move |db| {
            let project = projects::locked(db, &actor.account_id, &path.project_id)?
                .ok_or(ProjectError::NotFound)?;
            store::put(db, &credentials)?;
            actor.record(
                db,
                "aws_credentials.set",
                project.id.as_str(),
                json!({ "check": status }),
                now,
            )?;
            Ok::<_, ProjectError>((project, credentials))
        })
        .await?;
    Ok(show(project, Some(credentials)))
}

fn refused(code: &str) -> ApiError {
    let detail = format!("AWS refuses these credentials: {code}");
    Problem::unprocessable("aws_credentials_refused", detail)
        .with("aws_code", code)
        .into()
}

/// Ask AWS again about a project's credentials
///
/// What it says is kept; credentials that it refuses stay where they are.
#[utoipa::path(
    post, path = "/v1/accounts/{account_id}/projects/{project_id}/credentials/aws/check", tag = "credentials", params(ProjectPath), responses((status = 200, description = "The credentials, with what AWS says of them in `check`", body = CredentialsBody)),
)]
pub(crate) async fn check(
    member: AccountMember<Owner, SecretsWrite>,
    state: web::Data<State>,
    Path(path): Path<ProjectPath>,
) -> Result<web::Json<CredentialsBody>, ApiError> {
    let project = project_of(&state, &member.account_id, &path.project_id).await?;
    let id = project.id.clone();
    let found = state.db.read(move |db| store::find(db, &id)).await?;
    let missing = || Problem::not_found("credentials");
    let mut kept = found.ok_or_else(missing)?;
    let given = kept.given(&state.sealer)?.ok_or_else(missing)?;
    let checked = state
        .sts
        .check(&given, &kept.region, &project.aws_external_id)
        .await;
    kept.check = Check::of(checked, state.clock.now());
    let (id, updated_at, check) = (project.id.clone(), kept.updated_at, kept.check.clone());
    let is_kept = state
        .db
        .write(move |db| store::set_check(db, &id, updated_at, &check))
        .await?;
    if !is_kept {
        let detail = "Other credentials have taken their place";
        return Err(Problem::conflict("credentials_changed", detail).into());
    }
    Ok(show(project, Some(kept)))
}

/// Look at a project's AWS credentials
///
/// Also tells the `external_id` that a role's trust policy needs before it can be given here.
#[utoipa::path(
    get, path = "/v1/accounts/{account_id}/projects/{project_id}/credentials/aws", tag = "credentials", params(ProjectPath), responses((status = 200, description = "What may be shown of them", body = CredentialsBody)),
)]
pub(crate) async fn get(
    member: AccountMember<Owner, SecretsRead>,
    state: web::Data<State>,
    Path(path): Path<ProjectPath>,
) -> Result<web::Json<CredentialsBody>, ApiError> {
    let (project, credentials) = state
        .db
        .read(move |db| {
            let project = projects::store::find(db, &member.account_id, &path.project_id)?;
            let project = project.ok_or(ProjectError::NotFound)?;
            let credentials = store::find(db, &project.id)?;
            Ok::<_, ProjectError>((project, credentials))
        })
        .await?;
    Ok(show(project, credentials))
}

/// Remove a project's AWS credentials
#[utoipa::path(
    delete, path = "/v1/accounts/{account_id}/projects/{project_id}/credentials/aws", tag = "credentials", params(ProjectPath), responses((status = 200, description = "They are removed", body = Deleted)),
)]
pub(crate) async fn delete(
    member: AccountMember<Owner, SecretsWrite>,
    address: ClientAddress,
    state: web::Data<State>,
    Path(path): Path<ProjectPath>,
) -> Result<web::Json<Deleted>, ApiError> {
    let actor = Actor::new(member.claims, address, member.account_id);
    let now = state.clock.now();
    let deleted = Deleted::new("credentials", &path.project_id);
    let removed = state
        .db
        .write(move |db| {
            let project = projects::locked(db, &actor.account_id, &path.project_id)?
                .ok_or(ProjectError::NotFound)?;
            let removed = store::remove(db, &project.id)?;
            if removed {
                actor.record(
                    db,
                    "aws_credentials.removed",
                    project.id.as_str(),
                    json!({}),
                    now,
                )?;
            }
            Ok::<_, ProjectError>(removed)
        })
        .await?;
    if removed {
        Ok(web::Json(deleted))
    } else {
        Err(Problem::not_found("credentials").into())
    }
}
