use bytes::Bytes;
use h2::client::ResponseFuture;
use reqwest::Method;
use serde_json::Value;
use testkit::{Backend, eventually_async, expect, on_both_backends};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::{Secured, get, request, text};
use crate::grpc::{Speaker, call, framed};
use crate::support::{App, PLATFORM};
use crate::upstream::{Upstream, ok};

/// A gateway by TLS with an app of this upstream, which is reached.
async fn serving(
    backend: &Backend,
    upstream: &Upstream,
    settings: &[(&str, &str)],
) -> (Secured, App) {
    let (secured, app) = (Secured::with(backend, settings).await, App::new("shop"));
    secured.world.tell(app.live(&[upstream.address]), 1).await;
    secured.world.until(&app.host(), 200).await;
    (secured, app)
}

/// A gateway by TLS, with an app whose one connection the test answers itself: it has come for a request of
/// `begin`, which was sent until one wasn't answered by anybody else.
async fn by_hand<T>(
    backend: &Backend,
    begin: impl AsyncFn(&Secured, &App) -> (ResponseFuture, T),
) -> (Secured, TcpStream, (ResponseFuture, T)) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (secured, app) = (Secured::start(backend).await, App::new("shop"));
    let first = Upstream::saying("x").await;
    secured.world.tell(app.live(&[first.address]), 1).await;
    secured.world.until(&app.host(), 200).await;
    secured
        .world
        .tell(app.live(&[listener.local_addr().unwrap()]), 2)
        .await;
    drop(first);
    loop {
        let (mut answer, begun) = begin(&secured, &app).await;
        tokio::select! {
            accepted = listener.accept() => return (secured, accepted.unwrap().0, (answer, begun)),
            _ = &mut answer => {}
        }
    }
}

async fn read_until(stream: &mut TcpStream, wanted: &str) -> String {
    let (mut text, mut piece) = (String::new(), [0; 1024]);
    while !text.contains(wanted) {
        let length = stream.read(&mut piece).await.unwrap();
        assert!(length > 0, "closed after: {text}");
        text.push_str(&String::from_utf8_lossy(&piece[..length]));
    }
    text
}

