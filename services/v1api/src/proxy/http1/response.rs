//! The head of an answer (RFC 9112, sections 4 to 6).

use std::mem::MaybeUninit;

use actix_web::http::StatusCode;
use bytes::{Buf as _, Bytes, BytesMut};

/// How many headers an answer can be allowed to have.
pub(crate) const MOST_HEADERS: usize = 512;

/// How large a head may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HeadLimits {
    /// How many headers it may have: [`MOST_HEADERS`] at most.
    pub(crate) headers: usize,
    /// Its length, in bytes.
    pub(crate) bytes: usize,
}

/// An answer that can't be passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadAnswer {
    /// It is no HTTP/1.
    #[error("the upstream's answer can't be read")]
    Syntax,
    /// Its head is longer than any should be.
    #[error("the head of the upstream's answer is too long")]
    TooLong,
    /// Where its body ends can be read in more than one way.
    #[error("the upstream's answer doesn't say clearly where it ends")]
    Framing,
    /// It changes to a protocol that nobody asked for.
    #[error("the upstream changed to another protocol unasked")]
    Switched,
}

/// Where a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// There is none.
    Empty,
    /// After so many bytes.
    Length(u64),
    /// After its last chunk.
    Chunked,
    /// Where the connection does.
    Close,
}

/// An answer's head.
#[derive(Clone, Debug)]
pub(crate) struct ResponseHead {
    /// The status.
    pub(crate) status: StatusCode,
    /// Names as they came, and values.
    pub(crate) headers: Vec<(Bytes, Bytes)>,
    /// Where the body ends.
    pub(crate) framing: Framing,
    /// What `Content-Length` says, which for HEAD is not what comes.
    pub(crate) announced: Option<u64>,
    /// Whether the connection can serve another request afterwards.
    pub(crate) keep_alive: bool,
}

/// What the body's end depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// By HEAD, whose answer has no body.
    pub(crate) head: bool,
    /// For another protocol.
    pub(crate) upgrade: bool,
}

/// Takes a head from the start of `bytes`, once all of it is there. Interim answers (1xx) that
/// nobody waits for are passed over.
pub(crate) fn take(
    bytes: &mut BytesMut,
    asked: Asked,
    limits: HeadLimits,
) -> Result<Option<ResponseHead>, BadAnswer> {
    loop {
        let mut room = [const { MaybeUninit::uninit() }; MOST_HEADERS];
        let room = room.get_mut(..limits.headers).unwrap_or_default();
        let mut parsed = httparse::Response::new(&mut []);
        let read = httparse::ParserConfig::default().parse_response_with_uninit_headers(
            &mut parsed,
            bytes,
            room,
        );
        let length = match read {
            Ok(httparse::Status::Complete(length)) if length <= limits.bytes => length,
            Ok(httparse::Status::Partial) if bytes.len() < limits.bytes => return Ok(None),
            Ok(_) | Err(httparse::Error::TooManyHeaders) => return Err(BadAnswer::TooLong),
            Err(_) => return Err(BadAnswer::Syntax),
        };
        let status = parsed
            .code
            .and_then(|code| StatusCode::from_u16(code).ok())
            .ok_or(BadAnswer::Syntax)?;
        if status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS {
            bytes.advance(length);
            continue;
        }
        if status == StatusCode::SWITCHING_PROTOCOLS && !asked.upgrade {
            return Err(BadAnswer::Switched);
        }
        let said = Said::of(&parsed)?;
        let framing = said.framing(status, asked);
        let spans: Vec<_> = parsed
            .headers
            .iter()
            .map(|header| {
                (
                    span(bytes, header.name.as_bytes()),
                    span(bytes, header.value),
                )
            })
            .collect();
        let head = bytes.split_to(length).freeze();
        return Ok(Some(ResponseHead {
            status,
            headers: spans
                .into_iter()
                .map(|(name, value)| (head.slice(name), head.slice(value)))
                .collect(),
            framing,
            announced: said.length,
            keep_alive: said.keep_alive && framing != Framing::Close,
        }));
    }
}

