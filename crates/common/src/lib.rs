//! What Slipway's services say to one another: identifiers, scopes, tokens,
//! problems, events, and the bodies of the requests they exchange.
//!
//! Nothing here opens a socket or touches a disk; how a service *runs* is the
//! chassis's business.

pub mod api;
pub mod digest;
pub mod email;
pub mod event;
pub mod id;
pub mod names;
pub mod page;
pub mod problem;
pub mod random;
pub mod role;
pub mod rules;
pub mod scope;
pub mod session;
mod text_enum;
pub mod time;
pub mod token;

pub use secrecy::{ExposeSecret, SecretString};
