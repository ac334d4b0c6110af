//! How a preview begins, builds and ends.

use chassis::db::Db;
use chassis::seal::Sealer;
use common::event::{EnvironmentKind, PreviewStatus};
use common::id::{BuildId, UserId};
use common::names::EnvironmentName;
use common::time::Time;
use diesel::QueryResult;

use super::settings::PreviewSettings;
use super::{Preview, PreviewError, keep, store};
use crate::builds::{self, Wanted};
use crate::environments::{self, Environment, EnvironmentError, NewEnvironment, label};
use crate::projects::Project;
use crate::variables::copy::{self, Rule};

/// How often a name is tried with another suffix.
const NAME_ATTEMPTS: usize = 8;

/// What one transaction works with; it holds the project's lock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Work<'a> {
    pub(crate) project: &'a Project,
    pub(crate) settings: &'a PreviewSettings,
    pub(crate) sealer: &'a Sealer,
    pub(crate) now: Time,
}

impl Work<'_> {
    /// Brings an open pull request's preview to its newest commit, as far as that may run, and keeps it.
    /// Gives the build that it asked for.
    pub(crate) fn follow(
        self,
        db: &mut Db,
        preview: &mut Preview,
    ) -> Result<Option<BuildId>, PreviewError> {
        let build = if preview.is_approved() {
            self.begin(db, preview, None)?
        } else {
            // What runs of it was approved, and goes on.
            preview.status = PreviewStatus::AwaitingApproval;
            preview.reason = None;
            None
        };
        keep(db, preview, self.now)?;
        Ok(build)
    }

    /// Builds the newest commit, unless that was asked for; in an environment that is made if need be.
    /// The caller knows that the commit may run, and keeps the preview.
    pub(crate) fn begin(
        self,
        db: &mut Db,
        preview: &mut Preview,
        by: Option<&UserId>,
    ) -> Result<Option<BuildId>, PreviewError> {
        let kind = kind_of(preview);
        let environment = match super::environment(db, preview)? {
            Some(environment) if environment.kind == kind => environment,
            found => match self.make(db, preview, found)? {
                Ok(environment) => environment,
                Err(why) => {
                    preview.status = PreviewStatus::Waiting;
                    preview.reason = Some(why);
                    return Ok(None);
                }
            },
        };
        preview.status = PreviewStatus::Active;
        preview.reason = None;
        if preview.built_commit.as_deref() == Some(preview.head_commit.as_str()) {
            return Ok(None);
        }
        Ok(Some(self.build(db, preview, &environment, by)?))
    }

    fn build(
        self,
        db: &mut Db,
        preview: &mut Preview,
        environment: &Environment,
        by: Option<&UserId>,
    ) -> QueryResult<BuildId> {
        let wanted = Wanted {
            git_ref: Some(preview.head_commit.clone()),
            settings_ref: preview.fork.then(|| preview.base_branch.clone()),
            requested_by: by.cloned(),
            ..Wanted::default()
        };
        let build = builds::start(db, self.project, environment, wanted, self.now)?;
        preview.build_id = Some(build.id.clone());
        preview.built_commit = Some(preview.head_commit.clone());
        Ok(build.id)
    }

    /// Makes the environment, with the variables that it may have; or says why not yet.
    fn make(
        self,
        db: &mut Db,
        preview: &mut Preview,
        unfit: Option<Environment>,
    ) -> Result<Result<Environment, String>, PreviewError> {
        if let Some(unfit) = unfit {
            // What was made for the repository's own people isn't a stranger's.
            environments::delete(db, unfit, self.now)?;
            preview.environment_id = None;
            store::save(db, preview)?;
        }
        let most = self.settings.most;
        if store::running(db, &self.project.id)? >= i64::from(most) {
            return Ok(Err(format!(
                "The project has {most} previews already, which is its limit"
            )));
        }
        let name = &self.settings.source_environment;
        let Some(source) = environments::store::named(db, &self.project.id, name)? else {
            return Ok(Err(format!(
                "The project has no environment `{name}` whose variables could be copied"
            )));
        };
        // Neither its commit nor anybody who pushes to it reaches the source's own data.
        let database = source.database || copy::names_database(db, &source.id)?;
        let environment = self.environment(db, preview, database)?;
        let rule = Rule {
            secrets: self.settings.secrets && !preview.fork,
            database_url: !database,
        };
        copy::copy(
            db,
            self.sealer,
            (&source.id, &environment.id),
            rule,
            self.now,
        )?;
        preview.environment_id = Some(environment.id.clone());
        preview.build_id = None;
        preview.built_commit = None;
        Ok(Ok(environment))
    }

    /// `pr-<number>`, or with a suffix where a member has called another environment that.
    fn environment(
        self,
        db: &mut Db,
        preview: &Preview,
        database: bool,
    ) -> Result<Environment, EnvironmentError> {
        let plain = format!("pr-{}", preview.number);
        let mut name = plain.clone();
        for _ in 0..NAME_ATTEMPTS {
            let parsed =
                EnvironmentName::parse(&name).map_err(|_long| EnvironmentError::NoLabel)?;
            let new = NewEnvironment {
                name: parsed,
                kind: kind_of(preview),
                database,
                branch: None,
                sleep_after: self.settings.sleep_after,
            };
            match environments::create(db, self.project, new, self.now) {
                Err(EnvironmentError::NameTaken(_)) => {
                    name = format!("{plain}-{}", label::suffix());
                }
                made => return made,
            }
        }
        Err(EnvironmentError::NoLabel)
    }

    /// Begins what waits, oldest first, as far as there is room now.
    pub(crate) fn next_in_line(self, db: &mut Db) -> Result<Vec<BuildId>, PreviewError> {
        let mut builds = Vec::new();
        for mut preview in store::waiting(db, &self.project.id)? {
            // Approved before it waited; its newest commit may be another since.
            if !preview.is_approved() {
                continue;
            }
            builds.extend(self.begin(db, &mut preview, None)?);
            if preview.status == PreviewStatus::Waiting {
                break;
            }
            keep(db, &mut preview, self.now)?;
        }
        Ok(builds)
    }
}

fn kind_of(preview: &Preview) -> EnvironmentKind {
    if preview.fork {
        EnvironmentKind::ForkPreview
    } else {
        EnvironmentKind::Preview
    }
}

/// Ends a preview: its environment goes, with all that it has. The caller holds the project's lock.
pub(crate) fn end(
    db: &mut Db,
    preview: &mut Preview,
    status: PreviewStatus,
    reason: Option<&str>,
    now: Time,
) -> QueryResult<()> {
    if let Some(environment) = super::environment(db, preview)? {
        environments::delete(db, environment, now)?;
    }
    preview.environment_id = None;
    preview.build_id = None;
    preview.built_commit = None;
    preview.status = status;
    preview.reason = reason.map(str::to_owned);
    keep(db, preview, now)
}
