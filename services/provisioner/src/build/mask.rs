//! Hiding secrets in text: as they are, in base64, in hex, and URL-encoded.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};

/// What stands where a secret stood.
pub const HIDDEN: &str = "***";

/// Values shorter than this aren't hidden: they stand in every second line by chance.
const SHORTEST: usize = 4;
/// A part of an encoded form shorter than this is too common to be hidden.
const SHORTEST_ENCODED: usize = 6;
/// Values that are no secrets whatever variable they are in.
const HARMLESS: [&str; 10] = [
    "true",
    "false",
    "null",
    "none",
    "production",
    "development",
    "staging",
    "test",
    "info",
    "debug",
];
/// What `encodeURIComponent` leaves as it is.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');
/// What must be encoded in the user part of a URL.
const USERINFO: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'/')
    .add(b':')
    .add(b'@')
    .add(b'?')
    .add(b'#')
    .add(b'[')
    .add(b']')
    .add(b'%');

/// Replaces each of a set of secrets by [`HIDDEN`].
#[derive(Clone)]
pub struct Masker {
    finder: Option<AhoCorasick>,
    longest: usize,
}

impl Masker {
    /// A masker for these values. Values of less than four bytes, numbers of up to five digits and words such as
    /// `true` and `production` stay readable. Of a value with several lines each line counts.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let mut needles = BTreeSet::new();
        for secret in secrets {
            let lines = secret.lines().map(str::trim).filter(|line| line.len() >= 8);
            for value in std::iter::once(secret.trim()).chain(lines) {
                if is_hidden(value) {
                    needles.extend(forms(value));
                }
            }
        }
        let longest = needles.iter().map(Vec::len).max().unwrap_or(0);
        // Building fails only past billions of states. Then everything has to be hidden, not nothing.
        let finder = if needles.is_empty() {
            None
        } else {
            let longest_first = AhoCorasick::builder()
                .match_kind(MatchKind::LeftmostLongest)
                .build(&needles);
            longest_first.or_else(|_| AhoCorasick::new([""])).ok()
        };
        Self { finder, longest }
    }

    /// The length in bytes of the longest form that is looked for.
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// `text` with every secret replaced.
    pub fn mask(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.mask_bytes(text.as_bytes())).into_owned()
    }

    /// `bytes` with every secret replaced.
    pub fn mask_bytes(&self, bytes: &[u8]) -> Vec<u8> {
        match &self.finder {
            Some(finder) => {
                let mut masked = Vec::with_capacity(bytes.len());
                finder.replace_all_with_bytes(bytes, &mut masked, |_, _, out| {
                    out.extend_from_slice(HIDDEN.as_bytes());
                    true
                });
                masked
            }
            None => bytes.to_vec(),
        }
    }
}

impl fmt::Debug for Masker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Masker(***)")
    }
}

fn is_hidden(value: &str) -> bool {
    let small_number = value.len() <= 5 && value.bytes().all(|byte| byte.is_ascii_digit());
    value.len() >= SHORTEST
        && !small_number
        && !HARMLESS.contains(&value.to_ascii_lowercase().as_str())
}

/// The value and its encoded forms.
fn forms(value: &str) -> BTreeSet<Vec<u8>> {
    let mut forms = BTreeSet::from([value.as_bytes().to_vec()]);
    for set in [COMPONENT, USERINFO, NON_ALPHANUMERIC] {
        let encoded = utf8_percent_encode(value, set).to_string();
        forms.insert(lower_escapes(&encoded).into_bytes());
        forms.insert(encoded.replace("%20", "+").into_bytes());
        forms.insert(encoded.into_bytes());
    }
    if let Ok(json) = serde_json::to_string(value) {
        forms.insert(json.trim_matches('"').as_bytes().to_vec());
    }
    let hex = hex(value.as_bytes());
    forms.insert(hex.to_uppercase().into_bytes());
    forms.insert(hex.into_bytes());
    for shift in 0..3 {
        forms.extend(
            base64_at(value.as_bytes(), shift)
                .into_iter()
                .filter(|form| form.len() >= SHORTEST_ENCODED),
        );
    }
    forms
}

/// The base64 characters that depend on `value` alone when it begins `shift` bytes into a group of
/// three: so it is found inside `user:value` too.
fn base64_at(value: &[u8], shift: usize) -> [Vec<u8>; 2] {
    let mut bytes = vec![0; shift];
    bytes.extend_from_slice(value);
    let skip = [0, 2, 3].get(shift).copied().unwrap_or(0);
    let keep = bytes.len() * 8 / 6;
    [
        STANDARD_NO_PAD.encode(&bytes),
        URL_SAFE_NO_PAD.encode(&bytes),
    ]
    .map(|text| text.as_bytes().get(skip..keep).unwrap_or_default().to_vec())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a text can't fail.
        let _written = write!(text, "{byte:02x}");
        text
    })
}

/// `%2F` as `%2f`.
fn lower_escapes(text: &str) -> String {
    let mut left = 0;
    text.chars()
        .map(|c| {
            left = if c == '%' { 3 } else { left };
            let lower = left > 0;
            left -= i32::from(lower);
            if lower { c.to_ascii_lowercase() } else { c }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::STANDARD;

    const SECRET: &str = "p@ss/w0rd+canary?";

    #[test]
    fn a_secret_is_hidden_raw_and_encoded() {
        let masker = Masker::new([SECRET]);
        let encoded = utf8_percent_encode(SECRET, COMPONENT).to_string();
        for text in [
            SECRET.to_owned(),
            encoded.clone(),
            lower_escapes(&encoded),
            STANDARD.encode(SECRET),
            hex(SECRET.as_bytes()),
            hex(SECRET.as_bytes()).to_uppercase(),
            format!("postgres://user:{SECRET}@host/db"),
        ] {
            let hidden = masker.mask(&format!("before {text} after"));
            assert!(hidden.contains(HIDDEN), "{text} → {hidden}");
            let rest = hidden.replace(HIDDEN, "");
            assert!(
                !rest.contains("w0rd") && rest.len() < 40,
                "{text} → {hidden}"
            );
        }
    }

    #[test]
    fn a_secret_is_hidden_inside_a_basic_header_at_each_alignment() {
        let masker = Masker::new([SECRET]);
        for user in ["a", "ab", "abc", "x-access-token"] {
            let header = STANDARD.encode(format!("{user}:{SECRET}"));
            let hidden = masker.mask(&header);
            assert!(hidden.contains(HIDDEN), "{user}: {hidden}");
            assert!(hidden.len() < user.len() * 2 + 12, "{user}: {hidden}");
        }
    }

    #[test]
    fn each_line_of_a_key_is_hidden() {
        let masker = Masker::new(["-----BEGIN KEY-----\nMHcCAQEEIabcdef\n-----END KEY-----\n"]);
        assert_eq!(masker.mask("read MHcCAQEEIabcdef."), "read ***.");
    }

    #[test]
    fn ordinary_values_stay_readable() {
        let masker = Masker::new(["true", "production", "8080", "abc", ""]);
        assert_eq!(
            masker.mask("production listens on 8080: true abc"),
            "production listens on 8080: true abc"
        );
    }
}
