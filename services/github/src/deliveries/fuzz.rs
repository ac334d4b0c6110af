//! Deliveries come from whoever finds the address.

use chassis::settings::Secret;
use ring::hmac;

use super::content::{Content, read};
use super::signature::is_good;

const DELIVERIES: &[&[u8]] = &[
    br#"{"ref":"refs/heads/feature/x","after":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","deleted":false,"repository":{"name":"shop","owner":{"name":"acme"},"default_branch":"main"},"installation":{"id":7}}"#,
    br#"{"action":"renamed","changes":{"repository":{"name":{"from":"old"}}},"installation":{"id":7},"repository":{"name":"new","owner":{"login":"acme"}}}"#,
    br#"{"action":"transferred","changes":{"owner":{"from":{"user":{"login":"ada"}}}},"installation":{"id":7},"repository":{"name":"new","owner":{"login":"acme"}}}"#,
    br#"{"action":"renamed","changes":{"login":{"from":"acme"}},"installation":{"id":9223372036854775807}}"#,
];

const WORDS: &[&[u8]] = &[
    b"null",
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b",",
    b":",
    b"1e400",
    b"-1",
    b"9223372036854775808",
    b"\\u0000",
    b"\\ud800",
    b"refs/heads/",
    b"true",
    b"\"name\":\"x\",",
    b"{}",
    b"\"login\":\"x\",",
];

const EVENTS: &[&str] = &[
    "push",
    "installation",
    "repository",
    "installation_target",
    "star",
];

#[test]
fn what_is_read_of_a_delivery_names_a_branch_and_a_commit_and_is_kept_as_it_was_read() {
    fuzz::check(DELIVERIES, WORDS, |input| {
        for event in EVENTS {
            let Ok(Some(read)) = read(event, &input.bytes) else {
                continue;
            };
            let kept = serde_json::to_string(&read.content).unwrap();
            assert_eq!(
                serde_json::from_str::<Content>(&kept).unwrap(),
                read.content
            );
            match &read.content {
                Content::Push(push) => {
                    assert_eq!(*event, "push");
                    assert!(push.branch.len() <= 255);
                    assert!(push.commit.bytes().all(|byte| byte.is_ascii_hexdigit()));
                    assert!(matches!(push.commit.len(), 40 | 64));
                    let named = format!("{}/{}", push.owner, push.repo);
                    assert_eq!(read.repository, Some(named));
                }
                Content::PullRequest(pull) => {
                    assert_eq!(*event, "pull_request");
                    assert!(pull.number > 0);
                }
                Content::Moved(moved) => {
                    assert_eq!(*event, "repository");
                    let named = format!("{}/{}", moved.owner, moved.repo);
                    assert_eq!(read.repository, Some(named));
                }
                Content::OwnerRenamed(_) => assert_eq!(*event, "installation_target"),
                Content::Installation => assert!(event.starts_with("installation")),
                Content::Nothing { reason } => assert!(!reason.is_empty()),
            }
        }
    });
}

#[test]
fn a_signature_is_good_in_its_own_digits_alone() {
    let secret = Secret::new("It's a Secret to Everybody");
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
    let body = b"Hello, World!";
    let digest = hmac::sign(&key, body);
    let digits: String = digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let good = format!("sha256={digits}");
    let upper = format!("sha256={}", digits.to_uppercase());
    let words: &[&[u8]] = &[
        b"sha256=",
        b"sha1=",
        b"+",
        b"-",
        b"0",
        b"0x",
        b"A",
        "é".as_bytes(),
    ];
    fuzz::check(&[good.as_bytes(), upper.as_bytes()], words, |input| {
        let header = input.text();
        // The size of the letters says nothing.
        let same = header
            .strip_prefix("sha256=")
            .is_some_and(|given| given.eq_ignore_ascii_case(&digits));
        assert_eq!(is_good(&secret, &header, body), same);
    });
    // Each byte with a sign in the place of a leading zero.
    for (at, _) in digits.match_indices('0').filter(|(at, _)| at % 2 == 0) {
        let mut signed = good.clone();
        signed.replace_range(7 + at..8 + at, "+");
        assert!(!is_good(&secret, &signed, body), "{signed}");
    }
}
