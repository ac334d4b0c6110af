//! Removal for good of what was deleted seven days ago, secrets and all.

use chassis::db::Db;
use chassis::jobs::{self, Job, JobContext, JobError, NewJob, Workers};
use common::id::{EnvironmentId, ProjectId};
use common::time::{Span, Time};
use diesel::QueryResult;
use serde::{Deserialize, Serialize};

use super::store;
use crate::{State, environments};

/// For how long what was deleted is kept.
const KEPT: Span = Span::days(7);

const KIND: &str = "purge";

/// How often a removal is tried, with growing pauses.
const ATTEMPTS: u32 = 20;

/// What is to be removed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Purge {
    /// A project with all that it has.
    Project(ProjectId),
    /// One environment of a project that may live on.
    Environment(EnvironmentId),
}

/// Has it removed in seven days.
pub(crate) fn schedule(db: &mut Db, purge: &Purge, now: Time) -> QueryResult<()> {
    let key = match purge {
        Purge::Project(id) => id.to_string(),
        Purge::Environment(id) => id.to_string(),
    };
    let payload = serde_json::to_value(purge)
        .map_err(|error| diesel::result::Error::SerializationError(Box::new(error)))?;
    let job = NewJob {
        kind: KIND,
        key,
        group: None,
        payload,
        run_at: now + KEPT,
        supersede: false,
    };
    jobs::enqueue(db, &job, now).map(drop)
}

/// Who does it.
pub(crate) fn workers(workers: Workers, state: State) -> Workers {
    workers.worker(KIND, 1, ATTEMPTS, move |job: Job, _: JobContext| {
        run(state.clone(), job)
    })
}

async fn run(state: State, job: Job) -> Result<(), JobError> {
    let purge: Purge = job.payload()?;
    state
        .db
        .write(move |db| remove(db, &purge))
        .await
        .map_err(JobError::retry)
}

/// Removes it, if it is still deleted.
pub(crate) fn remove(db: &mut Db, purge: &Purge) -> QueryResult<()> {
    match purge {
        Purge::Project(id) => match store::find_with_deleted(db, id)? {
            Some(project) if project.deleted_at.is_some() => store::remove(db, id),
            _ => Ok(()),
        },
        Purge::Environment(id) => match environments::store::find_with_deleted(db, id)? {
            Some(environment) if environment.deleted_at.is_some() => {
                environments::store::remove(db, id)
            }
            _ => Ok(()),
        },
    }
}

#[cfg(test)]
mod tests {
    use chassis::db::Database;
    use common::id::AccountId;
    use common::names::{DisplayName, RepoName, RepoOwner};
    use diesel::prelude::*;
    use testkit::on_both_backends;

    use super::*;
    use crate::projects::{NewProject, Project, create, delete};
    use crate::schema::{builds, environments, labels, projects};

    /// A project with a build, made at the epoch.
    fn project(db: &mut Db) -> Project {
        let new = NewProject {
            account_id: AccountId::new(Time::EPOCH),
            name: DisplayName::parse("Gone").unwrap(),
            repo_owner: RepoOwner::parse("a").unwrap(),
            repo_name: RepoName::parse("b").unwrap(),
            created_by: None,
            database: false,
        };
        let (project, environment) = create(db, new, Time::EPOCH).unwrap();
        crate::builds::request(db, &project, &environment, None, None, Time::EPOCH).unwrap();
        project
    }

    async fn in_transaction<T: Send + 'static>(
        db: &Database,
        work: impl FnOnce(&mut Db) -> T + Send + 'static,
    ) -> T {
        db.write(move |db| Ok::<_, diesel::result::Error>(work(db)))
            .await
            .unwrap()
    }

    fn counts(db: &mut Db) -> [i64; 4] {
        [
            projects::table.count().get_result(db).unwrap(),
            environments::table.count().get_result(db).unwrap(),
            builds::table.count().get_result(db).unwrap(),
            labels::table.count().get_result(db).unwrap(),
        ]
    }

    on_both_backends! {
        async fn what_was_deleted_goes_for_good_but_for_its_label(backend: Backend) {
            let db = backend.database(crate::NAME, Some(crate::migrations())).await;
            in_transaction(&db, |db| {
                let gone = project(db);
                let purge = Purge::Project(gone.id.clone());
                remove(db, &purge).unwrap();
                assert_eq!(counts(db), [1, 1, 1, 1], "it isn't deleted yet");
                delete(db, gone, Time::EPOCH).unwrap();
                assert_eq!(counts(db), [1, 1, 1, 1], "it is kept for seven days");
                remove(db, &purge).unwrap();
                remove(db, &purge).unwrap();
                assert_eq!(counts(db), [0, 0, 0, 1]);
            })
            .await;
        }

        async fn a_deleted_environment_goes_and_its_project_stays(backend: Backend) {
            let db = backend.database(crate::NAME, Some(crate::migrations())).await;
            in_transaction(&db, |db| {
                let stays = project(db);
                let production = environments::table
                    .select(crate::environments::Environment::as_select())
                    .first(db)
                    .unwrap();
                let purge = Purge::Environment(production.id.clone());
                remove(db, &purge).unwrap();
                assert_eq!(counts(db), [1, 1, 1, 1], "it isn't deleted yet");
                crate::environments::delete(db, production, Time::EPOCH).unwrap();
                remove(db, &purge).unwrap();
                assert_eq!(counts(db), [1, 0, 0, 1]);
                assert!(store::find(db, &stays.account_id, &stays.id).unwrap().is_some());
            })
            .await;
        }
    }
}
