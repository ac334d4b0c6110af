//! How much goes over the wire. What is short and says how long it is counts with its call; what is long or
//! streamed is measured, and counts when it has ended.

use std::borrow::Cow;
use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use actix_web::HttpMessage as _;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest};
use actix_web::http::{Method, StatusCode, header};
use bytes::Bytes;
use futures_util::StreamExt as _;

use super::Counted;
use crate::access_log::{Line, Log, Note};
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

/// What is written down of a call once it has ended.
pub(super) struct Entry {
    pub(super) log: Rc<Log>,
    pub(super) note: Note,
    pub(super) began: Instant,
    pub(super) status: StatusCode,
    pub(super) refused: Option<Cow<'static, str>>,
}

impl Entry {
    /// Writes it down.
    pub(super) fn tell(&self, kind: &Kind, bytes_in: u64, bytes_out: u64) {
        kind.with_call(|call| {
            self.log.tell(&Line {
                note: &self.note,
                call: *call,
                status: self.status,
                refused: self.refused.as_ref(),
                bytes_in,
                bytes_out,
                duration: self.began.elapsed(),
            });
        });
    }
}

/// What there is to do when an answer's body has ended.
pub(super) struct Metering {
    pub(super) tally: Arc<Tally>,
    pub(super) kind: Kind,
    pub(super) inward: Inward,
    /// The answer's length, if it has been counted with its call.
    pub(super) outward: Option<u64>,
    pub(super) entry: Option<Entry>,
}

/// An answer's body whose call has been counted without it.
pub(super) struct Metered {
    body: BoxBody,
    metering: Metering,
    measured: u64,
}

impl Metered {
    /// This body.
    pub(super) fn new(body: BoxBody, metering: Metering) -> Self {
        Self {
            body,
            metering,
            measured: 0,
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
        if let Some(Ok(piece)) = &piece {
            self.measured += piece.len() as u64;
        }
        Poll::Ready(piece)
    }
}

impl Drop for Metered {
    /// The end, whichever it was.
    fn drop(&mut self) {
        let Metering {
            tally,
            kind,
            inward,
            outward,
            entry,
        } = &self.metering;
        let late_in = match inward {
            Inward::Known(_) => 0,
            Inward::Measured(seen) => seen.get(),
        };
        let late_out = if outward.is_none() { self.measured } else { 0 };
        if late_in > 0 || late_out > 0 {
            kind.with_call(|call| tally.add_bytes(call, late_in, late_out));
        }
        if let Some(entry) = entry {
            entry.tell(kind, inward.known() + late_in, self.measured);
        }
    }
}
