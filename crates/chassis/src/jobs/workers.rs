//! The workers of a service.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use common::time::{Clock, Span, Time};
use diesel::QueryResult;
use futures_util::future::join_all;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::context::JobContext;
use super::job::{Job, JobResult};
use super::lease;
use super::runner::{self, Runner};
use crate::db::{Database, Db};

pub(super) type Run =
    dyn Fn(Job, JobContext) -> Pin<Box<dyn Future<Output = JobResult> + Send>> + Send + Sync;
pub(super) type OnFailed = dyn Fn(&mut Db, &Job, &str, Time) -> QueryResult<()> + Send + Sync;

/// How long jobs are kept after they are over.
const KEEP_OVER: Span = Span::days(30);

/// How often jobs that needn't be kept are looked for.
const CLEAN_EVERY: Duration = Duration::from_hours(1);

/// How often things are done.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// How long a worker holds a job without renewing: so long a dead one's job lies still.
    pub lease: Duration,
    /// How often a lease is renewed.
    pub renew: Duration,
    /// How often a run looks whether it was cancelled by another process; in the same process it
    /// hears of it at once.
    pub look: Duration,
    /// How often a worker looks for jobs that another process enqueued, or whose time has come.
    pub poll: Duration,
    /// How long running jobs may take to end when the process stops.
    pub grace: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(30),
            renew: Duration::from_secs(10),
            look: Duration::from_secs(1),
            poll: Duration::from_secs(1),
            grace: Duration::from_secs(10),
        }
    }
}

/// What is done for jobs of one kind.
#[derive(Clone)]
pub(super) struct Worker {
    pub(super) kind: &'static str,
    pub(super) concurrency: usize,
    pub(super) max_attempts: u32,
    pub(super) run: Arc<Run>,
    pub(super) on_failed: Option<Arc<OnFailed>>,
}

/// The workers of a service, by kind of job.
#[derive(Clone, Default)]
pub struct Workers {
    workers: Vec<Worker>,
    timing: Timing,
}

impl std::fmt::Debug for Workers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.workers.iter().map(|worker| worker.kind))
            .finish()
    }
}

impl Workers {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With other times.
    #[must_use]
    pub fn with_timing(mut self, timing: Timing) -> Self {
        self.timing = timing;
        self
    }

    /// Adds a worker for jobs of this kind: `concurrency` of them at a time in this process, each
    /// at most `max_attempts` times.
    #[must_use]
    pub fn worker<F, R>(
        mut self,
        kind: &'static str,
        concurrency: usize,
        max_attempts: u32,
        run: F,
    ) -> Self
    where
        F: Fn(Job, JobContext) -> R + Send + Sync + 'static,
        R: Future<Output = JobResult> + Send + 'static,
    {
        let run: Arc<Run> = Arc::new(move |job, cx| Box::pin(run(job, cx)));
        self.workers.push(Worker {
            kind,
            concurrency: concurrency.max(1),
            max_attempts,
            run,
            on_failed: None,
        });
        self
    }

    /// Has `tell` called in the transaction in which a job of this kind fails for good, with the
    /// text of its last error. Add the worker first.
    #[must_use]
    pub fn on_failed(
        mut self,
        kind: &'static str,
        tell: impl Fn(&mut Db, &Job, &str, Time) -> QueryResult<()> + Send + Sync + 'static,
    ) -> Self {
        let tell: Arc<OnFailed> = Arc::new(tell);
        for worker in self.workers.iter_mut().filter(|worker| worker.kind == kind) {
            worker.on_failed = Some(Arc::clone(&tell));
        }
        self
    }

    /// Does jobs until it is told to stop. Then none is begun any more; those that run may end
    /// within a bounded time, and what is left by then is given back for another to take.
    pub async fn run(self, db: Database, clock: Clock, shutdown: CancellationToken) {
        if self.workers.is_empty() {
            return;
        }
        let timing = self.timing;
        let loops = self.workers.into_iter().map(|worker| {
            let cut_off = CancellationToken::new();
            let (db, clock, shutdown) = (db.clone(), clock.clone(), shutdown.clone());
            work(Arc::new(Runner {
                worker,
                db,
                clock,
                timing,
                shutdown,
                cut_off,
            }))
        });
        tokio::join!(join_all(loops), clean(&db, &clock, &shutdown));
    }
}

/// Takes and runs the jobs of one kind.
async fn work(runner: Arc<Runner>) {
    let mut running = JoinSet::new();
    let mut commits = runner.db.commits();
    while !runner.shutdown.is_cancelled() {
        commits.mark_unchanged();
        let room = runner.worker.concurrency.saturating_sub(running.len());
        for _ in 0..room {
            let Some(job) = runner.take().await else {
                break;
            };
            running.spawn(runner::run(Arc::clone(&runner), job));
        }
        let full = running.len() >= runner.worker.concurrency;
        tokio::select! {
            () = runner.shutdown.cancelled() => {}
            _ = running.join_next(), if !running.is_empty() => {}
            _ = commits.changed(), if !full => {}
            () = tokio::time::sleep(runner.timing.poll), if !full => {}
        }
    }
    let ended = async { while running.join_next().await.is_some() {} };
    if tokio::time::timeout(runner.timing.grace, ended)
        .await
        .is_err()
    {
        tracing::warn!(
            job.kind = runner.worker.kind,
            jobs = running.len(),
            "jobs are given back, since the process stops"
        );
        runner.cut_off.cancel();
        while running.join_next().await.is_some() {}
    }
}

async fn clean(db: &Database, clock: &Clock, shutdown: &CancellationToken) {
    while !shutdown.is_cancelled() {
        let before = clock.now() - KEEP_OVER;
        if let Err(error) = db.write(move |db| lease::remove_over(db, before)).await {
            tracing::warn!(error = %error, "old jobs can't be removed");
        }
        tokio::select! { () = tokio::time::sleep(CLEAN_EVERY) => {}, () = shutdown.cancelled() => {} }
    }
}
