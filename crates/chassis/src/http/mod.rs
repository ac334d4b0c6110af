//! HTTP as every service serves it.

mod bearer;
mod client;
mod error;
mod extract;
mod front;
mod guess;
mod h2;
mod idempotency;
mod middleware;
mod operations;
mod routes;
mod server;
mod tls;
mod unstored;

pub use bearer::BearerScheme;
pub use client::ClientAddress;
pub use error::{ApiError, RefusedAs};
pub use extract::{Form, Json, Path, Query, if_match};
pub use front::Front;
pub(crate) use front::MakeFront;
pub use h2::Trailers;
pub use idempotency::secret_answer;
pub use middleware::CLIENT_ADDRESS_HEADER;
pub use middleware::GATEWAY_TOKEN_HEADER;
pub(crate) use operations::Description;
pub use routes::{RouteInfo, Routes};
pub use server::Transport;
pub(crate) use server::{Configure, DefineRoutes, Listeners, Server, ServerParts};
pub use tls::Tls;
pub use unstored::unstored;
