//! Running one command to its end: output handed on as it comes, nothing left behind.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio_util::sync::CancellationToken;

use crate::process::{Exit, Group, Host, ProcessSpec};

/// How long a command that is stopped may take to clean up.
const GRACE: Duration = Duration::from_secs(2);
/// How long output is still read after the last process has been ended.
const DRAIN: Duration = Duration::from_secs(5);

/// How a command ended, or why it was ended.
#[derive(Debug)]
pub(crate) enum Ended<T> {
    /// By itself.
    Exit(Exit),
    /// Because of what the caller waited for.
    Stopped(T),
}

/// Runs `spec`, whose output must go to pipes, until it ends or `stop` does. All processes that came
/// of it are gone when this returns, and are ended soon after when it is dropped.
pub(crate) async fn run<T>(
    host: &Arc<Host>,
    spec: ProcessSpec,
    stop: impl Future<Output = T>,
    out: impl FnMut(&[u8]),
    err: impl FnMut(&[u8]),
) -> io::Result<Ended<T>> {
    let group = Guard(Some(Group::spawn(host, spec)?));
    let Some(running) = group.0.clone() else {
        return Err(io::Error::other("the group is gone"));
    };
    let (stdout, stderr) = (running.take_stdout(), running.take_stderr());
    let over = CancellationToken::new();
    let watch = async {
        let (ended, grace) = tokio::select! {
            why = stop => (Ended::Stopped(why), GRACE),
            exit = running.wait() => (Ended::Exit(exit), Duration::ZERO),
        };
        // Also after a good end: what a build leaves in the background is part of it.
        let gone = running.terminate(grace).await;
        over.cancel();
        gone.map(|()| ended).map_err(io::Error::other)
    };
    let read = async {
        let late = async {
            over.cancelled().await;
            tokio::time::sleep(DRAIN).await;
        };
        tokio::select! {
            _ = async { tokio::join!(copy(stdout, out), copy(stderr, err)) } => {}
            () = late => {}
        }
    };
    let (ended, ()) = tokio::join!(watch, read);
    group.disarm();
    ended
}

async fn copy(from: Option<impl AsyncRead + Unpin>, mut to: impl FnMut(&[u8])) {
    let Some(mut from) = from else { return };
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        to(buffer.get(..count).unwrap_or_default());
    }
}

/// Ends the group when the future that waits for it is dropped.
struct Guard(Option<Group>);

impl Guard {
    fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(group) = self.0.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(async move {
                if let Err(error) = group.terminate(Duration::ZERO).await {
                    tracing::warn!(error = %error, "processes of an abandoned build are left");
                }
            });
        }
    }
}
