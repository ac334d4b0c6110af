//! Logs of builds and of running apps.
//!
//! The provisioner keeps them; this service reads them page by page and passes them on, so that
//! any replica serves any log and a reader who was cut off goes on where he was. A page is
//! fetched only when the reader has taken the one before: who reads slowly holds up nobody,
//! and who is gone ends the reading.

mod format;
pub(crate) mod http;
mod reader;
mod source;
