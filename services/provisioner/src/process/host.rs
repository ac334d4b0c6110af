//! The machine that processes run on: what it can keep, and the care for orphans.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use serde::Serialize;

use super::cgroup::Hierarchy;
use super::confine::{Confinement, calls_are_kept, files_are_kept, signals_are_kept};
use super::group::Inner;
use super::identity::raw_pid;
use super::{reaper, watcher};

/// What bounds a group's memory or number of processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// The kernel, by control groups version 2.
    CgroupV2,
    /// The kernel, by control groups version 1.
    CgroupV1,
    /// Slipway, which looks at the group four times a second.
    Watcher,
}

/// What this machine lets Slipway do for the apps it runs; shown by `slipway doctor`.
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, not states"
)]
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Capabilities {
    /// Slipway runs as root, so that each account's apps run as a user of their own.
    pub own_users: bool,
    /// The kernel keeps apps from files that aren't theirs, and from looking into other processes.
    pub own_files: bool,
    /// The kernel keeps apps from signalling other processes.
    pub own_signals: bool,
    /// The kernel refuses apps the system calls that no web app needs.
    pub fewer_calls: bool,
    /// What bounds memory.
    pub memory: Bound,
    /// What bounds the number of processes.
    pub processes: Bound,
    /// Processes can be waited on and signalled without mistaking one for another.
    pub pidfd: bool,
    /// Slipway may look into processes of other users: which ports they listen on, which marks they bear.
    pub sees_into_apps: bool,
    /// Orphans of an app come back to Slipway instead of to the machine's first process.
    pub subreaper: bool,
}

impl Capabilities {
    /// Finds out what this machine lets Slipway do, without beginning to do it.
    pub fn detect() -> Self {
        Self::of(
            &Hierarchy::detect(),
            rustix::process::child_subreaper().is_ok(),
        )
    }

    fn of(hierarchy: &Hierarchy, subreaper: bool) -> Self {
        let version = if matches!(hierarchy, Hierarchy::V2(_)) {
            Bound::CgroupV2
        } else {
            Bound::CgroupV1
        };
        let bound = |by_kernel| if by_kernel { version } else { Bound::Watcher };
        let (memory, processes) = hierarchy.bounds();
        Self {
            own_users: rustix::process::geteuid().is_root(),
            own_files: files_are_kept(),
            own_signals: signals_are_kept(),
            fewer_calls: calls_are_kept(),
            memory: bound(memory),
            processes: bound(processes),
            pidfd: pidfd_works(),
            sees_into_apps: !rustix::process::geteuid().is_root() || may_trace(),
            subreaper,
        }
    }

    /// What can't be kept on this machine, a sentence each; empty when all can.
    pub fn warnings(&self) -> Vec<&'static str> {
        let mut warnings = Vec::new();
        if !self.own_files && !self.own_users {
            warnings.push(
                "Slipway doesn't run as root, and the kernel has no Landlock: apps and builds run as \
                 the same user and can read what Slipway can, its data directory and its environment \
                 included.",
            );
        } else if !self.own_files {
            warnings.push(
                "The kernel has no Landlock (Linux 5.13): apps and builds of one account can read \
                 each other's files, and what the machine leaves open to everybody.",
            );
        } else if !self.own_users {
            warnings.push(
                "Slipway doesn't run as root: apps and builds run as the same user. The kernel keeps \
                 them from each other's files and processes, and from Slipway's.",
            );
        }
        if !self.own_signals && !self.own_users {
            warnings.push(
                "The kernel can't keep signals apart (Linux 6.12): apps can end each other, and Slipway.",
            );
        }
        if !self.fewer_calls {
            warnings.push("The kernel has no seccomp: apps can use every system call.");
        }
        if self.memory == Bound::Watcher {
            warnings.push(
                "No memory control group can be used: memory is watched four times a second, and \
                 a faster burst is not stopped.",
            );
        }
        if self.processes == Bound::Watcher {
            warnings.push(
                "No process control group can be used: the number of processes is watched four \
                 times a second, and a fork bomb may be faster.",
            );
        }
        if !self.sees_into_apps {
            warnings.push(
                "Slipway lacks CAP_SYS_PTRACE: an app that ignores PORT isn't found, and a process \
                 that has left its control group isn't recognised by its mark.",
            );
        }
        if !self.subreaper {
            warnings
                .push("Orphans of apps can't be adopted: one that hides well may outlive its app.");
        }
        warnings
    }
}

