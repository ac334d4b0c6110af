//! Names that are handed to git come from strangers.

use super::RefName;

const SEEDS: &[&[u8]] = &[
    b"main",
    b"feature/x.y",
    b"refs/heads/main",
    b"0af7651916cd43dd8448eb211c80319c0af76519",
    b"v1.0.0",
    "größe".as_bytes(),
];

const WORDS: &[&[u8]] = &[
    b"-",
    b"--upload-pack=x",
    b".",
    b"..",
    b"/",
    b"//",
    b"@",
    b"@{",
    b"^",
    b"~1",
    b":",
    b"?",
    b"*",
    b"[",
    b"\\",
    b".lock",
    b"\n",
    b"\x7f",
    b".lock/",
];

/// The rules of `git check-ref-format`, one by one, for a name below `refs/heads/`.
fn is_ref(name: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty() && !part.starts_with('.') && part.strip_suffix(".lock").is_none()
    };
    let odd = |byte: u8| byte < 0o40 || byte == 0o177 || b" ~^:?*[\\".contains(&byte);
    name.split('/').all(part)
        && !name.contains("..")
        && !name.bytes().any(odd)
        && !name.ends_with('.')
        && !name.contains("@{")
        && name != "@"
}

#[test]
fn a_name_that_is_taken_is_a_reference_and_no_option_or_expression() {
    fuzz::check(SEEDS, WORDS, |input| {
        let text = input.text();
        let Ok(name) = RefName::parse(&text) else {
            return;
        };
        assert_eq!(name.as_str(), text);
        assert!(is_ref(&text) && !text.starts_with('-'), "{text:?}");
        for (asked, _) in name.candidates() {
            let full = asked.starts_with("refs/heads/") || asked.starts_with("refs/tags/");
            let hex = asked.bytes().all(|byte| byte.is_ascii_hexdigit());
            assert!(full || hex, "{asked:?} may be something else");
        }
    });
}
