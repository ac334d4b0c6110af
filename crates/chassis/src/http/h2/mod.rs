//! HTTP/2 (RFC 9113) for the same apps as HTTP/1.1, by the crate `h2`.
//!
//! actix-http's own dispatcher sets none of the limits that a public listener needs, goes on answering
//! streams that the client has reset, and knows no trailers. This one is a loop for each connection, in which
//! its streams live: a connection that ends takes with it whatever was under way for it.
//!
//! | what a client may do | until |
//! |---|---|
//! | streams at once | 128 (`SETTINGS_MAX_CONCURRENT_STREAMS`) |
//! | one head, in bytes as RFC 9113 counts them | 64 KiB, then 431; frames without end end the connection |
//! | fields of a head | 96, as over HTTP/1.1, then 431 |
//! | streams reset before they are looked at | 20, then `ENHANCE_YOUR_CALM` |
//! | streams reset after that | 100 more than were answered, then `ENHANCE_YOUR_CALM` |
//! | empty and tiny DATA frames | the crate's own budget, then `ENHANCE_YOUR_CALM` |
//! | leaving an answer's next piece unread | `http.stall_timeout`, then the stream is reset |
//! | a connection without a stream | `http.keep_alive`, then `GOAWAY` |

mod request;
mod response;
mod trailers;

use std::future::Future;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use actix_http::Request;
use actix_server::GracefulShutdownSignal;
use actix_service::Service;
use actix_web::HttpResponse;
use actix_web::body::BoxBody;
use actix_web::dev::ServiceResponse;
use bytes::Bytes;
use common::time::Clock;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use h2::Reason;
use h2::server::Connection;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Sleep};

pub use trailers::Trailers;

use crate::settings::HttpSettings;

/// The most streams that a client has open at once.
const STREAMS: u32 = 128;
/// The longest head, in bytes as RFC 9113, section 6.5.2 counts them.
const HEAD: u32 = 64 * 1024;
/// How many more streams than were answered a client may reset.
const RESETS: usize = 100;
/// What of one stream's body may be on its way without having been read.
const STREAM_WINDOW: u32 = 256 * 1024;
/// The same of a whole connection.
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// What of one stream's answer is kept until it can be written, in bytes.
const SEND_BUFFER: usize = 64 * 1024;
/// How long a client may take to end a connection that it has been told to end.
const FAREWELL: Duration = Duration::from_secs(5);

/// A worker's HTTP/2: one app, and the limits of its connections.
pub(super) struct Server<S> {
    app: S,
    clock: Clock,
    head_timeout: Duration,
    stall_timeout: Duration,
    keep_alive: Duration,
    signal: GracefulShutdownSignal,
}

/// How a stream ended.
enum End {
    Answered,
    Reset,
}

impl<S> Server<S>
where
    S: Service<Request, Response = ServiceResponse<BoxBody>, Error = HttpResponse>,
{
    pub(super) fn new(
        app: S,
        clock: Clock,
        settings: &HttpSettings,
        signal: GracefulShutdownSignal,
    ) -> Self {
        Self {
            app,
            clock,
            head_timeout: settings.head_timeout.0,
            stall_timeout: settings.stall_timeout.0,
            keep_alive: settings.keep_alive.0,
            signal,
        }
    }

    /// Serves a connection to its end.
    pub(super) async fn serve<T>(&self, io: T, peer: Option<SocketAddr>)
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        let handshake = h2::server::Builder::new()
            .max_concurrent_streams(STREAMS)
            .max_header_list_size(HEAD)
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_send_buffer_size(SEND_BUFFER)
            .handshake(io);
        let connection = match tokio::time::timeout(self.head_timeout, handshake).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return ended(&error),
            Err(_late) => return,
        };
        let running = Running {
            server: self,
            peer,
            connection,
            streams: FuturesUnordered::new(),
            idle: Box::pin(tokio::time::sleep(self.keep_alive)),
            answered: 0,
            reset: 0,
            leaving: false,
        };
        if let Err(error) = running.run().await {
            ended(&error);
        }
    }

    async fn answer(
        &self,
        request: http::Request<h2::RecvStream>,
        respond: h2::server::SendResponse<Bytes>,
        peer: Option<SocketAddr>,
    ) -> End {
        let is_head = request.method() == http::Method::HEAD;
        let (request, respond) = match request::of(request, respond, peer) {
            Ok(both) => both,
            Err(mut refused) => {
                refused.send();
                return End::Answered;
            }
        };
        let mut answer = pin!(self.app.call(request));
        let outcome = std::future::poll_fn(|cx| {
            if let Poll::Ready(outcome) = answer.as_mut().poll(cx) {
                return Poll::Ready(Some(outcome));
            }
            // Whoever takes the request back gets no more work done for it.
            respond.poll_reset(cx).map(|_reason| None)
        });
        let response = match outcome.await {
            None => return End::Reset,
            Some(Ok(response)) => actix_http::Response::from(response),
            Some(Err(response)) => actix_http::Response::from(response),
        };
        let sending = response::Sending {
            is_head,
            now: self.clock.now(),
            stall: self.stall_timeout,
        };
        match sending.send(response, respond).await {
            Ok(()) => End::Answered,
            Err(response::Unsent::Reset) => End::Reset,
            Err(response::Unsent::Broken) => End::Answered,
        }
    }
}