on_both_backends! {
    async fn a_request_by_http2_reaches_an_app_as_any_other(backend: Backend) {
        let upstream = Upstream::start(|seen| match seen.first_line().split(' ').nth(1) {
            Some("/none") => "HTTP/1.1 204 No Content\r\n\r\n".into(),
            Some("/same") => "HTTP/1.1 304 Not Modified\r\netag: \"x\"\r\n\r\n".into(),
            Some("/hop") => "HTTP/1.1 200 OK\r\nconnection: x-hop\r\nx-hop: 1\r\nset-cookie: a=b\r\nset-cookie: c=d\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhop\r\n0\r\n\r\n".into(),
            _ => ok("hello"),
        }).await;
        let (secured, app) = serving(&backend, &upstream, &[]).await;
        let mut send = secured.http2(&app.host()).await;
        let mut asked = request("POST", "SHOP.localhost", "/x?y=1");
        for (name, value) in [("cookie", "a=b"), ("cookie", "c=d"), ("authorization", "Basic x"), ("x-forwarded-for", "10.0.0.1"), ("te", "trailers")] {
            asked.headers_mut().append(name, value.parse().unwrap());
        }
        let (answer, mut body) = send.send_request(asked, false).unwrap();
        body.send_data(Bytes::from_static(b"some"), true).unwrap();
        let answer = answer.await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.version()), (200, http::Version::HTTP_2));
        assert_eq!(answer.headers()["content-length"], "5");
        assert!(answer.headers().contains_key("date") && answer.headers().contains_key("x-request-id"));
        assert_eq!(text(answer.into_body()).await, "hello");
        let seen = upstream.last();
        assert_eq!(seen.first_line(), "POST /x?y=1 HTTP/1.1");
        assert_eq!(seen.one("host").to_ascii_lowercase(), "shop.localhost");
        assert_eq!(seen.one("cookie"), "a=b; c=d");
        assert_eq!(seen.one("transfer-encoding"), "chunked");
        assert_eq!(seen.one("x-forwarded-proto"), "https");
        assert_eq!(seen.one("x-forwarded-for"), "127.0.0.1");
        assert!(seen.all("te").is_empty() && seen.all("content-length").is_empty(), "{}", seen.head);
        assert_eq!(seen.body, b"4\r\nsome\r\n0\r\n\r\n");
        let mut ask = async |method: &str, path: &str| {
            let (answer, _) = send.send_request(request(method, &app.host(), path), true).unwrap();
            answer.await.unwrap()
        };
        let none = ask("GET", "/none").await;
        assert_eq!((none.status().as_u16(), none.headers().get("content-length")), (204, None));
        assert!(none.body().is_end_stream());
        let same = ask("GET", "/same").await;
        assert_eq!((same.status().as_u16(), &same.headers()["etag"]), (304, &"\"x\"".parse().unwrap()));
        let head = ask("HEAD", "/x").await;
        assert_eq!((head.status().as_u16(), &head.headers()["content-length"]), (200, &"5".parse().unwrap()));
        assert!(head.body().is_end_stream());
        let hop = ask("GET", "/hop").await;
        assert!(["connection", "x-hop", "transfer-encoding"].iter().all(|name| !hop.headers().contains_key(*name)), "{hop:?}");
        assert_eq!(hop.headers().get_all("set-cookie").iter().count(), 2);
        assert_eq!(text(hop.into_body()).await, "hop");
        assert!(upstream.last().all("transfer-encoding").is_empty(), "a request without a body says nothing of one");
        secured.world.stop().await;
    }

    async fn the_platforms_routes_hold_by_http2_and_are_counted_once(backend: Backend) {
        let secured = Secured::start(&backend).await;
        let (_, token) = secured.world.harness.issuer().someone();
        let mut send = secured.http2(PLATFORM).await;
        let mut ask = async |path: &str, token: Option<&str>| {
            let mut asked = get(PLATFORM, path);
            if let Some(token) = token {
                asked.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
            }
            let (answer, _) = send.send_request(asked, true).unwrap();
            let answer = answer.await.unwrap();
            (answer.status().as_u16(), text(answer.into_body()).await)
        };
        assert_eq!(ask("/v1/users/me", Some(&token)).await.0, 200);
        assert_eq!(ask("/v1/users/me", Some(&token)).await.0, 200);
        assert_eq!(ask("/v1/usage", Some("none")).await.0, 401);
        assert_eq!(ask("/v1/unknown/x", Some(&token)).await.0, 404);
        assert_eq!(ask("/v1/x/../y", None).await.0, 400);
        // What only the private listener serves isn't there.
        assert_eq!(ask("/metrics", None).await.0, 404);
        assert_eq!(ask("/internal/feeds/revocations", Some(&token)).await.0, 404);
        let usage = || secured.world.platform(Method::GET, "/v1/usage").bearer_auth(&token);
        let counted = |usage: &Value| usage["usage"].as_array().unwrap().iter()
            .find(|row| row["service"] == "account" && row["status_class"] == "2xx").map(|row| row["count"].as_i64().unwrap());
        let count = eventually_async("the counts", || async {
            counted(&expect(200, usage()).await).filter(|count| *count >= 2)
        }).await;
        assert_eq!(count, 2);
        secured.world.stop().await;
    }

    async fn both_bodies_stream_by_http2_while_the_other_is_open(backend: Backend) {
        let (secured, mut upstream, (answer, mut body)) = by_hand(&backend, async |secured: &Secured, app: &App| {
            let mut send = secured.http2(&app.host()).await;
            let (answer, mut body) = send.send_request(request("POST", &app.host(), "/s"), false).unwrap();
            body.send_data(Bytes::from_static(b"first"), false).unwrap();
            (answer, body)
        }).await;
        read_until(&mut upstream, "first").await;
        upstream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nearl\r\n").await.unwrap();
        let mut answer = answer.await.unwrap().into_body();
        assert_eq!(answer.data().await.unwrap().unwrap(), "earl");
        body.send_data(Bytes::from_static(b"second"), true).unwrap();
        read_until(&mut upstream, "second").await;
        upstream.write_all(b"4\r\nlate\r\n0\r\n\r\n").await.unwrap();
        assert_eq!(text(answer).await, "late");
        secured.world.stop().await;
    }

    async fn a_call_of_grpc_passes_by_tls(backend: Backend) {
        let (first, speaker) = (Upstream::saying("x").await, Speaker::start());
        let (secured, app) = serving(&backend, &first, &[]).await;
        secured.world.tell(app.live(&[speaker.address]), 2).await;
        let mut send = secured.http2(&app.host()).await;
        let mut answer = eventually_async("the switch", || {
            let (answer, mut body) = send.send_request(call(&app.host(), "/test.Speaker/Echo"), false).unwrap();
            body.send_data(framed(b"hello"), true).unwrap();
            async move {
                let answer = answer.await.unwrap();
                (answer.headers()["content-type"] == "application/grpc" && !answer.headers().contains_key("grpc-status")).then_some(answer)
            }
        }).await;
        assert_eq!(answer.body_mut().data().await.unwrap().unwrap(), framed(b"hello"));
        let end = answer.body_mut().trailers().await.unwrap().unwrap();
        assert_eq!((&end["grpc-status"], &end["x-last"]), (&"0".parse().unwrap(), &"word".parse().unwrap()));
        assert_eq!(speaker.noticed.last().1.get("x-forwarded-proto").unwrap(), "https");
        secured.world.stop().await;
    }

    async fn a_body_of_any_length_arrives_whole(backend: Backend) {
        let upstream = Upstream::start(|seen| ok(&format!("{}:{}", seen.body.len(), "y".repeat(700_000)))).await;
        let (secured, app) = serving(&backend, &upstream, &[]).await;
        let mut send = secured.http2(&app.host()).await;
        let mut asked = request("PUT", &app.host(), "/");
        asked.headers_mut().insert("content-length", "900000".parse().unwrap());
        let (answer, mut body) = send.send_request(asked, false).unwrap();
        let sending = async {
            let mut left = Bytes::from(vec![b'x'; 900_000]);
            while !left.is_empty() {
                body.reserve_capacity(left.len());
                let room = std::future::poll_fn(|cx| body.poll_capacity(cx)).await.unwrap().unwrap();
                let part = left.split_to(room.min(left.len()));
                body.send_data(part, left.is_empty()).unwrap();
            }
        };
        let (answer, ()) = tokio::join!(answer, sending);
        let told = text(answer.unwrap().into_body()).await;
        assert!(told.starts_with("900000:yyy") && told.len() == 700_007, "{}", told.len());
        assert_eq!(upstream.last().one("content-length"), "900000");
        secured.world.stop().await;
    }

    async fn who_asks_whether_to_send_a_body_is_told_so(backend: Backend) {
        let upstream = Upstream::saying("hello").await;
        let (secured, app) = serving(&backend, &upstream, &[]).await;
        let mut send = secured.http2(&app.host()).await;
        let mut asked = request("POST", &app.host(), "/");
        asked.headers_mut().insert("expect", "100-continue".parse().unwrap());
        let (mut answer, mut body) = send.send_request(asked, false).unwrap();
        let told = std::future::poll_fn(|cx| answer.poll_informational(cx)).await.unwrap().unwrap();
        assert_eq!(told.status(), 100);
        body.send_data(Bytes::from_static(b"body"), true).unwrap();
        assert_eq!(answer.await.unwrap().status(), 200);
        assert_eq!(upstream.last().body, b"4\r\nbody\r\n0\r\n\r\n");
        // Who isn't let in isn't told to send.
        let mut asked = request("POST", PLATFORM, "/v1/usage");
        asked.headers_mut().insert("expect", "100-continue".parse().unwrap());
        let (answer, _body) = send.send_request(asked, false).unwrap();
        assert_eq!(answer.await.unwrap().status(), 405);
        secured.world.stop().await;
    }

    async fn a_stop_finishes_what_is_under_way_and_takes_no_more(backend: Backend) {
        let (secured, mut upstream, (answer, mut send)) = by_hand(&backend, async |secured: &Secured, app: &App| {
            let mut send = secured.http2(&app.host()).await;
            let (answer, _) = send.send_request(get(&app.host(), "/slow"), true).unwrap();
            (answer, send)
        }).await;
        read_until(&mut upstream, "/slow").await;
        let stopping = tokio::spawn(secured.world.stop());
        // The connection is being ended: no new stream is taken.
        eventually_async("the farewell", || {
            let refused = send.send_request(get("shop.localhost", "/"), true).is_err();
            std::future::ready(refused.then_some(()))
        }).await;
        upstream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ndone").await.unwrap();
        assert_eq!(text(answer.await.unwrap().into_body()).await, "done");
        stopping.await.unwrap();
    }
}
