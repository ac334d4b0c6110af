//! Connections that turn into something else: `WebSocket`s pass through as bytes.

use actix_web::dev::Payload;
use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::StreamExt as _;
use futures_util::stream;
use tokio::io::AsyncWriteExt as _;
use tokio_util::io::ReaderStream;

use super::headers::{self, Policy};
use super::pool::Answer;

/// Whether a client asks for a WebSocket (RFC 6455, section 4.2.1).
pub(crate) fn is_wanted(request: &HttpRequest) -> bool {
    let names = |name, wanted: &str| {
        let values = request
            .headers()
            .get_all(name)
            .filter_map(|value| value.to_str().ok());
        values
            .flat_map(|value| value.split(','))
            .any(|part| part.trim().eq_ignore_ascii_case(wanted))
    };
    request.method() == actix_web::http::Method::GET
        && names(header::UPGRADE, "websocket")
        && names(header::CONNECTION, "upgrade")
}

/// Joins client and upstream after the upstream has agreed, and answers the client so. The
/// request counts as under way at the instance until either side has closed.
pub(crate) fn join(answer: Answer, mut from_client: Payload, policy: Policy) -> HttpResponse {
    let Answer {
        head,
        exchange,
        lease,
    } = answer;
    let (upstream, first) = exchange.into_parts();
    let (from_upstream, mut to_upstream) = upstream.into_split();
    actix_web::rt::spawn(async move {
        while let Some(Ok(piece)) = from_client.next().await {
            if to_upstream.write_all(&piece).await.is_err() {
                return;
            }
        }
        // The other side may have closed first; then there is nobody left to tell.
        let _closed = to_upstream.shutdown().await;
    });
    let mut response = HttpResponse::build(StatusCode::SWITCHING_PROTOCOLS);
    response.upgrade("websocket");
    for (name, value) in headers::to_client(&head.headers, policy) {
        response.append_header((name, value));
    }
    // What it said at once, behind its consent.
    let first = stream::iter((!first.is_empty()).then(|| Ok(first.freeze())));
    let rest = first.chain(ReaderStream::new(from_upstream));
    response.streaming(rest.inspect(move |_| {
        let _under_way = &lease;
    }))
}
