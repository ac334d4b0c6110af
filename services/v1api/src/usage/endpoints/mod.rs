//! Which endpoint a path is: the template that the service publishes in its OpenAPI document, else the
//! path with its ids folded.

pub(crate) mod fetch;
mod fold;
#[cfg(test)]
mod fuzz;
mod templates;

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::watch;

pub(crate) use fold::folded;
use templates::Templates;

use crate::view::View;

/// The templates of each service that publishes any.
pub(crate) type Published = HashMap<Arc<str>, Arc<Templates>>;

/// One worker's view of what services publish.
pub(crate) struct Endpoints(View<Published>);

impl Endpoints {
    /// A view of what this channel carries.
    pub(crate) fn new(receiver: watch::Receiver<Arc<Published>>) -> Self {
        Self(View::new(receiver))
    }

    /// The endpoint of a service's path.
    pub(crate) fn name(&self, service: &str, path: &str) -> String {
        self.0.with(|published| {
            let templates = published.get(service);
            let template = templates.and_then(|templates| templates.find(path));
            template.map_or_else(|| folded(path).into_owned(), str::to_owned)
        })
    }
}
