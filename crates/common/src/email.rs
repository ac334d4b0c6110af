//! Email addresses, as identities and users are known by them.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};
use unicode_normalization::UnicodeNormalization as _;

use crate::names::InvalidName;

/// An email address in its one form: NFC, lower case, without white space around it.
///
/// Two spellings that differ in case only are one address here, whatever a mail server may say.
/// It is not shown by `Debug`, so that it doesn't slip into a log line.
#[derive(Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct EmailAddress(String);

/// The longest address that mail can be sent to (RFC 5321, section 4.5.3.1.3).
const MAX_LENGTH: usize = 254;

impl EmailAddress {
    /// Takes an address: something, `@`, something, with no white space or control characters.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let address = normal(text);
        let shaped = address
            .rsplit_once('@')
            .is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty());
        if !shaped
            || address.len() > MAX_LENGTH
            || address.chars().any(|c| c.is_whitespace() || c.is_control())
        {
            return Err(InvalidName("must be an email address"));
        }
        Ok(Self(address))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The one form in which addresses, and beginnings of addresses, are kept and compared.
#[must_use]
pub fn normal(text: &str) -> String {
    text.trim()
        .nfc()
        .collect::<String>()
        .to_lowercase()
        .nfc()
        .collect()
}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EmailAddress(***)")
    }
}

impl std::str::FromStr for EmailAddress {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        Self::parse(text)
    }
}

impl<'de> Deserialize<'de> for EmailAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl utoipa::PartialSchema for EmailAddress {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        <String as utoipa::PartialSchema>::schema()
    }
}

impl utoipa::ToSchema for EmailAddress {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_that_differ_in_case_or_composition_are_one_address() {
        let parse = |text: &str| EmailAddress::parse(text).unwrap();
        assert_eq!(parse(" Seb@MedusaJS.com"), parse("seb@medusajs.com"));
        assert_eq!(parse("re\u{301}mi@x.dev"), parse("R\u{c9}MI@x.dev"));
        assert_ne!(parse("remi@x.dev"), parse("r\u{e9}mi@x.dev"));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "seb",
            "@x.dev",
            "seb@",
            "s eb@x.dev",
            "seb@x.dev\0",
            &format!("{}@x.dev", "a".repeat(250)),
        ] {
            assert!(EmailAddress::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_address_is_not_shown_in_a_log_line() {
        assert!(!format!("{:?}", EmailAddress::parse("seb@x.dev").unwrap()).contains("seb"));
    }
}
