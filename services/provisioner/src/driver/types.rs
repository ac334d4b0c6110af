//! What the deployer tells a driver, and what it hears from it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::process::{Exit, LimitHit, Limits, Owner};

/// What to run as one instance.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstanceSpec {
    /// Unique over time: letters, digits, `_`, `-`.
    pub id: String,
    /// The environment that the release belongs to.
    pub environment_id: String,
    /// The release.
    pub release_id: String,
    /// All that the release has of files, absolute: what the app may read and write.
    pub tree: PathBuf,
    /// The command's working directory, absolute, in there.
    pub directory: PathBuf,
    /// What to start.
    pub command: StartCommand,
    /// The app's variables. They may be secret: a driver keeps them sealed.
    #[serde(skip)]
    pub variables: BTreeMap<String, String>,
    /// The variables that carry the port to listen on, `PORT` among them.
    pub port_variables: Vec<String>,
    /// The user to run as, where the driver runs as root.
    pub owner: Option<Owner>,
    /// Bounds on all its processes together.
    pub limits: Limits,
    /// When it is healthy.
    pub health: HealthCheck,
    /// How long it may take to end after being asked to.
    pub grace: Duration,
}

impl fmt::Debug for InstanceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The command may carry a secret, the variables do.
        f.debug_struct("InstanceSpec")
            .field("id", &self.id)
            .field("environment_id", &self.environment_id)
            .field("release_id", &self.release_id)
            .finish_non_exhaustive()
    }
}

/// What answers HTTP for a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StartCommand {
    /// A program and its arguments.
    Run(Vec<String>),
    /// A directory of files, served by Slipway's own file server.
    Static {
        /// The directory, absolute.
        directory: PathBuf,
        /// Whether an unknown path is answered with `index.html`.
        single_page: bool,
    },
}

impl fmt::Display for StartCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(words) => match words.as_slice() {
                [shell, flag, text] if shell.ends_with("/sh") && flag == "-c" => f.write_str(text),
                words => f.write_str(&words.join(" ")),
            },
            Self::Static { .. } => f.write_str("static file server"),
        }
    }
}

/// When an instance counts as healthy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCheck {
    /// A path that must answer 2xx or 3xx. `None`: any answer below 500 at `/`.
    pub path: Option<String>,
    /// The longest it may take from its start.
    pub time_limit: Duration,
}

impl Default for HealthCheck {
    fn default() -> Self {
        Self {
            path: None,
            time_limit: Duration::from_mins(2),
        }
    }
}

/// One instance as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Instance {
    /// Its id.
    pub id: String,
    /// The environment it runs for.
    pub environment_id: String,
    /// The release it runs.
    pub release_id: String,
    /// Where it answers; `None` before it was healthy for the first time.
    pub address: Option<SocketAddr>,
    /// Whether it listens on a port of its own choice, not on the one given to it. The next release
    /// will likely want the same one: stop the old before starting the new.
    pub own_port: bool,
    /// What it is doing.
    pub state: InstanceState,
    /// How often it was restarted since it was last stable.
    pub restarts: u32,
    /// Its first process.
    pub pid: Option<u32>,
}

/// What an instance is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InstanceState {
    /// Started, not yet healthy.
    Starting,
    /// Healthy.
    Running,
    /// Ended by itself; waiting to be started again.
    Restarting,
    /// Ended by itself again and again; still tried, with long pauses.
    CrashLoop,
    /// Ended by itself too often; not tried any more.
    GivenUp,
    /// Asked to end.
    Stopping,
}

/// What happened to an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InstanceEvent {
    /// It ended by itself.
    Crashed {
        /// The instance.
        id: String,
        /// How it ended; `None`: it was started again and did not become healthy.
        exit: Option<Exit>,
        /// What went wrong, in one sentence.
        reason: String,
        /// The last of its output.
        last_lines: Vec<String>,
        /// When it will be started again; `None`: it won't.
        restart_in: Option<Duration>,
    },
    /// It is healthy again, perhaps at another address.
    Restarted {
        /// The instance.
        id: String,
        /// Where it answers now.
        address: SocketAddr,
    },
    /// It ended by itself so often that its restarts are now far apart.
    CrashLooping {
        /// The instance.
        id: String,
        /// How often in a row.
        crashes: u32,
    },
    /// It is not started again.
    GivenUp {
        /// The instance.
        id: String,
    },
    /// Some of its processes ran into a bound, though the first still runs.
    LimitHit {
        /// The instance.
        id: String,
        /// Which bound.
        limit: LimitHit,
    },
}

/// What became of the instances of an earlier Slipway process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Adopted {
    /// Still running, and kept by this process from now on.
    pub adopted: Vec<Instance>,
    /// Ended while nobody was looking; started again by this process, in the background.
    pub restarting: Vec<String>,
    /// Ended now: they were starting, or their record can't be used. To be started anew by the deployer.
    pub ended: Vec<String>,
    /// Processes without a record, ended now.
    pub orphans: usize,
}

/// A piece of an instance's output.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutputSlice {
    /// The byte the piece starts at; later than asked for when older output was given up.
    pub start: u64,
    /// The byte to ask for next.
    pub next: u64,
    /// The bytes as printed; not always whole lines or whole characters.
    pub bytes: Vec<u8>,
}
