//! The project service over HTTP, with the real chassis under it and fakes in the place of the other services.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

mod access;
mod aws;
mod builds;
mod credentials;
mod domains;
mod environments;
mod events;
mod fakes;
mod harness;
mod logs;
mod names;
mod previews;
mod projects;
mod publications;
mod pushes;
mod variables;
mod webhooks;
