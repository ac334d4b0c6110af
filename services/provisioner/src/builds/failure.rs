//! How an attempt at a build ends when it doesn't end well.

use std::io;

use chassis::calls::CallError;
use chassis::seal::SealError;
use common::problem::Problem;

use crate::appdb::AppDbError;
use crate::build::BuildError;
use crate::checkout::CheckoutError;
use crate::detect::DetectError;
use crate::driver::{DriverError, StartError};

/// Why an attempt at a build didn't make a release live.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// For a reason that the next attempt would meet again.
    #[error("{0}")]
    Failed(String),
    /// It was told to end.
    #[error("cancelled")]
    Ended,
    /// Another worker has it now.
    #[error("the build's job was taken over")]
    Lost,
    /// For a reason that may pass.
    #[error("{what}")]
    Passing {
        /// What could not be done.
        what: &'static str,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Failure {
    /// A failure that may pass.
    pub(crate) fn passing(
        what: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Passing {
            what,
            source: source.into(),
        }
    }

    /// What a service answered that was asked for something the build needs.
    pub(crate) fn of_call(what: &'static str, error: CallError) -> Self {
        match error.problem() {
            Some(Problem {
                status: 400..=499,
                detail,
                ..
            }) => Self::Failed(format!("{what}: {detail}")),
            _ => Self::passing(what, error),
        }
    }
}

impl From<diesel::result::Error> for Failure {
    fn from(error: diesel::result::Error) -> Self {
        Self::passing("the database failed", error)
    }
}

impl From<SealError> for Failure {
    fn from(error: SealError) -> Self {
        Self::Failed(format!("the environment's secrets can't be used: {error}"))
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::passing("the machine's files could not be used", error)
    }
}

impl From<CheckoutError> for Failure {
    fn from(error: CheckoutError) -> Self {
        match error {
            CheckoutError::Cancelled => Self::Ended,
            CheckoutError::Io(error) => error.into(),
            other => Self::Failed(format!("checkout: {other}")),
        }
    }
}

impl From<DetectError> for Failure {
    fn from(error: DetectError) -> Self {
        Self::Failed(format!("detect: {error}"))
    }
}

impl From<BuildError> for Failure {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::Cancelled => Self::Ended,
            BuildError::Io(error) => error.into(),
            other @ (BuildError::Phase(_) | BuildError::NoOutput { .. }) => {
                Self::Failed(other.to_string())
            }
        }
    }
}

impl From<AppDbError> for Failure {
    fn from(error: AppDbError) -> Self {
        match error {
            AppDbError::Url | AppDbError::Name(_) | AppDbError::ForeignRole(_) => {
                Self::Failed(error.to_string())
            }
            AppDbError::Connect(_) | AppDbError::Query { .. } | AppDbError::Ended(_) => {
                Self::passing("the apps' database server failed", error)
            }
        }
    }
}

impl From<DriverError> for Failure {
    fn from(error: DriverError) -> Self {
        Self::passing("the driver failed", error)
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Stopped => Self::Ended,
            StartError::Closing | StartError::Files(_) => Self::passing("the driver failed", error),
            other => Self::Failed(with_source(&other)),
        }
    }
}

/// The error with its causes, as people read it.
pub(crate) fn with_source(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}
