//! What the provisioner offers to the other services.

use serde::{Deserialize, Serialize};

use crate::time::Time;

/// `GET /internal/builds/{id}/log` and `GET /internal/environments/{id}/log`: lines after a number.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct LogQuery {
    /// The number of the last line that the reader has; 0 asks from the start.
    pub after: i64,
    /// How many lines at the most.
    #[serde(default)]
    pub limit: Option<i64>,
    /// Up to how many milliseconds to wait for a line, if there is none yet.
    #[serde(default)]
    pub wait_ms: Option<u64>,
}

/// A line of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LogLine {
    /// Its number, from 1, without gaps.
    pub number: i64,
    /// When it was written.
    pub time: Time,
    /// The phase of the build, or `app`.
    pub phase: String,
    /// `stdout`, `stderr`, or `slipway` for what the platform says itself.
    pub stream: String,
    /// The text, with secrets masked.
    pub text: String,
}

/// Lines of a log.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LogPage {
    /// The lines, oldest first.
    pub lines: Vec<LogLine>,
    /// Whether no more will come.
    pub ended: bool,
    /// The number of the newest line there is; 0 if there is none.
    pub last: i64,
}
