//! What a service may put before everything else on its public listener.
//!
//! The gateway decides by host before any route of its own is looked at; nothing that the
//! chassis does for a service's own routes happens to what it passes on.

use std::cell::OnceCell;
use std::rc::Rc;
use std::sync::Arc;

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use futures_util::future::LocalBoxFuture;

/// One worker thread's front: it answers a request itself, or hands it to the service's own routes.
pub trait Front: 'static {
    /// Answers, or calls `inner`.
    fn handle(
        self: Rc<Self>,
        request: ServiceRequest,
        inner: Next<BoxBody>,
    ) -> LocalBoxFuture<'static, Result<ServiceResponse<BoxBody>, actix_web::Error>>;
}

/// Makes a worker thread's front, on that thread.
pub(crate) type MakeFront = Arc<dyn Fn() -> Rc<dyn Front> + Send + Sync>;

/// A front that is made with the first request that needs it.
#[derive(Clone)]
pub(super) struct LazyFront {
    make: Option<MakeFront>,
    made: Rc<OnceCell<Rc<dyn Front>>>,
}

impl LazyFront {
    pub(super) fn new(make: Option<MakeFront>) -> Self {
        Self {
            make,
            made: Rc::default(),
        }
    }

    /// The front, if the listener has one.
    fn get(&self) -> Option<Rc<dyn Front>> {
        let make = self.make.as_ref()?;
        Some(Rc::clone(self.made.get_or_init(|| make())))
    }

    pub(super) async fn handle(
        self,
        request: ServiceRequest,
        inner: Next<BoxBody>,
    ) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
        match self.get() {
            Some(front) => front.handle(request, inner).await,
            None => inner.call(request).await,
        }
    }
}
