//! Which endpoint a path is: the template that the service publishes in its OpenAPI document, else the
//! path with its ids folded.

pub(crate) mod fetch;
mod fold;
mod templates;

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::watch;

pub(crate) use fold::folded;
use templates::Templates;

/// The templates of each service that publishes any.
pub(crate) type Published = HashMap<Arc<str>, Arc<Templates>>;

/// One worker's view of what services publish: looking costs one atomic read while nothing has changed.
pub(crate) struct Endpoints {
    receiver: RefCell<watch::Receiver<Arc<Published>>>,
    current: RefCell<Arc<Published>>,
}

impl Endpoints {
    /// A view of what this channel carries.
    pub(crate) fn new(mut receiver: watch::Receiver<Arc<Published>>) -> Self {
        let current = Arc::clone(&receiver.borrow_and_update());
        Self {
            receiver: RefCell::new(receiver),
            current: RefCell::new(current),
        }
    }

    /// The endpoint of a service's path.
    pub(crate) fn name(&self, service: &str, path: &str) -> String {
        let mut receiver = self.receiver.borrow_mut();
        if receiver.has_changed().unwrap_or(false) {
            *self.current.borrow_mut() = Arc::clone(&receiver.borrow_and_update());
        }
        let current = self.current.borrow();
        let template = current
            .get(service)
            .and_then(|templates| templates.find(path));
        template.map_or_else(|| folded(path).into_owned(), str::to_owned)
    }
}
