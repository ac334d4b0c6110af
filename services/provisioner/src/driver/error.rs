//! Why an instance doesn't run.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::process::{Exit, Survivors};

/// Why an instance could not be started. It names the command, how it ended and what it printed
/// last, for the person who reads the build log.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another instance has this id.
    #[error("an instance {id} is there already")]
    Duplicate {
        /// The id.
        id: String,
    },
    /// The id would not do as a name of a directory.
    #[error("{id:?} can't be an instance's id")]
    BadId {
        /// The id.
        id: String,
    },
    /// The user it runs as can't reach its directory.
    #[error("the app's user can't reach its directory: {} is closed to it", closed.display())]
    Closed {
        /// The first directory on the way that is closed.
        closed: PathBuf,
    },
    /// There is no free port left.
    #[error("no port from {first} to {last} is free")]
    NoPort {
        /// First of the range.
        first: u16,
        /// Last of the range.
        last: u16,
    },
    /// The operating system refused to start it.
    #[error("start: `{command}` could not be started")]
    Spawn {
        /// What was to be started.
        command: String,
        /// The operating system's reason.
        source: io::Error,
    },
    /// It ended before it was healthy.
    #[error("start: `{command}` ended before it was healthy: {exit}")]
    Exited {
        /// What was started.
        command: String,
        /// How it ended.
        exit: Exit,
        /// What it printed last.
        last_lines: Vec<String>,
    },
    /// It wants a port that another has.
    #[error("start: `{command}` wants a port that is in use{}", by(holder.as_deref()))]
    PortTaken {
        /// What was started.
        command: String,
        /// The instance of ours that has the port, if it is one. Of the same environment: stop it,
        /// then start again.
        holder: Option<String>,
        /// What it printed last.
        last_lines: Vec<String>,
    },
    /// It did not become healthy in time.
    #[error("health: `{command}` was not healthy within {} s: {found}", waited.as_secs_f32().ceil())]
    Unhealthy {
        /// What was started.
        command: String,
        /// How long was waited.
        waited: Duration,
        /// What was found at the last look.
        found: String,
        /// What it printed last.
        last_lines: Vec<String>,
    },
    /// It was stopped while it started.
    #[error("start: stopped before it was healthy")]
    Stopped,
    /// The driver's own files can't be written.
    #[error("the instance's files can't be kept")]
    Files(#[source] io::Error),
    /// The driver is going away.
    #[error("the driver is stopping")]
    Closing,
}

fn by(holder: Option<&str>) -> String {
    holder.map_or_else(String::new, |id| format!(" by instance {id}"))
}

impl StartError {
    /// What the app printed last, when it got to run.
    pub fn last_lines(&self) -> &[String] {
        match self {
            Self::Exited { last_lines, .. }
            | Self::PortTaken { last_lines, .. }
            | Self::Unhealthy { last_lines, .. } => last_lines,
            Self::Duplicate { .. }
            | Self::BadId { .. }
            | Self::Closed { .. }
            | Self::NoPort { .. }
            | Self::Spawn { .. }
            | Self::Stopped
            | Self::Files(_)
            | Self::Closing => &[],
        }
    }
}

/// Why something else than a start failed.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// Some processes can't be ended.
    #[error(transparent)]
    Survivors(#[from] Survivors),
    /// The driver's own files can't be read or written.
    #[error("the instances' files can't be read or written")]
    Files(#[from] io::Error),
    /// There is no such instance, or its output was removed.
    #[error("there is no instance {0}")]
    Unknown(String),
}
