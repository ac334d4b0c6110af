//! How a process ended.

use std::fmt;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use rustix::process::Signal;
use serde::{Deserialize, Serialize};

/// A bound that a group of processes ran into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitHit {
    /// Memory: at least one process was ended for it.
    Memory,
    /// Number of processes: at least one was not started, or the group was ended for it.
    Processes,
}

/// How the first process of a group ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// Its exit code, when it ended by itself.
    pub code: Option<i32>,
    /// The signal that ended it. Neither code nor signal: it was started by an earlier Slipway
    /// process, and the kernel tells only a parent.
    pub signal: Option<i32>,
    /// The bound that the group had hit by then.
    pub limit: Option<LimitHit>,
}

impl Exit {
    pub(crate) fn new(status: Option<ExitStatus>, limit: Option<LimitHit>) -> Self {
        Self {
            code: status.and_then(|status| status.code()),
            signal: status.and_then(|status| status.signal()),
            limit,
        }
    }

    /// Whether it ended with exit code 0.
    pub fn is_success(&self) -> bool {
        self.code == Some(0)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code, self.signal) {
            (Some(code), _) => write!(f, "exit code {code}")?,
            (None, Some(signal)) => write!(f, "signal {signal}{}", signal_name(signal))?,
            (None, None) => f.write_str("ended, exit code not known")?,
        }
        match self.limit {
            Some(LimitHit::Memory) => f.write_str(" after running out of the memory allowed to it"),
            Some(LimitHit::Processes) => {
                f.write_str(" after reaching the number of processes allowed to it")
            }
            None => Ok(()),
        }
    }
}

fn signal_name(signal: i32) -> &'static str {
    match Signal::from_named_raw(signal) {
        Some(Signal::HUP) => " (SIGHUP)",
        Some(Signal::INT) => " (SIGINT)",
        Some(Signal::QUIT) => " (SIGQUIT)",
        Some(Signal::ILL) => " (SIGILL)",
        Some(Signal::ABORT) => " (SIGABRT)",
        Some(Signal::BUS) => " (SIGBUS)",
        Some(Signal::FPE) => " (SIGFPE)",
        Some(Signal::KILL) => " (SIGKILL)",
        Some(Signal::SEGV) => " (SIGSEGV)",
        Some(Signal::PIPE) => " (SIGPIPE)",
        Some(Signal::TERM) => " (SIGTERM)",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exit_reads_as_a_person_would_say_it() {
        let exit = |code, signal, limit| {
            Exit {
                code,
                signal,
                limit,
            }
            .to_string()
        };
        assert_eq!(exit(Some(3), None, None), "exit code 3");
        assert_eq!(
            exit(None, Some(9), Some(LimitHit::Memory)),
            "signal 9 (SIGKILL) after running out of the memory allowed to it"
        );
        assert_eq!(exit(None, None, None), "ended, exit code not known");
    }
}