/// The running side of this machine. Made once per Slipway process and shared.
#[derive(Debug)]
pub struct Host {
    capabilities: Capabilities,
    node: String,
    pub(crate) hierarchy: Hierarchy,
    shared: Confinement,
    /// Groups whose bounds or members Slipway has to watch itself.
    pub(crate) watched: Mutex<Vec<Weak<Inner>>>,
}

/// The groups' first processes, which their own waiting reaps. Being a parent is a property of
/// the whole process, and so is this set.
static LEADERS: LazyLock<Mutex<HashSet<u32>>> = LazyLock::new(Mutex::default);

impl Host {
    /// Finds out what the machine can do, and begins to adopt and reap orphans.
    ///
    /// `node` names this Slipway among others on the machine, and stays the same over restarts: it
    /// marks all its processes. Must be called within a Tokio runtime, on which the reaping goes on.
    pub fn new(node: &str) -> Arc<Self> {
        Self::with(node, Hierarchy::detect(), Confinement::default())
    }

    /// As [`new`](Self::new), on a machine whose operator gives this to all that is confined.
    pub fn sharing(node: &str, shared: Confinement) -> Arc<Self> {
        Self::with(node, Hierarchy::detect(), shared)
    }

    /// As [`new`](Self::new), but with no control groups even where there are some: Slipway watches
    /// the bounds itself.
    pub fn without_cgroups(node: &str) -> Arc<Self> {
        Self::with(node, Hierarchy::None, Confinement::default())
    }

    fn with(node: &str, hierarchy: Hierarchy, shared: Confinement) -> Arc<Self> {
        let subreaper =
            rustix::process::set_child_subreaper(Some(rustix::process::getpid())).is_ok();
        let capabilities = Capabilities::of(&hierarchy, subreaper);
        let host = Arc::new(Self {
            capabilities,
            node: node.to_owned(),
            hierarchy,
            shared,
            watched: Mutex::default(),
        });
        if subreaper {
            reaper::start(&host);
        }
        watcher::start(&host);
        host
    }

    /// What the machine can do.
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// What the operator gives to all that is confined.
    pub(super) fn shared(&self) -> &Confinement {
        &self.shared
    }

    /// The name of this Slipway on the machine.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// A control group's name: two Slipways that share a place for them must not share groups.
    pub(crate) fn leaf_name(&self, id: &str) -> String {
        let digest = ring::digest::digest(&ring::digest::SHA256, self.node.as_bytes());
        let node = digest
            .as_ref()
            .iter()
            .take(6)
            .fold(String::new(), |name, byte| name + &format!("{byte:02x}"));
        format!("{node}-{id}")
    }

    /// The directory for builds and releases that goes with a data directory.
    pub fn apps_directory(&self, data_directory: &std::path::Path) -> std::io::Result<PathBuf> {
        super::owner::apps_directory(data_directory, self.capabilities.own_users)
    }
}

/// Does `work` with the set of leaders locked, during which no orphan is reaped.
pub(crate) fn with_leaders<T>(work: impl FnOnce(&mut HashSet<u32>) -> T) -> T {
    work(&mut LEADERS.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Whether this process has `CAP_SYS_PTRACE`, without which root can't read `/proc/<pid>/fd` of others.
fn may_trace() -> bool {
    const CAP_SYS_PTRACE: u32 = 19;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    effective
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
        .is_some_and(|set| set >> CAP_SYS_PTRACE & 1 == 1)
}

fn pidfd_works() -> bool {
    raw_pid(std::process::id()).is_some_and(|pid| {
        rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).is_ok()
    })
}
