//! Preparing: which commit, its files, how to build them, and with what.

use std::path::{Path, PathBuf};

use common::api::github::{Checkout, CheckoutRequest};
use common::event::EnvironmentKind;

use super::{Attempt, Failure};
use crate::checkout::{CheckoutJob, CheckoutLimits, CommitInfo, Credential, checkout};
use crate::detect::{Context, Plan, detect, detect_by};
use crate::environments::{self, Variables};
use crate::failpoints;
use crate::places::remove_tree;
use crate::process::Owner;

/// What a build begins with.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) plan: Plan,
    pub(crate) tree: PathBuf,
    /// A directory that goes away with the build.
    pub(crate) work: PathBuf,
    pub(crate) commit: CommitInfo,
    pub(crate) variables: Variables,
    pub(crate) owner: Option<Owner>,
}

/// Fetches the commit and plans its build. What an earlier attempt left is removed first.
pub(crate) async fn prepare(attempt: &mut Attempt) -> Result<Prepared, Failure> {
    let state = attempt.state.clone();
    let (places, build) = (state.places.clone(), attempt.build.id.clone());
    blocking(move || places.clean_up_build(&build)).await?;
    let environment = &attempt.build.request.environment;
    if environment.kind == EnvironmentKind::ForkPreview {
        environments::own_user(&state, &environment.environment_id).await?;
    }
    let of = (&attempt.build.account_id, &attempt.build.environment_id);
    let owner = environments::owner(&state, of).await?;
    // A second attempt builds what the first one found, whatever was pushed since.
    let wanted = attempt.build.commit_id.as_ref();
    let wanted = wanted.or(attempt.build.request.git_ref.as_ref());
    let source = where_from(attempt, wanted).await?;
    failpoints::pass(failpoints::CHECKOUT_KNOWN);

    let tree = state.places.tree(&attempt.build.id, attempt.job.attempt);
    let work = state.places.work().join(attempt.build.id.as_str());
    let id = attempt.build.id.as_str();
    let commit = fetch(attempt, (id, &source), &tree, &work, owner).await?;
    failpoints::pass(failpoints::CHECKED_OUT);
    let (id, message) = (
        commit.id.clone(),
        commit.subject.chars().take(500).collect::<String>(),
    );
    attempt
        .keep(|build| {
            build.commit_id = Some(id);
            build.message = Some(message);
        })
        .await?;

    let settings = settings_tree(attempt, &work, owner).await?;
    let plan = plan(attempt, &tree, settings).await?;
    failpoints::pass(failpoints::DETECTED);
    let environment = &attempt.build.request.environment;
    let variables = environments::variables(
        &state,
        &environment.environment_id,
        environment.database,
        &plan.generated_secrets,
    );
    Ok(Prepared {
        variables: variables.await?,
        plan,
        tree,
        work,
        commit,
        owner,
    })
}

/// The tree whose `slipway.toml` and `Procfile` hold, where they aren't the commit's own.
async fn settings_tree(
    attempt: &Attempt,
    work: &Path,
    owner: Option<Owner>,
) -> Result<Option<PathBuf>, Failure> {
    let request = &attempt.build.request;
    let Some(branch) = &request.settings_ref else {
        if request.environment.kind == EnvironmentKind::ForkPreview {
            let why = "a fork's commit is built by the base branch's settings, and none is named";
            return Err(Failure::Failed(why.to_owned()));
        }
        return Ok(None);
    };
    let source = where_from(attempt, Some(branch)).await?;
    let tree = work.join("settings");
    remove_tree(&tree)?;
    let id = format!("{}-settings", attempt.build.id);
    fetch(attempt, (&id, &source), &tree, work, owner).await?;
    Ok(Some(tree))
}

async fn where_from(attempt: &Attempt, git_ref: Option<&String>) -> Result<Checkout, Failure> {
    let request = &attempt.build.request;
    let body = CheckoutRequest {
        account_id: attempt.build.account_id.clone(),
        owner: request.source.owner.clone(),
        repo: request.source.repo.clone(),
        git_ref: git_ref.cloned(),
    };
    let answer = attempt
        .state
        .calls
        .post("github", "/internal/repositories/checkout", &body)
        .await;
    answer.map_err(|error| Failure::of_call("checkout: the repository can't be fetched", error))
}

async fn fetch(
    attempt: &Attempt,
    (id, source): (&str, &Checkout),
    tree: &Path,
    work: &Path,
    owner: Option<Owner>,
) -> Result<CommitInfo, Failure> {
    let state = &attempt.state;
    let token = source.token.clone();
    let credential = match source.user.clone() {
        Some(user) => Credential::Basic {
            user,
            password: token,
        },
        None => Credential::Bearer(token),
    };
    let scratch = work.join("checkout");
    let job = CheckoutJob {
        id,
        url: &source.url,
        commit: &source.commit,
        credential: Some(&credential),
        tree,
        scratch: &scratch,
        owner,
    };
    make_passable(work)?;
    let limits = CheckoutLimits {
        time: state.builds.checkout_timeout.0,
        ..CheckoutLimits::default()
    };
    let commit = checkout(&state.host, &state.operator, &job, &limits, &attempt.stop).await?;
    remove_tree(&scratch)?;
    Ok(commit)
}

async fn plan(attempt: &Attempt, tree: &Path, settings: Option<PathBuf>) -> Result<Plan, Failure> {
    let state = &attempt.state;
    let label = &attempt.build.request.environment.label;
    let context = Context {
        node_version: state.node_version.clone(),
        public_url: Some(state.urls.app_origin(label)),
    };
    let tree = tree.to_owned();
    blocking(move || match settings {
        Some(settings) => {
            let plan = detect_by(&settings, &tree, &context);
            remove_tree(&settings).map_err(Failure::from)?;
            plan.map_err(Failure::from)
        }
        None => detect(&tree, &context).map_err(Failure::from),
    })
    .await
}

/// Makes a directory of Slipway's own in which other users' directories lie.
fn make_passable(directory: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::create_dir_all(directory)?;
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o711))
}

/// Work with many files, which isn't done on a thread that serves others.
async fn blocking<T: Send + 'static, E: Into<Failure> + Send + 'static>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, Failure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(Into::into),
        Err(error) => Err(Failure::passing("the work was ended", error)),
    }
}
