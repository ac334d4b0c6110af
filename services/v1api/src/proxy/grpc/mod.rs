//! Calls of gRPC, which go on as what they came as: by HTTP/2, with trailers, both ways at once.
//!
//! An upstream is known to speak HTTP/2 without TLS by being called so: a POST that came by HTTP/2 with the
//! content type of gRPC is only of use to one that does. It is asked with the preface at once (RFC 9113, section
//! 3.3). Everything else goes by HTTP/1.1, to the same instances.
//!
//! | what | bound |
//! |---|---|
//! | calls on one connection to an instance | 100, or what the instance allows; then there is another connection |
//! | what of an answer is held for a client that reads slowly | 128 KiB (the stream's window), and the piece under way |
//! | what of a request is kept until the answer begins, to be sent again | 64 KiB |
//! | head and trailers of an answer | as the heads of answers by HTTP/1.1 |
//!
//! A connection's window is as large as those of its streams together: no caller that reads slowly takes room
//! from another. A call goes out again only if the instance says that it hasn't looked at it (`GOAWAY`,
//! `REFUSED_STREAM`; RFC 9113, section 8.7), and what was sent of it is still there.

mod answer;
mod connections;
mod head;
mod status;
mod upload;

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use actix_web::dev::Payload;
use actix_web::http::{Method, Version, header};
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse};
use bytes::Bytes;
use chassis::http::Trailers;
use h2::client::ResponseFuture;
use h2::{Reason, RecvStream};

use super::body::BodyError;
use super::headers::Policy;
use super::pool::{Candidates, Instance, Lease, Upstreams};
use super::{ForwardError, Head, Trip, announced};
use answer::{Answer, AnswerBody};
pub(super) use connections::Connections;
use connections::Slot;
pub(crate) use status::{CountedAs, refuse};
use upload::{Sending, Upload};

/// How often a call that nobody has looked at goes out again.
const AGAIN: u32 = 2;

/// Whether a request is a call of gRPC, which needs HTTP/2 all the way.
pub(crate) fn is_call(request: &HttpRequest) -> bool {
    request.version() == Version::HTTP_2
        && request.method() == Method::POST
        && request
            .headers()
            .get(header::CONTENT_TYPE)
            .is_some_and(|value| is_grpc(value.as_bytes()))
}

/// Whether a content type is gRPC's. That of gRPC-Web is another, which HTTP/1.1 carries.
fn is_grpc(content_type: &[u8]) -> bool {
    const NAME: &[u8] = b"application/grpc";
    let (name, rest) = content_type.split_at(content_type.len().min(NAME.len()));
    name.eq_ignore_ascii_case(NAME) && matches!(rest.first(), None | Some(b'+' | b';' | b' '))
}

/// What holds for a call beside what it says itself.
#[derive(Clone, Copy)]
pub(super) struct Terms {
    /// How long the head of the answer is waited for.
    pub(super) patience: Duration,
    /// What passes.
    pub(super) policy: Policy,
    /// The longest body of an answer.
    pub(super) max_response_body: u64,
}

/// A call that has been prepared.
pub(super) struct Call {
    request: http::Request<()>,
    /// Whether each instance is asked by its own address.
    own_host: bool,
    /// Until the call is sent.
    upload: Option<Upload>,
    /// When the caller's own time is over.
    until: Option<Instant>,
}

/// Why a call got no answer from one instance.
enum Failed {
    /// It can't be connected to: nothing was sent.
    Connect(io::Error),
    /// It says that it hasn't looked at the call.
    Unprocessed,
    /// It broke off.
    Broken(h2::Error),
    /// What it answers can't be passed on.
    Bad,
    Slow,
    ClientSlow,
    Overdue,
    Body(BodyError),
}

