//! A server of gRPC.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use futures_util::{Stream, StreamExt as _, stream};
use tokio::net::TcpListener;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::metadata::MetadataMap;
use tonic::transport::Server;
use tonic::{Code, Request, Response, Status, Streaming};

use super::Plain;

/// What a server has noticed.
#[derive(Default)]
pub struct Noticed {
    seen: Mutex<Vec<(String, MetadataMap)>>,
    pub connections: AtomicUsize,
    pub begun: AtomicUsize,
    /// Calls that were taken back.
    pub given_up: AtomicUsize,
    /// Bytes of endless answers.
    pub sent: AtomicUsize,
}

impl Noticed {
    /// The path and the metadata of the last call; nothing before the first.
    pub fn last(&self) -> (String, MetadataMap) {
        self.seen
            .lock()
            .unwrap()
            .last()
            .cloned()
            .unwrap_or_default()
    }
}

/// A server of gRPC; it ends when it is dropped.
pub struct Speaker {
    pub address: SocketAddr,
    pub noticed: Arc<Noticed>,
    /// Its own, so that its connections end with it as those of a process do.
    running: Option<tokio::runtime::Runtime>,
}

impl Drop for Speaker {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.shutdown_background();
        }
    }
}

impl Speaker {
    pub fn start() -> Self {
        let running = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let bound = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        bound.set_nonblocking(true).unwrap();
        let address = bound.local_addr().unwrap();
        let noticed = Arc::<Noticed>::default();
        let speaking = Speaking(Arc::clone(&noticed));
        let counted = Arc::clone(&noticed);
        running.spawn(async move {
            let listener = TcpListener::from_std(bound).unwrap();
            let incoming = stream::unfold(listener, |listener| async move {
                Some((listener.accept().await.map(|(stream, _)| stream), listener))
            });
            let incoming = incoming.inspect(move |_| {
                counted.connections.fetch_add(1, Ordering::SeqCst);
            });
            let serving = Server::builder().serve_with_incoming(speaking, incoming);
            serving.await.unwrap();
        });
        Self {
            address,
            noticed,
            running: Some(running),
        }
    }
}

#[derive(Clone)]
struct Speaking(Arc<Noticed>);

impl Service<http::Request<tonic::body::Body>> for Speaking {
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        let noticed = Arc::clone(&self.0);
        Box::pin(async move {
            let path = request.uri().path().to_owned();
            let metadata = MetadataMap::from_headers(request.headers().clone());
            noticed.seen.lock().unwrap().push((path.clone(), metadata));
            noticed.begun.fetch_add(1, Ordering::SeqCst);
            let name = path.rsplit('/').next().unwrap_or_default().to_owned();
            Ok(tonic::server::Grpc::new(Plain)
                .streaming(Method { name, noticed }, request)
                .await)
        })
    }
}

/// What a method of the server does, whose requests and answers are all streams: over the wire one message is a
/// stream of one.
struct Method {
    name: String,
    noticed: Arc<Noticed>,
}

type Answers = Pin<Box<dyn Stream<Item = Result<Vec<u8>, Status>> + Send>>;

impl Service<Request<Streaming<Vec<u8>>>> for Method {
    type Response = Response<Answers>;
    type Error = Status;
    type Future = BoxFuture<Response<Answers>, Status>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Streaming<Vec<u8>>>) -> Self::Future {
        let (name, noticed) = (self.name.clone(), Arc::clone(&self.noticed));
        Box::pin(async move { answer(&name, noticed, request.into_inner()).await })
    }
}

/// Counts a call that ends without having been answered.
struct GivenUp(Arc<Noticed>);

impl Drop for GivenUp {
    fn drop(&mut self) {
        self.0.given_up.fetch_add(1, Ordering::SeqCst);
    }
}

async fn answer(
    name: &str,
    noticed: Arc<Noticed>,
    mut asked: Streaming<Vec<u8>>,
) -> Result<Response<Answers>, Status> {
    let answers: Answers = match name {
        // One for each, as it comes, and what isn't a message at the end.
        "Echo" => {
            let mut end = MetadataMap::new();
            end.insert("x-last", "word".parse().unwrap());
            end.insert("set-cookie", "a=b".parse().unwrap());
            let end = Status::with_metadata(Code::Ok, "", end);
            Box::pin(asked.chain(stream::once(async { Err(end) })))
        }
        // All in one, once all have come.
        "Sum" => {
            let mut all = Vec::new();
            while let Some(message) = asked.message().await? {
                all.extend(message);
            }
            Box::pin(stream::once(async { Ok(all) }))
        }
        "Count" => Box::pin(stream::iter((0..3).map(|number| Ok(vec![b'0' + number])))),
        "Fail" => return Err(Status::not_found("no é here")),
        "Halfway" => Box::pin(stream::iter([
            Ok(b"first".to_vec()),
            Err(Status::data_loss("the rest is gone")),
        ])),
        "Wait" => {
            let _given_up = GivenUp(noticed);
            std::future::pending().await
        }
        "Endless" => Box::pin(stream::repeat_with(move || {
            let piece = vec![b'x'; 16 * 1024];
            noticed.sent.fetch_add(piece.len(), Ordering::SeqCst);
            Ok(piece)
        })),
        _ => return Err(Status::unimplemented("what?")),
    };
    let mut response = Response::new(answers);
    response
        .metadata_mut()
        .insert("x-first", "word".parse().unwrap());
    Ok(response)
}
