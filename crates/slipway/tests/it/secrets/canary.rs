//! Secrets that can be told from everything else, in all the forms that they could come out in.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// How much of a token's end is looked for: a token without the end of its signature opens nothing.
const TOKEN_END: usize = 32;

/// One secret.
#[derive(Clone, Debug)]
pub(super) struct Canary {
    pub(super) what: &'static str,
    /// What is handed to the platform.
    pub(super) value: String,
    forms: Vec<String>,
}

impl Canary {
    /// A new one, with signs in it that URLs, JSON and shells write in other ways.
    pub(super) fn new(what: &'static str) -> Self {
        let core = hex(&common::random::bytes::<14>());
        Self {
            what,
            value: format!("{core}/+ ?&\"%='"),
            forms: forms(&core),
        }
    }

    /// A new one of letters and digits, `length` of them.
    pub(super) fn plain(what: &'static str, length: usize) -> Self {
        let mut value = hex(&common::random::bytes::<32>());
        value.truncate(length);
        Self::found(what, &value)
    }

    /// A secret that the platform made.
    pub(super) fn found(what: &'static str, value: &str) -> Self {
        assert!(
            value.len() >= 16,
            "{what} is too short to be told from other text"
        );
        Self {
            what,
            value: value.to_owned(),
            forms: forms(value),
        }
    }

    /// A token that the platform made.
    pub(super) fn token(what: &'static str, token: &str) -> Self {
        let end = &token[token.len() - TOKEN_END..];
        Self {
            what,
            value: token.to_owned(),
            forms: forms(end),
        }
    }

    /// Where it stands in `text`, with what stands around it.
    pub(super) fn seen_in(&self, text: &str) -> Option<String> {
        let (at, length) = self
            .forms
            .iter()
            .find_map(|form| text.find(form.as_str()).map(|at| (at, form.len())))?;
        let start = text.floor_char_boundary(at.saturating_sub(200));
        let end = text.ceil_char_boundary(at + length + 60);
        Some(format!("{}: …{}…", self.what, &text[start..end]))
    }
}

/// Fails if one of them is in `text`.
pub(super) fn must_not_show(canaries: &[Canary], place: &str, text: &str) {
    let seen: Vec<_> = canaries
        .iter()
        .filter_map(|canary| canary.seen_in(text))
        .collect();
    assert!(seen.is_empty(), "{place} shows\n{}", seen.join("\n"));
}

/// As it is, in base64 wherever it begins in a group of three, in hex, escaped for URLs, and as a list
/// of bytes.
fn forms(core: &str) -> Vec<String> {
    let bytes = core.as_bytes();
    let escaped: String = bytes.iter().fold(String::new(), |mut text, byte| {
        let _infallible = write!(text, "%{byte:02X}");
        text
    });
    let listed: Vec<_> = bytes.iter().map(u8::to_string).collect();
    let mut forms = vec![
        core.to_owned(),
        utf8_percent_encode(core, NON_ALPHANUMERIC).to_string(),
        hex(bytes),
        hex(bytes).to_uppercase(),
        escaped.to_lowercase(),
        escaped,
        listed.join(", "),
        listed.join(","),
    ];
    for shift in 0..3 {
        let mut shifted = vec![0; shift];
        shifted.extend_from_slice(bytes);
        let (skip, keep) = ([0, 2, 3][shift], shifted.len() * 8 / 6);
        for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            forms.push(engine.encode(&shifted)[skip..keep].to_owned());
        }
    }
    forms.sort();
    forms.dedup();
    forms
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_canary_is_found_in_each_of_its_forms() {
    let canary = Canary::new("a password");
    let value = &canary.value;
    for text in [
        format!("password={value}"),
        format!("{:?}", value.as_bytes()),
        STANDARD_NO_PAD.encode(format!("git:{value}")),
        STANDARD_NO_PAD.encode(format!("user:{value}")),
        URL_SAFE_NO_PAD.encode(format!("root:{value}")),
        utf8_percent_encode(value, NON_ALPHANUMERIC).to_string(),
        hex(value.as_bytes()),
    ] {
        assert!(canary.seen_in(&text).is_some(), "{text}");
    }
    assert_eq!(canary.seen_in("nothing of the kind"), None);
}
