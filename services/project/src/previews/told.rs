//! `POST /internal/pull-requests`: what github tells when something became of a pull request.

use actix_web::web;
use chassis::audit::{self, Entry};
use chassis::auth::ServiceCaller;
use chassis::db::Db;
use chassis::http::{ApiError, ClientAddress, Json};
use chassis::seal::Sealer;
use common::api::project::{PullRequestAnswer, PullRequestTold};
use common::event::{PreviewStatus, PullRequestState};
use common::time::Time;
use common::token::ActorType;
use serde_json::json;

use super::lifecycle::{Work, end};
use super::{Preview, PreviewError, store};
use crate::State;
use crate::projects::{self, Project};

/// Brings the previews of all projects that build from the repository to how the pull request stands.
pub(crate) async fn http(
    caller: ServiceCaller,
    state: web::Data<State>,
    Json(body): Json<PullRequestTold>,
) -> Result<web::Json<PullRequestAnswer>, ApiError> {
    caller.require(&["github"])?;
    let (now, sealer) = (state.clock.now(), state.sealer.clone());
    let answer = state
        .db
        .write(move |db| apply(db, &sealer, &body, now))
        .await?;
    Ok(web::Json(answer))
}

fn apply(
    db: &mut Db,
    sealer: &Sealer,
    told: &PullRequestTold,
    now: Time,
) -> Result<PullRequestAnswer, PreviewError> {
    let pull = &told.pull_request;
    let (account, owner, repo) = (&pull.account_id, &pull.owner, &pull.repo);
    let found = projects::store::of_source(db, account, owner, Some(repo))?;
    let mut answer = PullRequestAnswer::default();
    if found.is_empty() {
        let reason = format!("No project of the account builds from `{owner}/{repo}`");
        answer.reason = Some(reason);
    }
    for project in found {
        let Some(project) = projects::locked(db, account, &project.id)? else {
            continue;
        };
        let settings = store::settings(db, &project.id)?;
        let work = Work {
            project: &project,
            settings: &settings,
            sealer,
            now,
        };
        match concern(db, work, told)? {
            Concern::Nothing(reason) => answer.reason = Some(reason),
            Concern::Ended => {
                answer.changed = true;
                answer.builds.extend(work.next_in_line(db)?);
            }
            Concern::Open(mut preview) => {
                answer.changed = true;
                let had_one = preview.environment_id.is_some();
                answer.builds.extend(work.follow(db, &mut preview)?);
                if !had_one && preview.environment_id.is_some() {
                    record(db, &project, pull, "preview.created", now)?;
                }
                answer.reason.clone_from(&preview.reason);
            }
        }
    }
    Ok(answer)
}

/// What a pull request means to one project.
enum Concern {
    /// Nothing, for this reason.
    Nothing(String),
    /// Its preview is over.
    Ended,
    /// It has, or is to have, this preview.
    Open(Box<Preview>),
}

fn concern(db: &mut Db, work: Work<'_>, told: &PullRequestTold) -> Result<Concern, PreviewError> {
    let pull = &told.pull_request;
    let known = store::find(db, &work.project.id, pull.number)?;
    if known
        .as_ref()
        .is_some_and(|known| known.changed_at > told.changed_at)
    {
        let reason = "Something newer is known of the pull request";
        return Ok(Concern::Nothing(reason.to_owned()));
    }
    let refusal = if pull.open {
        work.settings.refusal(&pull.base_branch)?
    } else {
        Some("The pull request is closed".to_owned())
    };
    match (known, refusal) {
        (None, Some(reason)) => Ok(Concern::Nothing(reason)),
        (Some(known), Some(reason)) if known.status == PreviewStatus::Closed => {
            Ok(Concern::Nothing(known.reason.unwrap_or(reason)))
        }
        (Some(mut known), Some(reason)) => {
            update(&mut known, told);
            end(
                db,
                &mut known,
                PreviewStatus::Closed,
                Some(&reason),
                work.now,
            )?;
            record(db, work.project, pull, "preview.closed", work.now)?;
            Ok(Concern::Ended)
        }
        (Some(mut known), None) => {
            update(&mut known, told);
            if known.status == PreviewStatus::Removed {
                // It stays away until a member wants it back, or the pull request is opened again.
                store::save(db, &known)?;
                let reason = "A member has removed the preview".to_owned();
                return Ok(Concern::Nothing(reason));
            }
            Ok(Concern::Open(Box::new(known)))
        }
        (None, None) => Ok(Concern::Open(Box::new(new(work.project, told, work.now)))),
    }
}

fn new(project: &Project, told: &PullRequestTold, now: Time) -> Preview {
    let pull = &told.pull_request;
    Preview {
        project_id: project.id.clone(),
        number: pull.number,
        account_id: project.account_id.clone(),
        repo_owner: pull.owner.clone(),
        repo_name: pull.repo.clone(),
        base_branch: pull.base_branch.clone(),
        head_repository: pull.head_repository.clone(),
        head_branch: pull.head_branch.clone(),
        head_commit: pull.commit.clone(),
        fork: pull.fork,
        author: pull.author.clone(),
        status: PreviewStatus::Waiting,
        reason: None,
        approved_commit: None,
        approved_by: None,
        approved_at: None,
        environment_id: None,
        build_id: None,
        built_commit: None,
        changed_at: told.changed_at,
        version: 0,
        created_at: now,
        updated_at: now,
    }
}

fn update(preview: &mut Preview, told: &PullRequestTold) {
    let pull = &told.pull_request;
    if preview.fork && preview.base_branch != pull.base_branch {
        // Whoever opened it may lead it to another branch, by whose settings nobody has seen it run.
        preview.approved_commit = None;
        preview.built_commit = None;
    }
    preview.repo_owner.clone_from(&pull.owner);
    preview.repo_name.clone_from(&pull.repo);
    preview.base_branch.clone_from(&pull.base_branch);
    preview.head_repository.clone_from(&pull.head_repository);
    preview.head_branch.clone_from(&pull.head_branch);
    preview.head_commit.clone_from(&pull.commit);
    // Once a stranger's, always one: its environment has been made as such, or must not have more.
    preview.fork |= pull.fork;
    preview.author.clone_from(&pull.author);
    preview.changed_at = told.changed_at;
}

/// Writes down that a pull request, and no member, made or ended an environment.
fn record(
    db: &mut Db,
    project: &Project,
    pull: &PullRequestState,
    action: &'static str,
    now: Time,
) -> Result<(), PreviewError> {
    let subject = format!("{}/{}", project.id, pull.number);
    let entry = Entry {
        actor: "github",
        actor_type: ActorType::Service,
        action,
        subject: &subject,
        account_id: Some(&project.account_id),
        address: ClientAddress(None),
        details: json!({ "commit": pull.commit, "author": pull.author }),
    };
    Ok(audit::record(db, &entry, now)?)
}
