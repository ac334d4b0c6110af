//! Rules come from whoever publishes a service.

use super::{ServiceRules, is_parameter};
use crate::scope::Verb;

const SEEDS: &[&[u8]] = &[
    br#"{"endpoints":[{"method":"GET","path":"/orders/{id}","scope":"read","timeout":5},{"path":"/admin/**"}]}"#,
    br#"{"cors":{"origins":["https://shop.example","http://localhost:3000"]},"max_body":1000,"timeout":600}"#,
    br#"{"endpoints":[{"path":"/"}],"cors":{"origins":["*"]},"health":{"path":"/healthz"}}"#,
];

const WORDS: &[&[u8]] = &[
    b"/", b"{", b"}", b"{id}", b"**", b"..", b"%2f", b"\\u0000", b"*", b":443", b"-1", b"1e9",
    b"null", b"\"", b"[]", b"?", b"#", b"\\n",
];

#[test]
fn rules_that_are_taken_mean_one_thing_and_read_the_same_when_written_again() {
    fuzz::check(SEEDS, WORDS, |input| {
        let Ok(rules) = serde_json::from_slice::<ServiceRules>(&input.bytes) else {
            return;
        };
        if rules.check(&[Verb::Read, Verb::Write]).is_err() {
            return;
        }
        let written = serde_json::to_vec(&rules).unwrap();
        assert_eq!(
            serde_json::from_slice::<ServiceRules>(&written).unwrap(),
            rules
        );
        for rule in &rules.endpoints {
            let path = rule.path.strip_prefix('/').unwrap();
            for segment in path.split('/').filter(|segment| !segment.is_empty()) {
                // Neither steps up nor is encoded, nor has a query, nor ends a line.
                assert!(!matches!(segment, "." | ".."), "{path}");
                assert!(
                    segment.bytes().all(|byte| byte.is_ascii_graphic()),
                    "{path}"
                );
                assert!(!segment.contains(['%', '?', '#', ';', '\\']), "{path}");
                assert_eq!(
                    is_parameter(segment),
                    segment.contains(['{', '}']),
                    "{path}"
                );
            }
        }
        for origin in &rules.cors.origins {
            // As a browser sends it: no two spellings of one origin.
            let url = url::Url::parse(origin).map(|url| url.origin().ascii_serialization());
            assert!(origin == "*" || url.as_deref() == Ok(origin), "{origin}");
        }
    });
}
