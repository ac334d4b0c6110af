//! A packed body is unpacked the same way however it is cut, and as gzip itself reads it.

use std::io::{Read as _, Write as _};

use bytes::Bytes;
use flate2::Compression;
use flate2::read;
use flate2::write::{GzDecoder, GzEncoder};

use super::unpacked;

fn packed(body: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(level));
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

/// What comes out of the pieces; none if something is wrong with them, or missing.
fn of_pieces(pieces: &[&[u8]]) -> Option<Vec<u8>> {
    let mut unpack = GzDecoder::new(Vec::new());
    let mut body = Vec::new();
    for piece in pieces {
        let parts = unpacked(&mut unpack, &Bytes::copy_from_slice(piece)).ok()?;
        body.extend(parts.concat());
    }
    body.extend(unpack.finish().ok()?);
    Some(body)
}

#[test]
fn a_packed_body_is_the_same_however_it_is_cut_and_what_gzip_says_it_is() {
    let request = b"0032want 0af7651916cd43dd8448eb211c80319c00000000\n00000009done\n";
    let seeds = [
        packed(request, 0),
        packed(request, 9),
        packed(&[b'x'; 9_000], 6),
        packed(b"", 6),
    ];
    let words: &[&[u8]] = &[&[0x1f, 0x8b, 8], &[0; 4], b"\x03\x00"];
    fuzz::check(&seeds.each_ref().map(Vec::as_slice), words, |input| {
        let whole = of_pieces(&[&input.bytes]);
        assert_eq!(whole, of_pieces(&input.pieces()));
        if let Some(whole) = whole {
            let mut body = Vec::new();
            read::GzDecoder::new(&input.bytes[..])
                .read_to_end(&mut body)
                .unwrap();
            assert_eq!(whole, body);
        }
    });
}
