//! Passwords: what is accepted as one, and how one is kept.

mod foreign;
mod hash;
mod policy;

pub use foreign::{Unsupported, check_imported};
pub use hash::{Check, Cost, HashError, Hasher};
pub use policy::{Policy, Refused, Rules};

use common::{ExposeSecret as _, SecretString};
use unicode_normalization::UnicodeNormalization as _;

/// A password in NFC, so that one typed on another keyboard is still the same.
#[derive(Clone)]
pub struct Password(SecretString);

impl Password {
    /// Takes what a person typed.
    #[must_use]
    pub fn new(typed: &str) -> Self {
        Self(SecretString::from(typed.nfc().collect::<String>()))
    }

    fn text(&self) -> &str {
        self.0.expose_secret()
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(***)")
    }
}
