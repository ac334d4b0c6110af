//! What is told of a trip to GitHub that failed. GitHub's own words aren't repeated: they go to the log.

use chassis::http::ApiError;
use common::problem::Problem;

use super::GithubError;
use super::sign_in::EnterError;
use super::trip::TripError;

impl From<TripError> for ApiError {
    fn from(error: TripError) -> Self {
        match error {
            TripError::Github(error) => error.into(),
            TripError::Seal(error) => error.into(),
        }
    }
}

impl From<GithubError> for ApiError {
    fn from(error: GithubError) -> Self {
        let bad_gateway =
            |code: &'static str, detail: &'static str| Problem::new(502, code, detail);
        let problem = match &error {
            GithubError::NotConfigured => {
                let detail = "Signing in by GitHub needs the settings `github.client_id` and `github.client_secret`";
                return Problem::new(501, "github_not_configured", detail).into();
            }
            GithubError::BadCode => {
                let detail = "The code passed is incorrect or expired.";
                return Problem {
                    detail: detail.into(),
                    ..Problem::unauthorized()
                }
                .into();
            }
            GithubError::BadToken => {
                let detail = "GitHub doesn't accept its own token";
                return Problem {
                    detail: detail.into(),
                    ..Problem::unauthorized()
                }
                .into();
            }
            GithubError::Unreachable(_) | GithubError::Failed(429 | 503) => Problem::unavailable(
                "github_unavailable",
                "GitHub can't be reached at the moment",
            ),
            GithubError::Failed(_) => {
                bad_gateway("github_failed", "GitHub doesn't work at the moment")
            }
            GithubError::Unreadable => {
                bad_gateway("github_unreadable", "GitHub's answer can't be read")
            }
            GithubError::Misconfigured(_) => bad_gateway(
                "github_misconfigured",
                "GitHub doesn't accept the app that is configured here",
            ),
        };
        Self::caused(problem, error)
    }
}

impl From<EnterError> for ApiError {
    fn from(error: EnterError) -> Self {
        match error {
            EnterError::Nobody => Problem::unauthorized().into(),
            EnterError::Taken => Problem::conflict(
                "github_account_taken",
                "The GitHub account is linked to another identity",
            )
            .into(),
            EnterError::HasOther => Problem::conflict(
                "github_account_linked",
                "The identity is linked to another GitHub account",
            )
            .into(),
            EnterError::Db(error) => error.into(),
        }
    }
}
