//! The cookie by which a browser is known: a secret that stands for a session, and says nothing.

#[cfg(test)]
mod fuzz;

use crate::digest::sha256_hex;
use secrecy::{ExposeSecret as _, SecretString};

use crate::random;

/// How long the text of 256 bits is.
const LENGTH: usize = 43;

/// A session's cookie. It is shown by nothing but [`expose`](Self::expose).
#[derive(Clone, Debug)]
pub struct SessionCookie(SecretString);

impl SessionCookie {
    /// The cookie's name, as clients of a Medusa server know it.
    pub const NAME: &'static str = "connect.sid";

    /// 256 random bits.
    #[must_use]
    pub fn random() -> Self {
        Self(random::token().into())
    }

    /// What a client sent, if it can be one of ours.
    #[must_use]
    pub fn given(text: &str) -> Option<Self> {
        let shaped = text.len() == LENGTH
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        shaped.then(|| Self(text.to_owned().into()))
    }

    /// The one in a request's `Cookie` headers (RFC 6265, section 4.2.1). None if two differ: a page on
    /// a sister host may have set one of them, and nothing tells which.
    pub fn find<'a>(headers: impl Iterator<Item = &'a str>) -> Option<Self> {
        let mut values = headers
            .flat_map(|header| header.split(';'))
            .filter_map(|pair| named(pair));
        let first = values.next()?;
        if values.any(|other| other != first) {
            return None;
        }
        Self::given(first)
    }

    /// A `Cookie` header's value without it; none if nothing is left.
    #[must_use]
    pub fn strip(header: &str) -> Option<String> {
        let others: Vec<_> = header
            .split(';')
            .map(str::trim)
            .filter(|pair| !pair.is_empty() && named(pair).is_none())
            .collect();
        (!others.is_empty()).then(|| others.join("; "))
    }

    /// The cookie's value, for the one whose it is.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// What is kept of it, and by which services speak of it: 256 random bits need no slow hash.
    #[must_use]
    pub fn digest(&self) -> String {
        sha256_hex(self.expose().as_bytes())
    }
}

/// The value of a pair, if it is of this name.
fn named(pair: &str) -> Option<&str> {
    let (name, value) = pair.split_once('=')?;
    (name.trim() == SessionCookie::NAME).then(|| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_among_others_and_its_digest_tells_nothing() {
        let cookie = SessionCookie::random();
        let header = format!("a=b; connect.sid={}; c=\"d\"", cookie.expose());
        let found = SessionCookie::find([header.as_str()].into_iter()).unwrap();
        assert_eq!(found.digest(), cookie.digest());
        assert!(!cookie.digest().contains(cookie.expose()));
        assert!(!format!("{cookie:?}").contains(cookie.expose()));
        assert_eq!(SessionCookie::strip(&header).unwrap(), "a=b; c=\"d\"");
        let alone = format!("connect.sid={}", cookie.expose());
        assert_eq!(SessionCookie::strip(&alone), None);
    }

    #[test]
    fn what_can_not_be_one_is_none_and_so_are_two_that_differ() {
        let (one, other) = (SessionCookie::random(), SessionCookie::random());
        let pair = |cookie: &SessionCookie| format!("connect.sid={}", cookie.expose());
        for header in [
            String::new(),
            "connect.sid=".into(),
            "connect.sid=s%3Aabc.def".into(),
            format!("connect.sid={}", "x".repeat(44)),
            format!("xconnect.sid={}", one.expose()),
            format!("{}; {}", pair(&one), pair(&other)),
        ] {
            assert!(
                SessionCookie::find([header.as_str()].into_iter()).is_none(),
                "{header}"
            );
        }
        let twice = [pair(&one), pair(&one)];
        assert!(SessionCookie::find(twice.iter().map(String::as_str)).is_some());
        let differing = [pair(&one), pair(&other)];
        assert!(SessionCookie::find(differing.iter().map(String::as_str)).is_none());
    }
}
