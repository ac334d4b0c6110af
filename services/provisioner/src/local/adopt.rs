//! Taking up the instances of an earlier Slipway process.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::life::Begin;
use super::record::Record;
use super::slot::Slot;
use super::supervisor::Shared;
use crate::driver::{Adopted, DriverError, InstanceState};
use crate::process::{Group, end_orphans, end_remains};

/// Adopts or ends each instance on the shelf, then ends every process that belongs to none.
pub(crate) async fn adopt_all(shared: &Arc<Shared>) -> Result<Adopted, DriverError> {
    let mut result = Adopted::default();
    let mut running = Vec::new();
    let mut restarting = Vec::new();
    for (id, record) in shared.shelf.all()? {
        match adopt(shared, &id, record).await? {
            Fate::Running(slot) => running.push(slot),
            Fate::Restart(slot) => restarting.push(slot),
            Fate::Ended => result.ended.push(id),
            Fate::Nothing => {}
        }
    }
    let known: HashSet<String> = running.iter().map(|slot| slot.spec.id.clone()).collect();
    result.orphans = end_orphans(&shared.host, &known).await?;
    for slot in running {
        result.adopted.push(slot.instance());
        shared.run(slot, Begin::Running);
    }
    for slot in restarting {
        result.restarting.push(slot.spec.id.clone());
        shared.run(slot, Begin::Ended);
    }
    Ok(result)
}

enum Fate {
    Running(Arc<Slot>),
    Restart(Arc<Slot>),
    Ended,
    /// Only output was left, of an instance stopped before.
    Nothing,
}

async fn adopt(
    shared: &Arc<Shared>,
    id: &str,
    record: std::io::Result<Record>,
) -> Result<Fate, DriverError> {
    let record = match record {
        Ok(record) => record,
        Err(error) => {
            let stopped_before = error.kind() == std::io::ErrorKind::NotFound;
            if !stopped_before {
                tracing::warn!(instance.id = %id, error = %error, "an instance's record can't be used; it is ended");
            }
            shared.shelf.remove(id)?;
            return Ok(if stopped_before {
                Fate::Nothing
            } else {
                Fate::Ended
            });
        }
    };
    let group = Group::adopt(&shared.host, record.group.clone());
    let slot = if record.address.is_some() {
        take_up(shared, id, &record)
    } else {
        None
    };
    match (group, slot) {
        (Some(group), Some(slot)) => {
            let mut live = slot.live();
            live.group = Some(group);
            live.state = InstanceState::Running;
            drop(live);
            Ok(Fate::Running(slot))
        }
        (None, Some(slot)) => {
            end_remains(&shared.host, &record.group).await?;
            slot.set_state(InstanceState::Restarting);
            Ok(Fate::Restart(slot))
        }
        (group, None) => {
            match group {
                Some(group) => group.terminate(Duration::ZERO).await?,
                None => end_remains(&shared.host, &record.group).await?,
            }
            shared.shelf.remove(id)?;
            Ok(Fate::Ended)
        }
    }
}

fn take_up(shared: &Arc<Shared>, id: &str, record: &Record) -> Option<Arc<Slot>> {
    let spec = record
        .spec(shared.sealer.as_ref())
        .inspect_err(|error| {
            tracing::warn!(instance.id = %id, error = %error, "an instance's variables can't be opened; it is ended");
        })
        .ok()?;
    let slot = shared.add(spec, shared.ports.keep(record.port)).ok()?;
    let mut live = slot.live();
    live.address = record.address;
    live.own_port = record.own_port;
    drop(live);
    Some(slot)
}
