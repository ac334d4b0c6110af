//! What changes seldom and is looked at with each request.

use std::cell::RefCell;
use std::sync::Arc;

use tokio::sync::watch;

/// One worker's view of a value that another task replaces as a whole: looking costs one atomic read
/// while nothing has changed.
pub(crate) struct View<T> {
    receiver: RefCell<watch::Receiver<Arc<T>>>,
    current: RefCell<Arc<T>>,
}

impl<T> View<T> {
    /// A view of what this channel carries.
    pub(crate) fn new(mut receiver: watch::Receiver<Arc<T>>) -> Self {
        let current = Arc::clone(&receiver.borrow_and_update());
        Self {
            receiver: RefCell::new(receiver),
            current: RefCell::new(current),
        }
    }

    /// The value of this moment, to be kept for a while.
    pub(crate) fn now(&self) -> Arc<T> {
        self.look();
        Arc::clone(&self.current.borrow())
    }

    /// Looks at the value of this moment. Unlike [`View::now`] this touches nothing that other workers
    /// touch, too.
    pub(crate) fn with<R>(&self, look: impl FnOnce(&T) -> R) -> R {
        self.look();
        look(&self.current.borrow())
    }

    /// A receiver of one's own, to wait for the next value.
    pub(crate) fn changes(&self) -> watch::Receiver<Arc<T>> {
        self.receiver.borrow().clone()
    }

    fn look(&self) {
        let mut receiver = self.receiver.borrow_mut();
        if receiver.has_changed().unwrap_or(false) {
            *self.current.borrow_mut() = Arc::clone(&receiver.borrow_and_update());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_sees_the_value_that_came_last() {
        let (sender, receiver) = watch::channel(Arc::new(1));
        let view = View::new(receiver);
        assert_eq!((*view.now(), view.with(|value| *value)), (1, 1));
        sender.send_replace(Arc::new(2));
        sender.send_replace(Arc::new(3));
        assert_eq!((view.with(|value| *value), *view.now()), (3, 3));
    }
}