impl Call {
    /// Prepares a call.
    pub(super) fn new(
        request: &HttpRequest,
        payload: Payload,
        head: Head,
        policy: Policy,
        max_body: u64,
        own_host: bool,
    ) -> Result<Self, ForwardError> {
        if announced(request).is_some_and(|length| length > max_body) {
            return Err(ForwardError::TooLarge);
        }
        let deadline = request.headers().get("grpc-timeout");
        let deadline = deadline.and_then(|value| status::timeout(value.as_bytes()));
        let trailers = request.extensions().get::<Trailers>().cloned();
        Ok(Self {
            request: head::read(head).ok_or(ForwardError::Unsendable)?,
            own_host,
            upload: Some(Upload::new(payload, trailers, policy, max_body)),
            until: deadline.and_then(|time| Instant::now().checked_add(time)),
        })
    }

    /// Asks the instances until one can be connected to. After [`ForwardError::Unreachable`] it can be called
    /// again.
    pub(super) async fn send(
        &mut self,
        upstreams: &Rc<Upstreams>,
        candidates: Candidates,
        terms: Terms,
        trip: Option<&Trip>,
    ) -> Result<HttpResponse, ForwardError> {
        let mut unreachable = io::Error::from(io::ErrorKind::NotConnected);
        for instance in candidates {
            if let Some(trip) = trip {
                trip.upstream.replace(Some(Arc::clone(instance.address())));
            }
            let mut tries = AGAIN;
            let failed = loop {
                match self.ask(upstreams, &instance, terms).await {
                    Ok(response) => return Ok(response),
                    // Not on the connection that said so: that one takes no more.
                    Err(Failed::Unprocessed) if tries > 0 && self.upload.is_some() => tries -= 1,
                    Err(failed) => break failed,
                }
            };
            match failed {
                Failed::Connect(source) => unreachable = source,
                Failed::Unprocessed => return Err(ForwardError::Closed),
                Failed::Broken(error) => return Err(ForwardError::BrokenCall(error)),
                Failed::Bad => return Err(ForwardError::Broken(super::http1::Broken::too_long())),
                Failed::Slow => return Err(ForwardError::Slow),
                Failed::ClientSlow => return Err(ForwardError::ClientSlow),
                Failed::Overdue => return Err(ForwardError::Overdue),
                Failed::Body(BodyError::TooLarge) => return Err(ForwardError::TooLarge),
                Failed::Body(BodyError::Client(_)) => return Err(ForwardError::Unsendable),
            }
        }
        Err(ForwardError::Unreachable(unreachable))
    }

    async fn ask(
        &mut self,
        upstreams: &Rc<Upstreams>,
        instance: &Rc<Instance>,
        terms: Terms,
    ) -> Result<HttpResponse, Failed> {
        instance.health.tried(Instant::now());
        let lease = upstreams.lease(instance);
        let mut slot = Connections::slot(upstreams, instance)
            .await
            .map_err(Failed::Connect)?;
        let upload = self.upload.take().ok_or(Failed::Unprocessed)?;
        let is_empty = upload.is_empty();
        let request = self.addressed(instance.address());
        let (answer, stream) = match slot.begin(request, is_empty).await {
            Ok(begun) => begun,
            Err(_gone) => {
                // It ended in this very moment, and has seen nothing of the call.
                self.upload = Some(upload);
                return Err(Failed::Unprocessed);
            }
        };
        let mut sending = Sending::new(stream, upload);
        let answered = self
            .answered(answer, &mut sending, upstreams, terms.patience)
            .await;
        let head = match answered {
            Ok(head) => head,
            Err(failed) => {
                self.note(&failed, sending, &lease);
                return Err(failed);
            }
        };
        lease.instance().health.answered();
        let limits = upstreams.limits().heads;
        if !head::fits(head.headers(), limits) {
            return Err(Failed::Bad);
        }
        let until = self.until.map(|until| upstreams.deadlines().at(until));
        Ok(passed_on(
            head,
            terms,
            Answer::new(sending, (slot, lease), until, limits),
        ))
    }

