//! Following a log over a connection that may break: each new one goes on after the last line.

use std::time::Duration;

use common::api::provisioner::LogLine;
use reqwest::Response;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::sse::{SseEvent, SseParser};
use super::{Api, ApiError};

/// How long a log is tried to be reached again before it is given up.
const PATIENCE: Duration = Duration::from_mins(1);
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A stream that is silent for longer than any heartbeat is dead.
const SILENCE: Duration = Duration::from_mins(1);
/// Lines that wait to be shown.
const BUFFER: usize = 1_024;

/// The lines of a log as they come; `None` when the log has ended.
pub(crate) type Following = mpsc::Receiver<Result<LogLine, ApiError>>;

/// Follows the log at `path` until it ends or nobody listens any more.
pub(crate) fn follow(api: Api, path: String) -> Following {
    let (lines, following) = mpsc::channel(BUFFER);
    tokio::spawn(async move {
        let mut position = Position {
            api,
            path,
            last_id: None,
        };
        if let Err(error) = position.run(&lines).await {
            // Who doesn't listen doesn't want to know, either.
            let _unheard = lines.send(Err(error)).await;
        }
    });
    following
}

/// How a connection ended.
enum End {
    /// The log is complete, or nobody listens.
    Complete,
    /// The connection broke; whether it brought something before.
    Broken { progress: bool },
}

struct Position {
    api: Api,
    path: String,
    last_id: Option<String>,
}

impl Position {
    async fn run(
        &mut self,
        lines: &mpsc::Sender<Result<LogLine, ApiError>>,
    ) -> Result<(), ApiError> {
        let (mut pause, mut give_up) = (FIRST_PAUSE, Instant::now() + PATIENCE);
        loop {
            match self.connect().await {
                Ok(response) => match self.read(response, lines).await? {
                    End::Complete => return Ok(()),
                    End::Broken { progress: true } => {
                        (pause, give_up) = (FIRST_PAUSE, Instant::now() + PATIENCE);
                    }
                    End::Broken { progress: false } => {}
                },
                Err(error) if !error.is_passing() || Instant::now() > give_up => return Err(error),
                Err(_) => {}
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn connect(&self) -> Result<Response, ApiError> {
        self.api
            .open(&self.path, "text/event-stream", self.last_id.as_deref())
            .await
    }

    async fn read(
        &mut self,
        mut response: Response,
        lines: &mpsc::Sender<Result<LogLine, ApiError>>,
    ) -> Result<End, ApiError> {
        let mut parser = SseParser::default();
        let mut progress = false;
        loop {
            let Ok(Ok(Some(chunk))) = tokio::time::timeout(SILENCE, response.chunk()).await else {
                return Ok(End::Broken { progress });
            };
            for event in parser.push(&chunk) {
                progress = true;
                let Some(line) = self.understand(event)? else {
                    return Ok(End::Complete);
                };
                if lines.send(Ok(line)).await.is_err() {
                    return Ok(End::Complete);
                }
            }
        }
    }

    /// The event's line; none if it says that no more will come.
    fn understand(&mut self, event: SseEvent) -> Result<Option<LogLine>, ApiError> {
        if event.event == "end" {
            return Ok(None);
        }
        let line = serde_json::from_str(&event.data).map_err(|source| ApiError::Unreadable {
            what: format!("GET {}", self.path),
            source: source.into(),
        })?;
        if event.id.is_some() {
            self.last_id = event.id;
        }
        Ok(Some(line))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    fn event(number: i64) -> String {
        let line = serde_json::json!({
            "number": number, "time": "2026-01-01T00:00:00Z", "phase": "build", "stream": "stdout",
            "text": format!("line {number}"),
        });
        format!("id: {number}\ndata: {line}\n\n")
    }

    /// Reads a request's head and answers the stream's beginning.
    async fn accept(listener: &TcpListener) -> (TcpStream, String) {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(socket.read_u8().await.unwrap());
        }
        socket
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
            .await
            .unwrap();
        (socket, String::from_utf8(head).unwrap())
    }

    #[tokio::test]
    async fn after_a_break_a_log_goes_on_behind_its_last_line() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let (mut socket, head) = accept(&listener).await;
            assert!(!head.contains("last-event-id"), "{head}");
            socket
                .write_all(format!("{}{}", event(1), event(2)).as_bytes())
                .await
                .unwrap();
            drop(socket);
            let (mut socket, head) = accept(&listener).await;
            assert!(head.contains("last-event-id: 2"), "{head}");
            socket
                .write_all(format!("{}event: end\ndata: {{}}\n\n", event(3)).as_bytes())
                .await
                .unwrap();
        });
        let mut following = follow(Api::new(url.parse().unwrap()).unwrap(), "/log".into());
        let mut numbers = Vec::new();
        while let Some(line) = following.recv().await {
            numbers.push(line.unwrap().number);
        }
        assert_eq!(numbers, [1, 2, 3]);
        server.await.unwrap();
    }
}
