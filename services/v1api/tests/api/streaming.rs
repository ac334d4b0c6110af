use std::net::SocketAddr;

use reqwest::Method;
use testkit::{Backend, on_both_backends};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{App, World, raw, status_of};
use crate::upstream::Upstream;

async fn live(backend: &Backend, upstream: SocketAddr) -> (World, App) {
    live_with(backend, upstream, &[("gateway.max_body", "1000")]).await
}

async fn live_with(
    backend: &Backend,
    upstream: SocketAddr,
    settings: &[(&str, &str)],
) -> (World, App) {
    let (world, app) = (World::with(backend, settings).await, App::new("shop"));
    let first = Upstream::saying("x").await;
    world.tell(app.live(&[first.address]), 1).await;
    world.until(&app.host(), 200).await;
    world.tell(app.live(&[upstream]), 2).await;
    drop(first);
    (world, app)
}

async fn read_until(stream: &mut TcpStream, wanted: &str) -> String {
    let mut text = String::new();
    let mut piece = [0; 1024];
    while !text.contains(wanted) {
        let reading = stream.read(&mut piece);
        let length = tokio::time::timeout(std::time::Duration::from_secs(10), reading)
            .await
            .expect(&text)
            .unwrap();
        assert!(length > 0, "closed after: {text}");
        text.push_str(&String::from_utf8_lossy(&piece[..length]));
    }
    text
}

