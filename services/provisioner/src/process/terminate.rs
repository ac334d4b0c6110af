//! Ending a group with everything that came of it.

use std::collections::HashSet;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Signal;
use tokio::time::Instant;

use super::group::{Group, GroupRecord, remove_leaf};
use super::host::Host;
use super::identity::ProcessId;
use super::proc;
use super::tree::{self, Look, Traces};

/// How often the group is looked at while it ends.
const POLL: Duration = Duration::from_millis(20);
/// How long killing may take; only a process stuck in the kernel lasts longer.
const KILL_TIME: Duration = Duration::from_secs(10);

/// Processes that could not be ended: stuck in the kernel.
#[derive(Debug, thiserror::Error)]
#[error("processes {pids:?} of {id} do not end even when killed")]
pub struct Survivors {
    /// The group's name.
    pub id: String,
    /// Who is left.
    pub pids: Vec<u32>,
}

impl Group {
    /// Asks all processes of the group to end, kills after `grace` those that didn't, and answers
    /// once none is left.
    pub async fn terminate(&self, grace: Duration) -> Result<(), Survivors> {
        let record = &self.inner.record;
        end(record, grace, |look| self.members(look)).await?;
        // For who asks next: how it ended is known before this says that it has.
        self.wait().await;
        Ok(())
    }
}

/// Ends what is left of a group whose first process has ended.
pub async fn end_remains(host: &Arc<Host>, record: &GroupRecord) -> Result<(), Survivors> {
    let seen = HashSet::new();
    let traces = Traces {
        id: &record.id,
        node: host.node(),
        leader: &record.leader,
        leaf: &record.leaf,
        seen: &seen,
    };
    end(record, Duration::ZERO, |look| {
        traces.members(&proc::all(), look)
    })
    .await
}

/// Ends every process marked as this node's whose group is not in `known`: left by an earlier
/// Slipway process that died before it could keep a record. Answers how many there were.
pub async fn end_orphans<S: BuildHasher>(
    host: &Arc<Host>,
    known: &HashSet<String, S>,
) -> Result<usize, Survivors> {
    let orphans = || -> Vec<ProcessId> {
        let marked = tree::marked(host.node());
        marked
            .into_iter()
            .filter(|(_, id)| !known.contains(id))
            .map(|(process, _)| process)
            .collect()
    };
    let count = orphans().len();
    kill(host.node(), orphans).await?;
    host.hierarchy.sweep(&host.leaf_name(""));
    Ok(count)
}

async fn end(
    record: &GroupRecord,
    grace: Duration,
    members: impl Fn(Look) -> Vec<ProcessId>,
) -> Result<(), Survivors> {
    if !grace.is_zero() {
        signal(&members(Look::Thorough), Signal::TERM);
        let deadline = Instant::now() + grace;
        while Instant::now() < deadline && !members(Look::Quick).is_empty() {
            tokio::time::sleep(POLL).await;
        }
    }
    record.leaf.kill();
    kill(&record.id, || members(Look::Thorough)).await?;
    // The kernel takes a moment to see that a control group is empty.
    for _ in 0..10 {
        if record.leaf.remove().is_ok() {
            return Ok(());
        }
        tokio::time::sleep(POLL).await;
    }
    remove_leaf(&record.leaf);
    Ok(())
}

/// Kills until nobody is left: what forks while it is killed is found by the next look.
async fn kill(id: &str, members: impl Fn() -> Vec<ProcessId>) -> Result<(), Survivors> {
    let deadline = Instant::now() + KILL_TIME;
    loop {
        let left = members();
        if left.is_empty() {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(Survivors {
                id: id.to_owned(),
                pids: left.iter().map(ProcessId::pid).collect(),
            });
        }
        signal(&left, Signal::KILL);
        tokio::time::sleep(POLL).await;
    }
}

fn signal(members: &[ProcessId], signal: Signal) {
    for member in members {
        if let Err(error) = member.signal(signal) {
            tracing::warn!(process.pid = member.pid(), error = %error, "a process can't be signalled");
        }
    }
}
