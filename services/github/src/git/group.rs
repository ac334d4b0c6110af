//! A git command and all that it starts: one process group, ended as one.

use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::process::Child;

/// How long git may take to remove its lock files after it was asked to end.
const GRACE: Duration = Duration::from_secs(5);
/// Orphans of a killed group are gone after this many looks.
const LOOKS: u32 = 50;
/// How far apart they are.
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

/// The process group that a command leads. Dropped before its end, all of it is ended.
#[derive(Debug)]
pub(super) struct Group {
    leader: Option<Pid>,
}

impl Group {
    /// The group of a command that was just started with `process_group(0)`.
    pub(super) fn of(child: &Child) -> Self {
        let leader = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw);
        Self { leader }
    }

    /// Ends what still runs, and waits for it: politely, so that git removes its locks and what
    /// it had received by then; after a grace, by force.
    pub(super) async fn end(mut self, child: &mut Child) {
        if let Ok(None) = child.try_wait() {
            self.signal(Signal::TERM);
            if tokio::time::timeout(GRACE, child.wait()).await.is_err() {
                self.signal(Signal::KILL);
                let _reaped = child.wait().await;
            }
        }
        if let Some(leader) = self.leader.take() {
            end_orphans(leader).await;
        }
    }

    fn signal(&self, signal: Signal) {
        if let Some(leader) = self.leader {
            // It may be gone already.
            let _gone = kill_process_group(leader, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::TERM);
        if let (Some(leader), Ok(runtime)) =
            (self.leader.take(), tokio::runtime::Handle::try_current())
        {
            runtime.spawn(async move {
                tokio::time::sleep(GRACE).await;
                end_orphans(leader).await;
            });
        }
    }
}

/// Kills what is left of a group whose first process has ended, and reaps of it what has come back
/// to us: where this process adopts orphans, nobody else would.
async fn end_orphans(leader: Pid) {
    for _ in 0..LOOKS {
        let gone = kill_process_group(leader, Signal::KILL).is_err();
        while let Ok(Some(_)) = waitid(
            WaitId::Pgid(Some(leader)),
            WaitIdOptions::EXITED | WaitIdOptions::NOHANG,
        ) {}
        if gone {
            return;
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
}
