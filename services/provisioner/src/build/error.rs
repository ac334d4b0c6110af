//! Why a build failed.

use std::fmt;
use std::io;
use std::time::Duration;

use thiserror::Error;

use crate::process::{Exit, LimitHit};

/// Why there is no release.
#[derive(Debug, Error)]
pub enum BuildError {
    /// A phase failed.
    #[error("{0}")]
    Phase(Box<PhaseFailure>),
    /// All phases went well, but what is to be run or served isn't there.
    #[error("the build made no `{path}`, which is what {what}")]
    NoOutput {
        /// The path, relative to the app's directory.
        path: String,
        /// What needs it.
        what: &'static str,
    },
    /// The build was cancelled.
    #[error("the build was cancelled")]
    Cancelled,
    /// The build's own directories can't be made or commands can't be watched.
    #[error("the build could not be prepared")]
    Io(#[from] io::Error),
}

/// Which phase failed, how, and what it said last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PhaseFailure {
    /// The phase's name.
    pub phase: String,
    /// Its command, with secrets hidden.
    pub command: String,
    /// How it ended.
    pub ended: PhaseEnd,
    /// The last lines that it printed, with secrets hidden.
    pub last_lines: Vec<String>,
}

/// How a failed phase ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PhaseEnd {
    /// With an exit code other than 0, or by a signal.
    Exit(Exit),
    /// It was ended because it took too long.
    TimedOut(Duration),
    /// It could not be started: the program is missing, or may not be run.
    NotStarted(String),
}

impl PhaseFailure {
    /// Whether the phase ended for want of memory: certain where a limit of ours was hit, a guess where something
    /// else killed it.
    pub fn out_of_memory(&self) -> bool {
        match &self.ended {
            PhaseEnd::Exit(exit) => {
                exit.limit == Some(LimitHit::Memory)
                    || exit.signal == Some(9)
                    || exit.code == Some(137)
            }
            PhaseEnd::TimedOut(_) | PhaseEnd::NotStarted(_) => false,
        }
    }
}

impl fmt::Display for PhaseFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the phase `{}` failed: `{}` ", self.phase, self.command)?;
        match &self.ended {
            PhaseEnd::Exit(exit) => {
                write!(f, "ended with {exit}")?;
                if exit.limit.is_none() && self.out_of_memory() {
                    f.write_str(", probably because the machine ran out of memory")?;
                }
                Ok(())
            }
            PhaseEnd::TimedOut(after) => write!(
                f,
                "was ended after {} s, the most it may take",
                after.as_secs()
            ),
            PhaseEnd::NotStarted(why) => write!(f, "could not be started: {why}"),
        }
    }
}
