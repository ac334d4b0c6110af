//! The gateway's hot path, to be counted: a gateway that answers a number of checked and counted calls, and ends.
//!
//! `scripts/bench-instructions` runs it under callgrind. The client and the upstream are a process of their
//! own, this program once more (`hot_path drive`), which isn't counted. `hot_path CALLS CONNECTIONS` chooses how
//! many calls there are, and over how many connections in turn.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a measurement can't go on without"
)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStdin, Command, Stdio};

use reqwest::Method;
use serde_json::json;
use testkit::{Backend, Builder, Double, expect};

const CALLS: u32 = 1_000;
const CONNECTIONS: u32 = 1;

const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/html; charset=utf-8\r\ncache-control: no-cache\r\n\
    etag: \"0123456789abcdef\"\r\nlast-modified: Sun, 01 Nov 2026 12:00:00 GMT\r\n\
    date: Sun, 01 Nov 2026 12:00:00 GMT\r\ncontent-length: 12\r\n\r\nhello world\n";

fn main() {
    let mut words = std::env::args().skip(1);
    let first = words.next();
    if first.as_deref() == Some("drive") {
        return drive();
    }
    let number = |word: Option<String>| word.map(|word| word.parse::<u32>().expect("a number"));
    let calls = number(first).unwrap_or(CALLS);
    let connections = number(words.next()).unwrap_or(CONNECTIONS);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(measure(calls, connections));
}

async fn measure(calls: u32, connections: u32) {
    let mut driver = Driver::start();
    let upstream = driver.line();
    let backend = Backend::sqlite();
    let nothing = |name| Double::new(name, |_| (404, json!({})));
    let mut builder = Builder::new(&backend)
        // Under callgrind everything takes fifty times as long.
        .setting("tokens.max_staleness", "1h")
        .setting("gateway.public_url", "http://slipway.example")
        .service(slipway_v1api::service());
    for name in ["account", "project", "github", "provisioner"] {
        builder = builder.double(&nothing(name));
    }
    let harness = builder.start().await;
    let named = json!({ "name": "site", "upstream": format!("http://127.0.0.1:{upstream}"), "scopes": ["read"] });
    let naming = harness.request(Method::POST, "v1api", "/v1/services");
    expect(
        201,
        naming.bearer_auth(harness.issuer().admin()).json(&named),
    )
    .await;
    let (user, _) = harness.issuer().someone();
    let key = harness.issuer().api_key(&user, "service:site:read", None);
    let api = &harness.platform().directory().get("v1api").unwrap().api;
    let port = api.rsplit(':').next().unwrap();
    driver.tell(&format!(
        "{port} /v1/site/index.html {key} {connections} {calls}"
    ));
    let mut process = driver.process;
    let ended = tokio::task::spawn_blocking(move || process.wait().unwrap());
    assert!(ended.await.unwrap().success());
    println!("{calls} calls over {connections} connections");
    harness.stop().await;
}

/// The other process.
struct Driver {
    process: Child,
    says: BufReader<std::process::ChildStdout>,
    hears: ChildStdin,
}

impl Driver {
    fn start() -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .arg("drive")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let says = BufReader::new(process.stdout.take().unwrap());
        let hears = process.stdin.take().unwrap();
        Self {
            process,
            says,
            hears,
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.says.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    fn tell(&mut self, line: &str) {
        writeln!(self.hears, "{line}").unwrap();
    }
}

/// Says where the upstream is, hears what to call, and calls.
fn drive() {
    let upstream = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("{}", upstream.local_addr().unwrap().port());
    std::thread::spawn(move || {
        for stream in upstream.incoming() {
            std::thread::spawn(move || answer(&stream.unwrap()));
        }
    });
    let line = std::io::stdin().lines().next().unwrap().unwrap();
    let mut words = line.split(' ');
    let mut word = || words.next().unwrap();
    let (port, path, key) = (word(), word(), word());
    let (connections, calls): (u32, u32) = (word().parse().unwrap(), word().parse().unwrap());
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {key}\r\n\r\n"
    );
    let mut streams: Vec<_> = (0..connections)
        .map(|_| TcpStream::connect(format!("127.0.0.1:{port}")).unwrap())
        .collect();
    call(&mut streams, &request, calls);
}

/// Makes so many calls, each connection's next one when all have had their answers.
fn call(streams: &mut [TcpStream], request: &str, calls: u32) {
    let mut answer = [0; 4096];
    let turns = calls / u32::try_from(streams.len()).unwrap();
    for _ in 0..turns {
        for stream in &mut *streams {
            stream.write_all(request.as_bytes()).unwrap();
        }
        for stream in &mut *streams {
            let mut length = 0;
            while !answer[..length].ends_with(b"hello world\n") {
                let read = stream.read(&mut answer[length..]).unwrap();
                assert!(read > 0, "{}", answer[..length].escape_ascii());
                length += read;
            }
            assert!(answer.starts_with(b"HTTP/1.1 200"));
        }
    }
}

/// An upstream's side of a connection.
fn answer(mut stream: &TcpStream) {
    let (mut request, mut length) = ([0; 8192], 0);
    loop {
        let read = stream.read(&mut request[length..]).unwrap_or(0);
        if read == 0 {
            return;
        }
        length += read;
        if request[..length].ends_with(b"\r\n\r\n") {
            stream.write_all(ANSWER.as_bytes()).unwrap();
            length = 0;
        }
    }
}
