//! What happens to a request before it is let through: who calls, whether they may, and as whom
//! the upstream sees them.

pub(crate) mod access;
pub(crate) mod cors;
pub(crate) mod forward;
pub(crate) mod guard;
pub(crate) mod sessions;
pub(crate) mod tokens;
