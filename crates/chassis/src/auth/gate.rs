//! Has a request's body and query wait until its caller has been let in.
//!
//! A handler's extractors run side by side. Without this a stranger whose body or query is wrong
//! would hear about that instead of the refusal, and the body of someone who may not call at all
//! would be read. It holds for what stands after the caller in a handler's signature.

use actix_web::{HttpMessage as _, HttpRequest};
use tokio::sync::watch;

#[derive(Clone)]
struct Gate(watch::Receiver<bool>);

/// Opens the gate of one request.
pub(super) struct Keeper(watch::Sender<bool>);

impl Keeper {
    /// Lets the request's body be read.
    pub(super) fn open(self) {
        self.0.send_replace(true);
    }
}

/// Has the body wait until the keeper opens, or is gone: then the refusal is on its way already.
pub(super) fn close(request: &HttpRequest) -> Keeper {
    let (keeper, gate) = watch::channel(false);
    request.extensions_mut().insert(Gate(gate));
    Keeper(keeper)
}

/// Waits until the caller has been let in; at once where nobody asks who calls.
pub(crate) async fn passed(request: &HttpRequest) {
    let gate = request.extensions().get::<Gate>().cloned();
    if let Some(Gate(mut gate)) = gate {
        let _open_or_refused = gate.wait_for(|open| *open).await;
    }
}
