//! What the operator decides about the `local` driver.

use std::fmt;
use std::io;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

/// Settings of the `local` driver.
#[derive(Clone, Debug)]
pub struct LocalSettings {
    /// Where records and output of instances are kept. Closed to all but Slipway.
    pub state_directory: PathBuf,
    /// Where instances have directories for what they need only while they run; their users must be
    /// able to pass through it.
    pub temporary_directory: PathBuf,
    /// The ports that instances are given.
    pub ports: RangeInclusive<u16>,
    /// How many bytes of output are kept of each instance, about.
    pub output_bytes: u64,
    /// The command that serves a directory of files; the directory and `--port N` are added.
    pub static_server: Vec<String>,
    /// How instances that end by themselves are started again.
    pub backoff: Backoff,
}

impl LocalSettings {
    /// The defaults, with the state in this directory.
    pub fn new(state_directory: impl Into<PathBuf>) -> Self {
        let state_directory = state_directory.into();
        Self {
            temporary_directory: state_directory.join("tmp"),
            state_directory,
            ports: 21_000..=25_999,
            output_bytes: 10 * 1024 * 1024,
            // Whatever became of the file since: the program that runs now.
            static_server: vec!["/proc/self/exe".to_owned(), "__static".to_owned()],
            backoff: Backoff::default(),
        }
    }
}

/// How instances that end by themselves are started again.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// The pause before the first restart; each further one is twice as long.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
    /// After running this long, crashes are counted anew.
    pub stable_after: Duration,
    /// From how many crashes in a row on it is called a crash loop.
    pub loop_after: u32,
    /// After how many crashes in a row it is given up. `None`: never, since what it waits for (a
    /// database) may come back.
    pub give_up_after: Option<u32>,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(500),
            longest: Duration::from_mins(5),
            stable_after: Duration::from_mins(1),
            loop_after: 5,
            give_up_after: None,
        }
    }
}

impl Backoff {
    /// The pause after this many crashes in a row; `None` when it is given up.
    pub(crate) fn pause(&self, crashes: u32) -> Option<Duration> {
        if self.give_up_after.is_some_and(|bound| crashes >= bound) {
            return None;
        }
        let doubled = 2_u32.saturating_pow(crashes.saturating_sub(1));
        Some(self.first.saturating_mul(doubled).min(self.longest))
    }
}

/// Seals what records hold of an app's variables. The key is the platform's.
pub trait Sealer: Send + Sync {
    /// Makes `plain` unreadable without the key.
    fn seal(&self, plain: &[u8]) -> io::Result<Vec<u8>>;
    /// The inverse of [`seal`](Self::seal); an error when the key is another or the bytes were changed.
    fn open(&self, sealed: &[u8]) -> io::Result<Vec<u8>>;
}

impl fmt::Debug for dyn Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_end_where_it_is_given_up() {
        let backoff = Backoff {
            give_up_after: Some(12),
            ..Backoff::default()
        };
        assert_eq!(backoff.pause(1), Some(Duration::from_millis(500)));
        assert_eq!(backoff.pause(3), Some(Duration::from_secs(2)));
        assert_eq!(backoff.pause(11), Some(Duration::from_mins(5)));
        assert_eq!(backoff.pause(12), None);
    }
}
