//! Control groups: the kernel's own bounds on memory and processes, version 2 or 1.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::spec::Limits;

/// The directory below Slipway's own control group that holds the groups of apps and builds.
const FOLDER: &str = "slipway-groups";

/// The control groups that new groups can be made in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Hierarchy {
    /// One tree for memory and processes.
    V2(PathBuf),
    /// A tree each; one may be missing.
    V1 {
        memory: Option<PathBuf>,
        pids: Option<PathBuf>,
    },
    /// None that we may use.
    None,
}

/// One group's directories, kept on record so that the group is found again after a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Leaf {
    v2: Option<PathBuf>,
    memory: Option<PathBuf>,
    pids: Option<PathBuf>,
}

/// How often the kernel refused something for a bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    pub(crate) oom_kills: u64,
    pub(crate) refused_forks: u64,
}

impl Hierarchy {
    /// Finds out, by making and removing a group, what can be used.
    pub(crate) fn detect() -> Self {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        if let Some(base) = super::mounts::v2(&mounts, &own)
            && let Some(folder) = usable_v2(&base)
        {
            return Self::V2(folder);
        }
        let v1 = |controller| {
            let folder = super::mounts::v1(&mounts, &own, controller)?.join(FOLDER);
            probe(&folder, controller).then_some(folder)
        };
        match (v1("memory"), v1("pids")) {
            (None, None) => Self::None,
            (memory, pids) => Self::V1 { memory, pids },
        }
    }

    /// Removes the groups whose name begins so and that hold no process.
    pub(crate) fn sweep(&self, prefix: &str) {
        let folders = match self {
            Self::V2(folder) => vec![folder],
            Self::V1 { memory, pids } => memory.iter().chain(pids).collect(),
            Self::None => Vec::new(),
        };
        let entries = folders
            .into_iter()
            .filter_map(|folder| fs::read_dir(folder).ok())
            .flatten();
        for entry in entries.flatten() {
            if entry.file_name().to_string_lossy().starts_with(prefix) {
                // The kernel refuses for a group with processes, which is as it should be.
                let _ = fs::remove_dir(entry.path());
            }
        }
    }

    /// Whether (memory, processes) are bounded by the kernel.
    pub(crate) fn bounds(&self) -> (bool, bool) {
        match self {
            Self::V2(_) => (true, true),
            Self::V1 { memory, pids } => (memory.is_some(), pids.is_some()),
            Self::None => (false, false),
        }
    }

    /// Makes the group's directories and sets its bounds.
    pub(crate) fn create(&self, name: &str, limits: Limits) -> io::Result<Leaf> {
        let make = |folder: &Path| {
            let directory = folder.join(name);
            fs::create_dir_all(&directory).map(|()| directory)
        };
        let leaf = match self {
            Self::V2(folder) => Leaf {
                v2: Some(make(folder)?),
                ..Leaf::default()
            },
            Self::V1 { memory, pids } => Leaf {
                v2: None,
                memory: memory.as_deref().map(make).transpose()?,
                pids: pids.as_deref().map(make).transpose()?,
            },
            Self::None => Leaf::default(),
        };
        leaf.set(limits)?;
        Ok(leaf)
    }
}

impl Leaf {
    fn set(&self, limits: Limits) -> io::Result<()> {
        if let Some(directory) = &self.v2 {
            if let Some(bytes) = limits.memory_bytes {
                fs::write(directory.join("memory.max"), bytes.to_string())?;
                // One of a group killed leaves half an app; better all of it, then a fresh start.
                write_if_there(&directory.join("memory.oom.group"), "1")?;
                write_if_there(&directory.join("memory.swap.max"), "0")?;
            }
            set_pids(directory, limits)?;
        }
        if let Some(directory) = &self.memory
            && let Some(bytes) = limits.memory_bytes
        {
            fs::write(directory.join("memory.limit_in_bytes"), bytes.to_string())?;
            write_if_there(
                &directory.join("memory.memsw.limit_in_bytes"),
                &bytes.to_string(),
            )?;
        }
        self.pids
            .as_ref()
            .map_or(Ok(()), |directory| set_pids(directory, limits))
    }

    /// Whether the kernel bounds (memory, processes) of this group.
    pub(crate) fn bounds(&self) -> (bool, bool) {
        (
            self.v2.is_some() || self.memory.is_some(),
            self.v2.is_some() || self.pids.is_some(),
        )
    }

