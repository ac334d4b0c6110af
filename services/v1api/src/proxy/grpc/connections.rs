//! Connections to an instance that many calls share, each of them one worker's own.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use rustix::io::Errno;
use rustix::net::RecvFlags;

use super::Begun;
use crate::proxy::pool::{Instance, Upstreams};

/// The most calls that share a connection.
const STREAMS: usize = 100;
/// What of one stream's answer may be on its way without having been read, in bytes.
const STREAM_WINDOW: u32 = 128 * 1024;
/// The same of a whole connection: room for all of its streams, so that none waits for another.
const CONNECTION_WINDOW: u32 = 100 * STREAM_WINDOW;
/// What of one request is kept until it can be written, in bytes.
const SEND_BUFFER: usize = 64 * 1024;
/// How many streams that were given up are remembered, so that what still comes for them is passed over.
const GIVEN_UP: usize = 200;

/// An instance's connections.
#[derive(Default)]
pub(in crate::proxy) struct Connections(RefCell<Vec<Rc<Connection>>>);

struct Connection {
    send: SendRequest<Bytes>,
    streams: Cell<usize>,
    /// Since when there has been no stream.
    since: Cell<Instant>,
    /// A second handle of the socket, to look whether it is open; none once it has ended.
    socket: RefCell<Option<OwnedFd>>,
}

/// A call's place on a connection.
pub(super) struct Slot(Rc<Connection>);

impl Connections {
    /// A place on a connection to an instance: one that is there, or a new one.
    pub(super) async fn slot(upstreams: &Upstreams, instance: &Instance) -> io::Result<Slot> {
        if let Some(free) = instance.calls.free() {
            return Ok(free);
        }
        let stream = upstreams.connect(instance).await?;
        let socket = stream.as_fd().try_clone_to_owned()?;
        let heads = u32::try_from(upstreams.limits().heads.bytes).unwrap_or(u32::MAX);
        let handshake = Builder::new()
            .enable_push(false)
            // Trailers that are longer than this are cut off in silence, so it is we who look at what is allowed.
            .max_header_list_size(heads.saturating_mul(2))
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buffer_size(SEND_BUFFER)
            .initial_max_send_streams(STREAMS)
            .max_concurrent_reset_streams(GIVEN_UP)
            .handshake::<_, Bytes>(stream);
        let (send, running) = handshake.await.map_err(io::Error::other)?;
        let connection = Rc::new(Connection {
            send,
            streams: Cell::new(0),
            since: Cell::new(Instant::now()),
            socket: RefCell::new(Some(socket)),
        });
        let watched = Rc::downgrade(&connection);
        actix_web::rt::spawn(async move {
            if let Err(error) = running.await {
                tracing::debug!(error = %error, "a connection to an upstream by HTTP/2 ended");
            }
            if let Some(ended) = watched.upgrade() {
                ended.socket.take();
            }
        });
        let slot = Slot::on(&connection);
        instance.calls.0.borrow_mut().push(connection);
        Ok(slot)
    }

    fn free(&self) -> Option<Slot> {
        let mut all = self.0.borrow_mut();
        all.retain(|connection| connection.is_open());
        let free = all.iter().find(|connection| connection.takes_more())?;
        Some(Slot::on(free))
    }

    /// Drops connections that have been without a call for so long.
    pub(in crate::proxy) fn sweep(&self, now: Instant, idle: Duration) {
        self.0.borrow_mut().retain(|connection| {
            let is_used =
                connection.streams.get() > 0 || now.duration_since(connection.since.get()) < idle;
            is_used && connection.is_open()
        });
    }

    /// Whether there are none.
    pub(in crate::proxy) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }
}

impl Connection {
    fn is_open(&self) -> bool {
        self.socket.borrow().is_some()
    }

    /// Whether another call may go by it. One that nobody uses must also be silent: what has come and hasn't
    /// been read yet may be its farewell.
    fn takes_more(&self) -> bool {
        let streams = self.streams.get();
        if streams >= STREAMS.min(self.send.current_max_send_streams()) {
            return false;
        }
        let socket = self.socket.borrow();
        let Some(socket) = &*socket else {
            return false;
        };
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        match rustix::net::recv(socket, &mut [0_u8][..], flags) {
            Ok((_, length)) => length > 0 && streams > 0,
            Err(error) => error == Errno::AGAIN,
        }
    }
}

impl Slot {
    fn on(connection: &Rc<Connection>) -> Self {
        connection.streams.set(connection.streams.get() + 1);
        Self(Rc::clone(connection))
    }

    /// Begins a stream. An error says that nothing of it has been sent.
    pub(super) async fn begin(
        &mut self,
        request: http::Request<()>,
        is_empty: bool,
    ) -> Result<Begun, h2::Error> {
        let mut send = self.0.send.clone();
        poll_fn(|cx| send.poll_ready(cx)).await?;
        send.send_request(request, is_empty)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let left = self.0.streams.get().saturating_sub(1);
        self.0.streams.set(left);
        if left == 0 {
            self.0.since.set(Instant::now());
        }
    }
}
