//! A client of an app's own port, which asks all the while.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use common::time::{Clock, Time};

const PAUSE: Duration = Duration::from_millis(5);

/// What a client was answered.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The different answers.
    pub(super) answers: BTreeSet<String>,
    /// When nobody answered for the first time.
    pub(super) silent_since: Option<Time>,
}

impl Seen {
    /// There was this one answer, from one process so, until another release was live.
    pub(super) fn served_until(&self, answer: &str, switched: Time) {
        assert_eq!(self.answers.iter().collect::<Vec<_>>(), [answer]);
        if let Some(silent) = self.silent_since {
            assert!(
                silent > switched,
                "silent at {silent:?}, switched at {switched:?}"
            );
        }
    }
}

/// A running client.
pub(super) struct Watch {
    over: Arc<AtomicBool>,
    client: JoinHandle<Seen>,
}

impl Watch {
    /// Asks until there is no answer, or until it is told to end.
    pub(super) fn start(address: SocketAddr) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let client = std::thread::spawn({
            let over = Arc::clone(&over);
            move || {
                let (mut seen, clock) = (Seen::default(), Clock::system());
                while !over.load(Ordering::Relaxed) && seen.silent_since.is_none() {
                    match get(address) {
                        Some(answer) => {
                            seen.answers.insert(answer);
                        }
                        None => seen.silent_since = Some(clock.now()),
                    }
                    std::thread::sleep(PAUSE);
                }
                seen
            }
        });
        Self { over, client }
    }

    pub(super) fn end(self) -> Seen {
        self.over.store(true, Ordering::Relaxed);
        self.client.join().unwrap()
    }
}

/// The body of a GET; `None` when nobody answers.
pub(super) fn get(address: SocketAddr) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2)).ok()?;
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .ok()?;
    let request = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer.split_once("\r\n\r\n")?.1.to_owned())
}
