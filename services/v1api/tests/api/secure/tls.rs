use std::fs;

use reqwest::Method;
use serde_json::Value;
use testkit::{eventually_async, expect, on_both_backends};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{Secured, get};
use crate::support::{App, PLATFORM, raw};
use crate::upstream::Upstream;

on_both_backends! {
    async fn a_request_by_tls_is_known_to_be_one(backend: Backend) {
        let (secured, upstream) = (Secured::start(&backend).await, Upstream::saying("hello").await);
        let (world, app) = (&secured.world, App::new("shop"));
        world.tell(app.live(&[upstream.address]), 1).await;
        world.until(&app.host(), 200).await;
        let plain = upstream.last();
        assert_eq!(plain.one("x-forwarded-proto"), "http");
        let answer = secured.by_tls(&app.host(), Method::POST, "/x?y=1").body("z").send().await.unwrap();
        assert_eq!(answer.version(), reqwest::Version::HTTP_11);
        assert_eq!(answer.text().await.unwrap(), "hello");
        let seen = upstream.last();
        assert_eq!(seen.first_line(), "POST /x?y=1 HTTP/1.1");
        assert_eq!(seen.one("x-forwarded-proto"), "https");
        assert!(seen.one("forwarded").ends_with(";proto=https"), "{}", seen.head);
        assert_eq!(seen.body, b"z");
        // The platform's services hear of it, and nobody can say so of plain text, nor otherwise of TLS.
        let (_, token) = world.harness.issuer().someone();
        let proto = |told: Value| told["headers"]["x-forwarded-proto"].as_str().unwrap().to_owned();
        let ask = |request: reqwest::RequestBuilder, claim| expect(200, request.bearer_auth(&token).header("x-forwarded-proto", claim));
        assert_eq!(proto(ask(secured.by_tls(PLATFORM, Method::GET, "/v1/users/me"), "http").await), "https");
        assert_eq!(proto(ask(world.platform(Method::GET, "/v1/users/me"), "https").await), "http");
        secured.world.stop().await;
    }

    async fn a_trusted_proxy_says_how_its_client_came(backend: Backend) {
        let secured = Secured::with(&backend, &[("http.trusted_proxies", "127.0.0.1")]).await;
        let (_, token) = secured.world.harness.issuer().someone();
        let by_tls = || secured.by_tls(PLATFORM, Method::GET, "/v1/users/me").bearer_auth(&token);
        let proto = |told: Value| told["headers"]["x-forwarded-proto"].as_str().unwrap().to_owned();
        assert_eq!(proto(expect(200, by_tls().header("x-forwarded-proto", "http")).await), "http");
        assert_eq!(proto(expect(200, by_tls()).await), "https");
        secured.world.stop().await;
    }

    async fn the_name_that_a_client_asks_for_chooses_the_certificate(backend: Backend) {
        let secured = Secured::start(&backend).await;
        assert_eq!(secured.shown(PLATFORM).await.unwrap(), secured.platform);
        let of_apps = secured.shown("shop.apps.example").await.unwrap();
        assert_ne!(of_apps, secured.platform);
        assert_eq!(secured.shown("other.apps.example").await.unwrap(), of_apps);
        // Others are shown the platform's, which isn't theirs.
        for host in ["unknown.example", "a.b.apps.example", "apps.example", "127.0.0.1"] {
            let error = secured.shown(host).await.unwrap_err().to_string();
            assert!(error.contains("not valid for name"), "{host}: {error}");
        }
        secured.world.stop().await;
    }

    async fn a_certificate_that_changes_is_shown_without_a_stop_and_a_broken_one_never(backend: Backend) {
        let secured = Secured::start(&backend).await;
        let mut kept = secured.http2(PLATFORM).await;
        let folder = secured.folder.path().join("platform");
        let next = secured.authority.put(&folder, &[PLATFORM]);
        let is_next = || async { (secured.shown(PLATFORM).await.unwrap() == next).then_some(()) };
        eventually_async("the next certificate", is_next).await;
        // Connections from before go on.
        let (answer, _) = kept.send_request(get(PLATFORM, "/healthz"), true).unwrap();
        assert_eq!(answer.await.unwrap().status(), 200);
        fs::write(folder.join("tls.crt"), "-----BEGIN CERTIFICATE-----\nbroken").unwrap();
        // What is laid beside it is taken over in the same look as the broken one is passed over.
        let beside = secured.authority.put(&secured.folder.path().join("z"), &["new.example"]);
        eventually_async("the one beside it", || async {
            (secured.shown("new.example").await.ok()? == beside).then_some(())
        }).await;
        assert_eq!(secured.shown(PLATFORM).await.unwrap(), next);
        secured.world.stop().await;
    }

    async fn plain_text_is_led_to_tls_where_there_is_a_certificate(backend: Backend) {
        let settings = [
            ("gateway.tls.redirect", "true"), ("gateway.tls.hsts", "1d"),
            ("gateway.public_url", "https://slipway.example:8443"),
        ];
        let (secured, upstream) = (Secured::with(&backend, &settings).await, Upstream::saying("hello").await);
        let (world, app) = (&secured.world, App::new("shop"));
        for (host, to) in [(PLATFORM, "slipway.example"), ("SHOP.localhost.:80", "shop.localhost")] {
            let answer = world.on(host, Method::POST, "/a//b?c=%20").body("x").send().await.unwrap();
            assert_eq!(answer.status(), 308, "{host}");
            assert_eq!(answer.headers()["location"], format!("https://{to}:8443/a//b?c=%20"));
            assert!(!answer.headers().contains_key("strict-transport-security"), "{host}");
        }
        // Nobody is led to where the certificate is another's: not who asks by address, nor a domain without one.
        assert_eq!(world.on("localhost", Method::GET, "/healthz").send().await.unwrap().status(), 200);
        assert_eq!(world.on("127.0.0.1", Method::GET, "/healthz").send().await.unwrap().status(), 200);
        world.tell(app.live(&[upstream.address]), 1).await;
        world.tell(app.verified("shop.customer.example"), 1).await;
        world.until_saying("shop.customer.example", "hello").await;
        // One that has a certificate goes on being proved in plain text.
        secured.authority.put(&secured.folder.path().join("customer"), &["shop.customer.example"]);
        world.until("shop.customer.example", 308).await;
        let challenge = "/.well-known/slipway-challenge/proof-name";
        let proof = world.on("shop.customer.example", Method::GET, challenge).send().await.unwrap();
        assert_eq!(proof.text().await.unwrap(), "proof-content");
        // By TLS nobody is led anywhere; that it be kept to is said of the platform's host alone.
        let answer = secured.by_tls(PLATFORM, Method::GET, "/healthz").send().await.unwrap();
        assert_eq!((answer.status().as_u16(), &answer.headers()["strict-transport-security"]), (200, &"max-age=86400".parse().unwrap()));
        let answer = secured.by_tls("shop.localhost", Method::GET, "/").send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.headers().get("strict-transport-security")), (200, None));
        secured.world.stop().await;
    }

    async fn who_doesnt_shake_hands_is_let_go(backend: Backend) {
        let secured = Secured::with(&backend, &[("gateway.tls.handshake_timeout", "200ms")]).await;
        let mut silent = secured.tcp().await;
        assert_eq!(silent.read(&mut [0; 8]).await.unwrap_or(0), 0);
        // Who speaks HTTP there is answered by an alert alone.
        let address = secured.world.harness.platform().tls_address("v1api").unwrap();
        let answer = raw(address, &format!("GET /healthz HTTP/1.1\r\nhost: {PLATFORM}\r\n\r\n")).await;
        assert!(!answer.contains("HTTP"), "{answer}");
        secured.world.stop().await;
    }

    async fn a_websocket_passes_through_by_tls(backend: Backend) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (secured, app) = (Secured::start(&backend).await, App::new("shop"));
        secured.world.tell(app.live(&[listener.local_addr().unwrap()]), 1).await;
        // The first that reaches it, and so the only one that waits for an answer.
        let head = format!("GET /ws HTTP/1.1\r\nhost: {}\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n", app.host());
        let mut client = secured.handshake(&app.host(), &[b"http/1.1"]).await.unwrap();
        let mut upstream = loop {
            client.write_all(head.as_bytes()).await.unwrap();
            let mut early = [0; 1024];
            tokio::select! {
                accepted = listener.accept() => break accepted.unwrap().0,
                _ = client.read(&mut early) => client = secured.handshake(&app.host(), &[b"http/1.1"]).await.unwrap(),
            }
        };
        upstream.write_all(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n").await.unwrap();
        let mut agreed = Vec::new();
        while !agreed.ends_with(b"\r\n\r\n") {
            agreed.push(client.read_u8().await.unwrap());
        }
        assert!(agreed.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&agreed));
        upstream.write_all(b"pong").await.unwrap();
        let mut pong = [0; 4];
        client.read_exact(&mut pong).await.unwrap();
        assert_eq!(&pong, b"pong");
        drop(upstream);
        secured.world.stop().await;
    }
}
