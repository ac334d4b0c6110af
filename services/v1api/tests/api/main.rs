//! The gateway as a whole, through its sockets.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    reason = "tests"
)]

mod access_log;
mod apps;
mod catchall;
mod docs;
mod domains;
mod forward_keys;
mod grpc;
mod health;
mod hosts;
mod instances;
mod keys;
mod limits;
mod metrics;
mod named;
mod platform;
mod restrictions;
mod revocation;
mod rotation;
mod rules;
mod secure;
mod services;
mod sessions;
mod sleep;
mod streaming;
mod support;
mod upstream;
mod upstreams;
mod usage;
