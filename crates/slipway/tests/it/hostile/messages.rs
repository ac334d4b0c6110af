//! Requests that are too large, too deep, in no encoding, or to be read in two ways.

use super::raw::{answer_to, must_answer, statuses};
use crate::harness::Up;

const HEAD: &str = "host: localhost\r\nconnection: close\r\n";
const JSON: &str = "content-type: application/json\r\n";
const REGISTER: &str = "POST /auth/euser/emailpass/register HTTP/1.1\r\n";

/// No answer at all: the connection ends.
const CLOSED: &str = "";

/// Name, bytes, and the only statuses that may come.
type Case = (&'static str, Vec<u8>, &'static [&'static str]);

fn get(path: &str, headers: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\n{HEAD}{headers}\r\n").into_bytes()
}

fn post(body: &[u8]) -> Vec<u8> {
    let head = format!(
        "{REGISTER}{HEAD}{JSON}content-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn with_bytes(before: &str, bytes: &[u8], after: &str) -> Vec<u8> {
    [before.as_bytes(), bytes, after.as_bytes()].concat()
}

fn large() -> Vec<Case> {
    let chunk = format!("5000\r\n{}\r\n", "x".repeat(0x5000)).repeat(20);
    let unannounced =
        format!("{REGISTER}{HEAD}{JSON}transfer-encoding: chunked\r\n\r\n{chunk}0\r\n\r\n");
    vec![
        (
            "a body that is too large",
            post(&vec![b'x'; 300_000]),
            &["413"],
        ),
        (
            "one that doesn't say so",
            unannounced.into_bytes(),
            &["413"],
        ),
        (
            "a header that is too large",
            get("/healthz", &format!("x: {}\r\n", "y".repeat(200_000))),
            &["431"],
        ),
        (
            "too many headers",
            get("/healthz", &"x: y\r\n".repeat(2_000)),
            &["431"],
        ),
        (
            "a path that is too long",
            get(&format!("/{}", "y".repeat(200_000)), ""),
            &["431"],
        ),
        (
            "lists in lists",
            post("[".repeat(100_000).as_bytes()),
            &["400"],
        ),
        (
            "objects in objects",
            post("{\"a\":".repeat(40_000).as_bytes()),
            &["400"],
        ),
        (
            "a field that is too deep",
            post(format!("{{\"email\":{}", "[".repeat(200_000)).as_bytes()),
            &["400"],
        ),
        (
            "a number that is too large",
            post(format!("{{\"email\":{}}}", "9".repeat(200_000)).as_bytes()),
            &["400"],
        ),
    ]
}

fn no_text() -> Vec<Case> {
    let bad = b"\xff\xfe\xc0\x80";
    let head = format!(" HTTP/1.1\r\n{HEAD}\r\n");
    let line = "GET /v1/users/me HTTP/1.1\r\n";
    vec![
        (
            "a path that is no text",
            with_bytes("GET /v1/accounts/", bad, &head),
            &["400"],
        ),
        (
            "one escaped",
            get("/v1/accounts/%ff%fe%c0%80", ""),
            &["401"],
        ),
        (
            "a query that is no text",
            with_bytes("GET /v1/usage?from=", bad, &head),
            &["400"],
        ),
        ("one escaped", get("/v1/usage?from=%ff%fe", ""), &["401"]),
        ("half an escape", get("/v1/accounts/%f", ""), &["401"]),
        ("a zero in a path", get("/v1/accounts/%00", ""), &["400"]),
        (
            "a token that is no text",
            with_bytes(
                &format!("{line}{HEAD}authorization: Bearer "),
                bad,
                "\r\n\r\n",
            ),
            &["401"],
        ),
        (
            "a request id that is no text",
            with_bytes(&format!("{line}{HEAD}x-request-id: "), bad, "\r\n\r\n"),
            &["401"],
        ),
        (
            "a zero in a header",
            with_bytes(&format!("{line}{HEAD}x: "), b"\0", "\r\n\r\n"),
            &["400"],
        ),
        (
            "a body that is no text",
            post(&with_bytes("{\"email\":\"", bad, "\"}")),
            &["400"],
        ),
        (
            "half a character",
            post(b"{\"email\":\"\\ud800\"}"),
            &["400"],
        ),
        (
            "a host that is no text",
            with_bytes(
                "GET / HTTP/1.1\r\nconnection: close\r\nhost: ",
                bad,
                "\r\n\r\n",
            ),
            &["400"],
        ),
    ]
}

fn ambiguous() -> Vec<Case> {
    let smuggled = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let framed =
        |framing: &str| format!("{REGISTER}{HEAD}{JSON}{framing}\r\n\r\n{smuggled}").into_bytes();
    let plain = |text: &str| text.as_bytes().to_vec();
    vec![
        (
            "a length and chunks",
            framed("content-length: 4\r\ntransfer-encoding: chunked"),
            &["400"],
        ),
        (
            "chunks and a length",
            framed("transfer-encoding: chunked\r\ncontent-length: 4"),
            &["400"],
        ),
        (
            "two lengths",
            framed("content-length: 4\r\ncontent-length: 44"),
            &["400"],
        ),
        (
            "a coding that nobody knows",
            framed("transfer-encoding: xchunked"),
            &["400"],
        ),
        (
            "a folded header",
            framed("x: y\r\n transfer-encoding: chunked"),
            &["400"],
        ),
        (
            "a space before the colon",
            framed("transfer-encoding : chunked"),
            &["400"],
        ),
        (
            "chunks of a wrong length",
            framed("transfer-encoding: chunked\r\n\r\nfffffffffffffffff"),
            &["400", CLOSED],
        ),
        (
            "two hosts",
            plain(
                "GET / HTTP/1.1\r\nhost: localhost\r\nhost: x.localhost\r\nconnection: close\r\n\r\n",
            ),
            &["400"],
        ),
        (
            "another host in the target",
            get("http://x.localhost/", ""),
            &["400"],
        ),
        (
            "a host that nobody has",
            plain("GET / HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n"),
            &["421"],
        ),
        (
            "a tunnel",
            plain(
                "CONNECT localhost:80 HTTP/1.1\r\nhost: localhost:80\r\nconnection: close\r\n\r\n",
            ),
            &["400"],
        ),
        (
            "what is no request",
            plain("\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\r\n\r\n"),
            &["400"],
        ),
        (
            "a version that isn't there",
            plain("GET / HTTP/7.1\r\nhost: localhost\r\n\r\n"),
            &["400"],
        ),
        (
            "HTTP/1.1 after the preface of HTTP/2",
            plain(
                "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nGET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n",
            ),
            &[CLOSED],
        ),
        (
            "a method of control characters",
            plain("G\u{1}T / HTTP/1.1\r\nhost: localhost\r\n\r\n"),
            &["400"],
        ),
    ]
}

/// A way from a public route to an internal one.
fn climbing() -> Vec<Case> {
    [
        "/auth/../internal/jwks",
        "/auth/%2e%2e/internal/jwks",
        "/auth/..%2finternal/jwks",
        "//internal/jwks",
        "/internal/jwks",
        "/./internal/jwks",
        "/auth;/../internal/jwks",
        "/auth/euser/..%2f..%2f..%2finternal/jwks",
        "/git/../internal/repositories/resolve",
        "/auth\\..\\internal\\jwks",
        "/metrics",
    ]
    .into_iter()
    .map(|path| (path, get(path, ""), &["404", "400", "401"][..]))
    .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_means_harm_is_refused_and_the_platform_goes_on() {
    let up = Up::start().await;
    let mut wrong = Vec::new();
    for (name, bytes, expected) in [large(), no_text(), ambiguous(), climbing()].concat() {
        let answer = answer_to(&up, &bytes).await;
        let got = statuses(&answer);
        // At most one answer: nothing of a body was taken for another request.
        if got.len() > 1 || !expected.contains(&got.first().copied().unwrap_or(CLOSED)) {
            wrong.push(format!("{name}: {expected:?}, not {got:?}: {answer}"));
        }
        must_answer(&up, name).await;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(!up.log().contains("panicked"), "{}", up.log());
}
