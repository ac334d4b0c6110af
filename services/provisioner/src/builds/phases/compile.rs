//! Building: the plan's commands, and the release that they make.

use common::event::BuildState;
use common::id::ReleaseId;

use super::{Attempt, Failure, Prepared};
use crate::build::{BuildJob, BuildLog};
use crate::deployments::launch::{self, Ready};
use crate::detect::Required;
use crate::failpoints;
use crate::logs::writer::LogWriter;
use crate::releases::{self, Release};

/// Builds, runs the release command, and keeps the release.
pub(crate) async fn compile(
    attempt: &mut Attempt,
    prepared: Prepared,
    log: &BuildLog,
    writer: &LogWriter,
) -> Result<Ready, Failure> {
    let state = attempt.state.clone();
    refuse_missing(&prepared)?;
    attempt.move_on(BuildState::Building).await?;
    let id = attempt.build.id.clone();
    let (home, cache) = (
        prepared.work.join("home"),
        state.places.cache(&attempt.build.environment_id),
    );
    let job = BuildJob {
        id: id.as_str(),
        plan: &prepared.plan,
        checkout: &prepared.tree,
        home: &home,
        cache: &cache,
        variables: &prepared.variables.all,
        commit: &prepared.commit.id,
        owner: prepared.owner,
    };
    failpoints::pass(failpoints::BEFORE_PHASES);
    state.builder.build(&job, log, &attempt.stop).await?;
    failpoints::pass(failpoints::AFTER_PHASES);
    let ready = Ready {
        release: new_release(attempt, &prepared),
        variables: prepared.variables.clone(),
        owner: prepared.owner,
    };

    attempt.move_on(BuildState::Releasing).await?;
    failpoints::pass(failpoints::BEFORE_RELEASE_COMMAND);
    let mut environment = launch::environment(&state, &ready);
    environment
        .entry("HOME".to_owned())
        .or_insert_with(|| home.to_string_lossy().into_owned());
    environment
        .entry("LANG".to_owned())
        .or_insert_with(|| "C.UTF-8".to_owned());
    state
        .builder
        .release(&job, environment, log, &attempt.stop)
        .await?;
    failpoints::pass(failpoints::AFTER_RELEASE_COMMAND);
    writer.flush().await?;
    keep(attempt, &ready.release).await?;
    failpoints::pass(failpoints::RELEASE_KEPT);
    Ok(ready)
}

/// What the app can't do without is asked for before anything is built.
fn refuse_missing(prepared: &Prepared) -> Result<(), Failure> {
    let missing = prepared
        .plan
        .missing(|name| prepared.variables.all.contains_key(name));
    if missing.is_empty() {
        return Ok(());
    }
    let each: Vec<String> = missing
        .iter()
        .map(|Required { name, why }| format!("{name} isn't set: {why}"))
        .collect();
    Err(Failure::Failed(each.join("; ")))
}

fn new_release(attempt: &Attempt, prepared: &Prepared) -> Release {
    let (build, now) = (&attempt.build, attempt.state.clock.now());
    Release {
        id: ReleaseId::new(now),
        environment_id: build.environment_id.clone(),
        account_id: build.account_id.clone(),
        build_id: build.id.clone(),
        node: attempt.state.node().to_owned(),
        directory: prepared.tree.clone(),
        plan: prepared.plan.clone(),
        commit_id: prepared.commit.id.clone(),
        message: prepared.commit.subject.clone(),
        created_at: now,
    }
}

async fn keep(attempt: &mut Attempt, release: &Release) -> Result<(), Failure> {
    attempt.build.release_id = Some(release.id.clone());
    let (build, release) = (attempt.build.clone(), release.clone());
    attempt
        .write(move |db| {
            releases::store::insert(db, &release)?;
            crate::builds::store::update(db, &build)
        })
        .await
}
