//! The provisioner: turns a commit into a running release.
//!
//! [`checkout`], [`detect`], [`build`], [`process`], [`driver`], [`local`] and [`appdb`] are its engines and know
//! no database of ours and no events. The service around them keeps what they do on record: builds are
//! durable jobs, deployments say what answers for each environment, and logs can be read back.

pub mod appdb;
pub mod build;
mod builds;
pub mod checkout;
mod deployments;
pub mod detect;
mod doctor;
pub mod driver;
mod environments;
mod events;
pub mod failpoints;
pub mod local;
mod logs;
mod places;
pub mod process;
mod releases;
mod routes;
mod schema;
mod service;
pub mod settings;
mod state;
mod teardown;

pub use service::{NAME, migrations, service, service_with};
