//! Running git: by its own program, in an environment made from nothing.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

use super::group::Group;
use crate::storage::GitDir;

/// How long a command that only looks at a repository may take.
const LOOK_LIMIT: Duration = Duration::from_secs(30);
/// The most that such a command may print: a million branches fit.
const MOST_OUTPUT: u64 = 128 << 20;
/// How much of what git complains of is kept.
const MOST_COMPLAINT: u64 = 4 << 10;

/// What git is told besides its own defaults; no file of the system or of a user is read.
const CONFIGURATION: [(&str, &str); 12] = [
    // A hook would be somebody's program run by this service.
    ("core.hooksPath", "/dev/null"),
    // A push that was answered is on the disk, names included.
    ("core.fsync", "committed,reference"),
    // The operator may lay repositories as another user than the service's.
    ("safe.directory", "*"),
    ("receive.fsckObjects", "true"),
    // Three faults of old tools, harmless and found in many an old repository.
    ("receive.fsck.badTimezone", "ignore"),
    ("receive.fsck.missingSpaceBeforeDate", "ignore"),
    ("receive.fsck.zeroPaddedFilemode", "ignore"),
    // A shallow clone can be deployed, too.
    ("receive.shallowUpdate", "true"),
    // It would outlive the request; the service cleans up by itself after a push.
    ("receive.autogc", "false"),
    ("uploadpack.allowAnySHA1InWant", "true"),
    // One client's clone must not take the whole machine.
    ("pack.threads", "2"),
    ("pack.windowMemory", "64m"),
];

/// Why git didn't do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GitError {
    /// It could not be run.
    #[error("git can't be run")]
    Run(#[from] std::io::Error),
    /// It ended with an error.
    #[error("git {command} failed: {complaint}")]
    Failed {
        /// Its subcommand.
        command: String,
        /// The end of what it printed to standard error.
        complaint: String,
    },
    /// It took too long or printed too much.
    #[error("git {command} went beyond its limits")]
    Beyond {
        /// Its subcommand.
        command: String,
    },
}

/// The system's git.
#[derive(Clone, Debug)]
pub(crate) struct Git {
    program: PathBuf,
    search_path: OsString,
    home: PathBuf,
    push_limit: u64,
}

impl Git {
    /// A git found as `program` on `search_path`, whose home is the directory `home`, and which
    /// takes packs of at most `push_limit` bytes.
    pub(crate) fn new(
        program: PathBuf,
        search_path: OsString,
        home: PathBuf,
        push_limit: u64,
    ) -> Self {
        Self {
            program,
            search_path,
            home,
            push_limit,
        }
    }

    /// A command in a process group of its own.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .env_clear()
            .env("PATH", &self.search_path)
            .env("HOME", &self.home)
            .env("LC_ALL", "C")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_ATTR_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            // What is missing in a repository is missing: no remote is asked for it.
            .env("GIT_NO_LAZY_FETCH", "1")
            .env("GIT_ALLOW_PROTOCOL", "")
            .current_dir(&self.home)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        for (name, value) in CONFIGURATION {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        command
            .arg("-c")
            .arg(format!("receive.maxInputSize={}", self.push_limit));
        command
    }

    /// A command on a repository.
    pub(super) fn command_in(&self, repository: &GitDir) -> Command {
        let mut command = self.command();
        command.env("GIT_DIR", repository.path());
        command
    }

    /// What `git version` tells.
    pub(crate) async fn version(&self) -> Result<String, GitError> {
        let mut command = self.command();
        command.arg("version");
        let output = finish("version", command, Vec::new(), LOOK_LIMIT).await?;
        Ok(String::from_utf8_lossy(&output).trim().to_owned())
    }

    /// Makes an empty bare repository at a path where nothing is.
    pub(crate) async fn init(&self, path: &Path) -> Result<(), GitError> {
        let mut command = self.command();
        command
            .args([
                "init",
                "--bare",
                "--quiet",
                "--template=",
                "--initial-branch=main",
            ])
            .arg(path);
        finish("init", command, Vec::new(), LOOK_LIMIT)
            .await
            .map(drop)
    }

    /// Runs a short command on a repository to its end and answers what it printed.
    pub(super) async fn ask(
        &self,
        repository: &GitDir,
        arguments: &[&str],
        input: Vec<u8>,
    ) -> Result<Vec<u8>, GitError> {
        self.ask_within(LOOK_LIMIT, repository, arguments, input)
            .await
    }

    /// The same with a time limit of the caller's.
    pub(super) async fn ask_within(
        &self,
        limit: Duration,
        repository: &GitDir,
        arguments: &[&str],
        input: Vec<u8>,
    ) -> Result<Vec<u8>, GitError> {
        let mut command = self.command_in(repository);
        command.args(arguments);
        finish(
            arguments.first().copied().unwrap_or_default(),
            command,
            input,
            limit,
        )
        .await
    }
}

async fn finish(
    name: &str,
    mut command: Command,
    input: Vec<u8>,
    limit: Duration,
) -> Result<Vec<u8>, GitError> {
    let mut child = command.spawn()?;
    let group = Group::of(&child);
    let ran = tokio::time::timeout(limit, run(&mut child, input)).await;
    let result = match ran {
        Ok(Ok((Some(output), complaint))) => {
            let status = child.wait().await?;
            if status.success() {
                Ok(output)
            } else {
                Err(GitError::Failed {
                    command: name.to_owned(),
                    complaint,
                })
            }
        }
        Ok(Err(error)) => Err(GitError::Run(error)),
        Ok(Ok((None, _))) | Err(_) => Err(GitError::Beyond {
            command: name.to_owned(),
        }),
    };
    group.end(&mut child).await;
    result
}

/// Feeds a command and reads all that it prints; `None` for more than a command may print.
async fn run(child: &mut Child, input: Vec<u8>) -> std::io::Result<(Option<Vec<u8>>, String)> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let feed = async {
        if let Some(mut stdin) = stdin {
            // A command that has read enough closes its end; its exit code tells the rest.
            let _closed_early = stdin.write_all(&input).await;
        }
        Ok(())
    };
    let read = async {
        let mut output = Vec::new();
        if let Some(stdout) = stdout {
            stdout
                .take(MOST_OUTPUT + 1)
                .read_to_end(&mut output)
                .await?;
        }
        let fits = u64::try_from(output.len()).is_ok_and(|len| len <= MOST_OUTPUT);
        Ok(fits.then_some(output))
    };
    let listen = async {
        match stderr {
            Some(stderr) => complaint(stderr).await,
            None => Ok(String::new()),
        }
    };
    let ((), output, complaint) = tokio::try_join!(feed, read, listen)?;
    Ok((output, complaint))
}

/// The beginning of what is printed to standard error, in one line; the rest is read and dropped.
pub(super) async fn complaint(mut stderr: impl AsyncRead + Unpin) -> std::io::Result<String> {
    let mut kept = Vec::new();
    (&mut stderr)
        .take(MOST_COMPLAINT)
        .read_to_end(&mut kept)
        .await?;
    tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await?;
    let text = String::from_utf8_lossy(&kept);
    Ok(text.split_whitespace().collect::<Vec<_>>().join(" "))
}
