//! Passwords of the apps' roles.

use std::num::NonZeroU32;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::{digest, hmac, pbkdf2};
use secrecy::{ExposeSecret as _, SecretString};

/// PostgreSQL's own number; the password is random, so more would gain nothing.
const ITERATIONS: NonZeroU32 = NonZeroU32::new(4096).unwrap();

/// The password of an app's role.
#[derive(Clone, Debug)]
pub struct Password(SecretString);

impl Password {
    /// A new random password: 256 bits, letters, digits, `-` and `_`.
    pub fn random() -> Self {
        Self(common::random::token().into())
    }

    /// A password made earlier by [`random`](Self::random), as it was kept.
    pub fn kept(secret: SecretString) -> Self {
        Self(secret)
    }

    /// The secret itself, to be sealed or to go into a URL.
    pub fn secret(&self) -> &SecretString {
        &self.0
    }

    /// What the server keeps to check the password with (RFC 5803). Sent instead of the password, so
    /// that a server that logs statements doesn't log it.
    pub(crate) fn verifier(&self) -> String {
        self.verifier_with(&common::random::bytes::<16>())
    }

    fn verifier_with(&self, salt: &[u8]) -> String {
        let mut salted = [0_u8; digest::SHA256_OUTPUT_LEN];
        let password = self.0.expose_secret().as_bytes();
        pbkdf2::derive(
            pbkdf2::PBKDF2_HMAC_SHA256,
            ITERATIONS,
            salt,
            password,
            &mut salted,
        );
        let key = hmac::Key::new(hmac::HMAC_SHA256, &salted);
        let stored_key = digest::digest(&digest::SHA256, hmac::sign(&key, b"Client Key").as_ref());
        let server_key = hmac::sign(&key, b"Server Key");
        format!(
            "SCRAM-SHA-256${ITERATIONS}:{}${}:{}",
            STANDARD.encode(salt),
            STANDARD.encode(stored_key.as_ref()),
            STANDARD.encode(server_key.as_ref())
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verifier_is_that_of_the_example_in_rfc_7677() {
        let password = Password::kept("pencil".to_owned().into());
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        assert_eq!(
            password.verifier_with(&salt),
            "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
        );
    }
}
