//! What is parsed here comes from strangers: thousands of damaged answers, cut anywhere, must be read
//! the same way however they are cut, and never make the reader stumble.

use bytes::BytesMut;

use super::chunked::{BadChunk, Chunked, Decoded};
use super::response::{self, Asked, BadAnswer, Framing, HeadLimits};

const ROUNDS: u64 = 20_000;

const ANSWERS: &[&[u8]] = &[
    b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"HTTP/1.0 204 No Content\r\nconnection: keep-alive\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 304 Not Modified\r\netag: \"x\"\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\r\n\x81\x00",
];

const BODIES: &[&[u8]] = &[
    b"5\r\nhello\r\n6;a=b\r\n world\r\n0\r\n\r\n",
    b"a\r\n0123456789\r\n0\r\nx-sum: 1\r\ny: z\r\n\r\nHTTP/1.1",
    b"00001\r\nx\r\nFFFFFFFFFFFFFFFF\r\n",
];

const PIECES: &[&[u8]] = &[
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b"\t",
    b":",
    b";",
    b"0",
    b"-1",
    b"content-length: 7\r\n",
    b"transfer-encoding: chunked\r\n",
    b"\x80",
    b"\r\n folded",
    b"ffffffffffffffffff",
    b",",
];

/// A generator whose numbers are the same in every run (xorshift64).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound.max(1) as u64).unwrap()
    }

    fn damaged(&mut self, whole: &[u8]) -> Vec<u8> {
        let mut bytes = whole.to_vec();
        for _ in 0..=self.below(3) {
            let at = self.below(bytes.len() + 1);
            match self.below(4) {
                0 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
                1 if at < bytes.len() => drop(bytes.remove(at)),
                2 => bytes.truncate(at),
                _ => {
                    let piece = PIECES[self.below(PIECES.len())];
                    bytes.splice(at..at, piece.iter().copied());
                }
            }
        }
        bytes
    }
}

type Body = Result<(Vec<u8>, bool), BadChunk>;

fn body_of(pieces: &[&[u8]]) -> Body {
    let (mut chunked, mut waiting, mut body) = (Chunked::new(), BytesMut::new(), Vec::new());
    for piece in pieces {
        waiting.extend_from_slice(piece);
        loop {
            match chunked.decode(&mut waiting)? {
                Decoded::Data(data) => body.extend_from_slice(&data),
                Decoded::More => break,
                Decoded::End => return Ok((body, true)),
            }
        }
    }
    Ok((body, false))
}

type Head = Result<Option<(u16, Framing, bool, usize)>, BadAnswer>;

fn head_of(pieces: &[&[u8]]) -> Head {
    let mut waiting = BytesMut::new();
    let asked = Asked {
        head: false,
        upgrade: true,
    };
    let limits = HeadLimits {
        headers: 128,
        bytes: 64 * 1024,
    };
    for piece in pieces {
        waiting.extend_from_slice(piece);
        if let Some(head) = response::take(&mut waiting, asked, limits)? {
            return Ok(Some((
                head.status.as_u16(),
                head.framing,
                head.keep_alive,
                head.headers.len(),
            )));
        }
    }
    Ok(None)
}

#[test]
fn damaged_chunks_are_read_the_same_way_however_they_are_cut() {
    let mut numbers = Numbers(0x5eed);
    for _ in 0..ROUNDS {
        let whole = BODIES[numbers.below(BODIES.len())];
        let bytes = numbers.damaged(whole);
        let (left, right) = bytes.split_at(numbers.below(bytes.len()));
        let (whole, cut) = (body_of(&[&bytes]), body_of(&[left, right]));
        assert_eq!(whole, cut, "{}", bytes.escape_ascii());
        if let Ok((body, _)) = whole {
            assert!(body.len() <= bytes.len());
        }
    }
}

#[test]
fn damaged_heads_are_read_the_same_way_however_they_are_cut() {
    let mut numbers = Numbers(0xfeed);
    for _ in 0..ROUNDS {
        let whole = ANSWERS[numbers.below(ANSWERS.len())];
        let bytes = numbers.damaged(whole);
        let (left, right) = bytes.split_at(numbers.below(bytes.len()));
        let (whole, cut) = (head_of(&[&bytes]), head_of(&[left, right]));
        assert_eq!(whole, cut, "{}", bytes.escape_ascii());
    }
}
