//! The quick looks at a path find what the slow ones would.

use super::{COOKIE_USES, PREFIXES, is_below, is_plain, is_tricky_closely};

const SEEDS: &[&[u8]] = &[
    b"/v1/location/index.html",
    b"/v1/accounts/acc_1/members",
    b"/api/users/micro/accounts/login",
    b"/api/users/*/accounts/signup/x",
    b"/auth/session/a",
    b"/a/..;x/b/%2e%2e/c",
    b"/openapi.json",
];

const WORDS: &[&[u8]] = &[
    b"/",
    b"//",
    b".",
    b"..",
    b";",
    b"\\",
    b"%2e",
    b"%2F",
    b"%5c",
    b"%00",
    b"*",
    b"/auth",
    b"/api/users/",
];

/// Segment by segment, as it is meant.
fn is_below_slowly(path: &str, prefix: &str) -> bool {
    let mut segments = path.split('/');
    prefix.split('/').all(|wanted| {
        let fits = |segment: &str| segment == wanted || (wanted == "*" && !segment.is_empty());
        segments.next().is_some_and(fits)
    })
}

#[test]
fn a_path_that_looks_plain_has_nothing_that_is_tricky() {
    fuzz::check(SEEDS, WORDS, |input| {
        let path = input.text();
        assert!(!is_plain(&path) || !is_tricky_closely(&path), "{path}");
    });
}

#[test]
fn a_path_is_below_a_prefix_if_its_segments_are() {
    fuzz::check(SEEDS, WORDS, |input| {
        let path = input.text();
        let prefixes = PREFIXES.iter().map(|(prefix, _)| prefix);
        for prefix in prefixes.chain(COOKIE_USES.iter().map(|(prefix, _)| prefix)) {
            let slowly = is_below_slowly(&path, prefix);
            assert_eq!(is_below(&path, prefix), slowly, "{path} below {prefix}");
        }
    });
}
