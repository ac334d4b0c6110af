//! After a start of Slipway: what ran is taken up again, what should run and doesn't is started.

use std::time::Duration;

use chassis::db::Db;
use common::id::{EnvironmentId, ReleaseId};
use common::time::{Span, Time};
use diesel::QueryResult;
use tokio_util::sync::CancellationToken;

use super::instances::StartedBy;
use super::launch;
use super::{News, Rest, adjust, instances, store, switch};
use crate::builds::Failure;
use crate::driver::Instance;
use crate::places;
use crate::releases;
use crate::state::State;

/// Takes up the instances of this machine. Called once, before anything is built or started.
pub(crate) async fn take_up(state: &State) -> anyhow::Result<()> {
    let adopted = state.driver.adopt_all().await?;
    let running = state.driver.list().await;
    let (node, now) = (state.node().to_owned(), state.clock.now());
    let hold = state.apps.hold.0;
    let known = running.clone();
    let unknown = state
        .db
        .write(move |db: &mut Db| {
            for id in instances::stray(db, &node)? {
                instances::retire(db, &id, now)?;
            }
            let on_record = instances::of_node(db, &node)?;
            for row in on_record.iter().filter(|row| row.retire_at.is_none()) {
                compare(
                    db,
                    &row.id,
                    known.iter().find(|instance| instance.id == row.id),
                    (hold, now),
                )?;
            }
            let unknown = known
                .into_iter()
                .filter(|instance| on_record.iter().all(|row| row.id != instance.id));
            Ok::<_, diesel::result::Error>(unknown.map(|instance| instance.id).collect::<Vec<_>>())
        })
        .await?;
    for id in &unknown {
        state.driver.stop(id).await?;
        state.driver.forget(id).await?;
    }
    tracing::info!(
        adopted = adopted.adopted.len(),
        restarting = adopted.restarting.len(),
        ended = adopted.ended.len() + unknown.len(),
        orphans = adopted.orphans,
        "the running apps were taken up"
    );
    sweep(state).await
}

/// Compares a live instance with what the driver knows of it.
fn compare(
    db: &mut Db,
    id: &str,
    running: Option<&Instance>,
    (hold, now): (Duration, Time),
) -> QueryResult<()> {
    let Some(mut deployment) = store::of_instance(db, id)? else {
        return Ok(());
    };
    match running {
        Some(Instance {
            address: Some(address),
            ..
        }) if !deployment.upstreams.contains(address) => {
            instances::set_live(db, id, Some(*address))?;
            deployment.change(db, News::Live, now)
        }
        Some(_) => Ok(()),
        None => {
            instances::retire(db, id, now)?;
            deployment.hold_until = Some(now + Span::from_std(hold).unwrap_or_default());
            deployment.change(db, News::Live, now)?;
            adjust::ask(db, &deployment, now)
        }
    }
}

/// Starts a release as a new instance, in the place of `gone`, if that is still what is live. `false`: it was
/// something else by then, and nothing of the new instance is left.
pub(crate) async fn start_again(
    state: &State,
    environment: &EnvironmentId,
    release: &ReleaseId,
    (gone, started_by): (Option<&str>, StartedBy),
) -> Result<bool, Failure> {
    let (id, release_id) = (environment.clone(), release.clone());
    let found = state.db.read(move |db: &mut Db| {
        Ok::<_, diesel::result::Error>((
            store::find(db, &id)?,
            releases::store::find(db, &release_id)?,
        ))
    });
    let (Some(deployment), Some(release)) = found.await? else {
        return Ok(false);
    };
    if !release.directory.is_dir() {
        return Err(Failure::Failed(format!(
            "the files of release {} aren't on this machine",
            release.id
        )));
    }
    let ready = switch::ready(state, &deployment, release).await?;
    let gone = match gone {
        Some(gone) if ended_first(state, environment, gone).await? => None,
        gone => gone,
    };
    let instance = launch::start(state, &ready, started_by, &CancellationToken::new()).await?;
    let drained = state.clock.now() + Span::from_std(state.apps.drain.0).unwrap_or_default();
    let (environment, gone, now) = (
        environment.clone(),
        gone.map(str::to_owned),
        state.clock.now(),
    );
    let (started, release) = (instance.clone(), ready.release.id);
    let committed = state.db.write(move |db: &mut Db| {
        let Some(mut deployment) = store::locked(db, &environment)? else {
            return Ok(false);
        };
        let is_free = match &gone {
            Some(gone) => deployment.instances.contains(gone),
            None => {
                i64::try_from(deployment.instances.len()).unwrap_or(i64::MAX)
                    < deployment.wanted.max(1)
            }
        };
        let is_wanted = is_free
            && deployment.release_id.as_ref() == Some(&release)
            && deployment.rest != Rest::Asleep
            && deployment.deleted_at.is_none();
        let is_kept = instances::find(db, &started.id)?.is_some_and(|row| row.retire_at.is_none());
        if !is_wanted || !is_kept {
            return Ok(false);
        }
        if let Some(gone) = gone {
            instances::retire(db, &gone, drained)?;
        }
        instances::set_live(db, &started.id, started.address)?;
        deployment.hold_until = None;
        deployment.reason = None;
        deployment.rest = Rest::Awake;
        deployment.active_at = Some(now);
        deployment.change(db, News::Live, now)?;
        Ok::<_, diesel::result::Error>(true)
    });
    let is_live = committed.await?;
    if !is_live {
        launch::abandon(state, &instance.id).await?;
    }
    Ok(is_live)
}

/// Ends an instance whose app takes no port but its own before another one takes its place, while requests are
/// held. `false`: it has a port that was given to it, and goes on meanwhile.
async fn ended_first(
    state: &State,
    environment: &EnvironmentId,
    gone: &str,
) -> Result<bool, Failure> {
    let running = state.driver.list().await;
    let has_own_port = running
        .iter()
        .any(|instance| instance.id == gone && instance.own_port);
    if !has_own_port {
        return Ok(false);
    }
    switch::announce_hold(state, environment).await?;
    state.driver.stop(gone).await?;
    let (id, gone, now) = (environment.clone(), gone.to_owned(), state.clock.now());
    let noted = state.db.write(move |db: &mut Db| {
        let Some(mut deployment) = store::locked(db, &id)? else {
            return Ok(());
        };
        instances::retire(db, &gone, now)?;
        deployment.change(db, News::Live, now)
    });
    noted.await?;
    Ok(true)
}

/// Removes directories that belong to no release and no environment: half-made ones, of builds that
/// a crash has ended.
async fn sweep(state: &State) -> anyhow::Result<()> {
    let node = state.node().to_owned();
    let kept = state
        .db
        .read(move |db: &mut Db| releases::store::directories(db, &node))
        .await?;
    let places = state.places.clone();
    tokio::task::spawn_blocking(move || {
        for entry in std::fs::read_dir(places.releases())? {
            let path = entry?.path();
            if !kept
                .iter()
                .any(|directory| path.as_os_str() == directory.as_str())
            {
                places::remove_tree(&path)?;
            }
        }
        for entry in std::fs::read_dir(places.work())? {
            places::remove_tree(&entry?.path())?;
        }
        Ok::<_, std::io::Error>(())
    })
    .await??;
    Ok(())
}
