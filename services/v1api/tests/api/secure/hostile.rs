//! Clients that speak HTTP/2 to do harm, or badly.

use bytes::Bytes;
use h2::Reason;
use testkit::{eventually, on_both_backends};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Secured, get, request, text};
use crate::support::{App, PLATFORM};
use crate::upstream::Upstream;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;

/// A frame (RFC 9113, section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend_from_slice(&stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// The error that the gateway ends a connection with, after it was sent these frames over and over.
async fn ended_by(secured: &Secured, first: &[u8], again: &[u8]) -> Option<u32> {
    let stream = secured.handshake(PLATFORM, &[b"h2"]).await.unwrap();
    let (mut read, mut write) = tokio::io::split(stream);
    let sending = async {
        let opening = [PREFACE, &frame(SETTINGS, 0, 0, &[]), first].concat();
        if write.write_all(&opening).await.is_ok() {
            while write.write_all(again).await.is_ok() {}
        }
    };
    let reading = async {
        let mut why = None;
        let mut head = [0; 9];
        while read.read_exact(&mut head).await.is_ok() {
            let length = usize::from(head[1]) << 8 | usize::from(head[2]);
            let mut payload = vec![0; length];
            if read.read_exact(&mut payload).await.is_err() {
                break;
            }
            if head[3] == GOAWAY {
                why = Some(u32::from_be_bytes(payload[4..8].try_into().unwrap()));
            }
        }
        why
    };
    tokio::join!(sending, reading).1
}

