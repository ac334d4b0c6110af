//! An instance's answer as the client gets it, with its trailers.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_web::body::{BodySize, MessageBody};
use bytes::Bytes;
use chassis::http::Trailers;
use h2::RecvStream;

use super::status::{self, Status};
use super::{Sending, Slot, Terms, head};
use crate::proxy::body::BodyError;
use crate::proxy::deadlines::Deadline;
use crate::proxy::headers::Policy;
use crate::proxy::http1::HeadLimits;
use crate::proxy::pool::Lease;

/// An answer that isn't gRPC's breaks off; one of gRPC's ends with a status that says why.
#[derive(Debug, thiserror::Error)]
#[error("the upstream's answer broke off")]
struct BrokeOff;

/// A call whose answer has begun. It is given up when this is dropped.
pub(super) struct Answer {
    sending: Sending,
    _place: (Slot, Lease),
    until: Option<Deadline>,
    limits: HeadLimits,
}

impl Answer {
    /// This call, until its caller's time is over.
    pub(super) fn new(
        mut sending: Sending,
        place: (Slot, Lease),
        until: Option<Deadline>,
        limits: HeadLimits,
    ) -> Self {
        sending.forget();
        Self {
            sending,
            _place: place,
            until,
            limits,
        }
    }
}

/// The body of an answer.
pub(super) struct AnswerBody {
    open: Option<(RecvStream, Answer)>,
    trailers: Trailers,
    policy: Policy,
    allowance: u64,
    is_grpc: bool,
}

impl AnswerBody {
    pub(super) fn new(
        body: RecvStream,
        answer: Answer,
        trailers: Trailers,
        terms: Terms,
        is_grpc: bool,
    ) -> Self {
        Self {
            open: Some((body, answer)),
            trailers,
            policy: terms.policy,
            allowance: terms.max_response_body,
            is_grpc,
        }
    }

    /// Ends it for the client, who learns why.
    fn fail(&mut self, status: Status, why: &str) -> Poll<Option<Result<Bytes, BrokeOff>>> {
        self.open = None;
        if !self.is_grpc {
            return Poll::Ready(Some(Err(BrokeOff)));
        }
        self.trailers.put(status::trailers(status, why));
        Poll::Ready(None)
    }

    fn broke(&mut self, error: &h2::Error) -> Poll<Option<Result<Bytes, BrokeOff>>> {
        // What the instance says of its own stream is told; all else is a connection that is gone.
        match error.reason().filter(|_| error.is_reset()) {
            Some(reason) => self.fail(Status::of_reset(reason), "The service took its answer back"),
            None => self.fail(Status::Unavailable, "The service broke off"),
        }
    }

    fn end(&mut self, fields: Option<http::HeaderMap>) -> Poll<Option<Result<Bytes, BrokeOff>>> {
        let fields = fields.unwrap_or_default();
        let limits = self.open.take().map(|(_, answer)| answer.limits);
        if limits.is_some_and(|limits| !head::fits(&fields, limits)) {
            return self.fail(Status::Internal, "What comes after the answer is too long");
        }
        if self.is_grpc && !fields.contains_key(status::STATUS) {
            return self.fail(Status::Internal, "The service ended without a status");
        }
        let fields = head::answer_trailers(&fields, self.policy);
        if !fields.is_empty() {
            self.trailers.put(fields);
        }
        Poll::Ready(None)
    }
}

impl MessageBody for AnswerBody {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let next = ready!(self.poll_piece(cx));
        Poll::Ready(next.map(|piece| piece.map_err(Into::into)))
    }
}

impl AnswerBody {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BrokeOff>>> {
        let Some((body, answer)) = &mut self.open else {
            return Poll::Ready(None);
        };
        match answer.sending.poll(cx) {
            Ok(()) => {}
            Err(BodyError::TooLarge) => {
                return self.fail(Status::ResourceExhausted, "The request's body is too long");
            }
            Err(BodyError::Client(_)) => {
                return self.fail(Status::Cancelled, "The request broke off");
            }
        }
        if answer.until.as_ref().is_some_and(|until| until.is_over(cx)) {
            return self.fail(Status::DeadlineExceeded, "The call's own deadline is over");
        }
        loop {
            match ready!(body.poll_data(cx)) {
                Some(Ok(piece)) => {
                    // It goes to the client before the next one is asked for.
                    let _gone = body.flow_control().release_capacity(piece.len());
                    if piece.is_empty() {
                        continue;
                    }
                    let Some(allowance) = self.allowance.checked_sub(piece.len() as u64) else {
                        let why = "The service's answer is longer than is passed on";
                        return self.fail(Status::ResourceExhausted, why);
                    };
                    self.allowance = allowance;
                    return Poll::Ready(Some(Ok(piece)));
                }
                Some(Err(error)) => return self.broke(&error),
                None => {
                    return match ready!(body.poll_trailers(cx)) {
                        Ok(fields) => self.end(fields),
                        Err(error) => self.broke(&error),
                    };
                }
            }
        }
    }
}
