//! Calls of gRPC through the gateway, by a client and to a server that others have written.

mod calls;
mod hostile;
mod instances;
mod services;
mod speaker;

use std::net::SocketAddr;

use bytes::{Buf as _, BufMut as _};
use futures_util::Stream;
use testkit::Backend;
use tokio::net::TcpStream;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http;
use tonic::metadata::AsciiMetadataKey;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status, Streaming};

use crate::support::{App, World};
pub use speaker::Speaker;

/// Messages that are their own bytes.
#[derive(Clone, Copy, Default)]
pub struct Plain;

impl Codec for Plain {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Plain {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Plain {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining()).to_vec()))
    }
}

/// A client of gRPC, on this host.
pub struct Client {
    grpc: Grpc<Channel>,
    prefix: String,
    metadata: Vec<(String, String)>,
    deadline: Option<std::time::Duration>,
}

/// What a call came to.
pub type Called = Result<Response<Streaming<Vec<u8>>>, Status>;

impl Client {
    /// By HTTP/2 in plain text, as gRPC's clients begin it.
    pub fn new(address: SocketAddr, host: &str) -> Self {
        let origin = format!("http://{host}").parse().unwrap();
        let channel = Endpoint::from_shared(format!("http://{address}"))
            .unwrap()
            .origin(origin)
            .connect_lazy();
        Self {
            grpc: Grpc::new(channel),
            prefix: "/test.Speaker".into(),
            metadata: Vec::new(),
            deadline: None,
        }
    }

    pub fn below(mut self, prefix: &str) -> Self {
        self.prefix = format!("{prefix}{}", self.prefix);
        self
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.metadata.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn within(mut self, deadline: std::time::Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        for (name, value) in &self.metadata {
            let name: AsciiMetadataKey = name.parse().unwrap();
            request.metadata_mut().append(name, value.parse().unwrap());
        }
        if let Some(deadline) = self.deadline {
            request.set_timeout(deadline);
        }
        request
    }

    /// Any call: messages go as they come, and so do answers.
    pub async fn stream(
        &mut self,
        method: &str,
        messages: impl Stream<Item = Vec<u8>> + Send + 'static,
    ) -> Called {
        self.grpc
            .ready()
            .await
            .map_err(|error| Status::unknown(error.to_string()))?;
        let path = format!("{}/{method}", self.prefix).parse().unwrap();
        self.grpc
            .streaming(self.request(messages), path, Plain)
            .await
    }

    /// A call of one message and one answer.
    pub async fn ask(&mut self, method: &str, message: &str) -> Result<Response<String>, Status> {
        self.grpc
            .ready()
            .await
            .map_err(|error| Status::unknown(error.to_string()))?;
        let path = format!("{}/{method}", self.prefix).parse().unwrap();
        let asked = self.request(message.as_bytes().to_vec());
        let answer = self.grpc.unary(asked, path, Plain).await?;
        Ok(answer.map(|answer| String::from_utf8(answer).unwrap()))
    }
}

/// A gateway of one worker with an app at these addresses.
pub async fn serving(
    backend: &Backend,
    addresses: &[SocketAddr],
    settings: &[(&str, &str)],
) -> (World, App) {
    let settings = [settings, &[("http.workers", "1")]].concat();
    let (world, app) = (World::with(backend, &settings).await, App::new("shop"));
    world.tell(app.live(addresses), 1).await;
    testkit::eventually_async("the app is known", || async {
        let answer = world
            .on(&app.host(), reqwest::Method::GET, "/")
            .send()
            .await;
        (answer.unwrap().status() != 404).then_some(())
    })
    .await;
    (world, app)
}

impl World {
    /// A client of gRPC for this app.
    pub fn caller(&self, app: &App) -> Client {
        Client::new(self.address, &app.host())
    }
}

/// A connection by HTTP/2 in plain text, which a task of its own drives.
pub async fn by_http2(address: SocketAddr) -> h2::client::SendRequest<bytes::Bytes> {
    let stream = TcpStream::connect(address).await.unwrap();
    let (send, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    send.ready().await.unwrap()
}

/// A call's head.
pub fn call(host: &str, path: &str) -> http::Request<()> {
    http::Request::post(format!("http://{host}{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .unwrap()
}

/// A message as gRPC frames it.
pub fn framed(message: &[u8]) -> bytes::Bytes {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[0][..], &length, message].concat().into()
}
