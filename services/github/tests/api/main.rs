//! The github service with the real git at both ends, on both backends.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

mod access;
mod accounts;
mod app;
mod hostile;
mod pushing;
mod sources;
mod support;
