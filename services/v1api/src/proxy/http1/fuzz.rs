//! What is parsed here comes from strangers: damaged answers, cut anywhere, must be read the same way
//! however they are cut, and as a second, slower reader reads them.

use actix_web::http::header::{HeaderName, HeaderValue};
use bytes::{Bytes, BytesMut};
use fuzz::Input;

use super::chunked::{BadChunk, Chunked, Decoded};
use super::response::{self, Asked, BadAnswer, Framing, HeadLimits, ResponseHead};

const ANSWERS: &[&[u8]] = &[
    b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"HTTP/1.0 204 No Content\r\nconnection: keep-alive\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 304 Not Modified\r\netag: \"x\"\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n\x81\x00",
    b"HTTP/1.1 200 \r\nX-One:  a b \r\nset-cookie: a\r\nset-cookie: b\r\n\r\nbody",
];

const BODIES: &[&[u8]] = &[
    b"5\r\nhello\r\n6;a=b\r\n world\r\n0\r\n\r\n",
    b"a\r\n0123456789\r\n0\r\nx-sum: 1\r\ny: z\r\n\r\nHTTP/1.1",
    b"00001\r\nx\r\nFFFFFFFFFFFFFFFF\r\n",
    b"4;name=\"v\"\r\nWiki\r\n0A \r\n0123456789\r\n0;last\r\nx-sum: 1\r\n\r\nHTTP/1.1",
];

const WORDS: &[&[u8]] = &[
    b"\n",
    b"\r",
    b"\t",
    b":",
    b";",
    b"0",
    b"-1",
    b"+",
    b"content-length: 7\r\n",
    b"content-length: 5\r\n",
    b"transfer-encoding: chunked\r\n",
    b"Transfer-Encoding : chunked\r\n",
    b"\r\n folded",
    b"ffffffffffffffffff",
    b",",
    b"\r\n\r\n",
    b"0\r\n\r\n",
];

const LIMITS: HeadLimits = HeadLimits {
    headers: 128,
    bytes: 64 * 1024,
};

const ASKED: Asked = Asked {
    head: false,
    upgrade: true,
};

/// A body, and what is left behind its end; none if it has no end.
type Body = Result<Option<(Vec<u8>, Vec<u8>)>, BadChunk>;

fn body_of(pieces: &[&[u8]]) -> Body {
    let (mut chunked, mut waiting, mut body) = (Chunked::new(), BytesMut::new(), Vec::new());
    for (at, piece) in pieces.iter().enumerate() {
        waiting.extend_from_slice(piece);
        loop {
            match chunked.decode(&mut waiting)? {
                Decoded::Data(data) => body.extend_from_slice(&data),
                Decoded::More => break,
                Decoded::End => {
                    let rest = [&waiting[..], &pieces[at + 1..].concat()].concat();
                    return Ok(Some((body, rest)));
                }
            }
        }
    }
    Ok(None)
}

/// The grammar of RFC 9112, section 7.1, line by line; extensions and trailers are any text.
fn body_by_lines(mut bytes: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    fn line<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
        let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
        let (line, rest) = bytes.split_at(end);
        *bytes = &rest[2..];
        let plain = line.iter().all(|&byte| byte >= b' ' || byte == b'\t');
        plain.then_some(line)
    }
    let mut body = Vec::new();
    loop {
        let head = line(&mut bytes)?;
        let digits = head.iter().take_while(|byte| byte.is_ascii_hexdigit());
        let (length, extension) = head.split_at(digits.count());
        if length.len() > 16 || !matches!(extension.trim_ascii_start(), [] | [b';', ..]) {
            return None;
        }
        let length = usize::from_str_radix(std::str::from_utf8(length).ok()?, 16).ok()?;
        if length == 0 {
            while !line(&mut bytes)?.is_empty() {}
            return Some((body, bytes.to_vec()));
        }
        let (data, rest) = bytes.split_at_checked(length)?;
        body.extend_from_slice(data);
        bytes = rest.strip_prefix(b"\r\n")?;
    }
}

#[test]
fn a_damaged_body_in_chunks_is_read_the_same_way_however_it_is_cut() {
    fuzz::check(BODIES, WORDS, |input| {
        assert_eq!(body_of(&[&input.bytes]), body_of(&input.pieces()));
    });
}

