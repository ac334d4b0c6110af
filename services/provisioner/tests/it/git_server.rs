//! Git's own HTTP back end behind a small server that can ask for a token.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;

/// Serves the repositories of one directory.
pub struct GitServer {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl GitServer {
    /// Serves what is in `root`; with `token`, only to who bears it.
    pub async fn start(root: &Path, token: Option<&str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (root, token, log) = (root.to_owned(), token.map(str::to_owned), Arc::clone(&seen));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (root, token, log) = (root.clone(), token.clone(), Arc::clone(&log));
                tokio::spawn(async move { serve(stream, root, token, log).await });
            }
        });
        Self {
            address,
            seen,
            task,
        }
    }

    pub fn url(&self, repository: &str) -> String {
        format!("http://{}/{repository}", self.address)
    }

    /// Request lines with the authorisation that came with each.
    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for GitServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Answers one request and closes: enough for a client that asks a handful of times.
async fn serve(
    stream: TcpStream,
    root: PathBuf,
    token: Option<String>,
    log: Arc<Mutex<Vec<String>>>,
) {
    let mut stream = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
            return;
        }
        if line.trim().is_empty() {
            break;
        }
        head.push(line.trim().to_owned());
    }
    let header = |name: &str| {
        head.iter().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found
                .eq_ignore_ascii_case(name)
                .then(|| value.trim().to_owned())
        })
    };
    let authorization = header("authorization").unwrap_or_default();
    log.lock()
        .unwrap()
        .push(format!("{} [{authorization}]", head[0]));
    let target = head[0].split(' ').nth(1).unwrap().to_owned();
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let answer = if path.starts_with("/moved") {
        b"HTTP/1.1 302 Found\r\nLocation: /elsewhere.git/info/refs\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec()
    } else if token.is_some_and(|token| authorization != format!("Bearer {token}")) {
        b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec()
    } else {
        let length: usize = header("content-length")
            .and_then(|text| text.parse().ok())
            .unwrap_or(0);
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.unwrap();
        let method = head[0].split(' ').next().unwrap();
        let extra = [
            ("REQUEST_METHOD", method.to_owned()),
            ("PATH_INFO", path.to_owned()),
            ("QUERY_STRING", query.to_owned()),
            ("CONTENT_TYPE", header("content-type").unwrap_or_default()),
            ("CONTENT_LENGTH", length.to_string()),
            (
                "HTTP_CONTENT_ENCODING",
                header("content-encoding").unwrap_or_default(),
            ),
            ("GIT_PROTOCOL", header("git-protocol").unwrap_or_default()),
        ];
        backend(&root, extra, body).await
    };
    let _ = stream.write_all(&answer).await;
    let _ = stream.shutdown().await;
}

async fn backend(root: &Path, extra: [(&str, String); 7], body: Vec<u8>) -> Vec<u8> {
    let mut child = Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "safe.directory")
        .env("GIT_CONFIG_VALUE_0", "*")
        .envs(extra)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    tokio::spawn(async move { stdin.write_all(&body).await });
    let output = child.wait_with_output().await.unwrap().stdout;
    let end = output
        .windows(4)
        .position(|bytes| bytes == b"\r\n\r\n")
        .unwrap();
    let head = String::from_utf8_lossy(&output[..end]).into_owned();
    let status = head
        .lines()
        .find_map(|line| line.strip_prefix("Status: "))
        .unwrap_or("200 OK")
        .to_owned();
    let mut answer =
        format!("HTTP/1.1 {status}\r\nConnection: close\r\n{head}\r\n\r\n").into_bytes();
    answer.extend_from_slice(&output[end + 4..]);
    answer
}
