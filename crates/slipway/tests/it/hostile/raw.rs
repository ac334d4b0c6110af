//! Bytes to a platform as they are, which no client would send.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::Up;

/// How long an answer may take on a slow machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection to the platform's public port.
pub(super) async fn connect(up: &Up) -> TcpStream {
    TcpStream::connect(up.url.replace("http://localhost", "127.0.0.1"))
        .await
        .unwrap()
}

/// All that is answered until the platform closes the connection, which it must.
pub(super) async fn answer_to(up: &Up, bytes: &[u8]) -> String {
    let mut stream = connect(up).await;
    // Who closes early may do so while we still write.
    let _cut = stream.write_all(bytes).await;
    rest_of(stream).await
}

/// What still comes.
pub(super) async fn rest_of(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    let reading = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer));
    let _reset = reading.await.expect("the platform closes the connection");
    String::from_utf8_lossy(&answer).into_owned()
}

/// The status of each answer in a text.
pub(super) fn statuses(answer: &str) -> Vec<&str> {
    let heads = answer.split("HTTP/1.1 ").skip(1);
    heads.map(|head| head.get(..3).unwrap_or(head)).collect()
}

/// The platform must be well.
pub(super) async fn must_answer(up: &Up, after: &str) {
    let request = "GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let answer = answer_to(up, request.as_bytes()).await;
    assert_eq!(
        statuses(&answer),
        ["200"],
        "after {after}: {answer}\n{}",
        up.log()
    );
}
