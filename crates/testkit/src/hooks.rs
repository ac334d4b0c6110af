//! A receiver of webhooks, as somebody outside would run one: it keeps what comes, answers as the test
//! wants, and verifies signatures with nothing of ours.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test can't go on without"
)]

use std::collections::HashMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What a path answers.
#[derive(Clone, Debug)]
pub enum Reply {
    /// This, and closes the connection.
    Answer {
        /// The status.
        status: u16,
        /// A further header.
        header: Option<(&'static str, String)>,
        /// The body.
        body: String,
    },
    /// Nothing, for as long as the sender waits.
    Silence,
}

impl Reply {
    /// An empty answer.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::Answer {
            status,
            header: None,
            body: String::new(),
        }
    }

    /// An empty answer with a header.
    #[must_use]
    pub fn with_header(status: u16, name: &'static str, value: &str) -> Self {
        Self::Answer {
            status,
            header: Some((name, value.to_owned())),
            body: String::new(),
        }
    }
}

/// A message that came.
#[derive(Clone, Debug)]
pub struct Hook {
    /// Where to.
    pub path: String,
    /// The body, byte for byte.
    pub body: String,
    headers: HashMap<String, String>,
}

impl Hook {
    /// A header, or an empty text.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The message's id.
    #[must_use]
    pub fn id(&self) -> &str {
        self.header("webhook-id")
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it isn't JSON.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// How many signatures it carries.
    #[must_use]
    pub fn signatures(&self) -> usize {
        self.header("webhook-signature").split(' ').count()
    }

    /// Whether one of its signatures is by this secret.
    ///
    /// # Panics
    /// When that isn't a secret in the form of the standard.
    #[must_use]
    pub fn is_signed_by(&self, secret: &str) -> bool {
        let key = STANDARD
            .decode(secret.strip_prefix("whsec_").unwrap())
            .unwrap();
        assert!((24..=64).contains(&key.len()), "{}", key.len());
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        let (id, timestamp) = (self.id(), self.header("webhook-timestamp"));
        let signed = format!("{id}.{timestamp}.{}", self.body);
        self.header("webhook-signature")
            .split(' ')
            .filter_map(|signature| signature.strip_prefix("v1,"))
            .filter_map(|signature| STANDARD.decode(signature).ok())
            .any(|tag| hmac::verify(&key, signed.as_bytes(), &tag).is_ok())
    }
}

#[derive(Debug, Default)]
struct Known {
    replies: HashMap<String, Reply>,
    came: Vec<Hook>,
    open: HashMap<String, usize>,
    most: HashMap<String, usize>,
}

/// The receiver; it ends when it is dropped.
#[derive(Debug)]
pub struct Hooks {
    known: Arc<Mutex<Known>>,
    address: SocketAddr,
    running: JoinHandle<()>,
}

impl Hooks {
    /// Starts one on loopback. Every path answers 200 until told otherwise.
    ///
    /// # Panics
    /// When there is no port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let known = Arc::<Mutex<Known>>::default();
        let running = tokio::spawn(serve(listener, Arc::clone(&known)));
        Self {
            known,
            address,
            running,
        }
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// A path's address.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Has a path answer this from now on.
    ///
    /// # Panics
    /// When the receiver did.
    pub fn reply(&self, path: &str, reply: Reply) {
        let mut known = self.known.lock().unwrap();
        known.replies.insert(path.to_owned(), reply);
    }

    /// What came to a path so far.
    ///
    /// # Panics
    /// When the receiver did.
    #[must_use]
    pub fn came(&self, path: &str) -> Vec<Hook> {
        let known = self.known.lock().unwrap();
        let came = known.came.iter().filter(|hook| hook.path == path);
        came.cloned().collect()
    }

    /// The most that a path had under way at once.
    ///
    /// # Panics
    /// When the receiver did.
    #[must_use]
    pub fn most_at_once(&self, path: &str) -> usize {
        let known = self.known.lock().unwrap();
        known.most.get(path).copied().unwrap_or_default()
    }

    /// What came to a path, once there are so many.
    ///
    /// # Panics
    /// When there aren't after a minute.
    pub async fn until(&self, path: &str, count: usize) -> Vec<Hook> {
        let what = format!("{count} messages at {path}");
        crate::eventually(&what, || {
            let came = self.came(path);
            (came.len() >= count).then_some(came)
        })
        .await
    }

    /// The first message of a type at a path.
    ///
    /// # Panics
    /// When there is none after a minute.
    pub async fn of_type(&self, path: &str, kind: &str) -> Hook {
        let what = format!("{kind} at {path}");
        crate::eventually(&what, || {
            let mut came = self.came(path).into_iter();
            came.find(|hook| hook.json()["type"] == kind)
        })
        .await
    }
}

impl Drop for Hooks {
    fn drop(&mut self) {
        self.running.abort();
    }
}

async fn serve(listener: TcpListener, known: Arc<Mutex<Known>>) {
    // With this task end those of its connections.
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(answer(stream, Arc::clone(&known)));
    }
}

async fn answer(mut stream: TcpStream, known: Arc<Mutex<Known>>) {
    let Some(hook) = read(&mut stream).await else {
        return;
    };
    let path = hook.path.clone();
    let reply = {
        let mut known = known.lock().unwrap();
        known.came.push(hook);
        let open = known.open.entry(path.clone()).or_default();
        *open += 1;
        let open = *open;
        let most = known.most.entry(path.clone()).or_default();
        *most = open.max(*most);
        known.replies.get(&path).cloned()
    };
    match reply.unwrap_or_else(|| Reply::status(200)) {
        Reply::Answer {
            status,
            header,
            body,
        } => {
            let mut head = format!("HTTP/1.1 {status} X\r\nconnection: close\r\n");
            let _never_fails = write!(head, "content-length: {}\r\n", body.len());
            if let Some((name, value)) = header {
                let _never_fails = write!(head, "{name}: {value}\r\n");
            }
            // Whoever has gone needs no answer.
            let _gone = stream
                .write_all(format!("{head}\r\n{body}").as_bytes())
                .await;
        }
        Reply::Silence => {
            let _gone = stream.read(&mut [0; 1]).await;
        }
    }
    if let Some(open) = known.lock().unwrap().open.get_mut(&path) {
        *open -= 1;
    }
}

async fn read(stream: &mut TcpStream) -> Option<Hook> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).ok()?;
    let mut lines = head.lines();
    let path = lines.next()?.split(' ').nth(1)?.to_owned();
    let headers: HashMap<_, _> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length: usize = headers.get("content-length")?.parse().ok()?;
    while bytes.len() < end + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let body = String::from_utf8(bytes[end..].to_vec()).ok()?;
    Some(Hook {
        path,
        body,
        headers,
    })
}
