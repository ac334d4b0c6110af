//! The running side: processes, instances, static files, databases.

mod adoption;
mod crashes;
mod databases;
mod groups;
mod instances;
mod isolation;
mod limits;
pub(crate) mod roles;
mod static_files;
pub(crate) mod support;
