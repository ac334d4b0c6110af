//! The digest of what is kept only to be known again: random codes and keys, addresses that are paced.

use ring::digest::{SHA256, digest};

/// SHA-256 in lower-case hex. Enough for what nobody can guess; a password needs a slow hash.
#[must_use]
pub fn sha256_hex(bytes: impl AsRef<[u8]>) -> String {
    hex::encode(digest(&SHA256, bytes.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standards_example_has_the_standards_digest() {
        // FIPS 180-2, appendix B.1.
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256_hex("abc"), expected);
    }
}
