//! Refusals as Git clients show them: they print a body of plain text, and ask the person for
//! credentials on 401 with a `Basic` challenge.

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use chassis::http::ApiError;
use common::problem::Problem;

use crate::git::GitError;
use crate::repositories::pushing::PushError;

/// An error on its way to a Git client.
#[derive(Debug)]
pub(crate) struct Refusal(ApiError);

impl<E: Into<ApiError>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl Refusal {
    /// 401: no token, or none that holds.
    pub(super) fn unauthorized(why: &str) -> Self {
        Problem::new(
            401,
            "unauthorized",
            format!("{why}. Give a token of the platform as the password."),
        )
        .into()
    }

    /// 404: no such repository, or none that the caller may know of.
    pub(super) fn no_repository() -> Self {
        Problem::new(
            404,
            "repository_not_found",
            "There is no such repository, or this token doesn't open it.",
        )
        .into()
    }

    /// 500 for git itself.
    pub(super) fn git(error: GitError) -> Self {
        ApiError::internal(error).into()
    }
}

impl From<PushError> for ApiError {
    fn from(error: PushError) -> Self {
        match error {
            PushError::Db(error) => error.into(),
            PushError::Git(error) => Self::internal(error),
            PushError::Disk(error) => Self::internal(error),
            PushError::Contended => Self::internal(error),
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        self.0.status_code()
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = self.0.error_response();
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        );
        if self.status_code() == StatusCode::UNAUTHORIZED {
            headers.insert(
                WWW_AUTHENTICATE,
                HeaderValue::from_static("Basic realm=\"slipway\", charset=\"UTF-8\""),
            );
        }
        response.set_body(actix_web::body::BoxBody::new(format!(
            "{}\n",
            self.0.problem().detail
        )))
    }
}
