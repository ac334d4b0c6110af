//! Bodies on their way through: neither is ever held as a whole.

use std::io;
use std::io::Write as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use bytes::Bytes;
use futures_util::Stream as _;

use super::http1::{Chunked, Decoded, Exchange, Framing};
use super::pool::Lease;

/// Why a client's body could not be passed on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// The client went away, or sent what is no body.
    #[error("the client's body could not be read")]
    Client(#[source] PayloadError),
    /// It is longer than the gateway takes.
    #[error("the client's body is longer than allowed")]
    TooLarge,
}

/// A client's body as an upstream gets it.
pub(crate) struct RequestBody {
    payload: Payload,
    chunked: bool,
    allowance: u64,
}

impl std::fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RequestBody(chunked: {})", self.chunked)
    }
}

impl RequestBody {
    /// A body of a length that the head tells, or in chunks; at most `allowance` bytes of it.
    pub(crate) fn of(payload: Payload, chunked: bool, allowance: u64) -> Self {
        Self {
            payload,
            chunked,
            allowance,
        }
    }

    /// Writes the next piece as it goes over the wire, and tells whether more comes after it.
    pub(crate) fn poll_into(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Poll<bool>, BodyError> {
        let Poll::Ready(piece) = Pin::new(&mut self.payload).poll_next(cx) else {
            return Ok(Poll::Pending);
        };
        let Some(piece) = piece.transpose().map_err(BodyError::Client)? else {
            if self.chunked {
                out.extend_from_slice(b"0\r\n\r\n");
            }
            return Ok(Poll::Ready(false));
        };
        let left = self.allowance.checked_sub(piece.len() as u64);
        self.allowance = left.ok_or(BodyError::TooLarge)?;
        // An empty chunk would be the last one.
        if self.chunked && !piece.is_empty() {
            let _infallible = write!(out, "{:x}\r\n", piece.len());
            out.extend_from_slice(&piece);
            out.extend_from_slice(b"\r\n");
        } else {
            out.extend_from_slice(&piece);
        }
        Ok(Poll::Ready(true))
    }
}

/// An upstream's body is longer than is passed on.
#[derive(Debug, thiserror::Error)]
#[error("the upstream's body is longer than is passed on")]
struct AnswerTooLong;

enum Left {
    Length(u64),
    Chunks(Chunked),
    UntilClose,
}

/// An upstream's body as the client gets it. The connection goes back to its pool at its end;
/// if the client goes away before, it is closed.
pub(crate) struct ResponseBody {
    left: Left,
    allowance: u64,
    size: BodySize,
    open: Option<(Exchange, Lease)>,
    keep_alive: bool,
}

impl ResponseBody {
    /// A body that ends as `framing` says, and breaks off once it is longer than `allowance`: the
    /// client then sees that it isn't whole.
    pub(crate) fn new(
        framing: Framing,
        allowance: u64,
        keep_alive: bool,
        exchange: Exchange,
        lease: Lease,
    ) -> Self {
        let (left, size) = match framing {
            Framing::Empty => (Left::Length(0), BodySize::Sized(0)),
            Framing::Length(length) => (Left::Length(length), BodySize::Sized(length)),
            Framing::Chunked => (Left::Chunks(Chunked::new()), BodySize::Stream),
            Framing::Close => (Left::UntilClose, BodySize::Stream),
        };
        Self {
            left,
            allowance,
            size,
            open: Some((exchange, lease)),
            keep_alive,
        }
    }

    fn end(&mut self) {
        if let Some((exchange, lease)) = self.open.take() {
            lease.end(exchange, self.keep_alive);
        }
    }

    /// What of the body has been read, none where more has to be.
    fn take_read(&mut self) -> io::Result<Option<Bytes>> {
        let Some((exchange, _)) = &mut self.open else {
            return Ok(None);
        };
        let inbox = exchange.inbox();
        match &mut self.left {
            Left::Length(left) if !inbox.is_empty() => {
                let length = usize::try_from(*left)
                    .unwrap_or(usize::MAX)
                    .min(inbox.len());
                *left -= length as u64;
                Ok(Some(inbox.split_to(length).freeze()))
            }
            Left::UntilClose if !inbox.is_empty() => Ok(Some(inbox.split().freeze())),
            Left::Chunks(chunks) => match chunks.decode(inbox).map_err(io::Error::other)? {
                Decoded::Data(data) => Ok(Some(data)),
                Decoded::More => Ok(None),
                Decoded::End => {
                    self.end();
                    Ok(None)
                }
            },
            Left::Length(_) | Left::UntilClose => Ok(None),
        }
    }
}

impl MessageBody for ResponseBody {
    type Error = io::Error;

    fn size(&self) -> BodySize {
        self.size
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, io::Error>>> {
        loop {
            if let Some((exchange, _)) = &mut self.open {
                exchange.send_on(cx);
            }
            if matches!(self.left, Left::Length(0)) {
                self.end();
            }
            if let Some(data) = self.take_read()? {
                let Some(allowance) = self.allowance.checked_sub(data.len() as u64) else {
                    self.open = None;
                    return Poll::Ready(Some(Err(io::Error::other(AnswerTooLong))));
                };
                self.allowance = allowance;
                // At once, so that who has read all of it finds the connection free.
                if matches!(self.left, Left::Length(0)) {
                    self.end();
                }
                return Poll::Ready(Some(Ok(data)));
            }
            let Some((exchange, _)) = &mut self.open else {
                return Poll::Ready(None);
            };
            if ready!(exchange.poll_read(cx))? == 0 {
                self.open = None;
                return Poll::Ready(match self.left {
                    Left::UntilClose => None,
                    _ => Some(Err(io::ErrorKind::UnexpectedEof.into())),
                });
            }
        }
    }
}
