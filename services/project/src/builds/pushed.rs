//! `POST /internal/pushes`: what github tells when a branch of a repository there was pushed.

use actix_web::web;
use chassis::auth::ServiceCaller;
use chassis::db::Db;
use chassis::http::{ApiError, Json};
use common::api::project::{Pushed, PushedAnswer};
use common::event::EnvironmentKind;
use common::time::Time;
use diesel::QueryResult;

use super::{Wanted, start, store};
use crate::State;
use crate::environments::{self, Environment};
use crate::projects;

/// Builds the environments that follow the branch.
pub(crate) async fn http(
    caller: ServiceCaller,
    state: web::Data<State>,
    Json(body): Json<Pushed>,
) -> Result<web::Json<PushedAnswer>, ApiError> {
    caller.require(&["github"])?;
    let now = state.clock.now();
    let answer = state.db.write(move |db| build(db, &body, now)).await?;
    Ok(web::Json(answer))
}

/// Asks for a build of each environment that follows the branch, unless the same push already did.
/// Each builds what the branch holds when its turn comes, so that the newest push wins.
fn build(db: &mut Db, push: &Pushed, now: Time) -> QueryResult<PushedAnswer> {
    let found = projects::store::of_source(db, &push.account_id, &push.owner, Some(&push.repo))?;
    let (owner, repo, branch) = (&push.owner, &push.repo, &push.branch);
    if found.is_empty() {
        let reason = format!("No project of the account builds from `{owner}/{repo}`");
        return Ok(nothing(reason));
    }
    let mut builds = Vec::new();
    for project in found {
        let Some(project) = projects::locked(db, &push.account_id, &project.id)? else {
            continue;
        };
        for environment in environments::store::of_projects(db, &[&project.id])? {
            if !follows(&environment, push) {
                continue;
            }
            if let Some(known) = store::of_trigger(db, &environment.id, &push.trigger)? {
                builds.push(known);
                continue;
            }
            let wanted = Wanted {
                git_ref: Some(branch.clone()),
                trigger_key: Some(push.trigger.clone()),
                ..Wanted::default()
            };
            builds.push(start(db, &project, &environment, wanted, now)?.id);
        }
    }
    if builds.is_empty() {
        return Ok(nothing(format!(
            "No environment follows the branch `{branch}`"
        )));
    }
    Ok(PushedAnswer {
        builds,
        reason: None,
    })
}

fn nothing(reason: String) -> PushedAnswer {
    PushedAnswer {
        builds: Vec::new(),
        reason: Some(reason),
    }
}

/// Whether a push concerns an environment. Previews follow their pull requests.
fn follows(environment: &Environment, push: &Pushed) -> bool {
    if environment.kind != EnvironmentKind::Standard {
        return false;
    }
    match environment.branch.as_deref() {
        Some(branch) => branch.strip_prefix("refs/heads/").unwrap_or(branch) == push.branch,
        None => push.is_default,
    }
}
