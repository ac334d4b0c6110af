//! A group of processes that is started, bounded, counted and ended as one.

use std::collections::HashSet;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::process::{ChildStderr, ChildStdout};
use tokio::sync::watch;

use super::cgroup::Leaf;
use super::exit::{Exit, LimitHit};
use super::host::{Host, with_leaders};
use super::identity::ProcessId;
use super::proc::{self, Stat};
use super::spawn::spawn;
use super::spec::{Limits, ProcessSpec};
use super::tree::{Look, Traces};
use super::watcher;

/// A started command with all processes that came of it.
///
/// Dropping it ends nothing: apps outlive Slipway. A build is ended by [`terminate`](Self::terminate),
/// also after it has finished, since what it left in the background is part of it.
#[derive(Clone, Debug)]
pub struct Group {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) host: Arc<Host>,
    pub(crate) record: GroupRecord,
    pub(crate) seen: Mutex<HashSet<ProcessId>>,
    pub(crate) verdict: Arc<Mutex<Verdict>>,
    exit: watch::Receiver<Option<Exit>>,
    pipes: Mutex<(Option<ChildStdout>, Option<ChildStderr>)>,
}

/// What Slipway's own watching has found.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) hit: Option<LimitHit>,
    pub(crate) peak_memory: u64,
}

/// What must be kept to find a group again after a restart of Slipway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupRecord {
    /// The group's name.
    pub id: String,
    /// Its first process.
    pub leader: ProcessId,
    pub(crate) leaf: Leaf,
    limits: Limits,
}

/// What a group uses now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Usage {
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// The most it has used so far.
    pub peak_memory_bytes: u64,
    /// Running processes.
    pub processes: u32,
}

impl Group {
    /// Starts the command. Must be called within a Tokio runtime, on which its end is waited for.
    pub fn spawn(host: &Arc<Host>, spec: ProcessSpec) -> io::Result<Self> {
        let limits = spec.limits;
        let id = spec.id.clone();
        let leaf = host.hierarchy.create(&host.leaf_name(&id), limits)?;
        let started = spawn(host, spec, &leaf).inspect_err(|_| remove_leaf(&leaf))?;
        Self::watch_child(host, id, leaf, limits, started)
    }

    fn watch_child(
        host: &Arc<Host>,
        id: String,
        leaf: Leaf,
        limits: Limits,
        mut child: tokio::process::Child,
    ) -> io::Result<Self> {
        let pipes = Mutex::new((child.stdout.take(), child.stderr.take()));
        let pid = child.id().unwrap_or_default();
        // Not reaped yet, so it is there, if only as a zombie.
        let leader = ProcessId::of(pid)
            .ok_or_else(|| io::Error::other("the process can't be seen in /proc"))?;
        let (sender, exit) = watch::channel(None);
        let verdict = Arc::new(Mutex::new(Verdict::default()));
        let (seen_leaf, seen_verdict) = (leaf.clone(), Arc::clone(&verdict));
        tokio::spawn(async move {
            let status = child.wait().await.ok();
            with_leaders(|leaders| leaders.remove(&pid));
            sender.send_replace(Some(Exit::new(
                status,
                limit_hit(&seen_leaf, &seen_verdict),
            )));
        });
        let record = GroupRecord {
            id,
            leader,
            leaf,
            limits,
        };
        Ok(Self::keep(host, record, verdict, exit, pipes))
    }

    /// Takes up a group that an earlier Slipway process started. `None` when its first process has
    /// ended; what is left of it can be ended by [`end_remains`](super::end_remains).
    pub fn adopt(host: &Arc<Host>, record: GroupRecord) -> Option<Self> {
        if !record.leader.is_alive() {
            return None;
        }
        let (sender, exit) = watch::channel(None);
        let verdict = Arc::new(Mutex::new(Verdict::default()));
        let (leader, leaf, seen_verdict) = (
            record.leader.clone(),
            record.leaf.clone(),
            Arc::clone(&verdict),
        );
        tokio::spawn(async move {
            leader.ended().await;
            sender.send_replace(Some(Exit::new(None, limit_hit(&leaf, &seen_verdict))));
        });
        Some(Self::keep(host, record, verdict, exit, Mutex::default()))
    }

