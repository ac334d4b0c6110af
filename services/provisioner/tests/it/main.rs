//! The provisioner's parts, against real repositories, real processes and a real Git server.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    missing_docs,
    unreachable_pub,
    reason = "tests"
)]

mod builds;
mod checkouts;
mod git_server;
mod plans;
mod plans_python;
mod plans_settings;
mod running;
mod service;
mod tree;