on_both_backends! {
    async fn a_flood_of_frames_ends_the_connection(backend: Backend) {
        let secured = Secured::start(&backend).await;
        // A head without an end: `:method: GET` and then fields without number.
        let (headers, continuation) = (1, 9);
        let field = [&[0x40, 1, b'x', 100][..], &[b'y'; 100]].concat();
        let endless = frame(continuation, 0, 1, &field.repeat(100));
        let why = ended_by(&secured, &frame(headers, 0, 1, &[0x82]), &endless).await;
        assert!(matches!(why, Some(code) if code != 0), "a head without an end: {why:?}");
        // Streams that are begun and taken back at once.
        let (reset, mut resets) = (3, Vec::new());
        let head = [&[0x82, 0x87, 0x84, 0x41, 15][..], b"slipway.example"].concat();
        for stream in (1..20_000).step_by(2) {
            resets.extend(frame(headers, 5, stream, &head));
            resets.extend(frame(reset, 0, stream, &8_u32.to_be_bytes()));
        }
        let why = ended_by(&secured, &resets, &frame(6, 0, 0, &[0; 8])).await;
        assert_eq!(why, Some(u32::from(Reason::ENHANCE_YOUR_CALM)), "resets");
        // Data that carries nothing.
        let open = frame(headers, 4, 1, &[&[0x83][..], &head[1..]].concat());
        let why = ended_by(&secured, &open, &frame(0, 0, 1, &[]).repeat(1000)).await;
        assert_eq!(why, Some(u32::from(Reason::ENHANCE_YOUR_CALM)), "empty data");
        // Others have noticed nothing.
        let answer = secured.by_tls(PLATFORM, reqwest::Method::GET, "/healthz").send().await.unwrap();
        assert_eq!(answer.status(), 200);
        secured.world.stop().await;
    }

    async fn streams_that_are_taken_back_while_they_are_answered_end_the_connection(backend: Backend) {
        let secured = Secured::start(&backend).await;
        let (listener, app) = (tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap(), App::new("shop"));
        secured.world.tell(app.live(&[listener.local_addr().unwrap()]), 1).await;
        let send = secured.http2(&app.host()).await;
        let mut taken_back = 0;
        // Each waits for an upstream that never answers.
        let error = loop {
            let mut send = match send.clone().ready().await {
                Ok(send) => send,
                Err(error) => break error,
            };
            let Ok((answer, mut stream)) = send.send_request(request("POST", &app.host(), "/"), false) else {
                continue;
            };
            // By then it has been looked at.
            tokio::task::yield_now().await;
            stream.send_reset(Reason::CANCEL);
            drop(answer);
            taken_back += 1;
            assert!(taken_back < 10_000, "nobody stops it");
        };
        // Who goes on writing may find the connection closed before it has read why.
        assert!(error.reason().is_none_or(|why| why == Reason::ENHANCE_YOUR_CALM), "{error}");
        secured.world.stop().await;
    }

    async fn what_a_client_takes_back_is_taken_back_from_the_upstream(backend: Backend) {
        let secured = Secured::start(&backend).await;
        let (listener, app) = (tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap(), App::new("shop"));
        secured.world.tell(app.live(&[listener.local_addr().unwrap()]), 1).await;
        let mut send = secured.http2(&app.host()).await;
        let (mut upstream, mut stream, _answer) = loop {
            let (mut answer, stream) = send.send_request(request("POST", &app.host(), "/wait"), false).unwrap();
            tokio::select! {
                accepted = listener.accept() => break (accepted.unwrap().0, stream, answer),
                _ = &mut answer => {}
            }
        };
        stream.send_reset(Reason::CANCEL);
        // Its connection is closed: at the end of what came there is nothing more.
        let mut all = Vec::new();
        let closed = upstream.read_to_end(&mut all).await;
        assert!(closed.is_ok() || closed.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset));
        secured.world.stop().await;
    }

    async fn who_goes_away_by_tls_is_waited_for_no_longer(backend: Backend) {
        let secured = Secured::with(&backend, &[("gateway.upstream_timeout", "10m")]).await;
        let (listener, app) = (tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap(), App::new("shop"));
        secured.world.tell(app.live(&[listener.local_addr().unwrap()]), 1).await;
        let ended = async |mut upstream: tokio::net::TcpStream| {
            let mut rest = Vec::new();
            let reading = upstream.read_to_end(&mut rest);
            let _closed = tokio::time::timeout(std::time::Duration::from_mins(1), reading).await.expect("the call goes on");
        };
        let head = format!("GET /silent HTTP/1.1\r\nhost: {}\r\n\r\n", app.host());
        let (client, upstream) = loop {
            let mut client = secured.handshake(&app.host(), &[b"http/1.1"]).await.unwrap();
            client.write_all(head.as_bytes()).await.unwrap();
            let mut answer = [0; 1];
            tokio::select! {
                accepted = listener.accept() => break (client, accepted.unwrap().0),
                _ = client.read(&mut answer) => {}
            }
        };
        drop(client);
        ended(upstream).await;
        // By HTTP/2 the connection goes, with all that it carries.
        let stream = secured.handshake(&app.host(), &[b"h2"]).await.unwrap();
        let (send, connection) = h2::client::handshake(stream).await.unwrap();
        let driving = tokio::spawn(connection);
        let mut send = send.ready().await.unwrap();
        let (_answer, _body) = send.send_request(get(&app.host(), "/silent"), true).unwrap();
        let upstream = listener.accept().await.unwrap().0;
        driving.abort();
        ended(upstream).await;
        secured.world.stop().await;
    }

    async fn a_length_that_isnt_kept_to_reaches_nobody_as_a_whole(backend: Backend) {
        let (secured, upstream) = (Secured::start(&backend).await, Upstream::saying("hello").await);
        let app = App::new("shop");
        secured.world.tell(app.live(&[upstream.address]), 1).await;
        secured.world.until(&app.host(), 200).await;
        for (length, sent) in [("3", "four"), ("5", "four")] {
            let mut send = secured.http2(&app.host()).await;
            let mut asked = request("POST", &app.host(), "/");
            asked.headers_mut().insert("content-length", length.parse().unwrap());
            let (answer, mut body) = send.send_request(asked, false).unwrap();
            body.send_data(Bytes::from_static(sent.as_bytes()), true).unwrap();
            let refused = match answer.await {
                Ok(answer) => answer.status().is_client_error(),
                Err(error) => error.reason() == Some(Reason::PROTOCOL_ERROR),
            };
            assert!(refused, "{length} of {sent}");
        }
        assert!(upstream.seen().iter().all(|seen| !seen.first_line().starts_with("POST")));
        secured.world.stop().await;
    }

    async fn a_host_that_can_be_read_in_two_ways_is_refused_by_http2(backend: Backend) {
        let secured = Secured::start(&backend).await;
        let mut send = secured.http2(PLATFORM).await;
        let mut ask = async |authority: &str, hosts: &[&str]| {
            let mut asked = get(authority, "/healthz");
            for host in hosts {
                asked.headers_mut().append("host", host.parse().unwrap());
            }
            let (answer, _) = send.send_request(asked, true).unwrap();
            let answer = answer.await.unwrap();
            (answer.status().as_u16(), text(answer.into_body()).await)
        };
        assert_eq!(ask(PLATFORM, &[]).await.0, 200);
        assert_eq!(ask("SLIPWAY.example.:1", &[PLATFORM]).await.0, 200);
        for (authority, hosts) in [
            (PLATFORM, &["shop.localhost"][..]), (PLATFORM, &[PLATFORM, PLATFORM]), ("user@slipway.example", &[]),
        ] {
            let (status, body) = ask(authority, hosts).await;
            assert_eq!(status, 400, "{authority} {hosts:?}: {body}");
            assert!(body.contains("bad_host"), "{body}");
        }
        // Another's certificate opens no other host's door, nor closes it: the name decides.
        assert_eq!(ask("evil.example", &[]).await.0, 421);
        secured.world.stop().await;
    }

    async fn heads_have_their_bounds_by_http2(backend: Backend) {
        let secured = Secured::start(&backend).await;
        let mut send = secured.http2(PLATFORM).await;
        let with = |fields: usize, value: &str| {
            let mut asked = get(PLATFORM, "/healthz");
            for number in 0..fields {
                let name = http::HeaderName::try_from(format!("x-{number}")).unwrap();
                asked.headers_mut().insert(name, value.parse().unwrap());
            }
            asked
        };
        let mut status = async |asked| {
            let (answer, _) = send.send_request(asked, true).unwrap();
            answer.await.map(|answer| answer.status().as_u16())
        };
        assert_eq!(status(with(96, "y")).await.unwrap(), 200);
        assert_eq!(status(with(97, "y")).await.unwrap(), 431);
        assert_eq!(status(with(7, &"y".repeat(10_000))).await.unwrap(), 431);
        let mut spaced = get(PLATFORM, "/healthz");
        spaced.headers_mut().insert("x", http::HeaderValue::from_static(" y"));
        assert_eq!(status(spaced).await.unwrap_err().reason(), Some(Reason::PROTOCOL_ERROR));
        assert_eq!(status(with(1, "y")).await.unwrap(), 200, "the connection goes on");
        eventually("the limit of streams", || (send.current_max_send_streams() == 128).then_some(())).await;
        secured.world.stop().await;
    }

    async fn a_client_that_reads_nothing_by_http2_is_let_go_and_its_upstream_too(backend: Backend) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (secured, app) = (Secured::with(&backend, &[("http.stall_timeout", "1s")]).await, App::new("shop"));
        secured.world.tell(app.live(&[listener.local_addr().unwrap()]), 1).await;
        let mut send = secured.http2(&app.host()).await;
        let (mut upstream, answer) = loop {
            let (mut answer, _) = send.send_request(get(&app.host(), "/endless"), true).unwrap();
            tokio::select! {
                accepted = listener.accept() => break (accepted.unwrap().0, answer),
                _ = &mut answer => {}
            }
        };
        upstream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await.unwrap();
        let unread = answer.await.unwrap();
        let chunk = [&b"10000\r\n"[..], &vec![b'x'; 0x10000], b"\r\n"].concat();
        while upstream.write_all(&chunk).await.is_ok() {}
        drop(unread);
        secured.world.stop().await;
    }
}
