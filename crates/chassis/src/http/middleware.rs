//! What happens around every request: request id and trace, the client's address, log line,
//! metrics, and an answer even where a handler panics.

use std::panic::AssertUnwindSafe;
use std::time::Instant;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Uri;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{HttpMessage as _, web};
use common::problem::Problem;
use common::token::{TokenKind, audience};
use futures_util::FutureExt as _;
use tracing::Instrument as _;

use super::{ApiError, ClientAddress};
use crate::context::Context;
use crate::telemetry::TraceContext;

/// The client's address, as the gateway saw it.
pub const CLIENT_ADDRESS_HEADER: &str = "slipway-client-address";
/// The gateway's service token, without which the client's address is not believed.
pub const GATEWAY_TOKEN_HEADER: &str = "slipway-gateway-token";

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The outermost layer of every service.
pub(super) async fn around(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let Some(context) = request.app_data::<web::Data<Context>>().cloned() else {
        return Err(ApiError::internal("the service has no context").into());
    };
    rewrite_singular(&mut request);
    let trace = TraceContext::of_request(request.headers(), context.clock.now());
    let address = client_address(&request, &context).await;
    request.extensions_mut().insert(address);

    let method = request.method().clone();
    let path = request.path().to_owned();
    let span = tracing::info_span!(
        "request", service = context.service, request_id = %trace.request_id, trace_id = %trace.trace_id,
        http.method = %method, http.path = %path,
    );
    let started = Instant::now();
    let request_id = trace.request_id.clone();
    let guarded = AssertUnwindSafe(next.call(request)).catch_unwind();
    let outcome = trace.clone().scope(guarded.instrument(span.clone())).await;
    let mut response = match outcome {
        Ok(answered) => answered?.map_into_boxed_body(),
        Err(panic) => {
            let error = ApiError::caused(Problem::internal(), panic_text(&*panic));
            return Err(error.in_trace(trace).into());
        }
    };
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    let status = response.status().as_u16();
    let elapsed = started.elapsed();
    let route = response
        .request()
        .match_pattern()
        .unwrap_or_else(|| "unmatched".into());
    context
        .metrics
        .http(method.as_str(), &route, status, elapsed);
    span.in_scope(|| {
        let duration_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        if is_operational(&path) {
            tracing::trace!(status, duration_ms, "answered");
        } else {
            tracing::debug!(status, duration_ms, "answered");
        }
    });
    Ok(response)
}

/// `/v1/account/…` and `/v1/accounts/…` are one.
fn rewrite_singular(request: &mut ServiceRequest) {
    let Some(rest) = request
        .uri()
        .path_and_query()
        .and_then(|pq| pq.as_str().strip_prefix("/v1/account/"))
    else {
        return;
    };
    if let Ok(uri) = format!("/v1/accounts/{rest}").parse::<Uri>() {
        request.match_info_mut().get_mut().update(&uri);
        request.head_mut().uri = uri;
    }
}

/// The peer's address, or what the gateway says it is: in its own process directly, elsewhere by header.
async fn client_address(request: &ServiceRequest, context: &Context) -> ClientAddress {
    if let Some(known) = request.extensions().get::<ClientAddress>() {
        return *known;
    }
    let header = |name: &str| {
        request
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let (Some(address), Some(token)) =
        (header(CLIENT_ADDRESS_HEADER), header(GATEWAY_TOKEN_HEADER))
    else {
        return ClientAddress(request.peer_addr().map(|peer| peer.ip()));
    };
    let verified = context
        .verifier
        .verify(
            token,
            &[TokenKind::Service],
            &audience::internal(context.service),
        )
        .await;
    match verified {
        Ok(verified) if verified.claims.sub == "v1api" => ClientAddress(address.parse().ok()),
        _ => ClientAddress(None),
    }
}

fn is_operational(path: &str) -> bool {
    matches!(path, "/healthz" | "/readyz" | "/metrics") || path.starts_with("/internal/feeds/")
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    format!("a handler panicked: {}", text.unwrap_or_default())
}
