//! Tokens: their kinds, claims, signing and verification (RFC 7519, RFC 8725).

mod claims;
mod crypto;
#[cfg(test)]
mod fuzz;
mod key;
mod kind;
mod verify;

pub use claims::{ActorType, AppMetadata, Claims, audience, claim};
pub use key::{Algorithm, InvalidKey, Jwk, JwkSet, SigningKey};
pub use kind::TokenKind;
pub use verify::{KeyRing, Rejection, Verified};
