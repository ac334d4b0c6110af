//! However a path is spelt: it opens nothing that its plain spelling doesn't.

use actix_web::http::Method;
use common::rules::{EndpointRule, ServiceRules};
use common::scope::Verb;

use super::rules::Rules;

/// A line for each endpoint: its verb's first letter and its template. The last line is a path.
const SEEDS: &[&[u8]] = &[
    b"w /**\nr /search\nw /orders/{id}\nr /orders/open\nw /admin/**\nr /admin/help\n/admin/help",
    b"r /**\nw /orders/open\nr /orders/{id}\nw /{shop}/prices\nr /orders/{id}/lines\n/orders/open",
    b"w /a/b\nr /a/{c}\nw /{d}/b/**\nr /\n/a/b/c",
];

const WORDS: &[&[u8]] = &[
    b"/", b"{x}", b"/**", b"\nw ", b"\nr ", b"admin", b"help", b"orders", b"open", b"a", b"b", b"c",
];

/// Rules as the platform takes them, in lower case, and a path.
fn read(text: &str) -> Option<(Rules, &str)> {
    let (endpoints, path) = text.rsplit_once('\n')?;
    let endpoint = |line: &str| {
        let (verb, path) = line.split_once(' ')?;
        Some(EndpointRule {
            method: None,
            path: path.to_owned(),
            scope: Some(if verb == "w" { Verb::Write } else { Verb::Read }),
            timeout: None,
        })
    };
    let given = ServiceRules {
        endpoints: endpoints.lines().map(endpoint).collect::<Option<_>>()?,
        ..ServiceRules::default()
    };
    // What a template spells with capitals or parameters is meant so.
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte == b'/';
    let is_plain = path.bytes().all(plain) && path.starts_with('/') && !path.contains("//");
    let lower = !endpoints.contains(|c: char| c.is_ascii_uppercase() || c == ';');
    (is_plain && lower && given.check(&[Verb::Read, Verb::Write]).is_ok())
        .then(|| (Rules::new(given), path))
}

/// The path as servers may read it all the same.
fn spellings(path: &str) -> Vec<String> {
    let encoded = |byte: u8| match byte {
        b'/' => "/".to_owned(),
        byte => format!("%{byte:02x}"),
    };
    let with_parameters: Vec<_> = path
        .split('/')
        .map(|part| match part {
            "" => String::new(),
            part => format!("{part};x=1"),
        })
        .collect();
    let mut spellings = vec![
        path.to_ascii_uppercase(),
        path.bytes().map(encoded).collect(),
        path.to_ascii_uppercase().bytes().map(encoded).collect(),
        with_parameters.join("/"),
    ];
    if !path.ends_with('/') {
        spellings.push(format!("{path}/"));
    }
    // One segment alone is odd.
    for (at, part) in path
        .split('/')
        .enumerate()
        .filter(|(_, part)| !part.is_empty())
    {
        let mut parts: Vec<_> = path.split('/').collect();
        let odd = part.to_ascii_uppercase();
        parts[at] = &odd;
        spellings.push(parts.join("/"));
    }
    spellings
}

#[test]
fn no_spelling_of_a_path_needs_less_than_the_path() {
    fuzz::check(SEEDS, WORDS, |input| {
        let text = input.text();
        let Some((rules, path)) = read(&text) else {
            return;
        };
        let needed = rules.terms(&Method::POST, path).verb;
        for spelling in spellings(path) {
            let verb = rules.terms(&Method::POST, &spelling).verb;
            assert!(
                verb >= needed,
                "{spelling} needs {verb:?}, {path} {needed:?}"
            );
        }
    });
}