on_both_backends! {
    async fn both_bodies_stream_while_the_other_is_still_open(backend: Backend) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (world, app) = live(&backend, listener.local_addr().unwrap()).await;
        let mut client = TcpStream::connect(world.address).await.unwrap();
        let head = format!("POST /s HTTP/1.1\r\nhost: {}\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n", app.host());
        // Until the switch the old instance is asked and gone.
        let mut upstream = loop {
            client.write_all(head.as_bytes()).await.unwrap();
            tokio::select! {
                accepted = listener.accept() => break accepted.unwrap().0,
                _ = client.readable() => client = TcpStream::connect(world.address).await.unwrap(),
            }
        };
        read_until(&mut upstream, "first").await;
        upstream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nearl\r\n").await.unwrap();
        read_until(&mut client, "earl").await;
        client.write_all(b"6\r\nsecond\r\n0\r\n\r\n").await.unwrap();
        read_until(&mut upstream, "second").await;
        upstream.write_all(b"4\r\nlate\r\n0\r\n\r\n").await.unwrap();
        let rest = read_until(&mut client, "0\r\n\r\n").await;
        assert!(rest.contains("late"), "{rest}");
        world.stop().await;
    }

    async fn a_body_that_is_too_long_is_refused_announced_or_not(backend: Backend) {
        let upstream = Upstream::saying("switched").await;
        let (world, app) = live(&backend, upstream.address).await;
        world.until_saying(&app.host(), "switched").await;
        let announced = world.on(&app.host(), Method::POST, "/").body("x".repeat(1001)).send().await.unwrap();
        assert_eq!(announced.status(), 413);
        let chunk = format!("3e9\r\n{}\r\n0\r\n\r\n", "x".repeat(1001));
        let request = format!("POST / HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n{chunk}", app.host());
        assert_eq!(status_of(&raw(world.address, &request).await), "413");
        let fits = world.on(&app.host(), Method::POST, "/").body("x".repeat(1000)).send().await.unwrap();
        assert_eq!(fits.status(), 200);
        world.stop().await;
    }

    async fn a_body_that_is_none_is_its_senders_mistake(backend: Backend) {
        let upstream = Upstream::saying("switched").await;
        let (world, app) = live(&backend, upstream.address).await;
        world.until_saying(&app.host(), "switched").await;
        for chunks in ["zz\r\nhello\r\n0\r\n\r\n", "5\r\nhello world\r\n0\r\n\r\n", "-1\r\n\r\n"] {
            let request = format!("POST / HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n{chunks}", app.host());
            let answer = raw(world.address, &request).await;
            // Where it goes wrong in the midst, the server may just close.
            assert!(matches!(status_of(&answer), "400" | "none"), "{chunks}: {answer}");
        }
        assert!(upstream.seen().iter().all(|seen| !seen.first_line().starts_with("POST")));
        world.stop().await;
    }

    async fn a_client_that_reads_nothing_is_let_go_and_its_upstream_too(backend: Backend) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let settings = [("http.stall_timeout", "1s")];
        let (world, app) = live_with(&backend, listener.local_addr().unwrap(), &settings).await;
        let head = format!("GET /endless HTTP/1.1\r\nhost: {}\r\n\r\n", app.host());
        let mut client = TcpStream::connect(world.address).await.unwrap();
        let mut upstream = loop {
            client.write_all(head.as_bytes()).await.unwrap();
            tokio::select! {
                accepted = listener.accept() => break accepted.unwrap().0,
                _ = client.readable() => client = TcpStream::connect(world.address).await.unwrap(),
            }
        };
        read_until(&mut upstream, "\r\n\r\n").await;
        upstream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await.unwrap();
        let endless = async {
            let chunk = [&b"10000\r\n"[..], &vec![b'x'; 0x10000], b"\r\n"].concat();
            while upstream.write_all(&chunk).await.is_ok() {}
        };
        tokio::time::timeout(std::time::Duration::from_secs(30), endless).await.expect("the gateway lets go");
        drop(client);
        world.stop().await;
    }

    async fn who_goes_away_is_waited_for_no_longer(backend: Backend) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let settings = [("gateway.upstream_timeout", "10m")];
        let (world, app) = live_with(&backend, listener.local_addr().unwrap(), &settings).await;
        let begin = async || {
            let head = format!("GET /silent HTTP/1.1\r\nhost: {}\r\n\r\n", app.host());
            let mut client = TcpStream::connect(world.address).await.unwrap();
            let upstream = loop {
                client.write_all(head.as_bytes()).await.unwrap();
                tokio::select! {
                    accepted = listener.accept() => break accepted.unwrap().0,
                    _ = client.readable() => client = TcpStream::connect(world.address).await.unwrap(),
                }
            };
            (client, upstream)
        };
        let ended = async |mut upstream: TcpStream| {
            let mut rest = Vec::new();
            let reading = upstream.read_to_end(&mut rest);
            let _closed = tokio::time::timeout(std::time::Duration::from_mins(1), reading).await.expect("the call goes on");
        };
        // Before the answer, in its midst, and with a body that hasn't ended.
        let (client, mut upstream) = begin().await;
        read_until(&mut upstream, "\r\n\r\n").await;
        drop(client);
        ended(upstream).await;
        let (mut client, mut upstream) = begin().await;
        read_until(&mut upstream, "\r\n\r\n").await;
        upstream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\npart\r\n").await.unwrap();
        read_until(&mut client, "part").await;
        drop(client);
        ended(upstream).await;
        let mut client = TcpStream::connect(world.address).await.unwrap();
        let head = format!("POST /silent HTTP/1.1\r\nhost: {}\r\ncontent-length: 10\r\n\r\nfive!", app.host());
        client.write_all(head.as_bytes()).await.unwrap();
        let mut upstream = listener.accept().await.unwrap().0;
        read_until(&mut upstream, "five!").await;
        drop(client);
        ended(upstream).await;
        world.stop().await;
    }

    async fn a_message_that_two_readers_would_end_in_two_places_goes_nowhere(backend: Backend) {
        let upstream = Upstream::saying("switched").await;
        let (world, app) = live(&backend, upstream.address).await;
        world.until_saying(&app.host(), "switched").await;
        let before = upstream.seen().len();
        for framing in [
            "content-length: 4\r\ntransfer-encoding: chunked", "content-length: 4\r\ncontent-length: 5",
            "transfer-encoding: chunked\r\ntransfer-encoding: identity", "transfer-encoding: xchunked",
            "transfer-encoding: chunked, identity", "content-length: +4", "content-length: 4, 4", "content-length : 4",
            "transfer-encoding:\u{b}chunked", "x: y\r\n folded: z",
        ] {
            let request = format!("POST / HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n{framing}\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n", app.host());
            let answer = raw(world.address, &request).await;
            assert_eq!(status_of(&answer), "400", "{framing}: {answer}");
        }
        assert_eq!(upstream.seen().len(), before);
        world.stop().await;
    }

    async fn a_websocket_passes_through(backend: Backend) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (world, app) = live(&backend, listener.local_addr().unwrap()).await;
        let head = format!("GET /ws HTTP/1.1\r\nhost: {}\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: x\r\n\r\n", app.host());
        let mut client = TcpStream::connect(world.address).await.unwrap();
        let mut upstream = loop {
            client.write_all(head.as_bytes()).await.unwrap();
            tokio::select! {
                accepted = listener.accept() => break accepted.unwrap().0,
                _ = client.readable() => client = TcpStream::connect(world.address).await.unwrap(),
            }
        };
        let asked = read_until(&mut upstream, "\r\n\r\n").await;
        assert!(asked.contains("upgrade: websocket") && asked.contains("sec-websocket-key: x"), "{asked}");
        upstream.write_all(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: y\r\n\r\n").await.unwrap();
        let agreed = read_until(&mut client, "\r\n\r\n").await;
        assert!(agreed.starts_with("HTTP/1.1 101") && agreed.contains("sec-websocket-accept: y"), "{agreed}");
        client.write_all(b"ping").await.unwrap();
        read_until(&mut upstream, "ping").await;
        upstream.write_all(b"pong").await.unwrap();
        let pong = read_until(&mut client, "pong").await;
        assert_eq!(pong, "pong");
        drop(upstream);
        assert_eq!(client.read(&mut [0; 8]).await.unwrap_or(0), 0);
        world.stop().await;
    }
}
