//! The codes of a login request. Of each that is a secret the table holds a digest alone: their
//! 256 random bits need no slow hash.

use common::digest::sha256_hex;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use common::{ExposeSecret as _, SecretString, random};
use ring::hmac;

/// What every one-time code begins with, so that it isn't taken for a provider's token.
pub const CODE_PREFIX: &str = "lrc_";

/// A secret that one party alone knows: a poll code, a one-time code, a browser's cookie, an
/// OAuth state.
#[derive(Clone, Debug)]
pub struct Code(SecretString);

impl Code {
    /// 256 random bits.
    #[must_use]
    pub fn random() -> Self {
        Self(random::token().into())
    }

    /// The code that a caller sent.
    #[must_use]
    pub fn given(text: &str) -> Self {
        Self(text.to_owned().into())
    }

    /// The code itself, for whom it is meant.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// What is kept of it.
    #[must_use]
    pub fn digest(&self) -> String {
        sha256_hex(self.expose().as_bytes())
    }

    /// The one-time code of the request that this polls: the same each time, so that an answer
    /// that got lost can be asked for again, and known to nobody who doesn't know this.
    #[must_use]
    pub fn one_time(&self) -> Self {
        let code = URL_SAFE_NO_PAD.encode(self.derived("one-time code"));
        Self(format!("{CODE_PREFIX}{code}").into())
    }

    /// What shows, in a form of the page `reference`, that the form came from a page that was
    /// given to the browser with this cookie.
    #[must_use]
    pub fn form_token(&self, reference: &str) -> String {
        hex::encode(self.derived(&format!("form/{reference}")))
    }

    fn derived(&self, what: &str) -> hmac::Tag {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.expose().as_bytes());
        hmac::sign(&key, what.as_bytes())
    }
}

/// Letters that are neither vowels nor easily mistaken (RFC 8628, section 6.1).
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
const LETTER_COUNT: usize = 8;

/// A short code that a person compares or types: `WDJB-MJHT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserCode(String);

impl UserCode {
    /// A new one, of 34 random bits: too few for anything but a short life and few tries.
    #[must_use]
    pub fn random() -> Self {
        let letters = (0..LETTER_COUNT).filter_map(|_| {
            let place = usize::try_from(random::below(20)).ok()?;
            LETTERS.get(place).copied().map(char::from)
        });
        Self(letters.collect())
    }

    /// The code that a person typed: case and what stands between the letters don't matter.
    #[must_use]
    pub fn typed(text: &str) -> Option<Self> {
        let letters: String = text
            .chars()
            .filter(|c| !matches!(c, '-' | ' '))
            .map(|c| c.to_ascii_uppercase())
            .collect();
        let whole = letters.len() == LETTER_COUNT && letters.bytes().all(|b| LETTERS.contains(&b));
        whole.then_some(Self(letters))
    }

    /// The form it has in the database.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, second) = self
            .0
            .split_at_checked(LETTER_COUNT / 2)
            .unwrap_or_default();
        write!(f, "{first}-{second}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_long_and_shown_by_nothing_but_its_own_name() {
        let code = Code::random();
        assert!(code.expose().len() >= 43);
        assert!(!format!("{code:?} {}", code.digest()).contains(code.expose()));
    }

    #[test]
    fn a_one_time_code_is_the_same_each_time_and_tells_nothing_of_what_it_comes_from() {
        let code = Code::random();
        let one_time = code.one_time();
        assert_eq!(one_time.expose(), code.one_time().expose());
        assert!(
            one_time.expose().starts_with(CODE_PREFIX)
                && !one_time.expose().contains(code.expose())
        );
        assert_ne!(one_time.expose(), Code::random().one_time().expose());
        assert_ne!(code.form_token("a"), code.form_token("b"));
    }

    #[test]
    fn a_short_code_is_understood_however_it_is_typed() {
        let code = UserCode::random();
        let shown = code.to_string();
        assert_eq!(shown.len(), 9);
        for typed in [
            shown.clone(),
            shown.to_lowercase(),
            shown.replace('-', " "),
            format!(" {} ", shown.replace('-', "")),
        ] {
            assert_eq!(UserCode::typed(&typed), Some(code.clone()), "{typed}");
        }
        for wrong in ["", "BCDF", "AEIO-UAEI", "BCDF-GHJK-L", "BCDF-GHJ\u{0421}"] {
            assert_eq!(UserCode::typed(wrong), None, "{wrong}");
        }
    }
}
