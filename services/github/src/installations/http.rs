//! The routes of installations.

use actix_web::{HttpResponse, web};
use chassis::audit::{self, Entry};
use chassis::auth::scope::{ProjectsRead, ProjectsWrite};
use chassis::auth::{AccountMember, Developer, Viewer};
use chassis::http::{ApiError, ClientAddress, Json, Path};
use common::id::AccountId;
use common::problem::Problem;
use common::time::Time;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::{Installation, state, store};
use crate::State;
use crate::app::{App, GithubError, ProofError};
use crate::state::InstallLinkError;

/// The longest code that is passed on.
const LONGEST_CODE: usize = 256;

/// `…/github/installations/{installation_id}`
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct InstallationPath {
    /// The account.
    #[expect(dead_code, reason = "the extractor of the member reads it")]
    account_id: AccountId,
    /// The installation's number at GitHub.
    installation_id: i64,
}

/// Where to install the App.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InstallBody {
    /// The page at GitHub; good for an hour, and for whoever asked for it.
    install_url: String,
}

/// What GitHub sent the person back with.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConnectInstallation {
    /// The state of the link.
    state: String,
    /// Her code, by which she proves who she is at GitHub.
    code: String,
    /// The installation.
    installation_id: i64,
}

/// An installation that the account may build from.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InstallationView {
    /// Its number at GitHub.
    id: i64,
    /// On whom it is.
    owner: String,
    /// `User` or `Organization`.
    owner_kind: &'static str,
    /// Whether it is suspended at GitHub: then nothing can be built from it.
    suspended: bool,
    created_at: Time,
}

/// One of them.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InstallationBody {
    installation: InstallationView,
}

/// All of an account's.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InstallationsBody {
    installations: Vec<InstallationView>,
    /// Always null: they are few.
    next: Option<String>,
}

/// That one isn't the account's any more.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DisconnectedBody {
    id: i64,
    object: &'static str,
    deleted: bool,
}

impl From<Installation> for InstallationView {
    fn from(installation: Installation) -> Self {
        Self {
            id: installation.id,
            owner: installation.owner,
            owner_kind: installation.owner_kind.as_str(),
            suspended: installation.suspended,
            created_at: installation.created_at,
        }
    }
}

/// The App, or that none is configured.
pub(crate) fn configured(state: &State) -> Result<&App, ApiError> {
    state.app.as_ref().ok_or_else(|| not_configured().into())
}

fn not_configured() -> Problem {
    let detail = "No GitHub App is configured on this platform";
    Problem::new(501, "github_not_configured", detail)
}

/// Get the link that installs the App
#[utoipa::path(get, path = "/v1/accounts/{account_id}/github/install", tag = "Repositories",
    params(("account_id" = String, Path, description = "The account")),
    responses(
        (status = 200, description = "The link", body = InstallBody),
        (status = 501, description = "`github_not_configured`"),
    ))]
pub(crate) async fn install(
    member: AccountMember<Developer, ProjectsRead>,
    state: web::Data<State>,
) -> Result<web::Json<InstallBody>, ApiError> {
    let install_url = state
        .install_url(&member.account_id, &member.user_id)
        .await?
        .to_string();
    Ok(web::Json(InstallBody { install_url }))
}

/// List the installations that an account may build from
#[utoipa::path(get, path = "/v1/accounts/{account_id}/github/installations", tag = "Repositories",
    params(("account_id" = String, Path, description = "The account")),
    responses((status = 200, description = "The installations, by owner", body = InstallationsBody)))]
pub(crate) async fn list(
    member: AccountMember<Viewer, ProjectsRead>,
    state: web::Data<State>,
) -> Result<web::Json<InstallationsBody>, ApiError> {
    let found = state
        .db
        .read(move |db| store::of_account(db, &member.account_id))
        .await?;
    Ok(web::Json(InstallationsBody {
        installations: found.into_iter().map(Into::into).collect(),
        next: None,
    }))
}

/// Connect an installation
///
/// The caller must be the one who asked for the link, and own what the App is installed on.
#[utoipa::path(post, path = "/v1/accounts/{account_id}/github/installations", tag = "Repositories",
    params(("account_id" = String, Path, description = "The account")),
    responses(
        (status = 201, description = "It is the account's", body = InstallationBody),
        (status = 400, description = "`invalid_state` or `invalid_code`: begin with a new link"),
        (status = 403, description = "`not_installation_owner`"),
        (status = 404, description = "The caller reaches no such installation"),
        (status = 501, description = "`github_not_configured`"),
    ))]
