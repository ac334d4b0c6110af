//! Asking an app whether it is there.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// How much of an answer is read after its status, and for how long.
const REST_BYTES: u64 = 256 * 1024;
const REST_TIME: Duration = Duration::from_millis(300);

/// What one look at a port found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Probe {
    /// Nobody accepts connections.
    Refused,
    /// Connected, but no HTTP answer came.
    NoAnswer(SocketAddr),
    /// The HTTP status.
    Status(SocketAddr, u16),
}

impl Probe {
    /// The address, if the answer counts as healthy: below 500, and below 400 for a path that was named.
    pub(crate) fn healthy(&self, path_was_named: bool) -> Option<SocketAddr> {
        let bound = if path_was_named { 400 } else { 500 };
        match self {
            Self::Status(address, status) if (200..bound).contains(status) => Some(*address),
            _ => None,
        }
    }

    /// The one that says more: a status, even of an earlier look, explains better than a look for
    /// which there was no time left.
    pub(crate) fn or_rather(self, earlier: Option<Self>) -> Self {
        match (&self, earlier) {
            (Self::Refused | Self::NoAnswer(_), Some(earlier @ Self::Status(..))) => earlier,
            _ => self,
        }
    }

    /// What was found, for a person.
    pub(crate) fn describe(&self, path: &str) -> String {
        match self {
            Self::Refused => "it accepts no connections".to_owned(),
            Self::NoAnswer(address) => format!("no HTTP answer from port {}", address.port()),
            Self::Status(address, status) => {
                format!("status {status} for {path} on port {}", address.port())
            }
        }
    }
}

/// Connects to the port and asks for the path. An app may listen on either loopback address.
pub(crate) async fn probe(port: u16, path: &str, time_limit: Duration) -> Probe {
    for address in [
        SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        SocketAddr::from((Ipv6Addr::LOCALHOST, port)),
    ] {
        if let Ok(Ok(stream)) = tokio::time::timeout(time_limit, TcpStream::connect(address)).await
        {
            let answer = tokio::time::timeout(time_limit, ask(stream, port, path)).await;
            return answer
                .ok()
                .flatten()
                .map_or(Probe::NoAnswer(address), |status| {
                    Probe::Status(address, status)
                });
        }
    }
    Probe::Refused
}

async fn ask(mut stream: TcpStream, port: u16, path: &str) -> Option<u16> {
    // A line break in a path from a settings file would begin a second header.
    let path: String = path
        .chars()
        .filter(|character| !character.is_ascii_control() && *character != ' ')
        .collect();
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nUser-Agent: slipway-health\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut head = Vec::with_capacity(64);
    // "HTTP/1.1 200" is all that is needed.
    while head.len() < 12 {
        if stream.read_buf(&mut head).await.ok()? == 0 {
            break;
        }
    }
    let status = status(&head);
    // An app whose answer is cut off may take it for a fault and fill its log with it.
    let _ = tokio::time::timeout(REST_TIME, read_rest(stream)).await;
    status
}

async fn read_rest(stream: TcpStream) -> std::io::Result<u64> {
    tokio::io::copy(&mut stream.take(REST_BYTES), &mut tokio::io::sink()).await
}

fn status(head: &[u8]) -> Option<u16> {
    let text = std::str::from_utf8(head.get(..12)?).ok()?;
    text.strip_prefix("HTTP/1.")?
        .split_once(' ')?
        .1
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_line_is_read_and_anything_else_is_not() {
        assert_eq!(status(b"HTTP/1.1 204 No Content"), Some(204));
        assert_eq!(status(b"HTTP/1.0 500"), Some(500));
        assert_eq!(status(b"220 mail.example ESMTP"), None);
        assert_eq!(status(b"HTTP"), None);
    }

    #[test]
    fn a_named_path_must_succeed_and_the_root_need_only_not_break() {
        let found = |status| Probe::Status(SocketAddr::from((Ipv4Addr::LOCALHOST, 1)), status);
        assert!(found(404).healthy(false).is_some());
        assert!(found(404).healthy(true).is_none());
        assert!(found(302).healthy(true).is_some());
        assert!(found(503).healthy(false).is_none());
    }
}
