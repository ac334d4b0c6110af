//! Logs of builds and of running apps: numbered lines, kept in chunks.
//!
//! A chunk is what came since the last one was written. Lines get their numbers in the transaction
//! that keeps them, so that a log has no gap and no number twice whoever writes to it.

pub(crate) mod http;
pub(crate) mod ingest;
pub(crate) mod store;
pub(crate) mod writer;

use common::time::Time;
use serde::{Deserialize, Serialize};

/// A line before it has a number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Line {
    /// When it was written.
    #[serde(rename = "t")]
    pub(crate) time: Time,
    /// The phase of the build, or `app`.
    #[serde(rename = "p")]
    pub(crate) phase: String,
    /// `stdout`, `stderr` or `slipway`.
    #[serde(rename = "s")]
    pub(crate) stream: String,
    /// The text, with secrets masked.
    #[serde(rename = "x")]
    pub(crate) text: String,
}
