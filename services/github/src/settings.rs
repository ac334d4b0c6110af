//! Of the section `[github]` how repositories are kept and served: `SLIPWAY_GITHUB__GIT`, `…__PUSH_LIMIT`, `…__PUSH_TIMEOUT`,
//! `…__FETCH_TIMEOUT`, `…__CONCURRENCY`.

use std::ffi::OsString;
use std::path::PathBuf;

use chassis::settings::{Duration, Section};
use serde::{Deserialize, Serialize};

/// How repositories are kept and served.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default)]
pub struct Settings {
    /// The git program: a path, or a name that is looked for on the `PATH`.
    pub git: PathBuf,
    /// The largest pack that one push may send, in bytes.
    pub push_limit: u64,
    /// How long one push may take.
    pub push_timeout: Duration,
    /// How long one fetch may take.
    pub fetch_timeout: Duration,
    /// How many pushes and fetches one process serves at a time; others wait.
    pub concurrency: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            git: PathBuf::from("git"),
            push_limit: 1 << 30,
            push_timeout: Duration::secs(15 * 60),
            fetch_timeout: Duration::secs(15 * 60),
            concurrency: 16,
        }
    }
}

impl Section for Settings {
    fn validate(&self) -> Result<(), String> {
        let named = [
            ("git", !self.git.as_os_str().is_empty()),
            ("push_limit", self.push_limit > 0),
            ("push_timeout", !self.push_timeout.0.is_zero()),
            ("fetch_timeout", !self.fetch_timeout.0.is_zero()),
            ("concurrency", self.concurrency > 0),
        ];
        match named.iter().find(|(_, valid)| !valid) {
            Some((key, _)) => Err(format!("`{key}` must not be empty or zero")),
            None => Ok(()),
        }
    }
}

/// Where programs are looked for: git's own are found by it, too.
#[expect(
    clippy::disallowed_methods,
    reason = "the search path is the one variable that git is given"
)]
pub(crate) fn search_path() -> OsString {
    std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into())
}
