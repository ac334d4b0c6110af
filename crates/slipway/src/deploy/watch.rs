//! Watching a build until it ends: its log as it is written, its state as it changes.

use std::time::Duration;

use anyhow::Context as _;
use tokio::time::Instant;

use super::event::{Event, Phase};
use super::lines::{self, Tail};
use super::report::Reporter;
use crate::api::{Api, ApiError, Build, Following, Project, follow};

/// How often the state is asked for while the log is followed.
const LOOK: Duration = Duration::from_millis(400);
/// How often, once the log has ended: the state is about to be the last.
const LAST_LOOK: Duration = Duration::from_millis(50);
/// How long the rest of the log is waited for once the build has ended.
const REST_OF_LOG: Duration = Duration::from_secs(5);
/// How long the platform may be away before it is given up; the build goes on without us.
const PATIENCE: Duration = Duration::from_mins(1);

/// A build that has ended, with the last lines of its log.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) build: Build,
    log: Tail,
}

impl Ended {
    /// The lines of its log that tell why it failed.
    pub(crate) fn lines_that_matter(&self) -> Vec<&str> {
        lines::that_matter(&self.log)
    }
}

struct Watch<'a> {
    api: &'a Api,
    project: &'a Project,
    build: Build,
    log: Tail,
    lines: Option<Following>,
    next_look: Instant,
    last_answer: Instant,
}

/// Reports what a build does until it has ended.
pub(crate) async fn until_ended(
    api: &Api,
    project: &Project,
    build: Build,
    reporter: &mut Reporter,
) -> anyhow::Result<Ended> {
    let lines = follow(
        api.clone(),
        format!("{}?follow=true", Api::build_log(project, &build.id)),
    );
    let now = Instant::now();
    let mut watch = Watch {
        api,
        project,
        build,
        log: Tail::default(),
        lines: Some(lines),
        next_look: now,
        last_answer: now,
    };
    watch.report_state(reporter)?;
    let mut patience: Option<Instant> = None;
    loop {
        watch.step(patience, reporter).await?;
        if watch.build.state.is_final() {
            let deadline = *patience.get_or_insert_with(|| Instant::now() + REST_OF_LOG);
            if watch.lines.is_none() || Instant::now() >= deadline {
                return Ok(Ended {
                    build: watch.build,
                    log: watch.log,
                });
            }
        }
    }
}

impl Watch<'_> {
    /// Waits for the next line, or for the time to look at the state.
    async fn step(&mut self, rest: Option<Instant>, reporter: &mut Reporter) -> anyhow::Result<()> {
        let wake = rest.unwrap_or(self.next_look);
        match &mut self.lines {
            Some(lines) => tokio::select! {
                line = lines.recv() => return self.take(line, reporter),
                () = tokio::time::sleep_until(wake) => {}
            },
            None => tokio::time::sleep_until(wake).await,
        }
        if rest.is_none() {
            self.look(reporter).await?;
        }
        Ok(())
    }

    fn take(
        &mut self,
        line: Option<Result<common::api::provisioner::LogLine, ApiError>>,
        reporter: &mut Reporter,
    ) -> anyhow::Result<()> {
        match line {
            Some(Ok(line)) => {
                reporter.tell(&Event::Log(&line))?;
                self.log.push(line);
            }
            Some(Err(error)) => {
                reporter.tell(&Event::Warning {
                    message: format!("the build's log can't be read: {error}"),
                })?;
                self.lines = None;
            }
            None => {
                self.lines = None;
                self.next_look = Instant::now();
            }
        }
        Ok(())
    }

    async fn look(&mut self, reporter: &mut Reporter) -> anyhow::Result<()> {
        match self.api.get_build(self.project, &self.build.id).await {
            Ok(build) => {
                let before = std::mem::replace(&mut self.build, build);
                if before.state != self.build.state {
                    self.report_state(reporter)?;
                }
                self.last_answer = Instant::now();
            }
            Err(error) if error.is_passing() && self.last_answer.elapsed() < PATIENCE => {}
            Err(error) => {
                return Err(error).context("the build goes on, but how it stands can't be told");
            }
        }
        self.next_look = Instant::now()
            + if self.lines.is_some() {
                LOOK
            } else {
                LAST_LOOK
            };
        Ok(())
    }

    fn report_state(&self, reporter: &mut Reporter) -> anyhow::Result<()> {
        match Phase::of_build(self.build.state.as_str()) {
            Some(phase) => reporter.tell(&Event::Phase { phase }),
            None => Ok(()),
        }
    }
}
