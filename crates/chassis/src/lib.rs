//! What every service process stands on: settings, telemetry, HTTP, databases,
//! events, durable jobs, and calls to other services.
//!
//! A service declares itself as a [`Service`]; [`run()`] is the `main` of one that runs by
//! itself, [`platform::start`] starts several in one process.

pub mod audit;
pub mod auth;
pub mod calls;
mod context;
pub mod db;
pub mod events;
pub mod failpoint;
pub mod feed;
pub mod github;
pub mod http;
pub mod jobs;
pub mod members;
pub mod memory;
mod metrics;
pub mod outbound;
pub mod platform;
mod run;
mod schema;
pub mod seal;
mod service;
pub mod settings;
pub mod telemetry;

pub use context::{Context, Readiness};
pub use metrics::Metrics;
pub use run::{Signals, run, until_told};
pub use service::{Assembly, Service};

/// Makes *ring* the cryptography of every TLS connection of the process; calling it again does nothing.
pub fn install_tls() {
    // Whoever installed a provider before has installed this one.
    let _already = rustls::crypto::ring::default_provider().install_default();
}
