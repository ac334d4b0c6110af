//! The life of one instance: its start, its crashes and restarts, its end. One task each.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::launch::{self, Healthy};
use super::listen;
use super::record::Record;
use super::slot::Slot;
use super::supervisor::Shared;
use crate::driver::{Instance, InstanceEvent, InstanceState, StartError};
use crate::process::{Exit, Group, LimitHit};

/// How often output and bounds are looked at.
const HOUSEKEEPING: Duration = Duration::from_secs(5);
/// How many ports are tried when another process is quicker to take the one given.
const PORT_TRIES: usize = 3;

/// How the task begins.
pub(crate) enum Begin {
    /// A new instance; whoever started it waits for the answer.
    Start(oneshot::Sender<Result<Instance, StartError>>),
    /// It runs already.
    Running,
    /// It ended while no Slipway looked after it.
    Ended,
}

/// Looks after the instance until it has ended for good.
pub(crate) async fn live(shared: Arc<Shared>, slot: Arc<Slot>, begin: Begin) {
    let mut up = match begin {
        Begin::Start(ready) => {
            let result = start(&shared, &slot).await;
            let failed = result.is_err();
            if failed {
                remove(&shared, &slot, true);
                slot.finish(Ok(()));
            }
            // Whoever asked may have gone away; the instance runs all the same.
            let _ = ready.send(result.map(|()| slot.instance()));
            if failed {
                return;
            }
            true
        }
        Begin::Running => true,
        Begin::Ended => {
            let reason = "it ended while Slipway was away".to_owned();
            restart(&shared, &slot, reason, None).await
        }
    };
    while up && let Some(exit) = until_ended(&shared, &slot).await {
        up = restart(&shared, &slot, exit.to_string(), Some(exit)).await;
    }
    slot.asked_to_stop().await;
    let ended = match slot.group() {
        Some(group) => group.terminate(slot.spec.grace).await,
        None => Ok(()),
    };
    remove(&shared, &slot, false);
    slot.finish(ended);
}

/// Takes the instance off the list and off the shelf.
fn remove(shared: &Shared, slot: &Slot, with_output: bool) {
    let id = &slot.spec.id;
    let removed = if with_output {
        shared.shelf.remove(id)
    } else {
        shared.shelf.remove_record(id)
    };
    if let Err(error) = removed {
        tracing::warn!(instance.id = %id, error = %error, "an instance's files can't be removed");
    }
    shared.remove(id);
}

/// Starts the app and waits until it is healthy. A failed start leaves no process behind.
async fn start(shared: &Arc<Shared>, slot: &Slot) -> Result<(), StartError> {
    let mut tries = 1;
    loop {
        let port = slot.live().port.port();
        match attempt(shared, slot, port).await {
            Err(StartError::PortTaken {
                command,
                last_lines,
                ..
            }) => {
                let holder = holder(shared, slot, &last_lines);
                let was_ours = holder.is_none() && listen::is_taken(port);
                let another = if was_ours && tries < PORT_TRIES {
                    shared.ports.reserve()
                } else {
                    None
                };
                let Some(another) = another else {
                    return Err(StartError::PortTaken {
                        command,
                        holder,
                        last_lines,
                    });
                };
                slot.output.note(
                    "the port given to the app was taken by another process; trying the next",
                );
                slot.live().port = another;
                tries += 1;
            }
            other => return other,
        }
    }
}

async fn attempt(shared: &Arc<Shared>, slot: &Slot, port: u16) -> Result<(), StartError> {
    let temporary = |owner| shared.shelf.temporary(&slot.spec.id, owner);
    let server = &shared.settings.static_server;
    let group = launch::spawn(&shared.host, slot, port, server, temporary)?;
    slot.live().group = Some(group.clone());
    let healthy = match save(shared, slot, &group, port) {
        Ok(()) => launch::wait_healthy(slot, &group, port).await,
        Err(error) => Err(error),
    };
    let saved = healthy.and_then(|healthy| {
        became_healthy(slot, &healthy);
        save(shared, slot, &group, port)
    });
    if saved.is_err() {
        let grace = if matches!(saved, Err(StartError::Stopped)) {
            slot.spec.grace
        } else {
            Duration::ZERO
        };
        if let Err(survivors) = group.terminate(grace).await {
            tracing::error!(instance.id = %slot.spec.id, error = %survivors, "a failed start can't be ended");
        }
        slot.live().group = None;
    }
    saved
}

fn became_healthy(slot: &Slot, healthy: &Healthy) {
    let mut live = slot.live();
    live.address = Some(healthy.address);
    live.own_port = healthy.own_port;
    if live.state != InstanceState::Stopping {
        live.state = InstanceState::Running;
    }
}

fn save(shared: &Shared, slot: &Slot, group: &Group, port: u16) -> Result<(), StartError> {
    let (address, own_port) = {
        let live = slot.live();
        (live.address, live.own_port)
    };
    Record::new(
        &slot.spec,
        group.record().clone(),
        port,
        shared.sealer.as_ref(),
    )
    .map(|record| record.answering_at(address, own_port))
    .and_then(|record| shared.shelf.save(&record))
    .map_err(StartError::Files)
}