pub(crate) async fn connect(
    member: AccountMember<Developer, ProjectsWrite>,
    address: ClientAddress,
    state: web::Data<State>,
    Json(body): Json<ConnectInstallation>,
) -> Result<HttpResponse, ApiError> {
    let app = configured(&state)?;
    let now = state.clock.now();
    let (account, user) = (member.account_id, member.user_id);
    if !state::is_good(&state.sealer, &body.state, &account, &user, now) {
        let detail = "The link was made for somebody else, or too long ago: ask for a new one";
        return Err(Problem::bad_request("invalid_state", detail).into());
    }
    if body.code.is_empty() || body.code.len() > LONGEST_CODE {
        return Err(ProofError::BadCode.into());
    }
    let proved = app.prove(&body.code, body.installation_id).await?;
    let claims = member.claims;
    let installation = state
        .db
        .write(move |db| {
            let connected = super::connect(db, &proved, (&account, &user), now)?;
            let subject = connected.id.to_string();
            let entry = Entry::by(&claims, "github.installation.connected", &subject, address)
                .of_account(&account)
                .with(json!({ "owner": connected.owner }));
            audit::record(db, &entry, now)?;
            Ok::<_, diesel::result::Error>(connected)
        })
        .await?;
    tracing::info!(
        github.installation = installation.id,
        "an installation was connected"
    );
    Ok(HttpResponse::Created().json(InstallationBody {
        installation: installation.into(),
    }))
}

/// Disconnect an installation
///
/// It goes on at GitHub, and for other accounts that have proved it.
#[utoipa::path(delete, path = "/v1/accounts/{account_id}/github/installations/{installation_id}",
    tag = "Repositories", params(InstallationPath),
    responses(
        (status = 200, description = "It is the account's no more", body = DisconnectedBody),
        (status = 404, description = "It wasn't"),
    ))]
pub(crate) async fn disconnect(
    member: AccountMember<Developer, ProjectsWrite>,
    address: ClientAddress,
    state: web::Data<State>,
    Path(path): Path<InstallationPath>,
) -> Result<web::Json<DisconnectedBody>, ApiError> {
    let now = state.clock.now();
    let id = path.installation_id;
    let gone = state
        .db
        .write(move |db| {
            let gone = super::disconnect(db, id, &member.account_id, now)?;
            if gone {
                let subject = id.to_string();
                let action = "github.installation.disconnected";
                let entry = Entry::by(&member.claims, action, &subject, address)
                    .of_account(&member.account_id);
                audit::record(db, &entry, now)?;
            }
            Ok::<_, diesel::result::Error>(gone)
        })
        .await?;
    if !gone {
        return Err(Problem::not_found("installation").into());
    }
    Ok(web::Json(DisconnectedBody {
        id,
        object: "installation",
        deleted: true,
    }))
}

impl From<InstallLinkError> for ApiError {
    fn from(error: InstallLinkError) -> Self {
        match error {
            InstallLinkError::NoApp => not_configured().into(),
            InstallLinkError::Seal(error) => Self::internal(error),
            InstallLinkError::Github(error) => error.into(),
        }
    }
}

impl From<ProofError> for ApiError {
    fn from(error: ProofError) -> Self {
        match error {
            ProofError::Github(error) => error.into(),
            ProofError::BadCode => {
                let detail = "GitHub doesn't accept the code: begin with a new link";
                Problem::bad_request("invalid_code", detail).into()
            }
            ProofError::Misconfigured(_) => {
                let detail = "GitHub doesn't accept the App's credentials";
                Self::caused(Problem::unavailable("github_misconfigured", detail), error)
            }
            ProofError::NotReached => Problem::not_found("installation").into(),
            ProofError::NotOwner => Problem::forbidden(
                "not_installation_owner",
                "Only an owner of the organisation that the App is installed on can connect it",
            )
            .into(),
        }
    }
}

impl From<GithubError> for ApiError {
    fn from(error: GithubError) -> Self {
        let detail = match &error {
            GithubError::Limited { .. } => "GitHub's rate limit is used up; try again later",
            GithubError::Unreachable(_)
            | GithubError::Status(_)
            | GithubError::Unreadable
            | GithubError::Unauthorized
            | GithubError::Unsigned => "GitHub doesn't answer as it should at the moment",
        };
        Self::caused(Problem::unavailable("github_unavailable", detail), error)
    }
}
