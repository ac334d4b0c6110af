//! Deadlines of requests: one clock for all that a worker waits for, instead of a timer each.
//!
//! They are kept to within a tick. While nothing is waited for, nothing ticks.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use slab::Slab;

/// The longest time between two looks.
const TICK: Duration = Duration::from_millis(100);

struct Entry {
    until: Instant,
    over: bool,
    waker: Option<Waker>,
}

/// One worker's deadlines.
#[derive(Default)]
pub(crate) struct Deadlines {
    entries: RefCell<Slab<Entry>>,
    ticking: Cell<bool>,
}

/// One of them; it is forgotten when it is dropped.
pub(crate) struct Deadline {
    all: Rc<Deadlines>,
    key: usize,
}

impl Deadlines {
    /// A deadline at this moment.
    pub(crate) fn at(self: &Rc<Self>, until: Instant) -> Deadline {
        let entry = Entry {
            until,
            over: false,
            waker: None,
        };
        let key = self.entries.borrow_mut().insert(entry);
        if !self.ticking.replace(true) {
            actix_web::rt::spawn(tick(Rc::downgrade(self)));
        }
        Deadline {
            all: Rc::clone(self),
            key,
        }
    }

    /// Wakes who waits for a deadline that is over, and tells whether there are any left.
    fn look(&self, now: Instant) -> bool {
        let mut entries = self.entries.borrow_mut();
        for (_, entry) in entries.iter_mut().filter(|(_, entry)| entry.until <= now) {
            entry.over = true;
            if let Some(waker) = entry.waker.take() {
                waker.wake();
            }
        }
        !entries.is_empty()
    }
}

async fn tick(deadlines: std::rc::Weak<Deadlines>) {
    loop {
        tokio::time::sleep(TICK).await;
        let Some(deadlines) = deadlines.upgrade() else {
            return;
        };
        if !deadlines.look(Instant::now()) {
            deadlines.ticking.set(false);
            return;
        }
    }
}

impl Deadline {
    /// Moves it to a later moment.
    pub(crate) fn extend(&self, until: Instant) {
        if let Some(entry) = self.all.entries.borrow_mut().get_mut(self.key) {
            entry.until = until;
            entry.over = false;
        }
    }

    /// Whether it is over; if not, the task is woken when it is.
    pub(crate) fn is_over(&self, cx: &Context<'_>) -> bool {
        let mut entries = self.all.entries.borrow_mut();
        let Some(entry) = entries.get_mut(self.key) else {
            return false;
        };
        if !entry.over
            && !entry
                .waker
                .as_ref()
                .is_some_and(|waker| waker.will_wake(cx.waker()))
        {
            entry.waker = Some(cx.waker().clone());
        }
        entry.over
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        self.all.entries.borrow_mut().try_remove(self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::task::Poll;

    async fn over(deadline: &Deadline) {
        poll_fn(|cx| {
            if deadline.is_over(cx) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }

    #[actix_web::test]
    async fn who_waits_is_woken_and_later_ones_are_not() {
        let deadlines = Rc::new(Deadlines::default());
        let start = Instant::now();
        let soon = deadlines.at(start);
        let late = deadlines.at(start + Duration::from_hours(1));
        over(&soon).await;
        let not_over = poll_fn(|cx| Poll::Ready(!late.is_over(cx))).await;
        assert!(not_over);
        soon.extend(Instant::now() + Duration::from_hours(1));
        let not_over = poll_fn(|cx| Poll::Ready(!soon.is_over(cx))).await;
        assert!(not_over, "it was moved");
        late.extend(start);
        over(&late).await;
    }

    #[actix_web::test]
    async fn while_nothing_is_waited_for_nothing_ticks() {
        let deadlines = Rc::new(Deadlines::default());
        drop(deadlines.at(Instant::now()));
        testkit::eventually("it ticks no more", || {
            (!deadlines.ticking.get()).then_some(())
        })
        .await;
        over(&deadlines.at(Instant::now())).await;
    }
}
