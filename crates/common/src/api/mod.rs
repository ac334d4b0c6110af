//! What services ask of one another over HTTP, on their private listeners only.

pub mod account;
pub mod audit;
pub mod auth;
pub mod feed;
pub mod github;
pub mod project;
pub mod provisioner;
pub mod v1api;
