//! Several instances of an app, and upstreams that don't behave.

use std::time::Duration;

use reqwest::Method;
use testkit::{Backend, eventually, eventually_async, on_both_backends};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{App, World, raw, status_of};
use crate::upstream::{Upstream, ok};

/// One worker, so that all requests are seen by the same eyes.
const ONE_WORKER: (&str, &str) = ("http.workers", "1");

async fn live(
    backend: &Backend,
    instances: &[&Upstream],
    settings: &[(&str, &str)],
) -> (World, App) {
    let settings = [settings, &[ONE_WORKER]].concat();
    let (world, app) = (World::with(backend, &settings).await, App::new("shop"));
    let addresses: Vec<_> = instances.iter().map(|instance| instance.address).collect();
    world.tell(app.live(&addresses), 1).await;
    world.until(&app.host(), 200).await;
    (world, app)
}

on_both_backends! {
    async fn the_instance_with_the_least_to_do_is_asked(backend: Backend) {
        // The first answers a head and no body: that request stays under way.
        let busy = Upstream::start(|seen| match seen.first_line() {
            line if line.contains("/held") => "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n".into(),
            _ => ok("x"),
        }).await;
        let free = Upstream::start(|seen| match seen.first_line() {
            line if line.contains("/held") => "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n".into(),
            _ => ok("x"),
        }).await;
        let (world, app) = live(&backend, &[&busy, &free], &[]).await;
        let held = world.on(&app.host(), Method::GET, "/held").send().await.unwrap();
        assert_eq!(held.status(), 200);
        let holds = |upstream: &Upstream| upstream.last().first_line().contains("/held");
        let (busy, free) = if holds(&busy) { (busy, free) } else { (free, busy) };
        let before = (busy.seen().len(), free.seen().len());
        for _ in 0..6 {
            assert_eq!(world.on(&app.host(), Method::GET, "/").send().await.unwrap().status(), 200);
        }
        assert_eq!((busy.seen().len(), free.seen().len()), (before.0, before.1 + 6));
        drop(held);
        world.stop().await;
    }

    async fn an_instance_that_is_gone_fails_no_request_while_there_is_another(backend: Backend) {
        let (gone, here) = (Upstream::saying("gone").await, Upstream::saying("here").await);
        let (world, app) = live(&backend, &[&gone, &here], &[]).await;
        drop(gone);
        for _ in 0..10 {
            let answer = world.on(&app.host(), Method::POST, "/").body("x").send().await.unwrap();
            assert_eq!((answer.status().as_u16(), answer.text().await.unwrap().as_str()), (200, "here"));
        }
        world.stop().await;
    }

    async fn an_upstream_that_keeps_everybody_waiting_is_left_alone_until_it_answers_again(backend: Backend) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (slow, first) = (listener.local_addr().unwrap(), Upstream::saying("x").await);
        let (world, app) = live(&backend, &[&first], &[("gateway.upstream_timeout", "200ms")]).await;
        world.tell(app.live(&[slow]), 2).await;
        drop(first);
        // Takes connections, says nothing.
        let silent = tokio::spawn(async move {
            let mut open = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                open.push(stream);
            }
        });
        let refused = eventually_async("it is left alone", || async {
            let answer = world.on(&app.host(), Method::GET, "/").send().await.unwrap();
            (answer.status() == 503).then_some(answer)
        }).await;
        assert!(refused.headers().contains_key("retry-after"));
        let body: serde_json::Value = refused.json().await.unwrap();
        assert_eq!(body["code"], "upstream_unavailable");
        silent.abort();
        let _ended = silent.await;
        let listener = eventually("the address is free", || std::net::TcpListener::bind(slow).ok()).await;
        listener.set_nonblocking(true).unwrap();
        let listener = TcpListener::from_std(listener).unwrap();
        let answering = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _asked = stream.read(&mut [0; 4096]).await;
                let _answered = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\nback").await;
            }
        });
        world.until_saying(&app.host(), "back").await;
        answering.abort();
        world.stop().await;
    }

    async fn an_answer_that_ends_in_two_places_reaches_nobody_and_its_connection_is_not_used_again(backend: Backend) {
        let upstream = Upstream::start(|seen| {
            let both = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
            match seen.first_line().split(' ').nth(1).unwrap_or_default() {
                "/both" => both.into(),
                "/twice" => "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxy".into(),
                "/folded" => "HTTP/1.1 200 OK\r\nx: a\r\n b\r\ncontent-length: 1\r\n\r\nx".into(),
                "/switched" => "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n".into(),
                "/coded" => "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n".into(),
                "/more" => format!("{}HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison", ok("x")),
                _ => ok("clean"),
            }
        }).await;
        let (world, app) = live(&backend, &[&upstream], &[]).await;
        for path in ["/both", "/twice", "/folded", "/switched", "/coded"] {
            let answer = world.on(&app.host(), Method::GET, path).send().await.unwrap();
            assert_eq!(answer.status(), 502, "{path}");
            let body: serde_json::Value = answer.json().await.unwrap();
            assert_eq!(body["code"], "upstream_failed", "{path}");
            let next = world.on(&app.host(), Method::GET, "/").send().await.unwrap();
            assert_eq!(next.text().await.unwrap(), "clean", "after {path}");
        }
        let answer = world.on(&app.host(), Method::GET, "/more").send().await.unwrap();
        assert_eq!(answer.text().await.unwrap(), "x");
        let next = world.on(&app.host(), Method::GET, "/").send().await.unwrap();
        assert_eq!(next.text().await.unwrap(), "clean", "what came unasked is nobody's answer");
        world.stop().await;
    }

    async fn a_head_that_is_larger_than_is_allowed_reaches_nobody(backend: Backend) {
        let upstream = Upstream::start(|seen| match seen.first_line().split(' ').nth(1).unwrap_or_default() {
            "/many" => format!("HTTP/1.1 200 OK\r\n{}content-length: 0\r\n\r\n", "x: y\r\n".repeat(20)),
            "/long" => format!("HTTP/1.1 200 OK\r\nx: {}\r\ncontent-length: 0\r\n\r\n", "y".repeat(1_000)),
            "/allowed" => format!("HTTP/1.1 200 OK\r\n{}content-length: 0\r\n\r\n", "x: y\r\n".repeat(19)),
            _ => ok("clean"),
        }).await;
        let settings = [("gateway.max_response_headers", "20"), ("gateway.max_response_head", "1000")];
        let (world, app) = live(&backend, &[&upstream], &settings).await;
        for (path, status) in [("/many", 502), ("/long", 502), ("/allowed", 200)] {
            let answer = world.on(&app.host(), Method::GET, path).send().await.unwrap();
            assert_eq!(answer.status(), status, "{path}");
        }
        world.stop().await;
    }

    async fn an_answer_that_breaks_off_is_seen_to_break_off(backend: Backend) {
        let upstream = Upstream::start(|seen| match seen.first_line() {
            line if line.contains("/short") => "HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\nshort!close".into(),
            line if line.contains("/chunks") => "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n!close".into(),
            line if line.contains("/bad") => "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhelloX0\r\n\r\n".into(),
            line if line.contains("/old") => "HTTP/1.0 200 OK\r\n\r\nuntil the end!close".into(),
            _ => ok("x"),
        }).await;
        let (world, app) = live(&backend, &[&upstream], &[]).await;
        for path in ["/short", "/chunks", "/bad"] {
            // The gateway may notice before it has sent the head.
            let whole = async { world.on(&app.host(), Method::GET, path).send().await?.bytes().await };
            assert!(whole.await.is_err(), "{path}");
        }
        let whole = world.on(&app.host(), Method::GET, "/old").send().await.unwrap();
        assert_eq!(whole.text().await.unwrap(), "until the end", "where the connection's end is the body's");
        world.stop().await;
    }

    async fn only_what_is_harmless_is_sent_again_after_a_connection_ended_without_an_answer(backend: Backend) {
        let upstream = Upstream::start(|seen| match seen.first_line() {
            line if line.contains("/gone") => "!close".into(),
            _ => ok("x"),
        }).await;
        let (world, app) = live(&backend, &[&upstream], &[]).await;
        let sent = |method: &str| {
            let line = format!("{method} /gone HTTP/1.1");
            upstream.seen().iter().filter(|seen| seen.first_line() == line).count()
        };
        for (method, times) in [(Method::GET, 2), (Method::POST, 1), (Method::DELETE, 1)] {
            // By a connection that has served before.
            assert_eq!(world.on(&app.host(), Method::GET, "/").send().await.unwrap().status(), 200);
            let answer = world.on(&app.host(), method.clone(), "/gone").send().await.unwrap();
            let body: serde_json::Value = answer.json().await.unwrap();
            assert_eq!((&body["code"], sent(method.as_str())), (&"upstream_failed".into(), times), "{method}");
        }
        world.stop().await;
    }

    async fn a_client_cannot_take_the_framing_away(backend: Backend) {
        let upstream = Upstream::saying("x").await;
        let (world, app) = live(&backend, &[&upstream], &[]).await;
        for listed in ["content-length", "transfer-encoding", "host, content-length"] {
            let request = format!("POST / HTTP/1.1\r\nhost: {}\r\nconnection: close, {listed}\r\ncontent-length: 5\r\n\r\nhello", app.host());
            assert_eq!(status_of(&raw(world.address, &request).await), "200", "{listed}");
            let seen = upstream.last();
            assert_eq!((seen.one("content-length").as_str(), &seen.body[..]), ("5", &b"hello"[..]), "{listed}");
            assert_eq!(seen.one("host"), app.host());
        }
        world.stop().await;
    }

    async fn a_client_that_stops_in_the_midst_of_its_body_is_told_so(backend: Backend) {
        let upstream = Upstream::saying("x").await;
        let (world, app) = live(&backend, &[&upstream], &[("gateway.upstream_timeout", "300ms")]).await;
        let request = format!("POST / HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-length: 10\r\n\r\nhalf", app.host());
        let answer = raw(world.address, &request).await;
        assert_eq!(status_of(&answer), "408", "{answer}");
        assert!(answer.contains("request_timeout"), "{answer}");
        world.stop().await;
    }

    async fn an_answer_before_the_bodys_end_is_passed_on(backend: Backend) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let first = Upstream::saying("x").await;
        let (world, app) = live(&backend, &[&first], &[]).await;
        world.tell(app.live(&[address]), 2).await;
        drop(first);
        let answering = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _asked = stream.read(&mut [0; 4096]).await;
                let _answered = stream.write_all(b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\nconnection: close\r\n\r\nno!").await;
            }
        });
        eventually_async("the new instance answers", || async {
            let answer = world.on(&app.host(), Method::GET, "/").send().await.unwrap();
            (answer.status() == 413).then_some(())
        }).await;
        let mut client = TcpStream::connect(world.address).await.unwrap();
        let head = format!("POST / HTTP/1.1\r\nhost: {}\r\ncontent-length: 100000\r\n\r\nbegin", app.host());
        client.write_all(head.as_bytes()).await.unwrap();
        let mut answer = vec![0; 4096];
        let reading = client.read(&mut answer);
        let length = tokio::time::timeout(Duration::from_secs(10), reading).await.unwrap().unwrap();
        let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
        assert_eq!(status_of(&answer), "413", "{answer}");
        answering.abort();
        world.stop().await;
    }
}
