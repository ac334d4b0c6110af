//! HTTP/1.1 and HTTP/2 on one listener. In plain text it is what a client says first that tells which of them it
//! speaks: one that knows beforehand that HTTP/2 is understood begins with its preface (RFC 9113, section 3.3), as
//! clients of gRPC do. Nothing of HTTP/1.1 begins so.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_http::Request;
use actix_server::GracefulShutdownSignal;
use actix_service::{Service, ServiceFactory as _, fn_factory, fn_service};
use actix_web::HttpResponse;
use actix_web::body::BoxBody;
use actix_web::dev::ServiceResponse;
use actix_web::rt::net::TcpStream;
use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::h2;
use super::server::{Entrance, PlainService, Transport, end_if_stalled, http1};

/// What every connection of HTTP/2 begins with.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Room for what comes first, which is often the whole first request.
const FIRST_READ: usize = 4 * 1024;

/// A connection of which something has been read, which is read again.
pub(super) struct Begun<T> {
    first: Bytes,
    stream: T,
}

/// Makes a worker's service for a listener in plain text.
pub(super) fn factory(
    entrance: Entrance,
    signal: GracefulShutdownSignal,
) -> impl Fn() -> PlainService + Clone + Send + 'static {
    move || {
        let (entrance, signal) = (entrance.clone(), signal.clone());
        let make = fn_factory(move || {
            let (entrance, signal) = (entrance.clone(), signal.clone());
            async move {
                let (http1, http2) = both(&entrance, Transport::Plain, &signal).await?;
                let settings = entrance.settings.clone();
                Ok(fn_service(move |stream: TcpStream| {
                    let (http1, http2) = (Rc::clone(&http1), Rc::clone(&http2));
                    let (stall, patience) = (settings.stall_timeout.0, settings.head_timeout.0);
                    let signal = signal.clone();
                    async move {
                        end_if_stalled(&stream, stall);
                        // A streamed answer is written in pieces, of which none is to wait for an
                        // acknowledgement.
                        let _refused = stream.set_nodelay(true);
                        let peer = stream.peer_addr().ok();
                        // Who says nothing is waited for neither for long nor when there is a stop.
                        let begun = tokio::select! {
                            begun = tokio::time::timeout(patience, begin(stream)) => begun,
                            () = signal.notified() => return Ok(()),
                        };
                        match begun {
                            Ok(Ok(Some((stream, true)))) => http2.serve(stream, peer).await,
                            Ok(Ok(Some((stream, false)))) => {
                                // How it ended is between the client and the dispatcher, which has logged it.
                                let _ended = http1.call((stream, peer)).await;
                            }
                            Ok(Ok(None) | Err(_)) | Err(_) => {}
                        }
                        Ok(())
                    }
                }))
            }
        });
        actix_service::boxed::factory(make)
    }
}

/// A worker's HTTP/1.1 and HTTP/2 for a listener that clients of all sorts come to. Who goes away is waited
/// for no longer: what is under way for her ends.
pub(super) async fn both<T>(
    entrance: &Entrance,
    transport: Transport,
    signal: &GracefulShutdownSignal,
) -> Result<
    (
        Rc<impl Service<(T, Option<SocketAddr>)> + use<T>>,
        Rc<
            h2::Server<
                impl Service<Request, Response = ServiceResponse<BoxBody>, Error = HttpResponse>
                + use<T>,
            >,
        >,
    ),
    (),
>
where
    T: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let front = entrance.front();
    let http1 = http1(&entrance.settings, signal)
        .h1_allow_half_closed(false)
        .h1(entrance.clone().app(front.clone(), transport))
        .new_service(())
        .await?;
    let app = entrance.clone().app(front, transport);
    let http2 = h2::Server::new(
        app.new_service(()).await?,
        entrance.context.clock.clone(),
        &entrance.settings,
        signal.clone(),
    );
    Ok((Rc::new(http1), Rc::new(http2)))
}

/// Reads until it is clear what a client speaks, and tells whether it is HTTP/2. None where it closes.
async fn begin(stream: TcpStream) -> io::Result<Option<(Begun<TcpStream>, bool)>> {
    let mut first = BytesMut::new();
    loop {
        stream.readable().await?;
        // Only now: a connection that waits holds no buffer.
        first.reserve(FIRST_READ);
        match stream.try_read_buf(&mut first) {
            Ok(0) => return Ok(None),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error),
        }
        let is_http2 = first.starts_with(PREFACE);
        if is_http2 || !PREFACE.starts_with(&first) {
            let first = first.freeze();
            return Ok(Some((Begun { first, stream }, is_http2)));
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Begun<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.first.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buffer);
        }
        let length = self.first.len().min(buffer.remaining());
        buffer.put_slice(&self.first.split_to(length));
        if self.first.is_empty() {
            // Gives its buffer back.
            self.first = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Begun<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    /// What is read of a connection that these pieces come over, and whether it is taken for HTTP/2.
    async fn read(pieces: &[&[u8]]) -> Option<(Vec<u8>, bool)> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        client.set_nodelay(true).unwrap();
        let (server, _) = listener.accept().await.unwrap();
        let sending = async {
            for piece in pieces {
                client.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
            client.shutdown().await.unwrap();
        };
        let reading = async {
            let (mut begun, is_http2) = begin(server).await.unwrap()?;
            let mut all = Vec::new();
            begun.read_to_end(&mut all).await.unwrap();
            Some((all, is_http2))
        };
        tokio::join!(sending, reading).1
    }

    #[tokio::test]
    async fn what_comes_first_tells_what_a_client_speaks_and_is_read_again() {
        let get = b"GET / HTTP/1.1\r\n\r\n";
        assert_eq!(read(&[get]).await, Some((get.to_vec(), false)));
        let whole = [PREFACE, b"frames"].concat();
        assert_eq!(read(&[&whole]).await, Some((whole.clone(), true)));
        let letters: Vec<_> = whole.chunks(1).collect();
        assert_eq!(read(&letters).await, Some((whole, true)));
        // A method may begin in the same way.
        let odd: &[u8] = b"PRIVATE / HTTP/1.1\r\n\r\n";
        assert_eq!(
            read(&[b"PRI", b"VATE / HTTP/1.1\r\n\r\n"]).await,
            Some((odd.to_vec(), false))
        );
        assert_eq!(read(&[b"PRI * HT"]).await, None);
        assert_eq!(read(&[]).await, None);
    }
}
