//! GitHub as a place where people show who they are.
//!
//! A person is known by the number that GitHub gave her, never by an address or a login: those
//! change hands.

mod arrival;
mod callback_url;
mod client;
mod errors;
pub mod http;
pub mod returned;
pub mod sign_in;
pub mod trip;

use serde::{Deserialize, Serialize};

pub use client::{Github, GithubError};

/// What GitHub says of a person.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Her number.
    pub id: u64,
    /// Her login, which she can change.
    pub login: String,
    /// What she calls herself.
    pub name: Option<String>,
    /// Her primary address, if GitHub has verified it; in its one form.
    pub email: Option<String>,
}

impl std::fmt::Debug for Profile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Profile({})", self.id)
    }
}

impl Profile {
    /// What she is known by here.
    #[must_use]
    pub fn entity_id(&self) -> String {
        self.id.to_string()
    }
}
