//! Why a delivery couldn't be worked off.

use chassis::calls::CallError;
use chassis::jobs::JobError;

use crate::app::GithubError;
use crate::provider::SourceError;

/// Why a delivery couldn't be worked off.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// No App is configured any more.
    #[error("no GitHub App is configured")]
    NoApp,
    /// The repository, or its installation, can't be had.
    #[error("the repository can't be looked up")]
    Source(#[from] SourceError),
    /// GitHub failed.
    #[error("GitHub can't be asked")]
    Github(#[from] GithubError),
    /// Project failed.
    #[error("the builds can't be asked for")]
    Project(#[from] CallError),
    /// What was kept of it can't be read.
    #[error("the delivery can't be read")]
    Unreadable(#[source] diesel::result::Error),
    /// The database failed.
    #[error("the database failed")]
    Db(#[from] diesel::result::Error),
}

impl Failure {
    /// What members of the account are told: nothing of how the platform is made.
    fn reason(&self) -> &'static str {
        match self {
            Self::NoApp => "No GitHub App is configured on this platform any more",
            Self::Source(error) => match error {
                SourceError::NotInstalled => "The account doesn't reach the repository any more",
                SourceError::Suspended => "The installation is suspended",
                SourceError::NotFound { .. } => "There is no such repository",
                SourceError::Empty
                | SourceError::NoSuchRef { .. }
                | SourceError::Ambiguous { .. }
                | SourceError::NoDefault { .. } => "The repository has no such commit",
                SourceError::Github(error) => Self::of_github(error),
                SourceError::Git(_)
                | SourceError::Disk(_)
                | SourceError::Db(_)
                | SourceError::Token(_) => "The platform failed",
            },
            Self::Github(error) => Self::of_github(error),
            Self::Project(_) | Self::Unreadable(_) | Self::Db(_) => "The platform failed",
        }
    }

    fn of_github(error: &GithubError) -> &'static str {
        match error {
            GithubError::Unreachable(_) => "GitHub couldn't be reached",
            GithubError::Limited { .. } => "GitHub's rate limit was used up",
            GithubError::Status(_) | GithubError::Unreadable => "GitHub's answer was of no use",
            GithubError::Unauthorized | GithubError::Unsigned => {
                "GitHub doesn't accept the platform's App"
            }
        }
    }

    /// Whether trying again can't help.
    fn is_permanent(&self) -> bool {
        match self {
            Self::NoApp | Self::Unreadable(_) => true,
            Self::Source(error) => match error {
                SourceError::NotInstalled
                | SourceError::Suspended
                | SourceError::NotFound { .. }
                | SourceError::Empty
                | SourceError::NoSuchRef { .. }
                | SourceError::Ambiguous { .. }
                | SourceError::NoDefault { .. } => true,
                SourceError::Github(_)
                | SourceError::Git(_)
                | SourceError::Disk(_)
                | SourceError::Db(_)
                | SourceError::Token(_) => false,
            },
            Self::Github(_) | Self::Project(_) | Self::Db(_) => false,
        }
    }
}

/// A job's error is shown in the log of deliveries once the last try has failed, so that it holds the
/// reason alone; the causes are for the operator's log.
impl From<Failure> for JobError {
    fn from(failure: Failure) -> Self {
        let (reason, is_permanent) = (failure.reason(), failure.is_permanent());
        let causes = Self::retry(failure);
        tracing::warn!(error = %causes, "a delivery couldn't be worked off");
        if is_permanent {
            Self::permanent(reason)
        } else {
            Self::retry(reason)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use diesel::result::{DatabaseErrorKind, Error};

    fn database() -> Error {
        let message = "connection to db.internal refused".to_owned();
        Error::DatabaseError(DatabaseErrorKind::UnableToSendCommand, Box::new(message))
    }

    #[test]
    fn members_are_told_no_cause_and_what_may_pass_is_tried_again() {
        let disk = std::io::Error::other("/var/lib/slipway is full");
        for (failure, reason, is_permanent) in [
            (Failure::Db(database()), "The platform failed", false),
            (Failure::Unreadable(database()), "The platform failed", true),
            (
                Failure::Source(SourceError::Db(database())),
                "The platform failed",
                false,
            ),
            (
                Failure::Source(SourceError::Disk(disk)),
                "The platform failed",
                false,
            ),
            (
                Failure::Source(SourceError::Github(GithubError::Status(502))),
                "GitHub's answer was of no use",
                false,
            ),
            (
                Failure::Github(GithubError::Unauthorized),
                "GitHub doesn't accept the platform's App",
                false,
            ),
            (
                Failure::Source(SourceError::Suspended),
                "The installation is suspended",
                true,
            ),
        ] {
            let error = JobError::from(failure);
            assert_eq!(error.to_string(), reason);
            assert_eq!(matches!(error, JobError::Permanent(_)), is_permanent);
        }
    }
}
