//! What tests stand on: the two backends, and waiting for conditions.

mod acme;
mod backend;
mod broker;
mod document;
mod eventually;
pub mod github;
mod harness;
mod hooks;
mod issuer;
mod proxy;
mod receiver;
mod smtp;
mod sts;

pub use acme::{Maker, RunningMaker};
pub use backend::Backend;
pub use document::tells_of_every_public_route;
pub use eventually::{eventually, eventually_async};
pub use harness::{Asked, Builder, Double, Harness, expect};
pub use hooks::{Hook, Hooks, Reply};
pub use issuer::Issuer;
pub use proxy::Proxy;
pub use receiver::Receiver;
pub use smtp::{MailServer, Mood, Received};
pub use sts::{AWS_ACCOUNT, Sts, StsMood};

/// Defines tests that run on both backends: `SQLite` with the bus in process, and PostgreSQL
/// with RabbitMQ. Each gets a backend of its own.
///
/// ```text
/// testkit::on_both_backends! {
///     async fn an_event_is_applied_once(backend: Backend) { … }
/// }
/// ```
#[macro_export]
macro_rules! on_both_backends {
    ($($(#[$meta:meta])* async fn $name:ident($backend:ident: Backend) $body:block)+) => {$(
        $(#[$meta])*
        mod $name {
            #[allow(unused_imports, reason = "a body may need nothing from around it")]
            use super::*;

            async fn check($backend: $crate::Backend) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                check($crate::Backend::sqlite()).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn distributed() {
                check($crate::Backend::distributed().await).await;
            }
        }
    )+};
}
