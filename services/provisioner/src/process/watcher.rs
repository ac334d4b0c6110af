//! Watching what the kernel doesn't: bounds without control groups, and who descends from whom.

use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use rustix::process::Signal;

use super::exit::LimitHit;
use super::group::Inner;
use super::host::Host;
use super::identity::ProcessId;
use super::proc::{self, Stat};
use super::tree::Look;

/// One look at all processes serves all groups.
const INTERVAL: Duration = Duration::from_millis(250);

/// Has the group watched, if there is anything in it that the kernel doesn't keep.
pub(crate) fn add(group: &Arc<Inner>) {
    let limits = group.unkept_limits();
    let tracked = group.record.leaf.bounds() != (false, false);
    if !tracked || limits.memory_bytes.is_some() || limits.processes.is_some() {
        group
            .host
            .watched
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Arc::downgrade(group));
    }
}

/// Watches until the host is dropped.
pub(crate) fn start(host: &Arc<Host>) {
    let host = Arc::downgrade(host);
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let Some(host) = host.upgrade() else { return };
            look(&host);
        }
    });
}

fn look(host: &Arc<Host>) {
    let groups: Vec<Arc<Inner>> = {
        let mut watched = host.watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.retain(|group| Weak::strong_count(group) > 0);
        watched.iter().filter_map(Weak::upgrade).collect()
    };
    if groups.is_empty() {
        return;
    }
    let all = proc::all();
    for group in groups {
        check(&group, &all);
    }
}

fn check(group: &Inner, all: &[Stat]) {
    let members = group.members(all, Look::Quick);
    let limits = group.unkept_limits();
    let memory: u64 = members
        .iter()
        .map(|member| proc::own_memory(member.pid()))
        .sum();
    let threads: u32 = all
        .iter()
        .filter(|stat| members.iter().any(|member| member.pid() == stat.pid))
        .map(|stat| stat.threads)
        .sum();
    let hit = if limits
        .memory_bytes
        .is_some_and(|bound| memory > bound && shared_out(&members) > bound)
    {
        Some(LimitHit::Memory)
    } else if limits.processes.is_some_and(|bound| threads > bound) {
        Some(LimitHit::Processes)
    } else {
        None
    };
    let mut verdict = group.verdict.lock().unwrap_or_else(PoisonError::into_inner);
    verdict.peak_memory = verdict.peak_memory.max(memory);
    if hit.is_some() {
        verdict.hit = verdict.hit.or(hit);
        drop(verdict);
        for member in members {
            // Whoever is missed is met at the next look.
            let _ = member.signal(Signal::KILL);
        }
    }
}

/// Memory with pages that a fork shares counted once; asked for only when the quick sum is over.
fn shared_out(members: &[ProcessId]) -> u64 {
    let of = |pid| proc::proportional_memory(pid).unwrap_or_else(|| proc::own_memory(pid));
    members.iter().map(|member| of(member.pid())).sum()
}
