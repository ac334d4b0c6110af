//! The git of a person.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tempfile::TempDir;
use tokio::process::Command;

/// A clone of a person's, in a directory of its own.
pub(crate) struct Repository {
    room: TempDir,
}

impl Repository {
    /// A new one with one commit on `branch`.
    pub(crate) async fn new(branch: &str) -> Self {
        let repository = Self {
            room: tempfile::tempdir().unwrap(),
        };
        repository
            .git(&["init", "--quiet", &format!("--initial-branch={branch}")])
            .await;
        repository.commit("app.js", "console.log('hello')").await;
        repository
    }

    /// An empty directory to clone into.
    pub(crate) fn nothing() -> Self {
        Self {
            room: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.room.path().to_owned()
    }

    /// Commits a file and answers the commit.
    pub(crate) async fn commit(&self, file: &str, content: impl AsRef<[u8]>) -> String {
        std::fs::write(self.room.path().join(file), content).unwrap();
        self.git(&["add", "--all"]).await;
        self.git(&["commit", "--quiet", "--message", file]).await;
        self.git(&["rev-parse", "HEAD"]).await
    }

    pub(crate) async fn git(&self, arguments: &[&str]) -> String {
        git(self.room.path(), None, arguments).await
    }

    /// git with a token for whatever it calls.
    pub(crate) async fn git_as(&self, token: &str, arguments: &[&str]) -> String {
        git(self.room.path(), Some(token), arguments).await
    }

    /// git with a name and password for whatever it calls.
    pub(crate) async fn git_basic(&self, credentials: (&str, &str), arguments: &[&str]) -> String {
        let header = basic(credentials);
        git(
            self.room.path(),
            None,
            &[&["-c", &header], arguments].concat(),
        )
        .await
    }

    /// Whether git with a name and password fails.
    pub(crate) async fn fails_basic(&self, credentials: (&str, &str), arguments: &[&str]) -> bool {
        let header = basic(credentials);
        let arguments = [&["-c", &header], arguments].concat();
        !run(self.room.path(), None, &arguments).await.0
    }

    /// git that must fail, and what it says.
    pub(crate) async fn fails_as(&self, token: Option<&str>, arguments: &[&str]) -> String {
        git_fails(self.room.path(), token, arguments).await
    }
}

fn basic((user, password): (&str, &str)) -> String {
    let pair = STANDARD.encode(format!("{user}:{password}"));
    format!("http.extraHeader=Authorization: Basic {pair}")
}

/// Runs git; it must succeed. What it printed to standard output.
pub(crate) async fn git(directory: &Path, token: Option<&str>, arguments: &[&str]) -> String {
    let (success, stdout, stderr) = run(directory, token, arguments).await;
    assert!(success, "git {arguments:?} failed: {stderr}");
    stdout
}

/// Runs git; it must fail. What it printed to standard error.
async fn git_fails(directory: &Path, token: Option<&str>, arguments: &[&str]) -> String {
    let (success, _, stderr) = run(directory, token, arguments).await;
    assert!(!success, "git {arguments:?} succeeded");
    stderr
}

async fn run(directory: &Path, token: Option<&str>, arguments: &[&str]) -> (bool, String, String) {
    let mut command = Command::new("git");
    command
        .args(arguments)
        .current_dir(directory)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("NO_PROXY", "127.0.0.1")
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let mut settings = vec![
        ("user.name", "Test".to_owned()),
        ("user.email", "test@example.com".to_owned()),
    ];
    if let Some(token) = token {
        settings.push(("http.extraHeader", format!("Authorization: Bearer {token}")));
    }
    command.env("GIT_CONFIG_COUNT", settings.len().to_string());
    for (place, (name, value)) in settings.iter().enumerate() {
        command
            .env(format!("GIT_CONFIG_KEY_{place}"), name)
            .env(format!("GIT_CONFIG_VALUE_{place}"), value);
    }
    let output = command.output().await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    (
        output.status.success(),
        text(&output.stdout),
        text(&output.stderr),
    )
}
