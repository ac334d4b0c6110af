//! Headers that name a trace are read as the recommendation writes them, and by nobody else's rule.

use super::TraceContext;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

const SEEDS: &[&[u8]] = &[
    b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    b"cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-comes-later",
    b"00-00000000000000000000000000000000-b7ad6b7169203331-01",
    b"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-00",
];

const WORDS: &[&[u8]] = &[
    b"-",
    b"0",
    b"00",
    b"ff",
    b"A",
    b"-01",
    b"-00-",
    "é".as_bytes(),
];

/// Whether a text is a `traceparent` (W3C Trace Context, sections 3.2.2 and 3.2.4), by its bytes.
fn is_traceparent(text: &str) -> bool {
    let bytes = text.as_bytes();
    let hex = |range: std::ops::Range<usize>| {
        let digits = bytes.get(range).unwrap_or_default();
        let lower = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        !digits.is_empty() && digits.iter().all(lower)
    };
    let zero = |range: std::ops::Range<usize>| text[range].bytes().all(|byte| byte == b'0');
    let shaped = bytes.len() >= 55
        && hex(0..2)
        && hex(3..35)
        && hex(36..52)
        && hex(53..55)
        && [2, 35, 52].iter().all(|&at| bytes[at] == b'-');
    let later = || bytes.len() == 55 || (!text.starts_with("00") && bytes[55] == b'-');
    shaped && later() && !text.starts_with("ff") && !zero(3..35) && !zero(36..52)
}

#[test]
fn a_trace_goes_on_exactly_where_its_header_is_one() {
    fuzz::check(SEEDS, WORDS, |input| {
        let text = input.text();
        let context = TraceContext::continuing(Some(&text), "req");
        let goes_on = text.get(3..35) == Some(&*context.trace_id);
        assert_eq!(goes_on, is_traceparent(&text), "{text}");
        // What goes out is one in any case.
        let next = context.traceparent();
        assert!(is_traceparent(&next), "{next}");
        let after = TraceContext::continuing(Some(&next), "req");
        assert_eq!(after.trace_id, context.trace_id);
    });
    assert!(is_traceparent(&format!("00-{TRACE}-b7ad6b7169203331-01")));
}
