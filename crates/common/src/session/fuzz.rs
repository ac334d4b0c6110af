//! What a header is left with has no session in it, and has all the rest.

use super::SessionCookie;

const SESSION: &str = "connect.sid=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

const WORDS: &[&[u8]] = &[
    b";",
    b"; ",
    b"=",
    b"\"",
    b"connect.sid",
    SESSION.as_bytes(),
    b"\t",
    b",",
];

#[test]
fn a_header_without_the_session_has_all_that_was_there_but_that() {
    let seeds = [
        format!("a=b; {SESSION}; c=\"d\""),
        format!("{SESSION};{SESSION}; x"),
        " connect.sid = x;=;; y=1".to_owned(),
    ];
    fuzz::check(&seeds.each_ref().map(String::as_bytes), WORDS, |input| {
        let header = input.text();
        let left = SessionCookie::strip(&header);
        let left = left.as_deref().unwrap_or_default();
        assert!(SessionCookie::find([left].into_iter()).is_none());
        // Nothing else is lost, and nothing changes its place.
        let pairs = |text: &str| -> Vec<String> {
            let pairs = text
                .split(';')
                .map(str::trim)
                .filter(|pair| !pair.is_empty());
            let name = |pair: &str| pair.split_once('=').map(|(name, _)| name.trim().to_owned());
            pairs
                .filter(|pair| name(pair).as_deref() != Some(SessionCookie::NAME))
                .map(str::to_owned)
                .collect()
        };
        assert_eq!(
            left.split("; ").filter(|left| !left.is_empty()).count(),
            pairs(&header).len()
        );
        assert_eq!(pairs(left), pairs(&header));
    });
}

#[test]
fn the_session_that_is_found_is_the_only_one() {
    let other = format!("connect.sid={}", "B".repeat(43));
    let seeds = [
        format!("a=b; {SESSION}; c=\"d\""),
        format!("{SESSION}; {SESSION}"),
        format!("{SESSION}; {other}"),
    ];
    fuzz::check(&seeds.each_ref().map(String::as_bytes), WORDS, |input| {
        let header = input.text();
        let Some(found) = SessionCookie::find([header.as_str()].into_iter()) else {
            return;
        };
        for pair in header.split(';') {
            let pair = pair
                .split_once('=')
                .map(|(name, value)| (name.trim(), value.trim()));
            let Some((SessionCookie::NAME, value)) = pair else {
                continue;
            };
            assert_eq!(value, found.expose());
        }
    });
}