/// Where a part lies in the whole.
fn span(whole: &[u8], part: &[u8]) -> std::ops::Range<usize> {
    let start = part.as_ptr().addr().saturating_sub(whole.as_ptr().addr());
    start..start + part.len()
}

/// What the headers say of the message itself.
struct Said {
    length: Option<u64>,
    chunked: bool,
    keep_alive: bool,
}

impl Said {
    fn of(parsed: &httparse::Response<'_, '_>) -> Result<Self, BadAnswer> {
        let persistent = parsed.version == Some(1);
        let (mut kept, mut closed) = (persistent, false);
        let mut said = Self {
            length: None,
            chunked: false,
            keep_alive: false,
        };
        for header in parsed.headers.iter() {
            let is = |name: &str| header.name.eq_ignore_ascii_case(name);
            if is("content-length") {
                // Twice, even the same, is no one's intention.
                if said.length.is_some() {
                    return Err(BadAnswer::Framing);
                }
                said.length = Some(length(header.value)?);
            } else if is("transfer-encoding") {
                // Others, and lists of them, are asked of nobody: `TE` doesn't pass.
                if said.chunked || !persistent || !header.value.eq_ignore_ascii_case(b"chunked") {
                    return Err(BadAnswer::Framing);
                }
                said.chunked = true;
            } else if is("connection") {
                for option in header.value.split(|byte| *byte == b',') {
                    let option = option.trim_ascii();
                    closed |= option.eq_ignore_ascii_case(b"close");
                    kept |= option.eq_ignore_ascii_case(b"keep-alive");
                }
            }
        }
        if said.chunked && said.length.is_some() {
            return Err(BadAnswer::Framing);
        }
        said.keep_alive = kept && !closed;
        Ok(said)
    }

    /// RFC 9112, section 6.3.
    fn framing(&self, status: StatusCode, asked: Asked) -> Framing {
        if status == StatusCode::SWITCHING_PROTOCOLS {
            return Framing::Close;
        }
        if asked.head || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
            return Framing::Empty;
        }
        match (self.chunked, self.length) {
            (true, _) => Framing::Chunked,
            (false, Some(0)) => Framing::Empty,
            (false, Some(length)) => Framing::Length(length),
            (false, None) => Framing::Close,
        }
    }
}

