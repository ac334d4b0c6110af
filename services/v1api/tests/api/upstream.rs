//! A tiny server that notes the very bytes it is sent.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A request as it came over the wire.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub head: String,
    pub body: Vec<u8>,
}

impl Seen {
    /// The values of a header.
    pub fn all(&self, name: &str) -> Vec<String> {
        let lines = self
            .head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(':'));
        lines
            .filter(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim().to_owned())
            .collect()
    }

    /// The value of a header that must be there once.
    pub fn one(&self, name: &str) -> String {
        let all = self.all(name);
        assert_eq!(all.len(), 1, "{name} in {}", self.head);
        all[0].clone()
    }

    pub fn first_line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }
}

type Answer = Arc<dyn Fn(&Seen) -> String + Send + Sync>;

/// The server; it ends when it is dropped.
pub struct Upstream {
    pub address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    connections: Arc<Mutex<usize>>,
    running: JoinHandle<()>,
}

impl Upstream {
    /// Answers each request by a function: the answer's bytes. One with `connection: close` in it, or
    /// with `!close` at its end, which isn't sent, ends the connection.
    pub async fn start(answer: impl Fn(&Seen) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (seen, connections) = (Arc::default(), Arc::default());
        let answer: Answer = Arc::new(answer);
        let running = tokio::spawn(accept(
            listener,
            answer,
            Arc::clone(&seen),
            Arc::clone(&connections),
        ));
        Self {
            address,
            seen,
            connections,
            running,
        }
    }

    /// Answers 200 with a text.
    pub async fn saying(text: &'static str) -> Self {
        Self::start(move |_| ok(text)).await
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub fn last(&self) -> Seen {
        self.seen().last().cloned().expect("a request came")
    }

    /// How many connections were made to it.
    pub fn connections(&self) -> usize {
        *self.connections.lock().unwrap()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.running.abort();
    }
}

/// A plain answer.
pub fn ok(text: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{text}",
        text.len()
    )
}

async fn accept(
    listener: TcpListener,
    answer: Answer,
    seen: Arc<Mutex<Vec<Seen>>>,
    connections: Arc<Mutex<usize>>,
) {
    // They end with the server.
    let mut open = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        *connections.lock().unwrap() += 1;
        open.spawn(serve(stream, Arc::clone(&answer), Arc::clone(&seen)));
    }
}

async fn serve(mut stream: TcpStream, answer: Answer, seen: Arc<Mutex<Vec<Seen>>>) {
    let mut waiting = Vec::new();
    while let Some(request) = read_request(&mut stream, &mut waiting).await {
        let bytes = answer(&request);
        seen.lock().unwrap().push(request);
        let (bytes, close) = match bytes.strip_suffix("!close") {
            Some(bytes) => (bytes.to_owned(), true),
            None => (bytes.clone(), bytes.contains("connection: close")),
        };
        if stream.write_all(bytes.as_bytes()).await.is_err() || close {
            return;
        }
    }
}

async fn read_request(stream: &mut TcpStream, waiting: &mut Vec<u8>) -> Option<Seen> {
    let end = loop {
        if let Some(at) = find(waiting, b"\r\n\r\n") {
            break at + 4;
        }
        more(stream, waiting).await?;
    };
    let head = String::from_utf8_lossy(&waiting[..end]).into_owned();
    waiting.drain(..end);
    let mut request = Seen {
        head,
        body: Vec::new(),
    };
    if let Some(length) = request
        .all("content-length")
        .first()
        .map(|length| length.parse::<usize>().unwrap())
    {
        while waiting.len() < length {
            more(stream, waiting).await?;
        }
        request.body = waiting.drain(..length).collect();
    } else if !request.all("transfer-encoding").is_empty() {
        let end = loop {
            if let Some(at) = find(waiting, b"0\r\n\r\n") {
                break at + 5;
            }
            more(stream, waiting).await?;
        };
        request.body = waiting.drain(..end).collect();
    }
    Some(request)
}

async fn more(stream: &mut TcpStream, waiting: &mut Vec<u8>) -> Option<()> {
    let mut piece = [0; 4096];
    let length = stream.read(&mut piece).await.ok()?;
    waiting.extend_from_slice(&piece[..length]);
    (length > 0).then_some(())
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}
