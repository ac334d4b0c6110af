//! How much goes over the wire. What is short and says how long it is counts with its call; what is long or
//! streamed is measured, and counts when it has ended.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use actix_web::HttpMessage as _;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest};
use actix_web::http::{Method, header};
use bytes::Bytes;
use futures_util::StreamExt as _;

use super::Counted;
use crate::edge::tokens::Known;
use crate::usage::{self, Call, Tally};

/// A body up to this length is taken to go through whole.
const SHORT: u64 = 64 * 1024;

/// What kind of call it was.
pub(super) struct Kind {
    pub(super) counted: Counted,
    pub(super) method: Method,
    pub(super) status_class: u8,
    pub(super) hour: i64,
}

impl Kind {
    /// Shows it as it is counted.
    pub(super) fn with_call<T>(&self, show: impl FnOnce(&Call<'_>) -> T) -> T {
        let known = self.counted.known.as_deref();
        let show = |user: &str| {
            show(&Call {
                user,
                key: known.and_then(Known::key_id).unwrap_or_default(),
                service: self.counted.service.as_str(),
                endpoint: &self.counted.endpoint,
                method: usage::known_method(self.method.as_str()),
                status_class: self.status_class,
                hour: self.hour,
            })
        };
        match known {
            Some(known) => known.with_user(show),
            None => show(""),
        }
    }
}

/// A request's body on its way in.
pub(super) enum Inward {
    /// Of this length.
    Known(u64),
    /// As long as it turns out to be.
    Measured(Rc<Cell<u64>>),
}

impl Inward {
    /// Sees to it that a request's body is measured, if it has to be.
    pub(super) fn of(mut request: ServiceRequest) -> (Self, ServiceRequest) {
        let payload = request.take_payload();
        if matches!(payload, Payload::None) {
            return (Self::Known(0), request);
        }
        let length = request.headers().get(header::CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.trim().parse().ok());
        if let Some(length) = length.filter(|length| *length <= SHORT) {
            request.set_payload(payload);
            return (Self::Known(length), request);
        }
        let seen = Rc::new(Cell::new(0));
        let counting = payload.inspect({
            let seen = Rc::clone(&seen);
            move |piece| {
                if let Ok(piece) = piece {
                    seen.set(seen.get() + piece.len() as u64);
                }
            }
        });
        request.set_payload(Payload::Stream {
            payload: counting.boxed_local(),
        });
        (Self::Measured(seen), request)
    }

    /// What is known of it so far.
    pub(super) fn known(&self) -> u64 {
        match self {
            Self::Known(length) => *length,
            Self::Measured(_) => 0,
        }
    }
}

/// How long an answer is, if that is known and short.
pub(super) fn short(method: &Method, size: BodySize) -> Option<u64> {
    match size {
        BodySize::None => Some(0),
        BodySize::Sized(_) if method == Method::HEAD => Some(0),
        BodySize::Sized(length) => (length <= SHORT).then_some(length),
        BodySize::Stream => None,
    }
}

/// An answer's body whose call has been counted without it.
pub(super) struct Metered {
    body: BoxBody,
    tally: Arc<Tally>,
    kind: Kind,
    inward: Inward,
    outward: u64,
    is_measured: bool,
}

impl Metered {
    /// This body; with `is_measured` its own length isn't counted yet either.
    pub(super) fn new(
        body: BoxBody,
        tally: Arc<Tally>,
        kind: Kind,
        inward: Inward,
        is_measured: bool,
    ) -> Self {
        Self {
            body,
            tally,
            kind,
            inward,
            outward: 0,
            is_measured,
        }
    }
}

impl MessageBody for Metered {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let piece = ready!(Pin::new(&mut self.body).poll_next(cx));
        if self.is_measured
            && let Some(Ok(piece)) = &piece
        {
            self.outward += piece.len() as u64;
        }
        Poll::Ready(piece)
    }
}

impl Drop for Metered {
    /// The end, whichever it was.
    fn drop(&mut self) {
        let inward = match &self.inward {
            Inward::Known(_) => 0,
            Inward::Measured(seen) => seen.get(),
        };
        if inward > 0 || self.outward > 0 {
            self.kind
                .with_call(|call| self.tally.add_bytes(call, inward, self.outward));
        }
    }
}
