//! What accounts' and repositories' events mean for projects.

use chassis::db::Db;
use chassis::events::HandlerError;
use common::event::{AccountEvent, Envelope, GithubEvent, RepositoryMoved};
use common::names::{RepoName, RepoOwner};
use common::time::Time;

use super::{Change, store};

/// Deletes what a deleted account had.
pub(crate) fn on_account(
    db: &mut Db,
    envelope: &Envelope<AccountEvent>,
    now: Time,
) -> Result<(), HandlerError> {
    match &envelope.event {
        AccountEvent::AccountDeleted(account) => {
            Ok(super::close_account(db, &account.account_id, now)?)
        }
        AccountEvent::UserCreated(_)
        | AccountEvent::UserDeleted(_)
        | AccountEvent::AccountCreated(_)
        | AccountEvent::AccountUpdated(_)
        | AccountEvent::MemberAdded(_)
        | AccountEvent::MemberChanged(_)
        | AccountEvent::MemberRemoved(_)
        | AccountEvent::InviteCreated(_)
        | AccountEvent::InviteAccepted(_)
        | AccountEvent::InviteRevoked(_) => Ok(()),
    }
}

/// Has projects name their repositories as they are called now.
pub(crate) fn on_github(
    db: &mut Db,
    envelope: &Envelope<GithubEvent>,
    now: Time,
) -> Result<(), HandlerError> {
    match &envelope.event {
        GithubEvent::RepositoryMoved(moved) => follow(db, moved, now),
        GithubEvent::Push(_)
        | GithubEvent::PullRequest(_)
        | GithubEvent::InstallationCreated(_)
        | GithubEvent::InstallationChanged(_)
        | GithubEvent::InstallationDeleted(_) => Ok(()),
    }
}

fn follow(db: &mut Db, moved: &RepositoryMoved, now: Time) -> Result<(), HandlerError> {
    let unnamed = |_invalid| HandlerError::permanent("no project can name the repository");
    let owner = RepoOwner::parse(&moved.owner).map_err(unnamed)?;
    let (account, from) = (&moved.account_id, &moved.from_owner);
    for project in store::of_source(db, account, from, moved.from_repo.as_deref())? {
        let Some(project) = super::locked(db, account, &project.id)? else {
            continue;
        };
        let repo = match &moved.repo {
            Some(repo) => RepoName::parse(repo).map_err(unnamed)?,
            None => project.repo_name.clone(),
        };
        let change = Change {
            repository: Some((owner.clone(), repo)),
            ..Change::default()
        };
        super::change(db, project, change, None, now)
            .map_err(|error| HandlerError::retry(error.to_string()))?;
    }
    Ok(())
}
