//! What must be seen by nobody, and where it is looked for.

mod api;
mod canary;
mod database;
mod databases;
mod everywhere;
mod mistakes;
pub(crate) mod places;
mod prober;
mod processes;
mod reach;
mod server;
mod teller;
