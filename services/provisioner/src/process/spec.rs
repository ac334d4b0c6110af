//! What to run, and within which bounds.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::confine::Confinement;
use super::owner::Owner;

/// The variable that marks every process of a group, whatever it does to its parent and session.
pub const MARKER: &str = "SLIPWAY_INSTANCE";

/// The variable that says which Slipway of the machine a marked process belongs to.
pub const NODE_MARKER: &str = "SLIPWAY_NODE";

/// Bounds on all processes of a group together. `None`: no bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes of memory, swap included.
    pub memory_bytes: Option<u64>,
    /// Processes and threads.
    pub processes: Option<u32>,
}

/// Where what the processes print goes.
#[derive(Debug)]
pub enum Output {
    /// Standard output and error to one file, which goes on working when Slipway dies. It should
    /// be open for appending.
    File(File),
    /// To pipes, taken with `Group::take_stdout` and `take_stderr`.
    Pipes,
}

/// A command to run as a group of processes of its own.
#[derive(Debug)]
pub struct ProcessSpec {
    /// Unique name of the group (an instance's or a build's id): letters, digits, `_`, `-`.
    pub id: String,
    /// Program, looked up in the environment's `PATH` when it holds no slash.
    pub program: OsString,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Working directory.
    pub directory: PathBuf,
    /// The whole environment, but for [`MARKER`] and [`NODE_MARKER`], which are added.
    pub environment: BTreeMap<String, String>,
    /// The user to run as; only root can ask for one.
    pub owner: Option<Owner>,
    /// What they may reach of this machine; none for as much as their user may.
    pub confinement: Option<Confinement>,
    /// -20 to 19; higher gives way to others.
    pub niceness: i32,
    /// -1000 to 1000; higher is chosen first when the machine runs out of memory.
    pub oom_score: Option<i32>,
    /// Bounds on the group.
    pub limits: Limits,
    /// Where output goes.
    pub output: Output,
}

impl ProcessSpec {
    /// `sh -c command` in `directory`, with output to pipes and nothing else set.
    pub fn shell(id: impl Into<String>, command: &str, directory: impl Into<PathBuf>) -> Self {
        Self {
            id: id.into(),
            program: "/bin/sh".into(),
            arguments: vec!["-c".into(), command.into()],
            directory: directory.into(),
            environment: BTreeMap::new(),
            owner: None,
            confinement: None,
            niceness: 0,
            oom_score: None,
            limits: Limits::default(),
            output: Output::Pipes,
        }
    }
}
