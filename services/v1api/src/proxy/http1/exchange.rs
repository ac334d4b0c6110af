//! One request and its answer on one connection.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::io::AsyncWrite as _;
use tokio::net::TcpStream;
use tokio_util::io::poll_read_buf;

use super::response::{self, Asked, BadAnswer, HeadLimits, ResponseHead};
use crate::proxy::body::{BodyError, RequestBody};

/// How much is read at a time at first.
const SMALL_READ: usize = 8 * 1024;
/// And once a body turns out to be long.
const LARGE_READ: usize = 64 * 1024;
/// Up to which size a body goes out in one write with the head.
const JOINED: usize = 16 * 1024;

/// A request, ready to be sent.
#[derive(Debug)]
pub(crate) struct Message {
    /// The head, and what of the body has joined it.
    pub(crate) bytes: Vec<u8>,
    /// What of the body is still to come.
    pub(crate) body: Option<RequestBody>,
    /// What the end of the answer depends on.
    pub(crate) asked: Asked,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    /// The connection ended before anything of the answer came.
    #[error("the upstream closed the connection before it answered")]
    Early(#[source] io::Error),
    /// It ended in the midst of the answer's head.
    #[error("the upstream closed the connection within its answer")]
    Midway(#[source] io::Error),
    /// The answer can't be passed on.
    #[error(transparent)]
    Bad(#[from] BadAnswer),
    /// The client's body ended before its end, or is too long.
    #[error(transparent)]
    Body(#[from] BodyError),
}

impl Broken {
    /// An answer whose head is longer than any should be.
    pub(crate) fn too_long() -> Self {
        Self::Bad(BadAnswer::TooLong)
    }
}

/// A request on its way, and its answer.
#[derive(Debug)]
pub(crate) struct Exchange {
    stream: TcpStream,
    inbox: BytesMut,
    message: Message,
    read_size: usize,
    written: usize,
    sending: Sending,
    /// Whether anything at all has gone out: then the message is whole no more.
    begun: bool,
    progressed: bool,
}

/// How the request goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sending {
    /// As fast as the upstream takes it.
    On,
    /// The next piece has to come from the client.
    WaitsForClient,
    /// The upstream takes no more; it may have answered all the same.
    Refused,
}

impl Exchange {
    /// A message that is to go over this connection. `inbox` is an empty buffer.
    pub(crate) fn new(stream: TcpStream, inbox: BytesMut, message: Message) -> Self {
        Self {
            stream,
            inbox,
            message,
            read_size: SMALL_READ,
            written: 0,
            sending: Sending::On,
            begun: false,
            progressed: false,
        }
    }

    /// Sends what can be sent, and gives the answer's head as soon as it is there, be it before the
    /// request has been sent whole.
    pub(crate) fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        limits: HeadLimits,
    ) -> Poll<Result<ResponseHead, Broken>> {
        self.send(cx)?;
        loop {
            if !self.inbox.is_empty()
                && let Some(head) = response::take(&mut self.inbox, self.message.asked, limits)?
            {
                return Poll::Ready(Ok(head));
            }
            let read = ready!(self.poll_read(cx));
            let ended = match read {
                Ok(0) => io::ErrorKind::UnexpectedEof.into(),
                Ok(_) => continue,
                Err(error) => error,
            };
            return Poll::Ready(Err(if self.inbox.is_empty() {
                Broken::Early(ended)
            } else {
                Broken::Midway(ended)
            }));
        }
    }

    /// Reads more of the answer into the inbox; 0 at the end.
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let room = self.inbox.capacity() - self.inbox.len();
        if room < self.read_size / 4 {
            self.inbox.reserve(self.read_size);
        }
        let room = self.inbox.capacity() - self.inbox.len();
        let read = ready!(poll_read_buf(
            Pin::new(&mut self.stream),
            cx,
            &mut self.inbox
        ))?;
        if read == room {
            // What fills its buffer has more to come.
            self.read_size = LARGE_READ;
        }
        Poll::Ready(Ok(read))
    }

    /// What has been read and not been used.
    pub(crate) fn inbox(&mut self) -> &mut BytesMut {
        &mut self.inbox
    }

    /// Sends on while the answer comes in. What goes wrong shows in the answer, or makes no
    /// difference to it.
    pub(crate) fn send_on(&mut self, cx: &mut Context<'_>) {
        if !self.is_sent() && self.send(cx).is_err() {
            self.sending = Sending::Refused;
        }
    }

    /// Whether all of the request has been sent.
    pub(crate) fn is_sent(&self) -> bool {
        self.sending != Sending::Refused
            && self.message.body.is_none()
            && self.written == self.message.bytes.len()
    }

    /// Whether the connection can serve another request after this answer, as far as it has been
    /// read.
    pub(crate) fn is_clean(&self) -> bool {
        self.is_sent() && self.inbox.is_empty()
    }

    /// Whether a piece of the request has gone out since this was asked last.
    pub(crate) fn has_progressed(&mut self) -> bool {
        std::mem::take(&mut self.progressed)
    }

    /// Whether it is the client's body that is waited for.
    pub(crate) fn waits_for_client(&self) -> bool {
        self.sending == Sending::WaitsForClient
    }

    /// The message, if nothing of it has gone out.
    pub(crate) fn unsent(self) -> Result<Message, Self> {
        if self.begun {
            Err(self)
        } else {
            Ok(self.message)
        }
    }

    /// The message, to be sent once more: for requests without a body.
    pub(crate) fn again(self) -> Message {
        self.message
    }

    /// The connection, and what has been read beyond the answer.
    pub(crate) fn into_parts(self) -> (TcpStream, BytesMut) {
        (self.stream, self.inbox)
    }

    fn send(&mut self, cx: &mut Context<'_>) -> Result<(), BodyError> {
        while self.sending != Sending::Refused {
            if !self.begun {
                self.join(cx)?;
            }
            match self.write(cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_shown_by_the_answer)) => {
                    self.sending = Sending::Refused;
                    return Ok(());
                }
            }
            let Some(body) = &mut self.message.body else {
                return Ok(());
            };
            self.message.bytes.clear();
            self.written = 0;
            match body.poll_into(cx, &mut self.message.bytes)? {
                Poll::Pending => {
                    self.sending = Sending::WaitsForClient;
                    return Ok(());
                }
                Poll::Ready(more) => {
                    self.sending = Sending::On;
                    if !more {
                        self.message.body = None;
                    }
                }
            }
        }
        Ok(())
    }

    /// A body that is there already goes out with the head.
    fn join(&mut self, cx: &mut Context<'_>) -> Result<(), BodyError> {
        while let Some(body) = &mut self.message.body
            && self.message.bytes.len() < JOINED
            && let Poll::Ready(more) = body.poll_into(cx, &mut self.message.bytes)?
        {
            if !more {
                self.message.body = None;
            }
        }
        Ok(())
    }

    fn write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(left @ [_, ..]) = self.message.bytes.get(self.written..) {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, left))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += written;
            self.begun = true;
            self.progressed = true;
        }
        Poll::Ready(Ok(()))
    }
}
