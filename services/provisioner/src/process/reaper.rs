//! Reaping orphans that have come back to Slipway, and nobody else's children.
//!
//! `waitpid(-1)` would steal the exit status from whoever waits for a child of their own (Tokio, a
//! library that runs Git). So only those are reaped that can't be anybody's: each group runs in a
//! session of its own, and a process can't enter another's session, so a dead child in a session
//! other than ours that is not a group's first process is an orphan of some group.

use std::sync::{Arc, Weak};
use std::time::Duration;

use rustix::process::{WaitId, WaitIdOptions, waitid};
use tokio::signal::unix::{SignalKind, signal};

use super::host::{Host, with_leaders};
use super::identity::raw_pid;
use super::proc::{self, Stat};

/// Deaths come in swarms; one look at all processes serves a swarm.
const GATHER: Duration = Duration::from_millis(100);

/// Reaps orphans until the host is dropped.
pub(crate) fn start(host: &Arc<Host>) {
    let host = Arc::downgrade(host);
    tokio::spawn(async move {
        let mut deaths = match signal(SignalKind::child()) {
            Ok(deaths) => deaths,
            Err(error) => {
                tracing::warn!(error = %error, "orphans of apps can't be reaped");
                return;
            }
        };
        while deaths.recv().await.is_some() && reap(&host) {
            tokio::time::sleep(GATHER).await;
        }
    });
}

fn reap(host: &Weak<Host>) -> bool {
    if host.strong_count() == 0 {
        return false;
    }
    // Not by `getsid`: in a container our session's leader may be outside, its number is 0 then, and
    // that is no pid for rustix.
    let Some(own) = Stat::read(std::process::id()) else {
        return true;
    };
    with_leaders(|leaders| {
        let orphans = proc::all().into_iter().filter(|stat| {
            stat.zombie
                && stat.parent == own.pid
                && stat.session != own.session
                && !leaders.contains(&stat.pid)
        });
        for orphan in orphans {
            if let Some(pid) = raw_pid(orphan.pid) {
                // Nothing to learn from it, and it may be gone already.
                let _ = waitid(
                    WaitId::Pid(pid),
                    WaitIdOptions::EXITED | WaitIdOptions::NOHANG,
                );
            }
        }
    });
    true
}
