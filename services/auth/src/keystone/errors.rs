//! What is told of a login that doesn't go on.

use chassis::http::ApiError;
use common::problem::Problem;

use super::complete::CompleteError;
use super::public_key::BadKey;
use crate::requests::{AskError, PollError};

impl From<AskError> for ApiError {
    fn from(error: AskError) -> Self {
        match error {
            AskError::TooMany { retry_after } => {
                let detail = "Too many sign-ins from this address wait for an answer";
                Problem::new(429, "too_many_requests", detail)
                    .retry_after(retry_after)
                    .into()
            }
            AskError::Full => {
                Problem::unavailable("busy", "Too many sign-ins wait for an answer").into()
            }
            AskError::Db(error) => error.into(),
        }
    }
}

impl From<PollError> for ApiError {
    fn from(error: PollError) -> Self {
        match error {
            PollError::Unknown => Problem::not_found("login request").into(),
            PollError::Expired => {
                Problem::new(410, "login_request_expired", "The login request has ended").into()
            }
            PollError::Declined => {
                Problem::forbidden("login_declined", "The person has declined the login").into()
            }
            PollError::TooFast { retry_after } => {
                let detail = "The login request was polled a moment ago";
                Problem::new(429, "slow_down", detail)
                    .retry_after(retry_after)
                    .into()
            }
            PollError::Db(error) => error.into(),
        }
    }
}

impl From<BadKey> for ApiError {
    fn from(error: BadKey) -> Self {
        Problem::invalid_field("public_key", error).into()
    }
}

impl From<CompleteError> for ApiError {
    fn from(error: CompleteError) -> Self {
        let refused = |code: &'static str, detail: &'static str| Problem {
            code: code.into(),
            detail: detail.into(),
            ..Problem::unauthorized()
        };
        match error {
            CompleteError::Wrong => {
                refused("invalid_code", "The code or token is not good, or was used").into()
            }
            CompleteError::Expired => refused("code_expired", "The code has expired").into(),
            CompleteError::OtherApp => {
                let detail = "GitHub doesn't know the token as one that was issued to this app";
                refused("token_of_another_app", detail).into()
            }
            CompleteError::Blocked(blocked) => {
                let detail = "Too many wrong tries; wait before the next one";
                Problem::new(429, "too_many_attempts", detail)
                    .retry_after(blocked.retry_after)
                    .into()
            }
            CompleteError::Github(error) => error.into(),
            CompleteError::Enter(error) => error.into(),
            CompleteError::Db(error) => error.into(),
        }
    }
}
