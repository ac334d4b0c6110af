//! Requests to whoever makes certificates: to an address of the operator's, in bounded time, with an answer of
//! bounded length.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How long it may be, in bytes: chains of certificates are some thousand.
const LONGEST: usize = 256 * 1024;

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// The authority's file.
    #[error("in section [gateway]: `acme.authority`: {path} can't be read")]
    Authority {
        /// Which.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// What is in it, or the client itself.
    #[error("no client for `acme.directory` can be made")]
    Client(#[from] reqwest::Error),
}

#[derive(Debug, thiserror::Error)]
#[error("the answer is longer than {LONGEST} bytes")]
struct TooLong;

/// The client; cheap to clone.
#[derive(Clone)]
pub(super) struct Client(reqwest::Client);

impl Client {
    /// A client that also trusts the authorities of this file.
    pub(super) fn new(authority: Option<&Path>) -> Result<Self, ClientError> {
        let mut builder = chassis::outbound::configured_builder(TIMEOUT);
        if let Some(path) = authority {
            let pem = std::fs::read(path).map_err(|source| ClientError::Authority {
                path: path.display().to_string(),
                source,
            })?;
            builder = builder.tls_certs_merge(reqwest::Certificate::from_pem_bundle(&pem)?);
        }
        Ok(Self(builder.build()?))
    }

    async fn ask(self, request: http::Request<BodyWrapper<Bytes>>) -> Result<BytesResponse, Error> {
        let (parts, body) = request.into_parts();
        let body = match body.collect().await {
            Ok(body) => body.to_bytes(),
            Err(never) => match never {},
        };
        let request = http::Request::from_parts(parts, body);
        let other = |error: reqwest::Error| Error::Other(Box::new(error));
        let request = reqwest::Request::try_from(request).map_err(other)?;
        let mut answer = self.0.execute(request).await.map_err(other)?;
        let mut body = BytesMut::new();
        while let Some(piece) = answer.chunk().await.map_err(other)? {
            if body.len() + piece.len() > LONGEST {
                return Err(Error::Other(Box::new(TooLong)));
            }
            body.extend_from_slice(&piece);
        }
        let mut whole = http::Response::new(Full::new(body.freeze()));
        *whole.status_mut() = answer.status();
        *whole.headers_mut() = std::mem::take(answer.headers_mut());
        Ok(BytesResponse::from(whole))
    }
}

impl HttpClient for Client {
    fn request(
        &self,
        request: http::Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        Box::pin(self.clone().ask(request))
    }
}
