//! One exchange of the Git protocol: bytes in, bytes out, neither kept.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, ChildStdout};
use tokio::sync::mpsc;

use super::command::{Git, GitError, complaint};
use super::group::Group;
use crate::storage::GitDir;

/// How much is read from git at once.
const CHUNK: usize = 64 << 10;
/// How many chunks may wait on either way.
const WAITING: usize = 4;

/// The two services of the Git protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    /// Clone and fetch.
    UploadPack,
    /// Push.
    ReceivePack,
}

impl Service {
    /// The service of this name, as the protocol writes it.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        [Self::UploadPack, Self::ReceivePack]
            .into_iter()
            .find(|service| service.name() == name)
    }

    /// The name that the protocol gives it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::UploadPack => "git-upload-pack",
            Self::ReceivePack => "git-receive-pack",
        }
    }

    const fn subcommand(self) -> &'static str {
        match self {
            Self::UploadPack => "upload-pack",
            Self::ReceivePack => "receive-pack",
        }
    }
}

/// The two requests of which a conversation over HTTP consists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// What the repository has.
    Advertise,
    /// The objects.
    Exchange,
}

/// How an exchange ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Git ended by itself, well.
    Done,
    /// Git ended by itself with an error; this is what it complained of.
    Failed(String),
    /// The client went away, and git was ended.
    Left,
    /// It took longer than it may, and git was ended.
    TooLong,
}

/// A part of the request's body.
#[derive(Debug)]
enum Part {
    Bytes(Bytes),
    End,
}

/// The way into git. Dropped without [`finish`](Self::finish), the exchange is given up.
#[derive(Debug)]
pub(crate) struct Input(mpsc::Sender<Part>);

impl Input {
    /// Passes bytes on, waiting while git is busy. Once git has ended they are dropped.
    pub(crate) async fn send(&self, bytes: Bytes) {
        let _ended = self.0.send(Part::Bytes(bytes)).await;
    }

    /// Says that the client has sent all.
    pub(crate) async fn finish(self) {
        let _ended = self.0.send(Part::End).await;
    }
}

/// A running exchange.
#[derive(Debug)]
pub(crate) struct Exchange {
    /// To git.
    pub(crate) input: Input,
    /// From git; it ends when git has ended and what was to be done after that is done.
    pub(crate) output: mpsc::Receiver<Bytes>,
    /// How it ended, told after the last output.
    pub(crate) outcome: tokio::sync::oneshot::Receiver<Outcome>,
}

impl Git {
    /// Starts one step of a service on a repository. `version` is the protocol's, if the client
    /// asks for another than the first. What `after` does is done once git has ended, before the
    /// output ends, whether or not the client is still there.
    pub(crate) fn serve<F>(
        &self,
        repository: &GitDir,
        (service, step): (Service, Step),
        version: Option<u8>,
        limit: Duration,
        after: F,
    ) -> Result<Exchange, GitError>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut command = self.command();
        if let Some(version) = version {
            command.env("GIT_PROTOCOL", format!("version={version}"));
        }
        command.args([service.subcommand(), "--stateless-rpc"]);
        if step == Step::Advertise {
            command.arg("--http-backend-info-refs");
        }
        command.arg(repository.path());
        let child = command.spawn()?;
        let (input, parts) = mpsc::channel(WAITING);
        let (chunks, output) = mpsc::channel(WAITING);
        let (told, outcome) = tokio::sync::oneshot::channel();
        // A push that has arrived whole is finished even if its client has left.
        let needs_listener = service == Service::UploadPack;
        tokio::spawn(async move {
            let outcome = drive(child, parts, &chunks, needs_listener, limit).await;
            after.await;
            // Nobody may be listening any more.
            let _unheard = told.send(outcome);
            drop(chunks);
        });
        Ok(Exchange {
            input: Input(input),
            output,
            outcome,
        })
    }
}

/// How long git may take to end after it was told that nothing more comes.
const GRACE: Duration = Duration::from_secs(10);

/// Whether all that the client has to say has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fed {
    Whole,
    Cut,
}

/// An exchange that nobody waits for.
struct GivenUp;

async fn drive(
    mut child: Child,
    parts: mpsc::Receiver<Part>,
    chunks: &mpsc::Sender<Bytes>,
    needs_listener: bool,
    limit: Duration,
) -> Outcome {
    let group = Group::of(&child);
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let exchange = async {
        let both = async {
            tokio::try_join!(
                feed(stdin, parts, needs_listener),
                drain(stdout, chunks, needs_listener)
            )
        };
        let given_up = match tokio::time::timeout(limit, both).await {
            Ok(Ok((Fed::Whole, ()))) => None,
            Ok(Ok((Fed::Cut, ())) | Err(GivenUp)) => Some(Outcome::Left),
            Err(_elapsed) => Some(Outcome::TooLong),
        };
        // Its input is closed now. A push that ends by that removes what it had received; one that
        // ends by a signal leaves it.
        let status = tokio::time::timeout(GRACE, child.wait())
            .await
            .ok()
            .and_then(Result::ok);
        group.end(&mut child).await;
        (given_up, status)
    };
    let listen = async {
        match stderr {
            Some(stderr) => complaint(stderr).await.unwrap_or_default(),
            None => String::new(),
        }
    };
    match tokio::join!(exchange, listen) {
        ((Some(outcome), _), _) => outcome,
        ((None, Some(status)), _) if status.success() => Outcome::Done,
        ((None, _), complaint) => Outcome::Failed(complaint),
    }
}

/// Writes what the client sends into git, and closes its input. Once git reads no more, the rest is
/// taken and dropped: a client learns why only after it has sent all.
async fn feed(
    stdin: Option<ChildStdin>,
    mut parts: mpsc::Receiver<Part>,
    needs_listener: bool,
) -> Result<Fed, GivenUp> {
    let mut stdin = stdin;
    loop {
        match parts.recv().await {
            Some(Part::Bytes(bytes)) => {
                if let Some(pipe) = &mut stdin
                    && pipe.write_all(&bytes).await.is_err()
                {
                    stdin = None;
                }
            }
            Some(Part::End) => return Ok(Fed::Whole),
            None if needs_listener => return Err(GivenUp),
            None => return Ok(Fed::Cut),
        }
    }
}

async fn drain(
    stdout: Option<ChildStdout>,
    chunks: &mpsc::Sender<Bytes>,
    needs_listener: bool,
) -> Result<(), GivenUp> {
    let Some(mut stdout) = stdout else {
        return Ok(());
    };
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(CHUNK);
        match stdout.read_buf(&mut buffer).await {
            Ok(0) | Err(_) => return Ok(()),
            Ok(_) => {
                if chunks.send(buffer.split().freeze()).await.is_err() && needs_listener {
                    return Err(GivenUp);
                }
            }
        }
    }
}
