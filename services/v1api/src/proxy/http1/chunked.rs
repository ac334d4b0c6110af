//! Bodies in chunks, taken apart (RFC 9112, section 7.1).

use bytes::{Buf as _, Bytes, BytesMut};

/// How many bytes of extensions and trailers an answer may have: they are read past and dropped.
const MOST_ASIDE: usize = 16 * 1024;
/// Digits of the largest length there is.
const MOST_DIGITS: u8 = 16;

/// A chunk that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadChunk {
    /// Its length can't be read.
    #[error("a chunk's length can't be read")]
    Length,
    /// Lines or data don't end where they say.
    #[error("a chunk doesn't end where it says")]
    End,
    /// Too much beside the data.
    #[error("the chunks have too many extensions or trailers")]
    Aside,
}

/// What has been taken out of the bytes so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decoded {
    /// A piece of the body.
    Data(Bytes),
    /// More bytes are needed.
    More,
    /// The body has ended; what is left is not of it.
    End,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Length {
        value: u64,
        digits: u8,
    },
    /// Past white space after the length: an extension may follow, and nothing else.
    Blank {
        value: u64,
    },
    Extension {
        value: u64,
    },
    LengthLf {
        value: u64,
    },
    Data {
        left: u64,
    },
    DataCr,
    DataLf,
    /// At the start of a trailer's line, or of the empty one that ends it all.
    Trailer,
    TrailerLine,
    TrailerLf,
    LastLf,
    End,
}

const FIRST: State = State::Length {
    value: 0,
    digits: 0,
};

/// Takes a chunked body apart as its bytes come in.
#[derive(Clone, Debug)]
pub(crate) struct Chunked {
    state: State,
    aside: usize,
}

impl Chunked {
    /// At the start of a body.
    pub(crate) fn new() -> Self {
        Self {
            state: FIRST,
            aside: 0,
        }
    }

    /// Takes the next piece out of `bytes`.
    pub(crate) fn decode(&mut self, bytes: &mut BytesMut) -> Result<Decoded, BadChunk> {
        loop {
            if let State::Data { left } = self.state {
                if bytes.is_empty() {
                    return Ok(Decoded::More);
                }
                let length = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                let left = left - length as u64;
                self.state = if left == 0 {
                    State::DataCr
                } else {
                    State::Data { left }
                };
                return Ok(Decoded::Data(bytes.split_to(length).freeze()));
            }
            if matches!(self.state, State::End) {
                return Ok(Decoded::End);
            }
            let Some(byte) = bytes.first().copied() else {
                return Ok(Decoded::More);
            };
            bytes.advance(1);
            self.state = self.after(byte)?;
        }
    }

    fn after(&mut self, byte: u8) -> Result<State, BadChunk> {
        Ok(match self.state {
            State::Length { value, digits } => return self.after_length(byte, value, digits),
            State::Blank { value } | State::Extension { value } if byte == b'\r' => {
                State::LengthLf { value }
            }
            State::Blank { value } => return self.after_length_ends(byte, value),
            State::Extension { value } => {
                self.put_aside(byte)?;
                State::Extension { value }
            }
            State::LengthLf { value } if byte == b'\n' => match value {
                0 => State::Trailer,
                left => State::Data { left },
            },
            State::DataCr if byte == b'\r' => State::DataLf,
            State::DataLf if byte == b'\n' => FIRST,
            State::Trailer if byte == b'\r' => State::LastLf,
            State::Trailer | State::TrailerLine if byte == b'\r' => State::TrailerLf,
            State::Trailer | State::TrailerLine => {
                self.put_aside(byte)?;
                State::TrailerLine
            }
            State::TrailerLf if byte == b'\n' => State::Trailer,
            State::LastLf if byte == b'\n' => State::End,
            _ => return Err(BadChunk::End),
        })
    }

