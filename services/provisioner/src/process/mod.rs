//! Running commands as groups of processes: bounded, counted, and ended with all that came of them.
//!
//! [`Host`] knows what the machine can do; [`Group::spawn`] starts a command. A group is recognised
//! by its control group, its session, its ancestry and a mark in its environment, so that no way
//! of going into the background gets a process out of it.

mod cgroup;
mod confine;
mod exit;
mod group;
mod host;
mod identity;
mod mounts;
mod owner;
pub(crate) mod proc;
mod reaper;
mod spawn;
mod spec;
mod terminate;
mod tree;
mod watcher;

pub use confine::{Confinement, toolchains};
pub use exit::{Exit, LimitHit};
pub use group::{Group, GroupRecord, Usage};
pub use host::{Bound, Capabilities, Host};
pub use identity::ProcessId;
pub use owner::{Owner, UidRange, apps_directory, chown, chown_tree, closed_to};
pub use spec::{Limits, MARKER, NODE_MARKER, Output, ProcessSpec};
pub use terminate::{Survivors, end_orphans, end_remains};
