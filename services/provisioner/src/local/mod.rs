//! The `local` driver: releases run as processes of this machine.
//!
//! Apps outlive Slipway. Each instance has a record and an output file in the state directory; after
//! a restart [`Driver::adopt_all`](crate::driver::Driver::adopt_all) takes up what still runs.

mod adopt;
mod health;
mod launch;
mod life;
mod listen;
mod output;
mod ports;
mod record;
mod settings;
mod slot;
pub mod static_site;
mod supervisor;

pub use settings::{Backoff, LocalSettings, Sealer};
pub use supervisor::Supervisor;