    fn after_length(&mut self, byte: u8, value: u64, digits: u8) -> Result<State, BadChunk> {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            b'A'..=b'F' => byte - b'A' + 10,
            b'\r' if digits > 0 => return Ok(State::LengthLf { value }),
            _ if digits > 0 => return self.after_length_ends(byte, value),
            _ => return Err(BadChunk::Length),
        };
        if digits == MOST_DIGITS {
            return Err(BadChunk::Length);
        }
        Ok(State::Length {
            value: value << 4 | u64::from(digit),
            digits: digits + 1,
        })
    }

    fn after_length_ends(&mut self, byte: u8, value: u64) -> Result<State, BadChunk> {
        let state = match byte {
            b';' => State::Extension { value },
            b' ' | b'\t' => State::Blank { value },
            _ => return Err(BadChunk::Length),
        };
        self.put_aside(byte)?;
        Ok(state)
    }

    fn put_aside(&mut self, byte: u8) -> Result<(), BadChunk> {
        self.aside += 1;
        // A line feed alone ends a line for some readers and not for others.
        if self.aside > MOST_ASIDE || (byte < b' ' && byte != b'\t') {
            return Err(BadChunk::Aside);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The body of these bytes, which come `step` at a time, and what is left after it.
    fn decoded(bytes: &[u8], step: usize) -> Result<(Vec<u8>, Vec<u8>), BadChunk> {
        let (mut chunked, mut body) = (Chunked::new(), Vec::new());
        let mut waiting = BytesMut::new();
        for piece in bytes.chunks(step) {
            waiting.extend_from_slice(piece);
            while let Decoded::Data(data) = chunked.decode(&mut waiting)? {
                body.extend_from_slice(&data);
            }
        }
        match chunked.decode(&mut waiting)? {
            Decoded::End => Ok((body, waiting.to_vec())),
            _ => Ok((body, b"unfinished".to_vec())),
        }
    }

    #[test]
    fn a_body_is_the_same_however_its_bytes_are_cut() {
        let whole =
            b"4;name=\"v\"\r\nWiki\r\n0A \r\n0123456789\r\n0;last\r\nx-sum: 1\r\n\r\nHTTP/1.1";
        for step in 1..whole.len() {
            let (body, left) = decoded(whole, step).unwrap();
            assert_eq!(body, b"Wiki0123456789", "{step}");
            assert!(b"HTTP/1.1".starts_with(&left), "{step}");
        }
    }

    #[test]
    fn a_chunk_that_two_readers_would_end_in_two_places_is_refused() {
        for (bytes, why) in [
            (&b"\r\n"[..], BadChunk::Length),
            (b"-1\r\n", BadChunk::Length),
            (b"+1\r\n", BadChunk::Length),
            (b"0x1\r\n", BadChunk::Length),
            (b" 1\r\n", BadChunk::Length),
            (b";1\r\n", BadChunk::Length),
            (b"11111111111111111\r\n", BadChunk::Length),
            (b"1\nx", BadChunk::Length),
            (b"1 1\r\n", BadChunk::Length),
            (b"1\tx;a\r\n", BadChunk::Length),
            (b"1;a\nx", BadChunk::Aside),
            (b"1\rx", BadChunk::End),
            (b"1\r\nxy\r\n", BadChunk::End),
            (b"1\r\nx\n", BadChunk::End),
            (b"0\r\na: b\nc: d\r\n\r\n", BadChunk::Aside),
            (b"0\r\n\rx", BadChunk::End),
        ] {
            assert_eq!(decoded(bytes, 1), Err(why), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn what_stands_beside_the_data_has_an_end() {
        let endless = [b"1;".as_slice(), &vec![b'a'; MOST_ASIDE]].concat();
        assert_eq!(decoded(&endless, 1000), Err(BadChunk::Aside));
        let trailers = [b"0\r\n".as_slice(), &b"a: b\r\n".repeat(MOST_ASIDE / 4 + 1)].concat();
        assert_eq!(decoded(&trailers, 1000), Err(BadChunk::Aside));
    }
}
