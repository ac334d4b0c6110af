//! Whether, where and how much is written of calls.

use std::path::Path;

use chassis::settings::{Duration, Section};
use serde::{Deserialize, Serialize};

/// The longest queue: each place of it costs memory.
const LONGEST_QUEUE: usize = 1_000_000;

/// `[access_log]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AccessLogSettings {
    /// `off`, `stdout`, or the path of a file, which begins with `/` or `./`.
    pub(crate) output: String,
    /// The share of calls that is written, 0 to 1; those that were refused or failed are always.
    pub(crate) sample: f64,
    /// A call that took so long is always written.
    pub(crate) slow: Duration,
    /// How long a file may become, in bytes, before the next is begun; zero for no bound.
    pub(crate) max_size: u64,
    /// How many files that are full are kept beside the one that is written.
    pub(crate) keep: u32,
    /// How many lines may wait to be written.
    pub(crate) queue: usize,
}

/// Where lines go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Output<'a> {
    Off,
    Stdout,
    File(&'a Path),
}

impl Default for AccessLogSettings {
    fn default() -> Self {
        Self {
            output: "off".into(),
            sample: 1.0,
            slow: Duration::secs(1),
            max_size: 100 * 1024 * 1024,
            keep: 5,
            queue: 10_000,
        }
    }
}

impl AccessLogSettings {
    pub(super) fn output(&self) -> Output<'_> {
        match self.output.as_str() {
            "off" => Output::Off,
            "stdout" => Output::Stdout,
            path => Output::File(Path::new(path)),
        }
    }
}

impl Section for AccessLogSettings {
    fn validate(&self) -> Result<(), String> {
        if let Output::File(_) = self.output()
            && !self.output.starts_with('/')
            && !self.output.starts_with("./")
        {
            return Err("`output` must be off, stdout, or a path that begins with / or ./".into());
        }
        if !(0.0..=1.0).contains(&self.sample) {
            return Err("`sample` must be 0 to 1".into());
        }
        if !(1..=LONGEST_QUEUE).contains(&self.queue) {
            return Err(format!("`queue` must be 1 to {LONGEST_QUEUE} lines"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_none_unless_told_and_a_typo_is_no_file() {
        let settings = AccessLogSettings::default();
        settings.validate().unwrap();
        assert_eq!(settings.output(), Output::Off);
        let with = |output: &str| AccessLogSettings {
            output: output.into(),
            ..AccessLogSettings::default()
        };
        assert_eq!(with("stdout").output(), Output::Stdout);
        assert!(with("./access.log").validate().is_ok());
        assert!(with("stdot").validate().is_err());
        let share = |sample| AccessLogSettings {
            sample,
            ..AccessLogSettings::default()
        };
        assert!(share(1.1).validate().is_err() && share(f64::NAN).validate().is_err());
    }
}
