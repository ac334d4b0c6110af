//! A small app that says which version it is and which process.

use std::path::{Path, PathBuf};

/// Answers `<version> <pid>`, on POST also with the body; talks to its database's port where it has one.
const SERVER: &str = r"
import http.server, os, signal, sys
VERSION = open('version').read().strip()
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    disable_nagle_algorithm = True
    def answer(self, body):
        text = f'{VERSION} {os.getpid()}'.encode() + body
        self.send_response(200)
        self.send_header('Content-Length', str(len(text)))
        self.end_headers()
        self.wfile.write(text)
    def do_GET(self):
        if self.path == '/database':
            return self.answer(b' ' + os.environ.get('DATABASE_URL', '').encode())
        self.answer(b'')
    def do_POST(self):
        self.answer(b' ' + self.rfile.read(int(self.headers['Content-Length'])))
    def log_message(self, *args): pass
class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128
Server(('127.0.0.1', int(os.environ['PORT'])), Handler).serve_forever()
";

/// A repository that the operator has laid under the platform's data.
pub(super) struct App(PathBuf);

impl App {
    /// The app in its first version, as `acme/app`.
    pub(super) fn new(data_dir: &Path) -> Self {
        let app = Self(data_dir.join("repos/acme/app"));
        std::fs::create_dir_all(&app.0).unwrap();
        app.git(&["init", "-q", "-b", "main"]);
        app.write(
            "Procfile",
            "web: exec python3 app.py\nrelease: echo migrated\n",
        );
        app.write("app.py", SERVER);
        app
    }

    pub(super) fn write(&self, path: &str, text: &str) {
        std::fs::write(self.0.join(path), text).unwrap();
    }

    /// Commits what is there as this version.
    pub(super) fn commit(&self, version: &str) {
        self.write("version", version);
        self.git(&["add", "-A"]);
        let author = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"];
        self.git(&[&author[..], &["commit", "-q", "-m", version]].concat());
    }

    /// Lays it under another platform's data, too.
    pub(super) fn copy_to(&self, data_dir: &Path) {
        let copy = data_dir.join("repos/acme/app");
        std::fs::create_dir_all(&copy).unwrap();
        let source = self.0.join(".");
        let done = std::process::Command::new("cp")
            .arg("-a")
            .args([source, copy])
            .status();
        assert!(done.unwrap().success());
    }

    fn git(&self, words: &[&str]) {
        let done = std::process::Command::new("git")
            .args(words)
            .current_dir(&self.0)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .output()
            .unwrap();
        assert!(done.status.success(), "git {words:?}: {done:?}");
    }
}
