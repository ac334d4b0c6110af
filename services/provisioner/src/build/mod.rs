//! Running a plan's phases: bounded in time, memory and processes, with a log that holds no secret.

mod environment;
mod error;
pub(crate) mod exec;
mod log;
mod mask;
mod operator;

pub use environment::path;
pub use error::{BuildError, PhaseEnd, PhaseFailure};
pub(crate) use log::plain;
pub use log::{BuildLog, LogLine, LogSink, Stream};
pub use mask::{HIDDEN, Masker};
pub use operator::Operator;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::detect::{Command, Plan, Web};
use crate::process::{Host, Limits, Output, Owner, ProcessSpec};
use exec::Ended;

/// What a build may take.
#[derive(Clone, Debug)]
pub struct BuildLimits {
    /// The most time for one phase; a repository can ask for less.
    pub phase_time: Duration,
    /// Memory and processes of all that a phase starts.
    pub group: Limits,
    /// From 0 to 19: how far builds stand back behind live apps.
    pub niceness: i32,
    /// How many builds run at once on this machine.
    pub at_once: usize,
}

impl Default for BuildLimits {
    fn default() -> Self {
        Self {
            phase_time: Duration::from_mins(15),
            group: Limits {
                memory_bytes: Some(4 << 30),
                processes: Some(1_000),
            },
            niceness: 10,
            at_once: 1,
        }
    }
}

/// One build: what is built, where, and with what.
#[derive(Clone, Debug)]
pub struct BuildJob<'a> {
    /// The build's id: letters, digits, `_`, `-`.
    pub id: &'a str,
    /// What to do.
    pub plan: &'a Plan,
    /// The checked-out tree, which becomes the release.
    pub checkout: &'a Path,
    /// A directory of this build's own, its `HOME`; it may be removed afterwards.
    pub home: &'a Path,
    /// The project's directory for what package managers fetch; it is made if it isn't there.
    pub cache: &'a Path,
    /// The project's variables.
    pub variables: &'a BTreeMap<String, String>,
    /// The commit, for `SOURCE_VERSION`.
    pub commit: &'a str,
    /// The user to build as; the tree belongs to it already.
    pub owner: Option<Owner>,
}

/// Builds on this machine.
#[derive(Clone, Debug)]
pub struct Builder {
    host: Arc<Host>,
    operator: Operator,
    limits: BuildLimits,
    slots: Arc<Semaphore>,
}

impl Builder {
    /// A builder with slots of its own: one per machine.
    pub fn new(host: Arc<Host>, operator: Operator, limits: BuildLimits) -> Self {
        let slots = Arc::new(Semaphore::new(limits.at_once.max(1)));
        Self {
            host,
            operator,
            limits,
            slots,
        }
    }

