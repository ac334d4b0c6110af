//! Errors as OAuth 2.0 words them (RFC 6749, section 5.2), with what every problem of ours has.

use std::borrow::Cow;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, RETRY_AFTER};
use chassis::http::ApiError;
use chassis::telemetry::TraceContext;
use common::problem::Problem;

crate::worded::worded_extractor! {
    /// An extractor whose refusals are `invalid_request`.
    OAuth, invalid_request
}

/// A refusal in OAuth's words.
#[derive(Clone, Debug)]
pub(crate) struct OAuthError(Problem);

impl OAuthError {
    /// 400 with this `error`.
    pub(crate) fn new(error: &'static str, description: impl Into<Cow<'static, str>>) -> Self {
        let problem = Problem::bad_request(error, description);
        Self(worded(problem, error))
    }

    /// A parameter is missing or makes no sense.
    pub(crate) fn invalid_request(description: impl Into<Cow<'static, str>>) -> Self {
        Self::new("invalid_request", description)
    }

    /// What was to be exchanged for a token is good for nothing: never why.
    pub(crate) fn invalid_grant() -> Self {
        let description = "It is unknown, used, expired, revoked, or another client's";
        Self::new("invalid_grant", description)
    }

    /// 401: no such client.
    pub(crate) fn invalid_client() -> Self {
        let mut error = Self::new("invalid_client", "There is no client of this id");
        error.0.status = 401;
        error
    }

    /// Asks to come back after so many seconds.
    pub(crate) fn retry_after(self, seconds: u32) -> Self {
        Self(self.0.retry_after(seconds))
    }

    /// The answer. It is plain `application/json`: clients of OAuth insist on that.
    pub(crate) fn answer(&self) -> HttpResponse {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::BAD_REQUEST);
        let request_id = TraceContext::current().map(|trace| trace.request_id);
        let mut answer = HttpResponse::build(status);
        answer.insert_header((CACHE_CONTROL, "no-store"));
        if let Some(seconds) = self.0.retry_after {
            answer.insert_header((RETRY_AFTER, seconds.to_string()));
        }
        answer.json(self.0.body(&request_id.unwrap_or_default()))
    }
}

fn worded(problem: Problem, error: &'static str) -> Problem {
    let description = problem.detail.to_string();
    problem
        .with("error", error)
        .with("error_description", description)
}

/// A form that can't be read is an `invalid_request`; what else fails keeps its own words.
fn invalid_request(error: ApiError) -> ApiError {
    error.map_problem(|problem| match problem.status {
        400..500 => worded(problem, "invalid_request"),
        _ => problem,
    })
}
