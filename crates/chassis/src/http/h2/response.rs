//! An answer on its way to an HTTP/2 client, piece by piece as the client takes it.

use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::{Duration, SystemTime};

use actix_http::{Response, ResponseHead};
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::http::StatusCode;
use actix_web::http::header::HttpDate;
use bytes::Bytes;
use common::time::Time;
use h2::{Reason, SendStream};
use http::HeaderValue;
use http::header::{CONTENT_LENGTH, DATE, HeaderName};

use super::Trailers;
use super::request::Respond;

/// The longest piece that room is asked for at once, in bytes.
const PIECE: usize = 64 * 1024;

/// Why an answer didn't get to its end.
pub(super) enum Unsent {
    /// The client has taken its request back, or the connection is gone.
    Reset,
    /// It broke off here.
    Broken,
}

/// How an answer is sent.
pub(super) struct Sending {
    /// Whether the request was HEAD, whose answer has no body.
    pub(super) is_head: bool,
    /// The time of the answer.
    pub(super) now: Time,
    /// How long the client may leave its next piece untaken.
    pub(super) stall: Duration,
}

impl Sending {
    pub(super) async fn send(
        &self,
        response: Response<BoxBody>,
        respond: Respond,
    ) -> Result<(), Unsent> {
        let (head, body) = response.into_parts();
        let trailers = head.extensions().get::<Trailers>().cloned();
        let size = body.size();
        let is_bodyless = self.is_head
            || matches!(
                head.status(),
                StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
            );
        let is_end = is_bodyless || size.is_eof();
        let head = self.head(head.head(), size);
        let mut stream = respond.send(head, is_end).map_err(|_gone| Unsent::Reset)?;
        if is_end {
            return Ok(());
        }
        let mut body = pin!(body);
        while let Some(piece) = next(body.as_mut(), &mut stream).await? {
            self.write(piece, &mut stream).await?;
        }
        let ended = match trailers.and_then(|trailers| trailers.take()) {
            Some(trailers) => stream.send_trailers(trailers),
            None => stream.send_data(Bytes::new(), true),
        };
        ended.map_err(|_gone| Unsent::Reset)
    }

    /// The head, without what is between two neighbours over HTTP/1.1 (RFC 9113, section 8.2.2).
    fn head(&self, from: &ResponseHead, size: BodySize) -> http::Response<()> {
        let mut head = http::Response::new(());
        *head.status_mut() = http::StatusCode::from_u16(from.status.as_u16()).unwrap_or_default();
        let headers = head.headers_mut();
        for (name, value) in from.headers() {
            if is_http1_only(name.as_str()) {
                continue;
            }
            if let Ok(name) = HeaderName::from_bytes(name.as_ref())
                && let Ok(value) = HeaderValue::from_bytes(value.as_bytes())
            {
                headers.append(name, value);
            }
        }
        // None of an empty answer's that says so itself (RFC 9110, section 8.6).
        if let BodySize::Sized(length) = size
            && from.status != StatusCode::NO_CONTENT
        {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        if !headers.contains_key(DATE) {
            let now = HttpDate::from(SystemTime::from(self.now.to_chrono())).to_string();
            if let Ok(now) = HeaderValue::try_from(now) {
                headers.insert(DATE, now);
            }
        }
        head
    }

    async fn write(&self, mut piece: Bytes, stream: &mut SendStream<Bytes>) -> Result<(), Unsent> {
        while !piece.is_empty() {
            stream.reserve_capacity(piece.len().min(PIECE));
            let room = std::future::poll_fn(|cx| stream.poll_capacity(cx));
            let room = match tokio::time::timeout(self.stall, room).await {
                Ok(Some(Ok(room))) => room,
                Ok(Some(Err(_)) | None) => return Err(Unsent::Reset),
                Err(_stalled) => {
                    stream.send_reset(Reason::CANCEL);
                    return Err(Unsent::Broken);
                }
            };
            let part = piece.split_to(room.min(piece.len()));
            stream
                .send_data(part, false)
                .map_err(|_gone| Unsent::Reset)?;
        }
        Ok(())
    }
}

/// The next piece of a body, unless the client takes its request back before.
async fn next(
    mut body: Pin<&mut BoxBody>,
    stream: &mut SendStream<Bytes>,
) -> Result<Option<Bytes>, Unsent> {
    let piece = std::future::poll_fn(|cx| match body.as_mut().poll_next(cx) {
        Poll::Ready(piece) => Poll::Ready(Ok(piece)),
        Poll::Pending => stream.poll_reset(cx).map(|_reason| Err(Unsent::Reset)),
    });
    match piece.await? {
        None => Ok(None),
        Some(Ok(piece)) => Ok(Some(piece)),
        Some(Err(error)) => {
            // What is cut off must not look whole.
            tracing::debug!(error = %error, "an answer's body broke off");
            stream.send_reset(Reason::INTERNAL_ERROR);
            Err(Unsent::Broken)
        }
    }
}

fn is_http1_only(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "transfer-encoding"
            | "upgrade"
            | "content-length"
    )
}
