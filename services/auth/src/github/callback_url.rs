//! Where GitHub may send a person back to: pages of our own and of the origins that the operator
//! allows, so that nobody else gets hold of a code.

use url::Url;

/// The longest one.
const MAX_LENGTH: usize = 2_000;

/// Whether a callback that a client asks for is an address on one of these origins.
pub(super) fn is_allowed(asked: &str, own: &Url, origins: &[String]) -> bool {
    let Ok(url) = Url::parse(asked) else {
        return false;
    };
    // What another reader might understand otherwise than this one is no address here.
    let plain = asked.len() <= MAX_LENGTH
        && asked
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'\\')
        && url.username().is_empty()
        && url.password().is_none()
        && url.fragment().is_none();
    let origin = url.origin();
    let known = origin == own.origin()
        || origins
            .iter()
            .any(|allowed| *allowed == origin.ascii_serialization());
    plain && matches!(url.scheme(), "http" | "https") && known
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_on_our_own_and_on_allowed_origins_are_good() {
        let own = Url::parse("https://platform.example").unwrap();
        let origins = vec![
            "https://shop.example".to_owned(),
            "http://localhost:8000".to_owned(),
        ];
        let allowed = |asked: &str| is_allowed(asked, &own, &origins);
        for good in [
            "https://platform.example/auth/euser/github/callback",
            "https://shop.example/callback?from=x",
            "http://localhost:8000/",
        ] {
            assert!(allowed(good), "{good}");
        }
        for bad in [
            "",
            "/callback",
            "//shop.example/x",
            "http://shop.example/x",
            "https://shop.example:444/x",
            "https://shop.example.evil.example/x",
            "https://shop.example@evil.example/x",
            "https://user:pass@shop.example/x",
            "https://shop.example\\@evil.example/x",
            "https://evil.example/https://shop.example",
            "https://shop.example/x#fragment",
            "https://shop.example/x\r\nset-cookie:a=b",
            "javascript:alert(1)",
            "data:text/html,x",
            "https://sh\u{43e}p.example/x",
        ] {
            assert!(!allowed(bad), "{bad}");
        }
        assert!(!allowed(&format!(
            "https://shop.example/{}",
            "x".repeat(2_000)
        )));
    }
}
