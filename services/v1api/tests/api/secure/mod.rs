//! The gateway by TLS, and by HTTP/2 over it.

mod acme;
mod hostile;
mod http2;
mod tls;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use h2::client::SendRequest;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tempfile::TempDir;
use testkit::Backend;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::support::{PLATFORM, World};

/// Signs the certificates of a test.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Lays a certificate for these names into a folder, and gives it.
    fn put(&self, folder: &Path, names: &[&str]) -> CertificateDer<'static> {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(names).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join("tls.key"), key.serialize_pem()).unwrap();
        fs::write(folder.join("tls.crt"), certificate.pem()).unwrap();
        certificate.der().clone()
    }
}

/// A gateway with certificates for the platform's host, for an app's, and for all below a domain.
struct Secured {
    world: World,
    authority: Authority,
    folder: TempDir,
    /// The platform's certificate.
    platform: CertificateDer<'static>,
}

impl Secured {
    async fn start(backend: &Backend) -> Self {
        Self::with(backend, &[]).await
    }

    async fn with(backend: &Backend, settings: &[(&str, &str)]) -> Self {
        let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
        let platform = authority.put(&folder.path().join("platform"), &[PLATFORM]);
        authority.put(&folder.path().join("shop"), &["shop.localhost"]);
        // Clients take a star only before two labels.
        authority.put(&folder.path().join("apps"), &["*.apps.example"]);
        let path = folder.path().to_string_lossy();
        let own = [
            ("gateway.tls.listen", "127.0.0.1:0"),
            ("gateway.tls.certificates", path.as_ref()),
            ("gateway.tls.reload", "50ms"),
        ];
        let world = World::with(backend, &[&own, settings].concat()).await;
        Self {
            world,
            authority,
            folder,
            platform,
        }
    }

    /// A request by TLS, on a host that there is a certificate for.
    fn by_tls(&self, host: &str, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        let address = self.world.harness.platform().tls_address("v1api").unwrap();
        let root = reqwest::Certificate::from_der(self.authority.0.der()).unwrap();
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .tls_certs_only([root])
            .resolve(host, address)
            .build()
            .unwrap();
        client.request(method, format!("https://{host}:{}{path}", address.port()))
    }

    async fn tcp(&self) -> TcpStream {
        let address = self.world.harness.platform().tls_address("v1api").unwrap();
        TcpStream::connect(address).await.unwrap()
    }

    /// A connection whose client trusts the authority and offers these protocols.
    async fn handshake(
        &self,
        host: &str,
        protocols: &[&[u8]],
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.0.der().clone()).unwrap();
        let mut config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        let name = ServerName::try_from(host.to_owned()).unwrap();
        TlsConnector::from(Arc::new(config))
            .connect(name, self.tcp().await)
            .await
    }

    /// The certificate that a client is shown, once it has verified that it is one for the host.
    async fn shown(&self, host: &str) -> std::io::Result<CertificateDer<'static>> {
        let stream = self.handshake(host, &[]).await?;
        let shown = stream.get_ref().1.peer_certificates().unwrap();
        Ok(shown[0].clone())
    }

    /// An HTTP/2 connection, which a task of its own drives.
    async fn http2(&self, host: &str) -> SendRequest<Bytes> {
        let stream = self.handshake(host, &[b"h2", b"http/1.1"]).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let (send, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        send.ready().await.unwrap()
    }
}

/// The certificate that an address shows for a host, whoever made it; none where it has none to show.
async fn shown_by(address: SocketAddr, host: &str) -> Option<CertificateDer<'static>> {
    #[derive(Debug)]
    struct Anybody(CryptoProvider);

    impl ServerCertVerifier for Anybody {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            Ok(ServerCertVerified::assertion())
        }

        fn verify_tls12_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            let known = &self.0.signature_verification_algorithms;
            rustls::crypto::verify_tls12_signature(message, certificate, signature, known)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            let known = &self.0.signature_verification_algorithms;
            rustls::crypto::verify_tls13_signature(message, certificate, signature, known)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.0.signature_verification_algorithms.supported_schemes()
        }
    }

    let anybody = Anybody(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(anybody))
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from(host.to_owned()).unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let stream = connector.connect(name, stream).await.ok()?;
    Some(stream.get_ref().1.peer_certificates()?[0].clone())
}

/// A request of HTTP/2.
fn get(host: &str, path: &str) -> http::Request<()> {
    request("GET", host, path)
}

fn request(method: &str, host: &str, path: &str) -> http::Request<()> {
    http::Request::builder()
        .method(method)
        .uri(format!("https://{host}{path}"))
        .body(())
        .unwrap()
}

/// All of a body.
async fn text(mut body: h2::RecvStream) -> String {
    let mut text = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece.unwrap();
        body.flow_control().release_capacity(piece.len()).unwrap();
        text.extend_from_slice(&piece);
    }
    String::from_utf8(text).unwrap()
}