type Streams<'a> = FuturesUnordered<Pin<Box<dyn Future<Output = End> + 'a>>>;

struct Running<'a, S, T> {
    server: &'a Server<S>,
    peer: Option<SocketAddr>,
    connection: Connection<T, Bytes>,
    streams: Streams<'a>,
    /// Runs while there is no stream.
    idle: Pin<Box<Sleep>>,
    answered: usize,
    reset: usize,
    /// Whether the client has been told to end the connection.
    leaving: bool,
}

impl<S, T> Running<'_, S, T>
where
    S: Service<Request, Response = ServiceResponse<BoxBody>, Error = HttpResponse>,
    T: AsyncRead + AsyncWrite + Unpin,
{
    async fn run(mut self) -> Result<(), h2::Error> {
        let stopping = self.server.signal.clone();
        let mut stopping = pin!(async move { stopping.notified().await });
        std::future::poll_fn(|cx| {
            if !self.leaving && stopping.as_mut().poll(cx).is_ready() {
                self.leave();
            }
            self.poll(cx)
        })
        .await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), h2::Error>> {
        loop {
            self.poll_streams(cx);
            // Also writes what the streams have to say, and reads what is for them.
            match self.connection.poll_accept(cx)? {
                Poll::Ready(Some((request, respond))) => self.begin(request, respond),
                Poll::Ready(None) => return Poll::Ready(Ok(())),
                Poll::Pending if self.streams.is_empty() => {
                    if self.idle.as_mut().poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                    if self.leaving {
                        return Poll::Ready(Ok(()));
                    }
                    self.leave();
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn begin(
        &mut self,
        request: http::Request<h2::RecvStream>,
        respond: h2::server::SendResponse<Bytes>,
    ) {
        let answering = self.server.answer(request, respond, self.peer);
        self.streams.push(Box::pin(answering));
    }

    fn poll_streams(&mut self, cx: &mut Context<'_>) {
        while let Poll::Ready(Some(end)) = self.streams.poll_next_unpin(cx) {
            match end {
                End::Answered => self.answered += 1,
                End::Reset => self.reset += 1,
            }
            if self.reset > self.answered + RESETS {
                self.connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
            }
            if self.streams.is_empty() {
                let wait = if self.leaving {
                    FAREWELL
                } else {
                    self.server.keep_alive
                };
                self.idle.as_mut().reset(Instant::now() + wait);
            }
        }
    }

    /// Takes no more streams, finishes those that there are, and then ends the connection.
    fn leave(&mut self) {
        self.leaving = true;
        self.connection.graceful_shutdown();
        self.idle.as_mut().reset(Instant::now() + FAREWELL);
    }
}

/// A connection that ended otherwise than it should have: the client's affair.
fn ended(error: &h2::Error) {
    tracing::debug!(error = %error, "an HTTP/2 connection ended");
}