    fn directories(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.v2, &self.memory, &self.pids].into_iter().flatten()
    }

    /// The files that a process writes `0` to, to move itself into the group.
    pub(crate) fn entrances(&self) -> io::Result<Vec<fs::File>> {
        self.directories()
            .map(|directory| {
                fs::OpenOptions::new()
                    .write(true)
                    .open(directory.join("cgroup.procs"))
            })
            .collect()
    }

    /// The processes in the group.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let mut pids: Vec<u32> = self
            .directories()
            .filter_map(|directory| fs::read_to_string(directory.join("cgroup.procs")).ok())
            .flat_map(|text| {
                text.lines()
                    .filter_map(|line| line.parse().ok())
                    .collect::<Vec<_>>()
            })
            .collect();
        pids.sort_unstable();
        pids.dedup();
        pids
    }

    /// Kills all of the group at once, where the kernel can.
    pub(crate) fn kill(&self) {
        if let Some(directory) = &self.v2 {
            // Kernels before 5.14 have no such file; the caller kills one by one as well.
            let _ = fs::write(directory.join("cgroup.kill"), "1");
        }
    }

    /// How often a bound was hit so far.
    pub(crate) fn counters(&self) -> Counters {
        let oom_kills = match (&self.v2, &self.memory) {
            (Some(directory), _) => counter(&directory.join("memory.events"), "oom_kill"),
            (_, Some(directory)) => counter(&directory.join("memory.oom_control"), "oom_kill"),
            _ => 0,
        };
        let pids = self.v2.as_ref().or(self.pids.as_ref());
        let refused_forks = pids.map_or(0, |directory| {
            counter(&directory.join("pids.events"), "max")
        });
        Counters {
            oom_kills,
            refused_forks,
        }
    }

    /// Bytes in use now and at most so far, where the kernel counts them.
    pub(crate) fn memory(&self) -> Option<(u64, u64)> {
        let (directory, now, peak) = match (&self.v2, &self.memory) {
            (Some(directory), _) => (directory, "memory.current", "memory.peak"),
            (_, Some(directory)) => (
                directory,
                "memory.usage_in_bytes",
                "memory.max_usage_in_bytes",
            ),
            _ => return None,
        };
        let now = number(&directory.join(now))?;
        Some((now, number(&directory.join(peak)).unwrap_or(now)))
    }

    /// Removes the directories; the kernel refuses while a process is in them.
    pub(crate) fn remove(&self) -> io::Result<()> {
        for directory in self.directories() {
            match fs::remove_dir(directory) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

fn set_pids(directory: &Path, limits: Limits) -> io::Result<()> {
    limits.processes.map_or(Ok(()), |count| {
        fs::write(directory.join("pids.max"), count.to_string())
    })
}

fn write_if_there(file: &Path, value: &str) -> io::Result<()> {
    if file.exists() {
        fs::write(file, value)
    } else {
        Ok(())
    }
}

fn number(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

fn counter(file: &Path, name: &str) -> u64 {
    let Ok(text) = fs::read_to_string(file) else {
        return 0;
    };
    let value = text.lines().find_map(|line| {
        line.strip_prefix(name)?
            .strip_prefix(' ')?
            .trim()
            .parse()
            .ok()
    });
    value.unwrap_or(0)
}

/// Makes the folder for groups below `base` and hands the two controllers down to it.
fn usable_v2(base: &Path) -> Option<PathBuf> {
    let available = fs::read_to_string(base.join("cgroup.controllers")).ok()?;
    let has = |name: &str| available.split_ascii_whitespace().any(|item| item == name);
    if !has("memory") || !has("pids") {
        return None;
    }
    if hand_down(base).is_err() {
        // A group can't both hold processes and hand controllers down. Where Slipway is alone in
        // its group (a container, a systemd service with Delegate=), it moves to a leaf.
        make_room(base).ok()?;
        hand_down(base).ok()?;
    }
    let folder = base.join(FOLDER);
    fs::create_dir_all(&folder).ok()?;
    hand_down(&folder).ok()?;
    probe(&folder, "memory").then_some(folder)
}

fn hand_down(directory: &Path) -> io::Result<()> {
    let file = directory.join("cgroup.subtree_control");
    let enabled = fs::read_to_string(&file)?;
    if ["memory", "pids"]
        .iter()
        .all(|name| enabled.split_ascii_whitespace().any(|item| item == *name))
    {
        return Ok(());
    }
    fs::write(file, "+memory +pids")
}

fn make_room(base: &Path) -> io::Result<()> {
    let own = std::process::id().to_string();
    if fs::read_to_string(base.join("cgroup.procs"))?.trim() != own {
        return Err(io::Error::other("other processes share the control group"));
    }
    let leaf = base.join("slipway-self");
    fs::create_dir_all(&leaf)?;
    fs::write(leaf.join("cgroup.procs"), own)
}

/// Whether a group can be made, bounded and removed in `folder`.
fn probe(folder: &Path, controller: &str) -> bool {
    let directory = folder.join(format!("probe-{}", std::process::id()));
    let made = fs::create_dir_all(&directory).is_ok();
    let limit = match controller {
        "pids" => "pids.max",
        _ if directory.join("memory.max").exists() => "memory.max",
        _ => "memory.limit_in_bytes",
    };
    let usable = made
        && fs::OpenOptions::new()
            .write(true)
            .open(directory.join(limit))
            .is_ok()
        && fs::OpenOptions::new()
            .write(true)
            .open(directory.join("cgroup.procs"))
            .is_ok();
    fs::remove_dir(&directory).is_ok() && usable
}
