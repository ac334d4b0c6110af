//! What happens to running instances, and who is told.

use std::net::SocketAddr;

use chassis::db::Db;
use diesel::QueryResult;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio_util::sync::CancellationToken;

use super::{News, instances, store};
use crate::driver::{InstanceEvent, InstanceState};
use crate::state::State;

/// Keeps deployments as their instances are, until it is told to stop. `events` must have been asked
/// for before the instances of earlier were taken up.
pub(crate) async fn run(
    state: State,
    mut events: Receiver<InstanceEvent>,
    shutdown: CancellationToken,
) {
    loop {
        let event = tokio::select! {
            event = events.recv() => event,
            () = shutdown.cancelled() => return,
        };
        let done = match event {
            Ok(event) => handle(&state, event).await,
            Err(RecvError::Lagged(_)) => compare_all(&state).await,
            Err(RecvError::Closed) => return,
        };
        if let Err(error) = done {
            tracing::error!(error = %error, "what happened to an app can't be noted");
        }
    }
}

async fn handle(state: &State, event: InstanceEvent) -> QueryResult<()> {
    match event {
        InstanceEvent::Crashed {
            id,
            reason,
            restart_in,
            ..
        } => {
            tracing::warn!(instance.id = %id, reason, restarts = restart_in.is_some(), "an app ended by itself");
            Ok(())
        }
        InstanceEvent::Restarted { id, address } => moved(state, id, address).await,
        InstanceEvent::CrashLooping { id, crashes } => {
            let reason = format!(
                "the app ended by itself {crashes} times in a row; it is still started again, with pauses"
            );
            failed(state, id, reason).await
        }
        InstanceEvent::GivenUp { id } => {
            failed(
                state,
                id,
                "the app ended by itself too often and isn't started any more".to_owned(),
            )
            .await
        }
        InstanceEvent::LimitHit { id, limit } => {
            tracing::warn!(instance.id = %id, limit = ?limit, "an app reached one of its limits");
            Ok(())
        }
    }
}

/// An instance is healthy again, perhaps elsewhere.
async fn moved(state: &State, id: String, address: SocketAddr) -> QueryResult<()> {
    let now = state.clock.now();
    let write = state.db.write(move |db: &mut Db| {
        let Some(mut deployment) = store::of_instance(db, &id)? else {
            return Ok(());
        };
        if deployment.upstreams.contains(&address) && deployment.reason.is_none() {
            return Ok(());
        }
        instances::set_live(db, &id, Some(address))?;
        deployment.reason = None;
        deployment.change(db, News::Live, now)
    });
    write.await
}

/// An instance doesn't come back, or only now and then. Where there are others, requests go to those alone.
async fn failed(state: &State, id: String, reason: String) -> QueryResult<()> {
    let now = state.clock.now();
    let write = state.db.write(move |db: &mut Db| {
        let Some(mut deployment) = store::of_instance(db, &id)? else {
            return Ok(());
        };
        deployment.reason = Some(reason);
        let live = instances::live(db, &deployment.environment_id)?;
        let has_others = live.iter().any(|row| row.id != id && row.address.is_some());
        if has_others {
            instances::set_live(db, &id, None)?;
        }
        let news = if has_others { News::Live } else { News::Failed };
        deployment.change(db, news, now)
    });
    write.await
}

/// After events were missed: looks at all instances.
async fn compare_all(state: &State) -> QueryResult<()> {
    for instance in state.driver.list().await {
        match (instance.state, instance.address) {
            (InstanceState::Running, Some(address)) => {
                handle(
                    state,
                    InstanceEvent::Restarted {
                        id: instance.id,
                        address,
                    },
                )
                .await?;
            }
            (InstanceState::GivenUp, _) => {
                handle(state, InstanceEvent::GivenUp { id: instance.id }).await?;
            }
            (InstanceState::CrashLoop, _) => {
                let crashes = instance.restarts;
                handle(
                    state,
                    InstanceEvent::CrashLooping {
                        id: instance.id,
                        crashes,
                    },
                )
                .await?;
            }
            _ => {}
        }
    }
    Ok(())
}
