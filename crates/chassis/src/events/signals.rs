//! Hints that a feed has something new. A hint may get lost: followers also look by themselves.

use std::sync::Arc;

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc};

/// How many hints may wait for a slow receiver; one that misses some takes it for a hint
/// about everything.
const WAITING: usize = 256;

/// What a hint is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Hint {
    /// The feed of this name.
    Feed(Arc<str>),
    /// Any feed: hints may have been missed.
    Everything,
}

/// Sends hints to all processes and receives theirs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Signals {
    local: broadcast::Sender<Hint>,
    remote: Option<mpsc::Sender<Arc<str>>>,
}

impl Default for Signals {
    fn default() -> Self {
        Self {
            local: broadcast::Sender::new(WAITING),
            remote: None,
        }
    }
}

impl Signals {
    /// Signals that also go to other processes, and the end from which those are to be taken.
    pub(super) fn with_remote() -> (Self, mpsc::Receiver<Arc<str>>) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (
            Self {
                remote: Some(sender),
                ..Self::default()
            },
            receiver,
        )
    }

    /// Tells followers, here and in other processes, that this feed has something new. Call it
    /// after the commit; [`feed::append`](crate::feed::append) has it called for you.
    pub fn send(&self, feed: &str) {
        let feed: Arc<str> = feed.into();
        if let Some(remote) = &self.remote {
            // Full while the broker is away: every follower looks anew after a reconnect.
            let _full = remote.try_send(Arc::clone(&feed));
        }
        self.hint(Hint::Feed(feed));
    }

    /// Passes a hint on within the process.
    pub(super) fn hint(&self, hint: Hint) {
        let _nobody_listens = self.local.send(hint);
    }

    /// Receives hints from now on.
    #[must_use]
    pub fn subscribe(&self) -> SignalReceiver {
        SignalReceiver(self.local.subscribe())
    }
}

/// The receiving end of [`Signals`].
#[derive(Debug)]
pub struct SignalReceiver(broadcast::Receiver<Hint>);

impl SignalReceiver {
    /// Waits for a hint that this feed may have something new. Safe to cancel.
    pub async fn about(&mut self, feed: &str) {
        loop {
            match self.0.recv().await {
                Ok(Hint::Feed(name)) if &*name != feed => {}
                Ok(_) | Err(RecvError::Lagged(_)) => return,
                // No more hints will come; the follower's own looks go on.
                Err(RecvError::Closed) => std::future::pending().await,
            }
        }
    }
}
