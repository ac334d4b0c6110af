//! TLS at a service's own listener, with HTTP/1.1 and HTTP/2 by what the client offers (RFC 7301).

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_server::GracefulShutdownSignal;
use actix_service::{Service as _, fn_factory, fn_service};
use actix_web::rt::net::TcpStream;
use rustls::ServerConfig;
use rustls::server::ResolvesServerCert;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::guess::both;
use super::server::{Entrance, Transport, end_if_stalled, listen};

const H2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

/// A listener for TLS, bound.
#[derive(Clone)]
pub struct Tls {
    pub(super) socket: Arc<TcpListener>,
    config: Arc<ServerConfig>,
    handshake_timeout: Duration,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tls({:?})", self.socket)
    }
}

impl Tls {
    /// Listens at an address (`host:port`) with the certificates that `certificates` chooses by name.
    ///
    /// # Errors
    /// When the address can't be bound, naming it.
    pub fn bind(
        address: &str,
        certificates: Arc<dyn ResolvesServerCert>,
        handshake_timeout: Duration,
    ) -> io::Result<Self> {
        crate::install_tls();
        let mut config = ServerConfig::builder()
            .with_no_client_auth()
            .with_cert_resolver(certificates);
        config.alpn_protocols = vec![H2.to_vec(), HTTP1.to_vec()];
        Ok(Self {
            socket: Arc::new(listen(address)?),
            config: Arc::new(config),
            handshake_timeout,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

/// Makes a worker's service for the listener.
pub(super) fn factory(
    tls: Tls,
    entrance: Entrance,
    signal: GracefulShutdownSignal,
) -> impl Fn() -> TlsService + Clone + Send + 'static {
    move || {
        let (tls, entrance, signal) = (tls.clone(), entrance.clone(), signal.clone());
        let make = fn_factory(move || {
            let (tls, entrance, signal) = (tls.clone(), entrance.clone(), signal.clone());
            async move {
                let (http1, http2) = both(&entrance, Transport::Tls, &signal).await?;
                let stall = entrance.settings.stall_timeout.0;
                Ok(fn_service(move |stream: TcpStream| {
                    let (tls, http1, http2) = (tls.clone(), Rc::clone(&http1), Rc::clone(&http2));
                    async move {
                        end_if_stalled(&stream, stall);
                        let peer = stream.peer_addr().ok();
                        let Some(stream) = accept(&tls, stream).await else {
                            return Ok(());
                        };
                        if stream.get_ref().1.alpn_protocol() == Some(H2) {
                            http2.serve(stream, peer).await;
                        } else {
                            // How it ended is between the client and the dispatcher, which has logged it.
                            let _ended = http1.call((stream, peer)).await;
                        }
                        Ok(())
                    }
                }))
            }
        });
        actix_service::boxed::factory(make)
    }
}

type TlsService = actix_service::boxed::BoxServiceFactory<(), TcpStream, (), (), ()>;

/// The handshake, within its time. One that fails is the client's affair: scanners and clients of other times
/// are many.
async fn accept(tls: &Tls, stream: TcpStream) -> Option<TlsStream<TcpStream>> {
    let _refused = stream.set_nodelay(true);
    let acceptor = TlsAcceptor::from(Arc::clone(&tls.config));
    match tokio::time::timeout(tls.handshake_timeout, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(error)) => {
            tracing::debug!(error = %error, "a TLS handshake failed");
            None
        }
        Err(_late) => {
            tracing::debug!("a TLS handshake took too long");
            None
        }
    }
}
