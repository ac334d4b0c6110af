//! Which process is meant, even after its pid has been given to another.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::OnceLock;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::proc::{self, Stat};

/// How often a process is looked at where the kernel has no pidfd to wait on.
const POLL: Duration = Duration::from_millis(500);

/// One process for as long as the machine is up: a pid alone may be given to another later.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ProcessId {
    pid: u32,
    start_ticks: u64,
    boot_id: String,
}

impl ProcessId {
    /// The identity of the process that has this pid now; `None` when there is none.
    pub fn of(pid: u32) -> Option<Self> {
        Stat::read(pid).map(|stat| Self::from_stat(&stat))
    }

    pub(crate) fn from_stat(stat: &Stat) -> Self {
        static BOOT: OnceLock<String> = OnceLock::new();
        let boot_id = BOOT.get_or_init(proc::boot_id).clone();
        Self {
            pid: stat.pid,
            start_ticks: stat.start_ticks,
            boot_id,
        }
    }

    /// The process's number, which means this process only while it [is alive](Self::is_alive).
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether the process still runs; one that has ended and waits to be reaped doesn't.
    pub fn is_alive(&self) -> bool {
        Stat::read(self.pid).is_some_and(|stat| !stat.zombie && Self::from_stat(&stat) == *self)
    }

    /// Whether the pid now belongs to another process, so that nothing of this one's session can be left.
    pub(crate) fn is_replaced(&self) -> bool {
        Stat::read(self.pid).is_some_and(|stat| Self::from_stat(&stat) != *self)
    }

    /// Sends a signal to exactly this process; does nothing when it has ended.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        let Some(pid) = raw_pid(self.pid) else {
            return Ok(());
        };
        let fd = pidfd_open(pid, PidfdFlags::empty());
        // The identity is checked after the pidfd is open, and so holds for what it points to.
        if !self.is_alive() {
            return Ok(());
        }
        let sent = match fd {
            Ok(fd) => pidfd_send_signal(fd, signal),
            Err(_) => rustix::process::kill_process(pid, signal),
        };
        match sent {
            Err(rustix::io::Errno::SRCH) => Ok(()),
            other => other.map_err(io::Error::from),
        }
    }

    /// Waits until the process has ended. It need not be a child of ours.
    pub(crate) async fn ended(&self) {
        while self.is_alive() {
            if self.wait_on_pidfd().await.is_none() {
                tokio::time::sleep(POLL).await;
            }
        }
    }

    async fn wait_on_pidfd(&self) -> Option<()> {
        let fd: OwnedFd = pidfd_open(raw_pid(self.pid)?, PidfdFlags::NONBLOCK).ok()?;
        if !self.is_alive() {
            return Some(());
        }
        readable(fd).await.ok()
    }
}

async fn readable(fd: OwnedFd) -> io::Result<()> {
    #[expect(
        unsafe_code,
        reason = "the safe constructor is deprecated for descriptors that may be closed early"
    )]
    // SAFETY: an owned descriptor stays open and the same until the `AsyncFd` is dropped.
    let fd = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }?;
    fd.readable().await?.retain_ready();
    Ok(())
}

pub(crate) fn raw_pid(pid: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(pid).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_alive_and_a_later_one_with_its_pid_is_another() {
        let own = ProcessId::of(std::process::id()).unwrap();
        assert!(own.is_alive());
        let earlier = ProcessId {
            start_ticks: own.start_ticks - 1,
            ..own.clone()
        };
        assert!(!earlier.is_alive());
        assert!(earlier.is_replaced());
        let other_boot = ProcessId {
            boot_id: "another".to_owned(),
            ..own
        };
        assert!(!other_boot.is_alive());
    }
}
