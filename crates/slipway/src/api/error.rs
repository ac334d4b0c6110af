//! Why a call of the platform failed, for a person to read.

use std::error::Error as _;

use common::problem::Problem;
use reqwest::{Method, Response};
use url::Url;

/// Why a call of the platform failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// Nothing answers there.
    #[error(
        "no platform answers at {url} ({why}). Start one with `slipway up`, or name another with --url or SLIPWAY_URL"
    )]
    Unreachable {
        /// The platform's address.
        url: String,
        /// The system's reason.
        why: String,
    },
    /// The connection ended before the answer did.
    #[error("the connection to {url} was lost ({why})")]
    Lost {
        /// The platform's address.
        url: String,
        /// The system's reason.
        why: String,
    },
    /// The platform said no.
    #[error("{}", sentence(problem, request_id.as_deref()))]
    Refused {
        /// What it said.
        problem: Box<Problem>,
        /// Under which id its log tells more.
        request_id: Option<String>,
    },
    /// Something else than a platform answers there.
    #[error("what answers at {url} is no Slipway platform: status {status} for {what}")]
    Foreign {
        /// The address.
        url: String,
        /// What was asked.
        what: String,
        /// The answer's status.
        status: u16,
    },
    /// The answer is none that this version knows.
    #[error("the platform's answer to {what} can't be read")]
    Unreadable {
        /// What was asked.
        what: String,
        /// Why.
        source: anyhow::Error,
    },
}

impl ApiError {
    /// A failure below HTTP.
    pub(crate) fn lost(url: &Url, error: &reqwest::Error) -> Self {
        let (url, why) = (
            url.as_str().trim_end_matches('/').to_owned(),
            root_cause(error),
        );
        if error.is_connect() {
            Self::Unreachable { url, why }
        } else {
            Self::Lost { url, why }
        }
    }

    /// What the platform said, if it said something.
    pub(crate) fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Refused { problem, .. } => Some(problem),
            Self::Unreachable { .. }
            | Self::Lost { .. }
            | Self::Foreign { .. }
            | Self::Unreadable { .. } => None,
        }
    }

    /// Whether the platform said this.
    pub(crate) fn is(&self, code: &str) -> bool {
        self.problem().is_some_and(|problem| problem.code == code)
    }

    /// Whether the answer had this status.
    pub(crate) fn has_status(&self, status: u16) -> bool {
        self.problem()
            .is_some_and(|problem| problem.status == status)
    }

    /// Whether the same call may well succeed a moment later.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Lost { .. } => true,
            Self::Refused { problem, .. } => matches!(problem.status, 429 | 502 | 503 | 504),
            Self::Foreign { .. } | Self::Unreadable { .. } => false,
        }
    }
}

/// What an answer that is no success says.
pub(super) async fn refused(
    url: &Url,
    method: &Method,
    path: &str,
    response: Response,
) -> ApiError {
    let status = response.status().as_u16();
    let header = response
        .headers()
        .get("x-request-id")
        .and_then(|id| id.to_str().ok())
        .map(str::to_owned);
    let body: serde_json::Value = response.json().await.unwrap_or_default();
    match Problem::from_body(status, &body) {
        Some(problem) => {
            let named = body
                .get("request_id")
                .and_then(serde_json::Value::as_str)
                .map(str::to_owned);
            ApiError::Refused {
                problem: Box::new(problem),
                request_id: named.or(header),
            }
        }
        None => ApiError::Foreign {
            url: url.as_str().trim_end_matches('/').to_owned(),
            what: format!("{method} {path}"),
            status,
        },
    }
}

/// The problem's detail, the fields it doesn't name itself, and the id that finds it in the log.
fn sentence(problem: &Problem, request_id: Option<&str>) -> String {
    let mut text = problem.detail.to_string();
    if problem.status == 401 {
        text.push_str(
            ": you are not signed in. Set SLIPWAY_TOKEN to a person's token, or point --data-dir to the \
             platform's data for the admin's credentials",
        );
    }
    for field in &problem.errors {
        if !text.contains(&field.message) {
            text.push_str(&format!("; `{}` {}", field.field, field.message));
        }
    }
    if let Some(id) = request_id {
        text.push_str(&format!(" (request {id})"));
    }
    text
}

/// The innermost reason, such as "Connection refused"; those around it only repeat that it failed.
fn root_cause(error: &reqwest::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    if error.is_timeout() && error.source().is_none() {
        "no answer in time".to_owned()
    } else {
        innermost.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_fields_and_the_request() {
        let problem = Problem::new(422, "invalid_data", "The project can't be made")
            .with_field("name", "must not be empty");
        let text = sentence(&problem, Some("req_1"));
        assert_eq!(
            text,
            "The project can't be made; `name` must not be empty (request req_1)"
        );
        let repeated = Problem::invalid_field("name", "must not be empty");
        assert_eq!(sentence(&repeated, None), "`name` must not be empty");
    }

    #[test]
    fn who_is_not_signed_in_is_told_how_to() {
        assert!(sentence(&Problem::unauthorized(), None).contains("SLIPWAY_TOKEN"));
    }
}
