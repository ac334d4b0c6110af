//! What the provisioner offers to the other services.

use serde::{Deserialize, Serialize};

use crate::id::EnvironmentId;
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

/// `POST /internal/activity`: which apps had requests since the last report. Those that aren't named had none
/// that the reporting gateway knows of.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ActivityReport {
    /// One for each app that had some.
    pub apps: Vec<Activity>,
}

/// When an app had its last request.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Activity {
    /// The app's environment.
    pub environment_id: EnvironmentId,
    /// How many milliseconds ago; 0 while one is under way.
    pub idle_ms: u64,
}

/// `POST /internal/environments/{id}/wake`: starts an app that sleeps.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Wake {
    /// Up to how many milliseconds to wait until it is live.
    #[serde(default)]
    pub wait_ms: u64,
}

/// What has become of the wish to wake an app, or to put it to sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It isn't asleep.
    Awake,
    /// It is being started.
    Waking,
    /// It sleeps.
    Asleep,
    /// It sleeps on, for it couldn't be started.
    Failed,
    /// Nothing was ever live there.
    Empty,
}

/// Answers a wish to wake an app, or to put it to sleep.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct StandingAnswer {
    /// How it stands.
    pub standing: Standing,
}
