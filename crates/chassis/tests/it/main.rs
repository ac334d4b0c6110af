#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]
//! The chassis on both backends.

mod broker;
mod events;
mod feed;
mod http;
mod jobs;
mod looks;
mod support;
