//! What is to go: instances whose time is over, and directories of releases that are kept no more.
//!
//! Each machine looks after its own. What is to go stands in the database, so that it goes also where
//! Slipway was killed in between.

use std::path::Path;
use std::time::Duration;

use chassis::db::Db;
use common::time::Span;
use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use super::instances::{self, InstanceRow};
use super::store;
use crate::failpoints;
use crate::logs::ingest;
use crate::places::remove_tree;
use crate::releases;
use crate::state::State;

/// How often is looked.
const LOOK: Duration = Duration::from_millis(500);

/// Looks now and then, until it is told to stop.
pub(crate) async fn run(state: State, shutdown: CancellationToken) {
    while tokio::time::timeout(LOOK, shutdown.cancelled())
        .await
        .is_err()
    {
        if let Err(error) = once(&state).await {
            tracing::warn!(
                error = format!("{error:#}"),
                "what is to go can't be removed yet"
            );
        }
    }
}

async fn once(state: &State) -> anyhow::Result<()> {
    let (node, now) = (state.node().to_owned(), state.clock.now());
    let (over, gone) = state
        .db
        .read(move |db: &mut Db| {
            let over = instances::to_retire(db, &node, now)?;
            Ok::<_, diesel::result::Error>((over, releases::store::to_remove(db, &node)?))
        })
        .await?;
    let retired = join_all(over.into_iter().map(|row| retire(state, row))).await;
    for result in retired {
        result?;
    }
    for (id, directory) in gone {
        failpoints::pass(failpoints::BEFORE_REMOVED);
        tokio::task::spawn_blocking(move || remove_tree(Path::new(&directory))).await??;
        state
            .db
            .write(move |db: &mut Db| releases::store::forget(db, &id))
            .await?;
    }
    Ok(())
}

async fn retire(state: &State, row: InstanceRow) -> anyhow::Result<()> {
    if is_still_needed(state, &row).await? {
        return Ok(());
    }
    failpoints::pass(failpoints::BEFORE_RETIRED);
    state.driver.stop(&row.id).await?;
    failpoints::pass(failpoints::AFTER_RETIRED);
    ingest::rest(state, &row).await?;
    state.driver.forget(&row.id).await?;
    let (keep, now) = (state.builds.keep_releases, state.clock.now());
    state
        .db
        .write(move |db: &mut Db| {
            instances::remove(db, &row.id)?;
            // What ran until now was spared when the last switch pruned.
            releases::store::prune(db, &row.environment_id, keep, now)
        })
        .await?;
    Ok(())
}

/// As long as the news of the switch hasn't even left, requests still come to the old instance.
async fn is_still_needed(state: &State, row: &InstanceRow) -> Result<bool, diesel::result::Error> {
    let (id, instance) = (row.environment_id.clone(), row.id.clone());
    let now = state.clock.now();
    let later = now + Span::from_std(state.apps.drain.0).unwrap_or_default();
    let subject = id.to_string();
    let waiting = state
        .db
        .read(move |db: &mut Db| chassis::events::is_waiting(db, &subject))
        .await?;
    if !waiting {
        return Ok(false);
    }
    let postponed = state.db.write(move |db: &mut Db| {
        let is_deleted =
            store::find(db, &id)?.is_none_or(|deployment| deployment.deleted_at.is_some());
        if !is_deleted {
            instances::retire(db, &instance, later)?;
        }
        Ok(!is_deleted)
    });
    postponed.await
}
