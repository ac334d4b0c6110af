//! Clients that take their time, and many of them.

use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt as _;

use super::raw::{connect, must_answer, rest_of, statuses};
use crate::harness::Up;

/// More than the threads and connections that any part of the platform has for one service.
const MANY: usize = 400;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_never_ends_a_request_is_sent_away_and_holds_nobody_up() {
    let up = Up::start_with(&[("SLIPWAY_HTTP__HEAD_TIMEOUT", "2s")]).await;
    let began = Instant::now();
    let mut slow = Vec::new();
    for _ in 0..MANY {
        let mut stream = connect(&up).await;
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nx: ")
            .await
            .unwrap();
        slow.push(stream);
    }
    must_answer(&up, "many half requests").await;
    // One of them goes on, a letter at a time: it is the whole head that has its time.
    let mut dripping = slow.pop().unwrap();
    while dripping.write_all(b"y").await.is_ok() {
        assert!(
            began.elapsed() < Duration::from_mins(1),
            "it may drip for ever"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for stream in slow {
        let answer = rest_of(stream).await;
        assert!(
            matches!(statuses(&answer).as_slice(), [] | ["408"]),
            "{answer}"
        );
    }
    must_answer(&up, "they were sent away").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_only_wait_hold_nobody_up() {
    let up = Up::start().await;
    let mut open = Vec::new();
    for _ in 0..MANY {
        let mut stream = connect(&up).await;
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
            .await
            .unwrap();
        open.push(stream);
    }
    // And bodies that were announced and never come.
    for _ in 0..MANY / 4 {
        let mut stream = connect(&up).await;
        let head = "POST /auth/euser/emailpass HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
        stream
            .write_all(format!("{head}content-length: 100\r\n\r\n{{").as_bytes())
            .await
            .unwrap();
        open.push(stream);
    }
    must_answer(&up, "many open connections").await;
    drop(open);
    must_answer(&up, "they are gone").await;
}