#[test]
fn a_body_in_chunks_ends_where_a_second_reader_ends_it() {
    fuzz::check(BODIES, WORDS, |input| {
        let read = body_of(&[&input.bytes]).ok().flatten();
        assert_eq!(read, body_by_lines(&input.bytes));
    });
}

/// What there is of a head, and what is left behind it.
type Head = Result<Option<(ResponseHead, Vec<u8>)>, BadAnswer>;

fn head_of(pieces: &[&[u8]], limits: HeadLimits) -> Head {
    let mut waiting = BytesMut::new();
    for (at, piece) in pieces.iter().enumerate() {
        waiting.extend_from_slice(piece);
        if let Some(head) = response::take(&mut waiting, ASKED, limits)? {
            let rest = [&waiting[..], &pieces[at + 1..].concat()].concat();
            return Ok(Some((head, rest)));
        }
    }
    Ok(None)
}

/// All of it, to compare.
fn said(head: Head) -> impl PartialEq + std::fmt::Debug {
    let all = |(head, rest): (ResponseHead, _)| {
        let end = (head.framing, head.announced, head.keep_alive);
        (head.status, head.headers, end, rest)
    };
    head.map(|found| found.map(all))
}

#[test]
fn a_damaged_head_is_read_the_same_way_however_it_is_cut() {
    fuzz::check(ANSWERS, WORDS, |input| {
        let read = |pieces: &[&[u8]]| said(head_of(pieces, LIMITS));
        assert_eq!(read(&[&input.bytes]), read(&input.pieces()));
    });
}

#[test]
fn limits_hold_for_the_same_heads_however_they_are_cut() {
    let limits = HeadLimits {
        headers: 2,
        bytes: 60,
    };
    // What is wrong with a head that is both too long and no head depends on how much of it is there.
    fuzz::check(ANSWERS, WORDS, |input| {
        let read = |pieces: &[&[u8]]| said(head_of(pieces, limits).map_err(|_| BadAnswer::TooLong));
        assert_eq!(read(&[&input.bytes]), read(&input.pieces()));
    });
}

fn values<'a>(head: &'a ResponseHead, name: &str) -> Vec<&'a Bytes> {
    let all = head.headers.iter();
    let named = all.filter(|(other, _)| other.eq_ignore_ascii_case(name.as_bytes()));
    named.map(|(_, value)| value).collect()
}

/// Where the body ends by RFC 9112, section 6.3, without what is refused here.
fn end_of(head: &ResponseHead) -> Framing {
    let length = values(head, "content-length");
    let encoding = values(head, "transfer-encoding");
    assert!(length.len() + encoding.len() <= 1, "it ends in two places");
    match (head.status.as_u16(), length.first(), encoding.first()) {
        (101, _, _) => Framing::Close,
        (204 | 304, _, _) => Framing::Empty,
        (_, _, Some(coding)) => {
            assert!(coding.eq_ignore_ascii_case(b"chunked"));
            Framing::Chunked
        }
        (_, Some(length), _) => {
            assert!(length.iter().all(u8::is_ascii_digit));
            match std::str::from_utf8(length).unwrap().parse().unwrap() {
                0 => Framing::Empty,
                length => Framing::Length(length),
            }
        }
        (_, None, None) => Framing::Close,
    }
}

#[test]
fn a_head_that_is_taken_ends_in_one_place_and_reads_the_same_when_written_again() {
    fuzz::check(ANSWERS, WORDS, |input: &Input| {
        let Ok(Some((head, _))) = head_of(&[&input.bytes], LIMITS) else {
            return;
        };
        assert_eq!(head.framing, end_of(&head));
        let mut again = format!("HTTP/1.1 {} x\r\n", head.status.as_u16()).into_bytes();
        for (name, value) in &head.headers {
            HeaderName::from_bytes(name).expect("a name can be passed on");
            HeaderValue::from_bytes(value).expect("a value can be passed on");
            again.extend([name, &b": "[..], value, b"\r\n"].concat());
        }
        again.extend(b"\r\nrest");
        let (second, rest) = head_of(&[&again], LIMITS).unwrap().unwrap();
        assert_eq!(rest, b"rest");
        assert_eq!(
            (second.status, &second.headers, second.framing),
            (head.status, &head.headers, head.framing)
        );
    });
}
