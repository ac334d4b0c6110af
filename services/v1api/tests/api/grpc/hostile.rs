//! Those that speak HTTP/2 to do harm, at either end.

use bytes::Bytes;
use testkit::{eventually_async, on_both_backends};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::Code;

use super::instances::ByHand;
use super::{Speaker, by_http2, call, framed, serving};

/// A frame (RFC 9113, section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// Fields that aren't remembered by either end (RFC 7541, section 6.2.2).
fn fields(all: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in all {
        block.push(0);
        for text in [name, value] {
            length(&mut block, text.len());
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

fn length(block: &mut Vec<u8>, mut length: usize) {
    if length < 127 {
        block.push(u8::try_from(length).unwrap());
        return;
    }
    block.push(127);
    length -= 127;
    while length >= 128 {
        block.push(u8::try_from(length % 128).unwrap() | 128);
        length /= 128;
    }
    block.push(u8::try_from(length).unwrap());
}

/// A head, or what comes after a body, in as many frames as it takes.
fn block(stream: u32, flags: u8, block: &[u8]) -> Vec<u8> {
    let mut pieces = block.chunks(16_000).peekable();
    let mut all = Vec::new();
    let mut kind = HEADERS;
    let mut flags = flags;
    while let Some(piece) = pieces.next() {
        let end = if pieces.peek().is_none() {
            END_HEADERS
        } else {
            0
        };
        all.extend(frame(kind, flags | end, stream, piece));
        (kind, flags) = (CONTINUATION, 0);
    }
    all
}

/// The head of an answer of gRPC's.
fn head(stream: u32) -> Vec<u8> {
    let status_200 = [0x88];
    let rest = fields(&[("content-type", "application/grpc")]);
    block(stream, 0, &[&status_200[..], &rest].concat())
}

/// Answers every call on every connection with these frames, over and over if that is wanted.
async fn answering(by_hand: ByHand, first: Vec<u8>, again: Vec<u8>) {
    loop {
        let mut stream = by_hand.tcp().await;
        let (first, again) = (first.clone(), again.clone());
        tokio::spawn(async move {
            let mut seen = Vec::new();
            // The head of a call is in what comes first; a request of HTTP/1.1 is answered by a close.
            while !contains_headers(&seen) {
                let mut piece = [0; 4096];
                match stream.read(&mut piece).await {
                    Ok(length) if length > 0 => seen.extend_from_slice(&piece[..length]),
                    _ => return,
                }
                if seen.starts_with(b"GET") {
                    return;
                }
            }
            let settings = [frame(SETTINGS, 0, 0, &[]), frame(SETTINGS, 1, 0, &[])].concat();
            if stream.write_all(&settings).await.is_err() || stream.write_all(&first).await.is_err()
            {
                return;
            }
            while !again.is_empty() && stream.write_all(&again).await.is_ok() {}
            let mut rest = Vec::new();
            let _closed = stream.read_to_end(&mut rest).await;
        });
    }
}

/// Whether a client has sent a head, after its preface.
fn contains_headers(seen: &[u8]) -> bool {
    let mut rest = seen.get(24..).unwrap_or_default();
    while rest.len() >= 9 {
        if rest[3] == HEADERS {
            return true;
        }
        let length = usize::from(rest[0]) << 16 | usize::from(rest[1]) << 8 | usize::from(rest[2]);
        rest = rest.get(9 + length..).unwrap_or_default();
    }
    false
}

on_both_backends! {
    async fn an_answer_that_does_harm_reaches_nobody_and_says_so(backend: Backend) {
        let long = "y".repeat(200_000);
        let many: Vec<_> = (0..600).map(|number| format!("x-{number}")).collect();
        let many: Vec<_> = many.iter().map(|name| (name.as_str(), "y")).collect();
        let end = |fields_of: &[(&str, &str)]| block(1, END_STREAM, &fields(fields_of));
        let message = frame(DATA, 0, 1, &framed(b"x"));
        let endless = frame(CONTINUATION, 0, 1, &fields(&[("x", &"y".repeat(1000))]));
        let huge_head = block(1, 0, &[&[0x88][..], &fields(&[("x", &long)])].concat());
        let (world, _) = serving(&backend, &[], &[("gateway.upstream_timeout", "1m")]).await;
        for (number, (what, first, again, code)) in [
            ("a huge head", huge_head, vec![], Code::Unavailable),
            ("a head of many fields", block(1, 0, &[&[0x88][..], &fields(&many)].concat()), vec![], Code::Unavailable),
            ("a head without an end", frame(HEADERS, 0, 1, &[0x88]), endless.clone(), Code::Unavailable),
            ("huge trailers", [head(1), message.clone(), end(&[("grpc-status", "0"), ("x", &long)])].concat(), vec![], Code::Unavailable),
            ("trailers of many fields", [head(1), message.clone(), end(&[&[("grpc-status", "0")][..], &many].concat())].concat(), vec![], Code::Internal),
            ("trailers without an end", [head(1), message.clone(), frame(HEADERS, END_STREAM, 1, &fields(&[("x", "y")]))].concat(), endless, Code::Unavailable),
            ("no status", [head(1), message.clone(), end(&[("x", "y")])].concat(), vec![], Code::Internal),
            ("no trailers", [head(1), message, frame(DATA, END_STREAM, 1, &[])].concat(), vec![], Code::Internal),
            ("no HTTP/2", b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec(), vec![], Code::Unavailable),
        ].into_iter().enumerate() {
            let by_hand = ByHand::new().await;
            let app = crate::support::App::new(&format!("shop-{number}"));
            world.tell(app.live(&[by_hand.address]), 1).await;
            let answering = tokio::spawn(answering(by_hand, first, again));
            let failed = eventually_async("the app is known", || {
                let mut client = world.caller(&app);
                async move {
                    let failed = client.ask("X", "x").await.unwrap_err();
                    (failed.code() != Code::Unimplemented).then_some(failed)
                }
            }).await;
            assert_eq!(failed.code(), code, "{what}: {failed:?}");
            // The instance was reached, and is the one to blame.
            let is_told = failed.message().starts_with("upstream_failed: ") || !failed.message().contains(": ");
            assert!(is_told, "{what}: {failed:?}");
            answering.abort();
        }
        world.stop().await;
    }

    async fn an_instance_that_floods_holds_nobody_else_up(backend: Backend) {
        let by_hand = ByHand::new().await;
        let address = by_hand.address;
        // Settings and pings, each of which wants an answer, and heads before the head.
        let interim = block(1, 0, &fields(&[(":status", "103"), ("x", &"y".repeat(100))]));
        let flood = [frame(SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0]), frame(PING, 0, 0, &[0; 8]), interim].concat();
        let flooding = tokio::spawn(answering(by_hand, vec![], flood.repeat(50)));
        let speaker = Speaker::start();
        let (world, app) = serving(&backend, &[address], &[("gateway.upstream_timeout", "1s")]).await;
        let other = crate::support::App::new("other");
        world.tell(other.live(&[speaker.address]), 1).await;
        let mut flooded = world.caller(&app);
        let flooded = tokio::spawn(async move { flooded.ask("X", "x").await });
        eventually_async("another's call is answered", || {
            let mut client = world.caller(&other);
            async move { client.ask("Echo", "x").await.ok() }
        }).await;
        assert!(flooded.await.unwrap().is_err());
        flooding.abort();
        world.stop().await;
    }

    async fn what_a_client_says_after_its_body_has_bounds(backend: Backend) {
        let speaker = Speaker::start();
        let (world, app) = serving(&backend, &[speaker.address], &[]).await;
        let mut send = by_http2(world.address).await;
        let (answer, mut body) = send.send_request(call(&app.host(), "/test.Speaker/Sum"), false).unwrap();
        body.send_data(framed(b"x"), false).unwrap();
        let mut end = http::HeaderMap::new();
        for number in 0..200 {
            end.insert(http::HeaderName::try_from(format!("x-{number}")).unwrap(), "y".parse().unwrap());
        }
        body.send_trailers(end).unwrap();
        let failed = answer.await.unwrap();
        assert_eq!(failed.headers()["grpc-status"], "13");
        // As many as anybody needs pass.
        let (answer, mut body) = send.send_request(call(&app.host(), "/test.Speaker/Sum"), false).unwrap();
        body.send_data(framed(b"x"), false).unwrap();
        let mut end = http::HeaderMap::new();
        end.insert("x-last", "word".parse().unwrap());
        body.send_trailers(end).unwrap();
        let mut answer = answer.await.unwrap();
        assert_eq!(answer.body_mut().data().await.unwrap().unwrap(), framed(b"x"));
        world.stop().await;
    }

    async fn floods_in_plain_text_end_their_connection_alone(backend: Backend) {
        let speaker = Speaker::start();
        let (world, app) = serving(&backend, &[speaker.address], &[]).await;
        let opening = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
        let authority = fields(&[(":authority", &app.host()), ("content-type", "application/grpc")]);
        let head = [&[0x83, 0x86, 0x84][..], &authority].concat();
        let mut resets = Vec::new();
        for stream in (1..20_000).step_by(2) {
            resets.extend(frame(HEADERS, END_HEADERS, stream, &head));
            resets.extend(frame(3, 0, stream, &8_u32.to_be_bytes()));
        }
        let endless = frame(CONTINUATION, 0, 1, &fields(&[("x", &"y".repeat(1000))]));
        for (what, first, again) in [
            ("resets", resets, frame(PING, 0, 0, &[0; 8])),
            ("a head without an end", frame(HEADERS, 0, 1, &head), endless),
            ("empty data", frame(HEADERS, END_HEADERS, 1, &head), frame(DATA, 0, 1, &[]).repeat(1000)),
        ] {
            let stream = TcpStream::connect(world.address).await.unwrap();
            let (mut read, mut write) = stream.into_split();
            let sending = async {
                if write.write_all(&[&opening[..], &first].concat()).await.is_ok() {
                    while write.write_all(&again).await.is_ok() {}
                }
            };
            let reading = async {
                let mut all = Vec::new();
                let _ended = read.read_to_end(&mut all).await;
            };
            // Both end, for the gateway ends the connection.
            let ((), ()) = tokio::join!(sending, reading);
            let answer = world.caller(&app).ask("Echo", "x").await;
            assert_eq!(*answer.expect(what).get_ref(), "x");
        }
        world.stop().await;
    }

    async fn settings_without_end_hold_nobody_else_up(backend: Backend) {
        let speaker = Speaker::start();
        let (world, app) = serving(&backend, &[speaker.address], &[]).await;
        let stream = TcpStream::connect(world.address).await.unwrap();
        let (mut read, mut write) = stream.into_split();
        let flooding = tokio::spawn(async move {
            let _opened = write.write_all(PREFACE).await;
            let flood = frame(SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0]).repeat(500);
            while write.write_all(&flood).await.is_ok() {}
        });
        let draining = tokio::spawn(async move {
            let mut piece = [0; 4096];
            while read.read(&mut piece).await.is_ok_and(|length| length > 0) {}
        });
        for _ in 0..20 {
            assert_eq!(*world.caller(&app).ask("Echo", "x").await.unwrap().get_ref(), "x");
        }
        flooding.abort();
        draining.abort();
        world.stop().await;
    }
}

#[test]
fn fields_are_as_the_standard_writes_them() {
    let long = "y".repeat(300);
    assert_eq!(fields(&[("x", "y")]), [0, 1, b'x', 1, b'y']);
    assert_eq!(Bytes::from(fields(&[("x", &long)]))[3..6], [127, 173, 1]);
}
