//! An answer on its way out, and as what its call is counted.

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

use actix_web::dev::ServiceResponse;
use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError as _};
use chassis::http::{ApiError, RefusedAs};
use chassis::telemetry::TraceContext;

use crate::edge::tokens::Known;
use crate::proxy::grpc::CountedAs;
use crate::usage;

/// A service's name, as its calls are counted.
#[derive(Default)]
pub(super) enum Label {
    /// Of none.
    #[default]
    None,
    /// Of the platform.
    Own(&'static str),
    /// Of the table.
    Shared(Arc<str>),
}

/// As what a call is counted.
pub(super) struct Counted {
    pub(super) known: Option<Rc<Known>>,
    pub(super) service: Label,
    pub(super) endpoint: Cow<'static, str>,
}

impl Default for Counted {
    /// A call that says nothing of a caller or a service.
    fn default() -> Self {
        Self {
            known: None,
            service: Label::None,
            endpoint: usage::OTHER.into(),
        }
    }
}

impl Label {
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::None => "-",
            Self::Own(name) => name,
            Self::Shared(name) => name,
        }
    }
}

/// An answer, and as what its call is counted.
pub(super) struct Outcome {
    pub(super) response: Result<HttpResponse, ApiError>,
    pub(super) counted: Counted,
}

impl Outcome {
    /// A refusal that says nothing of a caller or a service.
    pub(super) fn refused(error: ApiError) -> Self {
        Self {
            response: Err(error),
            counted: Counted::default(),
        }
    }
}

/// The status that a call is counted by.
pub(super) fn counted_as(response: &ServiceResponse) -> StatusCode {
    let extensions = response.response().extensions();
    let told = extensions.get::<CountedAs>();
    told.map_or_else(|| response.status(), |CountedAs(status)| *status)
}

/// As what the gateway has refused a call, if it has.
pub(super) fn refused_as(response: &ServiceResponse) -> Option<Cow<'static, str>> {
    let extensions = response.response().extensions();
    let refused = extensions.get::<RefusedAs>();
    refused.map(|RefusedAs(code)| code.clone())
}

/// A refusal or failure as an answer. Its cause goes to the log under the request's id: only then is a
/// span made, since most requests have nothing to log.
pub(super) fn answer_to(error: &ApiError) -> HttpResponse {
    let span = TraceContext::current().map_or_else(tracing::Span::none, |trace| {
        tracing::info_span!("request", service = crate::NAME, request_id = %trace.request_id, trace_id = %trace.trace_id)
    });
    span.in_scope(|| error.error_response())
}