/// Digits alone: no sign, no list.
fn length(value: &[u8]) -> Result<u64, BadAnswer> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return Err(BadAnswer::Framing);
    }
    std::str::from_utf8(value)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or(BadAnswer::Framing)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: Asked = Asked {
        head: false,
        upgrade: false,
    };

    const LIMITS: HeadLimits = HeadLimits {
        headers: 100,
        bytes: 10_000,
    };

    fn taken(text: &str, asked: Asked) -> Result<Option<ResponseHead>, BadAnswer> {
        take(&mut BytesMut::from(text), asked, LIMITS)
    }

    fn framing(lines: &str) -> Result<(Framing, bool), BadAnswer> {
        let head = taken(&format!("HTTP/1.1 200 OK\r\n{lines}\r\n\r\n"), GET)?.unwrap();
        Ok((head.framing, head.keep_alive))
    }

    #[test]
    fn a_body_ends_where_the_head_says() {
        for (lines, expected) in [
            ("content-length: 5", (Framing::Length(5), true)),
            ("Content-Length: 0", (Framing::Empty, true)),
            ("transfer-encoding: Chunked", (Framing::Chunked, true)),
            ("x: y", (Framing::Close, false)),
            (
                "content-length: 5\r\nconnection: x, Close",
                (Framing::Length(5), false),
            ),
        ] {
            assert_eq!(framing(lines), Ok(expected), "{lines}");
        }
    }

    #[test]
    fn an_answer_that_two_readers_would_end_in_two_places_is_refused() {
        for lines in [
            "content-length: 5\r\ncontent-length: 6",
            "content-length: 5\r\ncontent-length: 5",
            "content-length: 5, 5",
            "content-length: +5",
            "content-length: -1",
            "content-length: 0x5",
            "content-length: ",
            "content-length: 99999999999999999999",
            "content-length: 5\r\ntransfer-encoding: chunked",
            "transfer-encoding: chunked\r\ncontent-length: 5",
            "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
            "transfer-encoding: gzip, chunked",
            "transfer-encoding: identity",
            "transfer-encoding: \"chunked\"",
        ] {
            assert_eq!(framing(lines), Err(BadAnswer::Framing), "{lines}");
        }
        let old = "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        assert!(matches!(taken(old, GET), Err(BadAnswer::Framing)));
        for text in [
            "HTTP/1.1 200 OK\r\na b: c\r\n\r\n",
            "HTTP/1.1 200 OK\r\na: b\r\n c\r\n\r\n",
            "HTTP/2 200\r\n\r\n",
            "nonsense\r\n\r\n",
        ] {
            assert!(matches!(taken(text, GET), Err(BadAnswer::Syntax)), "{text}");
        }
    }

    #[test]
    fn heads_without_a_body_have_none_whatever_they_announce() {
        let head = taken(
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n",
            Asked { head: true, ..GET },
        );
        let head = head.unwrap().unwrap();
        assert_eq!((head.framing, head.announced), (Framing::Empty, Some(5)));
        for status in ["204 No Content", "304 Not Modified"] {
            let head = taken(&format!("HTTP/1.1 {status}\r\n\r\n"), GET)
                .unwrap()
                .unwrap();
            assert_eq!((head.framing, head.keep_alive), (Framing::Empty, true));
        }
    }

    #[test]
    fn an_older_server_keeps_its_connection_only_if_it_says_so() {
        let kept = |lines: &str| {
            let text = format!("HTTP/1.0 200 OK\r\ncontent-length: 1\r\n{lines}\r\n");
            taken(&text, GET).unwrap().unwrap().keep_alive
        };
        assert!(!kept(""));
        assert!(kept("connection: keep-alive\r\n"));
    }

    #[test]
    fn interim_answers_are_passed_over_and_another_protocol_must_have_been_asked_for() {
        let text = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n";
        for cut in 0..text.len() {
            let mut bytes = BytesMut::from(&text[..cut]);
            assert!(take(&mut bytes, GET, LIMITS).unwrap().is_none(), "{cut}");
        }
        assert_eq!(taken(text, GET).unwrap().unwrap().status, 201);
        let switch = "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n";
        assert!(matches!(taken(switch, GET), Err(BadAnswer::Switched)));
        assert!(
            taken(
                switch,
                Asked {
                    upgrade: true,
                    ..GET
                }
            )
            .unwrap()
            .is_some()
        );
    }

    #[test]
    fn a_head_has_an_end() {
        let long = format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(LIMITS.bytes));
        assert!(matches!(taken(&long, GET), Err(BadAnswer::TooLong)));
        let many = |count| {
            let text = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(count));
            taken(&text, GET)
        };
        assert_eq!(
            many(LIMITS.headers).unwrap().unwrap().headers.len(),
            LIMITS.headers
        );
        assert!(matches!(many(LIMITS.headers + 1), Err(BadAnswer::TooLong)));
    }

    #[test]
    fn headers_are_taken_as_they_stand() {
        let head = taken(
            "HTTP/1.1 200 OK\r\nX-One:  a b \r\nset-cookie: a\r\nset-cookie: b\r\n\r\nbody",
            GET,
        );
        let head = head.unwrap().unwrap();
        let headers: Vec<_> = head
            .headers
            .iter()
            .map(|(name, value)| (&name[..], &value[..]))
            .collect();
        assert_eq!(
            headers,
            [
                (&b"X-One"[..], &b"a b"[..]),
                (b"set-cookie", b"a"),
                (b"set-cookie", b"b")
            ]
        );
    }
}
