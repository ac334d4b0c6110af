//! The phases of one attempt at a build.

mod compile;
mod prepare;
mod release;

pub(crate) use compile::compile;
pub(crate) use prepare::{Prepared, prepare};
pub(crate) use release::{bring_back, kept, release};

use chassis::db::Db;
use chassis::jobs::{self, Job};
use common::event::BuildState;
use tokio_util::sync::CancellationToken;

use super::{Build, Failure, store};
use crate::state::State;

/// One attempt at a build.
pub(crate) struct Attempt {
    pub(crate) state: State,
    pub(crate) job: Job,
    pub(crate) build: Build,
    /// Fires when the attempt has to end, for whatever reason.
    pub(crate) stop: CancellationToken,
}

impl Attempt {
    /// Changes the build's row, if this run still holds the job.
    pub(crate) async fn keep(&mut self, change: impl FnOnce(&mut Build)) -> Result<(), Failure> {
        change(&mut self.build);
        let build = self.build.clone();
        self.write(move |db| store::update(db, &build)).await
    }

    /// Moves the build on to its next phase, and tells so.
    pub(crate) async fn move_on(&mut self, to: BuildState) -> Result<(), Failure> {
        let (mut build, now) = (self.build.clone(), self.state.clock.now());
        self.build = self
            .write(move |db| {
                build.move_on(db, to, now)?;
                Ok(build)
            })
            .await?;
        Ok(())
    }

    /// A transaction that only the run that holds the job may make.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Db) -> diesel::QueryResult<T> + Send + 'static,
    ) -> Result<T, Failure> {
        let (job, now) = (self.job.clone(), self.state.clock.now());
        let done = self.state.db.write(move |db: &mut Db| {
            if jobs::still_held(db, &job, now)? {
                work(db).map(Some)
            } else {
                Ok::<_, diesel::result::Error>(None)
            }
        });
        done.await?.ok_or(Failure::Lost)
    }
}
