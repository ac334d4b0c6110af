//! What the tests of running things share.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use slipway_provisioner::driver::{HealthCheck, InstanceSpec, StartCommand};
use slipway_provisioner::local::{Backoff, LocalSettings, Sealer, Supervisor};
use slipway_provisioner::process::{Host, Limits};

/// A name that no other test and no other run uses.
pub(crate) fn unique(name: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!(
        "{name}-{}-{}",
        std::process::id(),
        COUNT.fetch_add(1, Ordering::Relaxed)
    )
}

/// A machine with control groups as they are, and one without.
pub(crate) fn both_hosts() -> [Arc<Host>; 2] {
    [
        Host::new(&unique("node")),
        Host::without_cgroups(&unique("node")),
    ]
}

/// A directory that apps running as other users can reach.
pub(crate) fn open_directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    directory
}

/// Waits, within bounds, until there is something.
pub(crate) async fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(
            started.elapsed() < Duration::from_secs(30),
            "waited too long for: {what}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Whether a process runs; a zombie doesn't.
pub(crate) fn runs(pid: u32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return false;
    };
    !stat.rsplit_once(") ").unwrap().1.starts_with('Z')
}

/// The pids that an app wrote to a file, once there are `count`.
pub(crate) async fn pids_in(file: &Path, count: usize) -> Vec<u32> {
    eventually("pids in a file", || {
        let text = std::fs::read_to_string(file).ok()?;
        let pids: Vec<u32> = text.lines().filter_map(|line| line.parse().ok()).collect();
        (pids.len() >= count && text.ends_with('\n')).then_some(pids)
    })
    .await
}

/// Not a cipher, but enough that a record can't hold a value by mistake.
#[derive(Debug)]
pub(crate) struct Flip;

impl Sealer for Flip {
    fn seal(&self, plain: &[u8]) -> io::Result<Vec<u8>> {
        Ok(plain.iter().map(|byte| byte ^ 0x5a).collect())
    }
    fn open(&self, sealed: &[u8]) -> io::Result<Vec<u8>> {
        self.seal(sealed)
    }
}

/// Settings for quick tests.
pub(crate) fn settings(state: &Path) -> LocalSettings {
    LocalSettings {
        static_server: super::roles::command(),
        backoff: Backoff {
            first: Duration::from_millis(50),
            ..Backoff::default()
        },
        ..LocalSettings::new(state)
    }
}

/// A supervisor with its state in `state`.
pub(crate) fn supervisor(host: &Arc<Host>, state: &Path) -> Supervisor {
    Supervisor::new(host, settings(state), Arc::new(Flip)).unwrap()
}

/// An instance that runs a shell command in `directory`.
pub(crate) fn shell_app(directory: &Path, command: &str) -> InstanceSpec {
    InstanceSpec {
        id: unique("inst"),
        environment_id: unique("projenv"),
        release_id: unique("release"),
        tree: directory.to_path_buf(),
        directory: directory.to_path_buf(),
        command: StartCommand::Run(vec!["/bin/sh".into(), "-c".into(), command.into()]),
        variables: BTreeMap::new(),
        port_variables: vec!["PORT".into()],
        owner: None,
        limits: Limits::default(),
        health: HealthCheck {
            path: None,
            time_limit: Duration::from_secs(30),
        },
        grace: Duration::from_secs(5),
    }
}

/// A small web app in Python: it says its pid at `/`, a variable at `/env/NAME`, a file's content (or
/// why not) at `/read/PATH`, and ends with code 9 at `/die`.
pub(crate) const WEB_APP: &str = r"
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        status, text = 200, str(os.getpid())
        if self.path.startswith('/env/'):
            text = os.environ.get(self.path[5:], '')
        elif self.path.startswith('/read/'):
            try:
                text = open(self.path[5:]).read()
            except OSError as error:
                text = type(error).__name__
        elif self.path == '/broken':
            status = 503
        elif self.path == '/die':
            print('about to die', flush=True)
            os._exit(9)
        body = text.encode()
        self.send_response(status)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args): pass
class Server(http.server.HTTPServer):
    allow_reuse_address = True
print('starting', flush=True)
Server(('127.0.0.1', int(os.environ.get('FIXED') or os.environ['PORT'])), Handler).serve_forever()
";

/// An instance of [`WEB_APP`].
pub(crate) fn web_app(directory: &Path) -> InstanceSpec {
    std::fs::write(directory.join("app.py"), WEB_APP).unwrap();
    shell_app(directory, "exec python3 app.py")
}

/// A port that is free now, outside of what the driver gives out.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// The body of a GET; `None` when nobody answers.
pub(crate) fn get(address: SocketAddr, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer.split_once("\r\n\r\n")?.1.to_owned())
}
