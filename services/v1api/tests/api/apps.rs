use common::event::ProvisionerEvent;
use common::time::Span;
use reqwest::Method;
use testkit::{Backend, on_both_backends};

use crate::support::{App, World, raw, status_of};
use crate::upstream::{Upstream, ok};

/// A gateway with one app that is live.
async fn live(backend: &Backend, upstream: &Upstream, settings: &[(&str, &str)]) -> (World, App) {
    let (world, app) = (World::with(backend, settings).await, App::new("shop"));
    world.tell(app.created(), 1).await;
    world.tell(app.live(&[upstream.address]), 1).await;
    world.until(&app.host(), 200).await;
    (world, app)
}

on_both_backends! {
    async fn an_app_gets_what_was_sent_to_it_and_nothing_that_only_looks_like_ours(backend: Backend) {
        let upstream = Upstream::start(|_| "HTTP/1.1 201 Created\r\nset-cookie: a=1\r\nset-cookie: b=2\r\nconnection: x-hop\r\nx-hop: 1\r\naccess-control-allow-origin: *\r\ncontent-length: 2\r\n\r\nok".into()).await;
        let (world, app) = (World::start(&backend).await, App::new("shop"));
        world.tell(app.live(&[upstream.address]), 1).await;
        world.until(&app.host(), 201).await;
        let request = "PUT /v1/users/../x//y?q=%2F&z HTTP/1.1\r\nhost: shop.localhost:8080\r\nauthorization: Basic abc\r\n\
            cookie: s=1\r\nconnection: close, x-drop\r\nx-drop: 1\r\nkeep-alive: 5\r\nte: trailers\r\nproxy-authorization: Basic x\r\n\
            x-forwarded-for: 6.6.6.6\r\nx-forwarded-host: evil\r\nforwarded: for=6.6.6.6\r\nx-real-ip: 6.6.6.6\r\n\
            slipway-client-address: 6.6.6.6\r\nslipway-gateway-token: x\r\nslipway-identity: x\r\nx-request-id: abc-1\r\n\
            content-length: 5\r\n\r\nhello";
        let answer = raw(world.address, request).await;
        assert_eq!(status_of(&answer), "201", "{answer}");
        assert!(answer.contains("set-cookie: a=1\r\n") && answer.contains("set-cookie: b=2\r\n"), "{answer}");
        assert!(answer.contains("access-control-allow-origin: *\r\n") && !answer.contains("x-hop"), "{answer}");
        let seen = upstream.last();
        assert_eq!(seen.first_line(), "PUT /v1/users/../x//y?q=%2F&z HTTP/1.1");
        assert_eq!(seen.body, b"hello");
        assert_eq!(seen.one("host"), "shop.localhost:8080");
        assert_eq!(seen.one("authorization"), "Basic abc");
        assert_eq!(seen.one("cookie"), "s=1");
        assert_eq!(seen.one("x-forwarded-for"), "127.0.0.1");
        assert_eq!(seen.one("x-forwarded-host"), "shop.localhost:8080");
        assert_eq!(seen.one("x-forwarded-proto"), "http");
        assert_eq!(seen.one("forwarded"), "for=127.0.0.1;host=\"shop.localhost:8080\";proto=http");
        assert_eq!(seen.one("x-request-id"), "abc-1");
        assert_eq!(seen.one("traceparent").len(), 55);
        for gone in ["x-drop", "keep-alive", "te", "proxy-authorization", "x-real-ip", "slipway-client-address", "slipway-gateway-token", "slipway-identity", "transfer-encoding"] {
            assert!(seen.all(gone).is_empty(), "{gone}: {}", seen.head);
        }
        world.stop().await;
    }

    async fn the_chain_of_a_trusted_proxy_goes_on(backend: Backend) {
        let upstream = Upstream::saying("x").await;
        let (world, app) = live(&backend, &upstream, &[("http.trusted_proxies", "127.0.0.0/8")]).await;
        let request = world.on(&app.host(), Method::GET, "/").header("x-forwarded-for", "203.0.113.9").header("x-forwarded-proto", "https");
        request.send().await.unwrap();
        let seen = upstream.last();
        assert_eq!(seen.one("x-forwarded-for"), "203.0.113.9, 127.0.0.1");
        assert_eq!(seen.one("x-forwarded-proto"), "https");
        world.stop().await;
    }

    async fn no_request_reaches_an_app_in_maintenance(backend: Backend) {
        let upstream = Upstream::saying("x").await;
        let (world, app) = live(&backend, &upstream, &[]).await;
        world.tell(app.in_maintenance(true), 2).await;
        assert!(world.until(&app.host(), 503).await.contains("maintenance"));
        let seen = upstream.seen().len();
        let page = world.on(&app.host(), Method::GET, "/").header("accept", "text/html").send().await.unwrap();
        assert_eq!((page.status().as_u16(), page.headers()["retry-after"].to_str().unwrap()), (503, "120"));
        assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
        assert!(page.text().await.unwrap().contains("maintenance"));
        // Nor do new instances change that.
        world.tell(app.live(&[upstream.address, upstream.address]), 2).await;
        assert_eq!(world.on(&app.host(), Method::GET, "/").send().await.unwrap().status(), 503);
        assert_eq!(upstream.seen().len(), seen);
        world.tell(app.in_maintenance(false), 3).await;
        world.until(&app.host(), 200).await;
        world.stop().await;
    }

    async fn an_app_that_is_down_or_slow_is_told_apart(backend: Backend) {
        let upstream = Upstream::saying("x").await;
        let (world, app) = live(&backend, &upstream, &[("gateway.upstream_timeout", "300ms")]).await;
        // One that takes connections and says nothing.
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        world.tell(app.live(&[silent.local_addr().unwrap()]), 2).await;
        assert!(world.until(&app.host(), 504).await.contains("upstream_timeout"));
        let gone = silent.local_addr().unwrap();
        drop(silent);
        world.tell(app.live(&[gone]), 3).await;
        assert!(world.until(&app.host(), 502).await.contains("upstream_"));
        let page = world.on(&app.host(), Method::GET, "/").header("accept", "text/html").send().await.unwrap();
        assert_eq!(page.status(), 502);
        assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
        // Of several instances the ones that are there answer.
        world.tell(app.live(&[gone, upstream.address]), 4).await;
        world.until(&app.host(), 200).await;
        for _ in 0..4 {
            assert_eq!(world.on(&app.host(), Method::POST, "/").body("x").send().await.unwrap().status(), 200);
        }
        world.stop().await;
    }

    async fn requests_wait_for_an_instance_that_is_on_its_way(backend: Backend) {
        let upstream = Upstream::saying("after the switch").await;
        let (world, app) = live(&backend, &upstream, &[]).await;
        let until = world.harness.clock.now() + Span::seconds(10);
        let stopped = ProvisionerEvent::DeploymentLive(app.deployment(&[], Some(until)));
        world.tell(stopped, 2).await;
        let before = upstream.seen().len();
        let held = world.on(&app.host(), Method::POST, "/order").body("one").send();
        let switch = async {
            // The first look at the gateway's own count tells nothing of a held request; its turn comes with the event.
            world.tell(app.live(&[upstream.address]), 3).await;
        };
        let (held, ()) = tokio::join!(held, switch);
        assert_eq!(held.unwrap().text().await.unwrap(), "after the switch");
        assert_eq!(upstream.seen().len(), before + 1);
        world.stop().await;
    }

    async fn connections_are_kept_and_a_dead_one_costs_no_request(backend: Backend) {
        let upstream = Upstream::saying("x").await;
        let (world, app) = live(&backend, &upstream, &[]).await;
        let before = upstream.connections();
        for _ in 0..20 {
            assert_eq!(world.on(&app.host(), Method::GET, "/").send().await.unwrap().status(), 200);
        }
        assert!(upstream.connections() - before <= 1, "{}", upstream.connections());
        // This one says nothing of it and closes after each answer.
        let closing = Upstream::start(|_| ok("y") + "!close").await;
        world.tell(app.live(&[closing.address]), 2).await;
        world.until_saying(&app.host(), "y").await;
        for _ in 0..30 {
            assert_eq!(world.on(&app.host(), Method::GET, "/").send().await.unwrap().status(), 200);
        }
        world.stop().await;
    }

    async fn no_request_fails_while_one_release_follows_another(backend: Backend) {
        let mut before = Upstream::saying("0").await;
        let (world, app) = live(&backend, &before, &[]).await;
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let mut callers = tokio::task::JoinSet::new();
        for _ in 0..4 {
            let (stopped, request) = (stopped.clone(), world.on(&app.host(), Method::GET, "/"));
            callers.spawn(async move {
                let mut calls = 0;
                while !*stopped.borrow() {
                    let answer = request.try_clone().unwrap().send().await.unwrap();
                    assert_eq!(answer.status(), 200, "after {calls} calls: {}", answer.text().await.unwrap());
                    calls += 1;
                }
                calls
            });
        }
        for (version, text) in ["1", "2", "3", "4", "5"].into_iter().enumerate() {
            let after = Upstream::saying(text).await;
            world.tell(app.live(&[after.address]), i64::try_from(version).unwrap() + 2).await;
            world.until_saying(&app.host(), text).await;
            // The old one goes with all that is open to it.
            drop(std::mem::replace(&mut before, after));
        }
        stop.send_replace(true);
        let calls: u32 = callers.join_all().await.into_iter().sum();
        assert!(calls > 20, "{calls}");
        world.stop().await;
    }

    async fn answers_without_a_body_keep_what_they_say_of_it(backend: Backend) {
        let upstream = Upstream::start(|seen| match seen.first_line().split(' ').nth(1).unwrap() {
            "/none" => "HTTP/1.1 204 No Content\r\n\r\n".into(),
            "/same" => "HTTP/1.1 304 Not Modified\r\netag: \"1\"\r\n\r\n".into(),
            _ if seen.head.starts_with("HEAD") => "HTTP/1.1 200 OK\r\ncontent-length: 1234\r\n\r\n".into(),
            _ => ok("x"),
        }).await;
        let (world, app) = live(&backend, &upstream, &[]).await;
        let get = |method: &str, path: &str| format!("{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", app.host());
        let head = raw(world.address, &get("HEAD", "/")).await;
        assert!(head.contains("content-length: 1234\r\n") && head.ends_with("\r\n\r\n"), "{head}");
        let none = raw(world.address, &get("GET", "/none")).await;
        assert!(none.starts_with("HTTP/1.1 204") && !none.contains("content-length") && !none.contains("chunked"), "{none}");
        let same = raw(world.address, &get("GET", "/same")).await;
        assert!(same.starts_with("HTTP/1.1 304") && same.contains("etag: \"1\"") && same.ends_with("\r\n\r\n"), "{same}");
        world.stop().await;
    }
}
