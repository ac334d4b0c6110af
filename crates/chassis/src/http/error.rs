//! What a handler fails with: a problem for the caller, and a cause for the log.
//!
//! - A rule that says no is a [`Problem`]; each feature maps its own error enum to one
//!   in a single exhaustive match.
//! - A query's error becomes 503 where the database isn't there, else 500.
//! - Everything else is [`ApiError::internal`]: a fixed text outside, the whole chain once in the log.

use std::borrow::Cow;
use std::error::Error as StdError;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError};
use common::problem::Problem;

use crate::telemetry::TraceContext;
use crate::{db, seal};

/// The code of the problem that an answer is, among the answer's extensions: for who keeps a log of
/// answers.
#[derive(Clone, Debug)]
pub struct RefusedAs(pub Cow<'static, str>);

/// An error on its way to a caller.
#[derive(Debug)]
pub struct ApiError {
    problem: Box<Problem>,
    cause: Option<Box<dyn StdError + Send + Sync>>,
    trace: Option<TraceContext>,
}

impl ApiError {
    /// Our own fault: the caller learns nothing but the request's id.
    pub fn internal(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self {
            problem: Box::new(Problem::internal()),
            cause: Some(cause.into()),
            trace: None,
        }
    }

    /// A problem whose cause belongs into the log.
    pub fn caused(problem: Problem, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self {
            problem: Box::new(problem),
            cause: Some(cause.into()),
            trace: None,
        }
    }

    /// What the caller is told.
    #[must_use]
    pub fn problem(&self) -> &Problem {
        &self.problem
    }

    /// The same error, for those who answer outside the request's own scope.
    pub(super) fn in_trace(mut self, trace: TraceContext) -> Self {
        self.trace = Some(trace);
        self
    }

    /// The same error with what the caller is told changed.
    #[must_use]
    pub fn map_problem(mut self, change: impl FnOnce(Problem) -> Problem) -> Self {
        *self.problem = change(*self.problem);
        self
    }

    fn log(&self) {
        let Some(cause) = &self.cause else { return };
        let mut chain = cause.to_string();
        let mut next = cause.source();
        while let Some(source) = next {
            chain.push_str(": ");
            chain.push_str(&source.to_string());
            next = source.source();
        }
        if self.problem.status >= 500 {
            tracing::error!(status = self.problem.status, code = %self.problem.code, cause = chain, "a request failed");
        } else {
            tracing::info!(status = self.problem.status, code = %self.problem.code, cause = chain, "a request was refused");
        }
    }
}

impl From<Problem> for ApiError {
    fn from(problem: Problem) -> Self {
        Self {
            problem: Box::new(problem),
            cause: None,
            trace: None,
        }
    }
}

impl From<diesel::result::Error> for ApiError {
    fn from(error: diesel::result::Error) -> Self {
        if db::is_unavailable(&error) {
            let problem = Problem::unavailable(
                "database_unavailable",
                "The database can't be reached at the moment",
            );
            return Self::caused(problem, error);
        }
        if db::is_unique_violation(&error) {
            return Self::caused(
                Problem::conflict("conflict", "There is one like this already"),
                error,
            );
        }
        Self::internal(error)
    }
}

impl From<seal::SealError> for ApiError {
    fn from(error: seal::SealError) -> Self {
        Self::internal(error)
    }
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.problem.fmt(f)
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        self.log();
        let trace = self.trace.clone().or_else(TraceContext::current);
        let request_id = trace.map(|trace| trace.request_id).unwrap_or_default();
        let mut response = HttpResponseBuilder::new(self.status_code());
        response.insert_header((header::CONTENT_TYPE, "application/problem+json"));
        response.insert_header((header::CACHE_CONTROL, "no-store"));
        let mut put = |name: HeaderName, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                response.insert_header((name, value));
            }
        };
        put(HeaderName::from_static("x-request-id"), &request_id);
        if let Some(seconds) = self.problem.retry_after {
            put(header::RETRY_AFTER, &seconds.to_string());
        }
        if let Some(challenge) = &self.problem.authenticate {
            put(header::WWW_AUTHENTICATE, challenge);
        }
        if let Some(allow) = &self.problem.allow {
            put(header::ALLOW, allow);
        }
        response
            .extensions_mut()
            .insert(RefusedAs(self.problem.code.clone()));
        response.body(self.problem.body(&request_id).to_string())
    }
}
