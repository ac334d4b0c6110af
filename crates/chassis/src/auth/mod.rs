//! Who calls, and whether they may.
//!
//! The right to call stands in a handler's signature as an extractor type; forgetting it
//! leaves the handler without the ids it needs.

mod callers;
mod gate;
mod members;
pub mod scope;
mod verifier;

pub use callers::{
    Admin, ApiCaller, Entrant, Euser, EuserWithUser, KeyCaller, Pending, Person, Resetter,
    ServiceCaller, bearer, user_of_identity,
};
pub(crate) use gate::passed;
pub use members::{AccountMember, Developer, MinimumRole, Owner, Viewer};
pub(crate) use verifier::KeySource;
pub use verifier::{AuthError, Verifier};
