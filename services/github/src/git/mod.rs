//! The system's git: how it is run, and what it is asked.
//!
//! Nothing here knows HTTP, accounts or the database.

mod command;
mod group;
mod housekeeping;
mod refs;
mod serve;

pub(crate) use command::{Git, GitError};
pub(crate) use refs::{Branches, Found, Named, RefName};
pub(crate) use serve::{Exchange, Input, Outcome, Service, Step};
