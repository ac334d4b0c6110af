//! A request's body on its way to an instance, piece by piece as that takes it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_web::dev::Payload;
use bytes::Bytes;
use chassis::http::Trailers;
use futures_util::Stream as _;
use h2::SendStream;

use super::head;
use crate::proxy::body::BodyError;
use crate::proxy::headers::Policy;

/// The longest piece that room is asked for at once, in bytes.
const PIECE: usize = 64 * 1024;
/// How much of a request is kept to be sent again.
const KEPT: usize = 64 * 1024;

/// A request's body, with what of it has been read as long as that is little.
pub(super) struct Upload {
    payload: Payload,
    trailers: Option<Trailers>,
    policy: Policy,
    allowance: u64,
    kept: Vec<Bytes>,
    room: usize,
    /// Whether all that has been read is kept.
    is_whole: bool,
    ended: bool,
    /// What came after it, once that has been asked for.
    last: Option<http::HeaderMap>,
}

/// A body as it goes over a stream.
pub(super) struct Sending {
    stream: SendStream<Bytes>,
    upload: Upload,
    /// How many of the pieces that are kept have gone.
    gone: usize,
    piece: Bytes,
    state: State,
    progressed: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// As fast as the instance takes it.
    On,
    /// The next piece has to come from the client.
    WaitsForClient,
    /// All has been sent, or the instance takes no more; it may answer all the same.
    Over,
}

impl Upload {
    pub(super) fn new(
        payload: Payload,
        trailers: Option<Trailers>,
        policy: Policy,
        allowance: u64,
    ) -> Self {
        let ended = matches!(payload, Payload::None);
        Self {
            payload,
            trailers,
            policy,
            allowance,
            kept: Vec::new(),
            room: KEPT,
            is_whole: true,
            ended,
            last: None,
        }
    }

    /// Whether there is no body at all.
    pub(super) fn is_empty(&self) -> bool {
        self.ended && self.kept.is_empty() && self.trailers.is_none()
    }

    /// The piece after so many that have gone.
    fn poll_next(
        &mut self,
        gone: usize,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, BodyError>> {
        if self.is_whole
            && let Some(piece) = self.kept.get(gone)
        {
            return Poll::Ready(Ok(Some(piece.clone())));
        }
        if self.ended {
            return Poll::Ready(Ok(None));
        }
        let piece = ready!(Pin::new(&mut self.payload).poll_next(cx));
        let Some(piece) = piece.transpose().map_err(BodyError::Client)? else {
            self.ended = true;
            return Poll::Ready(Ok(None));
        };
        let left = self.allowance.checked_sub(piece.len() as u64);
        self.allowance = left.ok_or(BodyError::TooLarge)?;
        self.keep(&piece);
        Poll::Ready(Ok(Some(piece)))
    }

    fn keep(&mut self, piece: &Bytes) {
        match self.room.checked_sub(piece.len()) {
            Some(room) if self.is_whole => {
                self.room = room;
                self.kept.push(piece.clone());
            }
            _ => self.forget(),
        }
    }

    fn forget(&mut self) {
        self.is_whole = false;
        self.kept = Vec::new();
    }

    /// What comes after it, as far as it passes.
    fn trailers(&mut self) -> http::HeaderMap {
        let taken = self.trailers.as_ref().and_then(Trailers::take);
        if let Some(fields) = taken {
            self.last = Some(head::request_trailers(&fields, self.policy));
        }
        self.last.clone().unwrap_or_default()
    }
}

impl Sending {
    pub(super) fn new(stream: SendStream<Bytes>, upload: Upload) -> Self {
        let state = if upload.is_empty() {
            State::Over
        } else {
            State::On
        };
        Self {
            stream,
            upload,
            gone: 0,
            piece: Bytes::new(),
            state,
            progressed: false,
        }
    }

    /// Sends what can be sent.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Result<(), BodyError> {
        while self.state != State::Over {
            if !self.piece.is_empty() {
                let Poll::Ready(room) = self.poll_room(cx) else {
                    self.state = State::On;
                    return Ok(());
                };
                let part = self.piece.split_to(room.min(self.piece.len()));
                self.progressed = true;
                // An instance that takes no more shows it in its answer.
                if part.is_empty() || self.stream.send_data(part, false).is_err() {
                    self.state = State::Over;
                }
                continue;
            }
            match self.upload.poll_next(self.gone, cx)? {
                Poll::Pending => {
                    self.state = State::WaitsForClient;
                    return Ok(());
                }
                Poll::Ready(Some(piece)) => {
                    self.gone += 1;
                    self.piece = piece;
                }
                Poll::Ready(None) => self.end(),
            }
        }
        Ok(())
    }

    /// How much the instance takes now; nothing where it takes no more.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<usize> {
        self.stream.reserve_capacity(self.piece.len().min(PIECE));
        loop {
            let room = self.stream.capacity();
            if room > 0 {
                return Poll::Ready(room);
            }
            match ready!(self.stream.poll_capacity(cx)) {
                Some(Ok(_more)) => {}
                Some(Err(_)) | None => return Poll::Ready(0),
            }
        }
    }

    fn end(&mut self) {
        self.state = State::Over;
        let trailers = self.upload.trailers();
        let _shown_by_the_answer = if trailers.is_empty() {
            self.stream.send_data(Bytes::new(), true)
        } else {
            self.stream.send_trailers(trailers)
        };
    }

    /// Whether any of it has gone since somebody asked.
    pub(super) fn has_progressed(&mut self) -> bool {
        std::mem::take(&mut self.progressed)
    }

    /// Whether it is the client's body that is waited for.
    pub(super) fn waits_for_client(&self) -> bool {
        self.state == State::WaitsForClient
    }

    /// The instance has answered: nothing is sent again.
    pub(super) fn forget(&mut self) {
        if self.gone >= self.upload.kept.len() {
            self.upload.forget();
        }
    }

    /// The body, to be sent from its beginning, if all of it is there.
    pub(super) fn again(self) -> Option<Upload> {
        Some(self.upload).filter(|upload| upload.is_whole)
    }
}