/// The instance of ours that listens on the port that the app complains about.
fn holder(shared: &Shared, slot: &Slot, lines: &[String]) -> Option<String> {
    let others: Vec<Instance> = shared
        .slots()
        .values()
        .filter(|other| other.spec.id != slot.spec.id)
        .map(|other| other.instance())
        .filter(|other| other.own_port)
        .collect();
    let is_named = |other: &&Instance| {
        let port = other
            .address
            .map(|address| address.port().to_string())
            .unwrap_or_default();
        lines.iter().any(|line| {
            line.split(|c: char| !c.is_ascii_digit())
                .any(|number| number == port)
        })
    };
    // Not every runtime names the port; then the old release of the same app is the likely one.
    let named = others.iter().find(is_named);
    named
        .or_else(|| {
            others
                .iter()
                .find(|other| other.environment_id == slot.spec.environment_id)
        })
        .map(|other| other.id.clone())
}

/// Waits until the app ends by itself; `None` when it is asked to stop before.
async fn until_ended(shared: &Shared, slot: &Slot) -> Option<Exit> {
    let group = slot.group()?;
    let since = Instant::now();
    let mut told: Option<LimitHit> = group.limit_hit();
    loop {
        tokio::select! {
            exit = group.wait() => {
                if since.elapsed() >= shared.settings.backoff.stable_after {
                    slot.live().crashes = 0;
                }
                return (!slot.is_asked_to_stop()).then_some(exit);
            }
            () = slot.asked_to_stop() => return None,
            () = tokio::time::sleep(HOUSEKEEPING) => {
                if let Err(error) = slot.output.trim(shared.settings.output_bytes) {
                    tracing::warn!(instance.id = %slot.spec.id, error = %error, "an app's output can't be trimmed");
                }
                let hit = group.limit_hit();
                if let (None, Some(limit)) = (told, hit) {
                    shared.tell(InstanceEvent::LimitHit { id: slot.spec.id.clone(), limit });
                    told = hit;
                }
            }
        }
    }
}

/// Starts the app again after its end, with growing pauses. `false`: asked to stop, or given up.
async fn restart(
    shared: &Arc<Shared>,
    slot: &Slot,
    mut reason: String,
    mut exit: Option<Exit>,
) -> bool {
    loop {
        end_rest(slot).await;
        let Some(pause) = count_crash(shared, slot, &reason, exit) else {
            return false;
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = slot.asked_to_stop() => return false,
        }
        match start(shared, slot).await {
            Ok(()) => {
                let live = slot.live();
                if let Some(address) = live.address {
                    shared.tell(InstanceEvent::Restarted {
                        id: slot.spec.id.clone(),
                        address,
                    });
                }
                return true;
            }
            Err(StartError::Stopped) => return false,
            Err(error) => {
                exit = if let StartError::Exited { exit, .. } = &error {
                    Some(*exit)
                } else {
                    None
                };
                reason = error.to_string();
            }
        }
    }
}

/// Ends what the first process left behind, which may still hold the port.
async fn end_rest(slot: &Slot) {
    let group = slot.live().group.take();
    if let Some(group) = group
        && let Err(survivors) = group.terminate(Duration::ZERO).await
    {
        tracing::error!(instance.id = %slot.spec.id, error = %survivors, "the rest of a crashed app can't be ended");
    }
}

/// Notes a crash and answers the pause before the next start; `None` when it is given up.
fn count_crash(shared: &Shared, slot: &Slot, reason: &str, exit: Option<Exit>) -> Option<Duration> {
    let backoff = &shared.settings.backoff;
    let id = slot.spec.id.clone();
    let crashes = {
        let mut live = slot.live();
        live.crashes = live.crashes.saturating_add(1);
        live.crashes
    };
    let pause = backoff.pause(crashes);
    let last_lines = slot.output.last_lines();
    match pause {
        Some(pause) => slot.output.note(&format!(
            "{reason}; restart {crashes} in {} s",
            pause.as_secs_f32()
        )),
        None => slot.output.note(&format!(
            "{reason}; not started again after {crashes} crashes in a row"
        )),
    }
    let state = match pause {
        None => InstanceState::GivenUp,
        Some(_) if crashes >= backoff.loop_after => InstanceState::CrashLoop,
        Some(_) => InstanceState::Restarting,
    };
    if !slot.is_asked_to_stop() {
        slot.set_state(state);
    }
    shared.tell(InstanceEvent::Crashed {
        id: id.clone(),
        exit,
        reason: reason.to_owned(),
        last_lines,
        restart_in: pause,
    });
    if crashes == backoff.loop_after {
        shared.tell(InstanceEvent::CrashLooping {
            id: id.clone(),
            crashes,
        });
    }
    if pause.is_none() {
        shared.tell(InstanceEvent::GivenUp { id });
    }
    pause
}