    /// A masker for the log of a build: these secrets, and the operator's own.
    pub fn masker<'a>(&'a self, secrets: impl IntoIterator<Item = &'a str>) -> Masker {
        Masker::new(secrets.into_iter().chain(self.operator.secrets()))
    }

    /// Runs all phases of a plan, once there is a free slot.
    pub async fn build(
        &self,
        job: &BuildJob<'_>,
        log: &BuildLog,
        cancel: &CancellationToken,
    ) -> Result<(), BuildError> {
        let _slot = self.slot(log, cancel).await?;
        self.prepare(job).await?;
        let variables = environment::variables(job, &self.operator);
        let time = job
            .plan
            .phase_seconds
            .map_or(self.limits.phase_time, |seconds| {
                Duration::from_secs(seconds).min(self.limits.phase_time)
            });
        for (number, phase) in job.plan.phases.iter().enumerate() {
            let id = format!("{}-{}", job.id, number + 1);
            self.phase(
                &id,
                &phase.name,
                &phase.command,
                job,
                variables.clone(),
                time,
                log,
                cancel,
            )
            .await?;
        }
        check_output(job)
    }

    /// Runs the plan's release command, if it has one, with the variables that the app itself gets.
    pub async fn release(
        &self,
        job: &BuildJob<'_>,
        environment: BTreeMap<String, String>,
        log: &BuildLog,
        cancel: &CancellationToken,
    ) -> Result<(), BuildError> {
        let Some(command) = &job.plan.release else {
            return Ok(());
        };
        let id = format!("{}-release", job.id);
        self.phase(
            &id,
            "release",
            command,
            job,
            environment,
            self.limits.phase_time,
            log,
            cancel,
        )
        .await
    }

    async fn slot(
        &self,
        log: &BuildLog,
        cancel: &CancellationToken,
    ) -> Result<OwnedSemaphorePermit, BuildError> {
        if let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() {
            return Ok(slot);
        }
        log.note(
            "wait",
            "other builds are running on this machine; this one waits for its turn",
        );
        tokio::select! {
            () = cancel.cancelled() => Err(BuildError::Cancelled),
            slot = Arc::clone(&self.slots).acquire_owned() => slot.map_err(|error| io::Error::other(error).into()),
        }
    }

    async fn prepare(&self, job: &BuildJob<'_>) -> io::Result<()> {
        environment::prepare(job, &self.operator)
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "each caller has its own of all but two"
    )]
    async fn phase(
        &self,
        id: &str,
        name: &str,
        command: &Command,
        job: &BuildJob<'_>,
        mut environment: BTreeMap<String, String>,
        time: Duration,
        log: &BuildLog,
        cancel: &CancellationToken,
    ) -> Result<(), BuildError> {
        log.begin();
        log.note(name, &format!("$ {command}"));
        for (name, value) in &command.env {
            environment
                .entry(name.clone())
                .or_insert_with(|| value.clone());
        }
        let spec = self.spec(id, command, job, environment);
        let failed = |ended| {
            let command = log.masker().mask(&command.to_string());
            let failure = PhaseFailure {
                phase: name.to_owned(),
                command,
                ended,
                last_lines: log.tail(),
            };
            log.note(name, &failure.to_string());
            Err(BuildError::Phase(Box::new(failure)))
        };
        if cancel.is_cancelled() {
            return Err(BuildError::Cancelled);
        }
        let stop = async {
            tokio::select! {
                () = cancel.cancelled() => true,
                () = tokio::time::sleep(time) => false,
            }
        };
        let (mut out, mut err) = (
            log.lines(name, Stream::Stdout),
            log.lines(name, Stream::Stderr),
        );
        let began = Instant::now();
        let ended = exec::run(
            &self.host,
            spec,
            stop,
            |bytes| out.push(bytes),
            |bytes| err.push(bytes),
        )
        .await;
        out.finish();
        err.finish();
        match ended {
            Ok(Ended::Exit(exit)) if exit.is_success() => {
                log.note(
                    name,
                    &format!("done in {:.1} s", began.elapsed().as_secs_f64()),
                );
                Ok(())
            }
            Ok(Ended::Exit(exit)) => failed(PhaseEnd::Exit(exit)),
            Ok(Ended::Stopped(true)) => {
                log.note(name, "cancelled");
                Err(BuildError::Cancelled)
            }
            Ok(Ended::Stopped(false)) => failed(PhaseEnd::TimedOut(time)),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied
                ) =>
            {
                failed(PhaseEnd::NotStarted(error.to_string()))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn spec(
        &self,
        id: &str,
        command: &Command,
        job: &BuildJob<'_>,
        environment: BTreeMap<String, String>,
    ) -> ProcessSpec {
        let directory = command.cwd.under(&job.plan.base(job.checkout));
        let mut words = command.words().into_iter();
        ProcessSpec {
            id: id.to_owned(),
            program: program(words.next().unwrap_or_default(), &directory).into(),
            arguments: words.map(Into::into).collect(),
            directory,
            owner: job.owner,
            confinement: Some(environment::confinement(job, &environment)),
            niceness: self.limits.niceness,
            // Of a build and a live app, the kernel shall end the build.
            oom_score: Some(800),
            limits: self.limits.group,
            output: Output::Pipes,
            environment,
        }
    }
}

/// A program with a slash is relative to the command's directory, not to Slipway's.
fn program(word: String, directory: &Path) -> PathBuf {
    if word.contains('/') {
        directory.join(word)
    } else {
        PathBuf::from(word)
    }
}

/// Writes what was found and why, which stands first in a build's log.
pub fn write_reasons(plan: &Plan, log: &BuildLog) {
    for reason in &plan.reasons {
        log.note("detect", reason);
    }
    for warning in &plan.warnings {
        log.note("detect", &format!("warning: {warning}"));
    }
}

fn check_output(job: &BuildJob<'_>) -> Result<(), BuildError> {
    let base = job.plan.base(job.checkout);
    let (path, what, there) = match &job.plan.web {
        Web::Static { dir, .. } => {
            let file = dir.under(&base).join("index.html");
            (format!("{dir}/index.html"), "is served", file.is_file())
        }
        Web::Command(command) => (
            command.cwd.to_string(),
            "the app runs in",
            command.cwd.under(&base).is_dir(),
        ),
    };
    if there {
        Ok(())
    } else {
        Err(BuildError::NoOutput { path, what })
    }
}
