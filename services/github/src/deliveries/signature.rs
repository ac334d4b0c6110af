//! `X-Hub-Signature-256`: HMAC-SHA256 of the body's very bytes ("Validating webhook deliveries").

use chassis::settings::Secret;
use ring::hmac;

/// Whether the signature is that of these bytes, compared in constant time.
pub(crate) fn is_good(secret: &Secret, header: &str, body: &[u8]) -> bool {
    let Some(signature) = header.strip_prefix("sha256=").and_then(decode) else {
        return false;
    };
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
    hmac::verify(&key, body, &signature).is_ok()
}

/// Digits alone: the standard library's own reader of numbers would take a sign, too.
fn decode(digits: &str) -> Option<[u8; 32]> {
    let mut signature = [0; 32];
    hex::decode_to_slice(digits, &mut signature).ok()?;
    Some(signature)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of GitHub's documentation.
    #[test]
    fn the_documented_example_is_good_and_nothing_else() {
        let secret = Secret::new("It's a Secret to Everybody");
        let signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        assert!(is_good(&secret, signature, b"Hello, World!"));
        assert!(!is_good(&secret, signature, b"Hello, World?"));
        assert!(!is_good(
            &Secret::new("another"),
            signature,
            b"Hello, World!"
        ));
        let other = signature.replace("757", "758");
        let signed = signature.replace("7107ea", "71+7ea");
        for wrong in [
            &other,
            &signed,
            "",
            "sha256=",
            "sha1=757107ea",
            &signature[..70],
            &signature[7..],
        ] {
            assert!(!is_good(&secret, wrong, b"Hello, World!"), "{wrong}");
        }
    }
}
