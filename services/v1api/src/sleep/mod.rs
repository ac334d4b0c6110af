//! Apps that sleep when nobody asks for them: who asks is noted, and a request for one that sleeps waits
//! until it has been woken.
//!
//! Only apps that may sleep have an [`Activity`]; requests of all others pass without a look. It is shared by
//! the workers of this process, and told to the provisioner, which knows what all gateways have seen.

mod report;
mod wake;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;

use actix_web::HttpResponse;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use bytes::Bytes;

pub(crate) use report::Reporter;
pub(crate) use wake::{Hold, Waker};

/// When an app was asked for.
#[derive(Debug)]
pub(crate) struct Activity {
    began: Instant,
    /// How many requests, answers and sockets are under way.
    open: AtomicUsize,
    /// When the last one began or ended: milliseconds since `began`.
    last: AtomicU64,
    /// How many began or ended, and how many of these have been told.
    moved: AtomicU64,
    told: AtomicU64,
}

impl Default for Activity {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            open: AtomicUsize::new(0),
            last: AtomicU64::new(0),
            moved: AtomicU64::new(0),
            told: AtomicU64::new(0),
        }
    }
}

/// What is to be told of an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// How long nobody has asked for it.
    pub(crate) idle_ms: u64,
    moved: u64,
}

impl Activity {
    /// Notes that a request has come; it is under way until the answer is dropped.
    pub(crate) fn open(self: &Arc<Self>) -> Open {
        self.open.fetch_add(1, Ordering::Relaxed);
        self.note();
        Open(Arc::clone(self))
    }

    fn note(&self) {
        self.last.store(self.now(), Ordering::Relaxed);
        self.moved.fetch_add(1, Ordering::Release);
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// What is to be told, if there is news.
    pub(crate) fn news(&self) -> Option<Seen> {
        let moved = self.moved.load(Ordering::Acquire);
        let is_open = self.open.load(Ordering::Relaxed) > 0;
        if !is_open && moved == self.told.load(Ordering::Relaxed) {
            return None;
        }
        let idle_ms = if is_open {
            0
        } else {
            self.now().saturating_sub(self.last.load(Ordering::Relaxed))
        };
        Some(Seen { idle_ms, moved })
    }

    /// Notes that this was told.
    pub(crate) fn told(&self, seen: Seen) {
        self.told.store(seen.moved, Ordering::Relaxed);
    }
}

/// A request under way.
#[derive(Debug)]
pub(crate) struct Open(Arc<Activity>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.note();
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An answer that counts as under way until its body, or the socket that it has become, has ended.
pub(crate) fn held_open(response: HttpResponse, open: Option<Open>) -> HttpResponse {
    match open {
        Some(open) => response.map_body(|_, body| BoxBody::new(HeldOpen { body, _open: open })),
        None => response,
    }
}

struct HeldOpen {
    body: BoxBody,
    _open: Open,
}

impl MessageBody for HeldOpen {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_is_not_told_again_and_an_open_stream_always_is() {
        let activity = Arc::new(Activity::default());
        assert_eq!(activity.news(), None);
        let open = activity.open();
        for _ in 0..3 {
            let seen = activity.news().unwrap();
            assert_eq!(seen.idle_ms, 0);
            activity.told(seen);
        }
        let before_the_end = activity.news().unwrap();
        drop(open);
        activity.told(before_the_end);
        let seen = activity.news().unwrap();
        activity.told(seen);
        assert_eq!(activity.news(), None);
    }
}