    /// The head, for the instance at this address.
    fn addressed(&self, address: &str) -> http::Request<()> {
        let mut request = self.request.clone();
        if self.own_host {
            head::put_host(&mut request, address);
        }
        request
    }

    /// Waits for the answer's head while the request goes on. The time runs from the last piece that went.
    async fn answered(
        &self,
        mut answer: ResponseFuture,
        sending: &mut Sending,
        upstreams: &Upstreams,
        patience: Duration,
    ) -> Result<http::Response<RecvStream>, Failed> {
        let deadline = upstreams.deadlines().at(Instant::now() + patience);
        let overdue = self.until.map(|until| upstreams.deadlines().at(until));
        poll_fn(|cx| {
            if let Err(error) = sending.poll(cx) {
                return Poll::Ready(Err(Failed::Body(error)));
            }
            if let Poll::Ready(head) = Pin::new(&mut answer).poll(cx) {
                return Poll::Ready(head.map_err(Failed::of));
            }
            if sending.has_progressed() {
                deadline.extend(Instant::now() + patience);
            }
            if overdue.as_ref().is_some_and(|overdue| overdue.is_over(cx)) {
                return Poll::Ready(Err(Failed::Overdue));
            }
            if !deadline.is_over(cx) {
                return Poll::Pending;
            }
            Poll::Ready(Err(if sending.waits_for_client() {
                Failed::ClientSlow
            } else {
                Failed::Slow
            }))
        })
        .await
    }

    /// Remembers how it went, and what can be sent again.
    fn note(&mut self, failed: &Failed, sending: Sending, lease: &Lease) {
        let health = &lease.instance().health;
        match failed {
            Failed::Unprocessed => self.upload = sending.again(),
            Failed::Slow => health.kept_waiting(Instant::now()),
            Failed::Broken(_) => health.refused(Instant::now()),
            // Whoever gives an instance too little time can't have it left alone.
            Failed::Overdue
            | Failed::Connect(_)
            | Failed::Bad
            | Failed::ClientSlow
            | Failed::Body(_) => {}
        }
    }
}

impl Failed {
    /// Only what the instance itself says of a stream is believed not to have been looked at.
    fn of(error: h2::Error) -> Self {
        let reason = error.reason();
        let is_unprocessed = error.is_remote()
            && ((error.is_go_away() && reason == Some(Reason::NO_ERROR))
                || (error.is_reset() && reason == Some(Reason::REFUSED_STREAM)));
        if is_unprocessed {
            Self::Unprocessed
        } else {
            Self::Broken(error)
        }
    }
}

/// An answer as the client gets it.
fn passed_on(head: http::Response<RecvStream>, terms: Terms, answer: Answer) -> HttpResponse {
    let (parts, body) = head.into_parts();
    let is_grpc = parts
        .headers
        .get(http::header::CONTENT_TYPE)
        .is_some_and(|value| is_grpc(value.as_bytes()));
    let mut response = HttpResponse::new(head::status(parts.status));
    *response.headers_mut() = head::to_client(&parts.headers, terms.policy);
    if body.is_end_stream() {
        return response.set_body(actix_web::body::BoxBody::new(actix_web::body::None::new()));
    }
    let trailers = Trailers::default();
    response.extensions_mut().insert(trailers.clone());
    let body = AnswerBody::new(body, answer, trailers, terms, is_grpc);
    response.set_body(actix_web::body::BoxBody::new(body))
}

/// What begins a stream: its answer, and where its body goes.
type Begun = (ResponseFuture, h2::SendStream<Bytes>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grpc_is_told_by_its_content_type_and_grpc_web_is_another() {
        for yes in [
            "application/grpc",
            "Application/gRPC+proto",
            "application/grpc;x=y",
        ] {
            assert!(is_grpc(yes.as_bytes()), "{yes}");
        }
        for no in [
            "application/grpc-web",
            "application/grpcx",
            "application/grp",
            "",
            "text/plain",
        ] {
            assert!(!is_grpc(no.as_bytes()), "{no}");
        }
    }
}