    fn keep(
        host: &Arc<Host>,
        record: GroupRecord,
        verdict: Arc<Mutex<Verdict>>,
        exit: watch::Receiver<Option<Exit>>,
        pipes: Mutex<(Option<ChildStdout>, Option<ChildStderr>)>,
    ) -> Self {
        let host = Arc::clone(host);
        let inner = Arc::new(Inner {
            host,
            record,
            seen: Mutex::default(),
            verdict,
            exit,
            pipes,
        });
        watcher::add(&inner);
        Self { inner }
    }

    /// The group's name.
    pub fn id(&self) -> &str {
        &self.inner.record.id
    }

    /// What to keep, to [`adopt`](Self::adopt) the group later.
    pub fn record(&self) -> &GroupRecord {
        &self.inner.record
    }

    /// The standard output, once, when it goes to a pipe.
    pub fn take_stdout(&self) -> Option<ChildStdout> {
        self.inner
            .pipes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .0
            .take()
    }

    /// The standard error, once, when it goes to a pipe.
    pub fn take_stderr(&self) -> Option<ChildStderr> {
        self.inner
            .pipes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .1
            .take()
    }

    /// Waits until the first process has ended. Others of the group may still run.
    pub async fn wait(&self) -> Exit {
        let mut exit = self.inner.exit.clone();
        let ended = exit
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|exit| *exit);
        // The sender is only lost with the runtime, of which this call is a part as well.
        ended.unwrap_or_else(|| Exit::new(None, None))
    }

    /// How the first process ended; `None` while it runs.
    pub fn exit(&self) -> Option<Exit> {
        *self.inner.exit.borrow()
    }

    /// The bound that the group has hit, if it has: also when only a part of it was ended for that.
    pub fn limit_hit(&self) -> Option<LimitHit> {
        limit_hit(&self.inner.record.leaf, &self.inner.verdict)
    }

    /// What the group uses now.
    pub fn usage(&self) -> Usage {
        let members = self.members(Look::Quick);
        let (memory_bytes, peak) = self.inner.record.leaf.memory().unwrap_or_else(|| {
            let now = members
                .iter()
                .map(|member| proc::own_memory(member.pid()))
                .sum();
            (
                now,
                self.inner
                    .verdict
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .peak_memory,
            )
        });
        Usage {
            memory_bytes,
            peak_memory_bytes: peak.max(memory_bytes),
            processes: u32::try_from(members.len()).unwrap_or(u32::MAX),
        }
    }

    /// The pids of the group's running processes.
    pub fn pids(&self) -> Vec<u32> {
        self.members(Look::Quick)
            .iter()
            .map(ProcessId::pid)
            .collect()
    }

    pub(crate) fn members(&self, look: Look) -> Vec<ProcessId> {
        self.inner.members(&proc::all(), look)
    }
}

impl Inner {
    pub(crate) fn members(&self, all: &[Stat], look: Look) -> Vec<ProcessId> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let record = &self.record;
        let traces = Traces {
            id: &record.id,
            node: self.host.node(),
            leader: &record.leader,
            leaf: &record.leaf,
            seen: &seen,
        };
        let members = traces.members(all, look);
        // Only the living are remembered, so the set stays as small as the group.
        *seen = members.iter().cloned().collect();
        members
    }

    /// The bounds that Slipway has to watch because the kernel doesn't.
    pub(crate) fn unkept_limits(&self) -> Limits {
        let (memory, processes) = self.record.leaf.bounds();
        let limits = self.record.limits;
        Limits {
            memory_bytes: limits.memory_bytes.filter(|_| !memory),
            processes: limits.processes.filter(|_| !processes),
        }
    }
}

fn limit_hit(leaf: &Leaf, verdict: &Mutex<Verdict>) -> Option<LimitHit> {
    let counters = leaf.counters();
    let watched = verdict.lock().unwrap_or_else(PoisonError::into_inner).hit;
    watched
        .or_else(|| (counters.oom_kills > 0).then_some(LimitHit::Memory))
        .or_else(|| (counters.refused_forks > 0).then_some(LimitHit::Processes))
}

pub(crate) fn remove_leaf(leaf: &Leaf) {
    if let Err(error) = leaf.remove() {
        tracing::warn!(error = %error, "a control group could not be removed");
    }
}
