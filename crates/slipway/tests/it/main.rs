//! The whole system: all six services in one process, through the gateway.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    missing_docs,
    reason = "tests"
)]

mod admin;
mod authorization;
mod browsers;
mod commands;
mod crashes;
mod departures;
mod deploy;
mod github;
mod harness;
mod hostile;
mod login;
mod mail;
mod secrets;
mod seeds;
mod start;
mod usage;
mod webhooks;
