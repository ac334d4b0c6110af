//! A request of HTTP/2 as the rest of the system knows requests: with a `Host`, one `Cookie`, and framing that
//! says whether there is a body (RFC 9113, section 8.3.1 and 8.2.3; RFC 9110, section 7.6).

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use actix_http::{BoxedPayloadStream, HttpMessage as _, Payload, Request};
use actix_web::error::PayloadError;
use actix_web::http::header::{
    CONTENT_LENGTH, COOKIE, EXPECT, HOST, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING,
};
use actix_web::http::{Method, Uri, Version};
use bytes::Bytes;
use futures_util::Stream;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};

use super::Trailers;

/// The most fields of a head, cookies counted as one: what is taken over HTTP/1.1, too.
const FIELDS: usize = 96;

/// What an answer goes by; shared with the body, which may have to say that it is waited for.
#[derive(Clone)]
pub(super) struct Respond(Rc<Answering>);

struct Answering {
    stream: RefCell<SendResponse<Bytes>>,
    answered: Cell<bool>,
}

impl Respond {
    fn new(stream: SendResponse<Bytes>) -> Self {
        Self(Rc::new(Answering {
            stream: RefCell::new(stream),
            answered: Cell::new(false),
        }))
    }

    pub(super) fn poll_reset(&self, cx: &mut Context<'_>) -> Poll<Result<Reason, h2::Error>> {
        self.0.stream.borrow_mut().poll_reset(cx)
    }

    pub(super) fn send(
        &self,
        head: http::Response<()>,
        is_end: bool,
    ) -> Result<h2::SendStream<Bytes>, h2::Error> {
        self.0.answered.set(true);
        self.0.stream.borrow_mut().send_response(head, is_end)
    }

    /// Tells a client that waits for it to send its body, unless it has been answered.
    fn ask_for_body(&self) {
        if self.0.answered.get() {
            return;
        }
        let mut head = http::Response::new(());
        *head.status_mut() = http::StatusCode::CONTINUE;
        // A client that is gone isn't waiting; the body says so next.
        let _told = self.0.stream.borrow_mut().send_informational(head);
    }
}

/// A request that no app sees, and what is said to that.
pub(super) struct Refused {
    stream: SendResponse<Bytes>,
    why: Why,
}

#[derive(Clone, Copy)]
enum Why {
    /// What isn't allowed to be in a head: the stream has an error (RFC 9113, section 8.1.1).
    Malformed,
    /// More fields than are taken (RFC 6585, section 5).
    TooMany,
}

impl Refused {
    pub(super) fn send(&mut self) {
        match self.why {
            Why::Malformed => self.stream.send_reset(Reason::PROTOCOL_ERROR),
            Why::TooMany => {
                let mut head = http::Response::new(());
                *head.status_mut() = http::StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
                // A stream that is gone needs no answer.
                let _sent = self.stream.send_response(head, true);
            }
        }
    }
}

/// Makes of a stream a request, and what its answer goes by.
pub(super) fn of(
    request: http::Request<RecvStream>,
    stream: SendResponse<Bytes>,
    peer: Option<SocketAddr>,
) -> Result<(Request, Respond), Refused> {
    let (parts, body) = request.into_parts();
    let is_empty = body.is_end_stream();
    let (method, uri, headers) = match head(&parts, is_empty) {
        Ok(head) => head,
        Err(why) => return Err(Refused { stream, why }),
    };
    let respond = Respond::new(stream);
    let expects = headers
        .get(EXPECT)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    let trailers = Trailers::default();
    let payload = if is_empty {
        Payload::None
    } else {
        let awaited = expects.then(|| respond.clone());
        let payload: BoxedPayloadStream = Box::pin(Body {
            body,
            awaited,
            trailers: trailers.clone(),
        });
        Payload::Stream { payload }
    };
    let mut request = Request::with_payload(payload);
    if !is_empty {
        request.extensions_mut().insert(trailers);
    }
    let head = request.head_mut();
    head.method = method;
    head.uri = uri;
    head.version = Version::HTTP_2;
    head.headers = headers;
    head.peer_addr = peer;
    Ok((request, respond))
}

fn head(parts: &http::request::Parts, is_empty: bool) -> Result<(Method, Uri, HeaderMap), Why> {
    let malformed = |_| Why::Malformed;
    let method =
        Method::from_bytes(parts.method.as_str().as_bytes()).map_err(|_| Why::Malformed)?;
    let uri: Uri = parts.uri.to_string().parse().map_err(|_| Why::Malformed)?;
    let mut headers = HeaderMap::with_capacity(parts.headers.len() + 2);
    let mut cookies = Vec::new();
    for (name, value) in &parts.headers {
        let value = value.as_bytes();
        // What other readers trim they read otherwise (RFC 9113, section 8.2.1).
        let is_space = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
        if is_space(value.first()) || is_space(value.last()) {
            return Err(Why::Malformed);
        }
        if name == http::header::COOKIE {
            if !cookies.is_empty() {
                cookies.extend_from_slice(b"; ");
            }
            cookies.extend_from_slice(value);
            continue;
        }
        let name = HeaderName::from_bytes(name.as_ref()).map_err(|_| Why::Malformed)?;
        headers.append(name, HeaderValue::from_bytes(value).map_err(malformed)?);
    }
    if !cookies.is_empty() {
        headers.insert(
            COOKIE,
            HeaderValue::from_bytes(&cookies).map_err(malformed)?,
        );
    }
    if headers.len() > FIELDS {
        return Err(Why::TooMany);
    }
    if let Some(authority) = parts.uri.authority()
        && !headers.contains_key(HOST)
    {
        let host = HeaderValue::from_str(authority.as_str()).map_err(malformed)?;
        headers.insert(HOST, host);
    }
    // That a body has no length beforehand is said by no field of HTTP/2's.
    if !is_empty && !headers.contains_key(CONTENT_LENGTH) {
        headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    Ok((method, uri, headers))
}

/// A request's body; what has been read makes room for more.
struct Body {
    body: RecvStream,
    /// Until the body is wanted, where the client waits to hear so (RFC 9110, section 10.1.1).
    awaited: Option<Respond>,
    /// Where what comes after it is laid.
    trailers: Trailers,
}

impl Body {
    fn poll_trailers(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, PayloadError>>> {
        match ready!(self.body.poll_trailers(cx)) {
            Ok(None) => {}
            Ok(Some(trailers)) if trailers.len() > FIELDS => {
                let error = io::Error::other("more trailers than are taken");
                return Poll::Ready(Some(Err(PayloadError::Incomplete(Some(error)))));
            }
            Ok(Some(trailers)) => self.trailers.put(trailers),
            Err(error) => return Poll::Ready(Some(Err(incomplete(error)))),
        }
        Poll::Ready(None)
    }
}

impl Stream for Body {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(respond) = self.awaited.take() {
            respond.ask_for_body();
        }
        let piece = match ready!(self.body.poll_data(cx)) {
            None => return self.poll_trailers(cx),
            Some(Ok(piece)) => piece,
            Some(Err(error)) => return Poll::Ready(Some(Err(incomplete(error)))),
        };
        match self.body.flow_control().release_capacity(piece.len()) {
            Ok(()) => Poll::Ready(Some(Ok(piece))),
            Err(error) => Poll::Ready(Some(Err(incomplete(error)))),
        }
    }
}

fn incomplete(error: h2::Error) -> PayloadError {
    PayloadError::Incomplete(Some(io::Error::other(error)))
}
