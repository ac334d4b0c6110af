//! A service with several upstreams.

use std::net::SocketAddr;

use reqwest::Method;
use serde_json::{Value, json};
use testkit::{expect, on_both_backends};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::support::World;
use crate::upstream::Upstream;

fn addresses(of: &[SocketAddr]) -> Value {
    of.iter()
        .map(|address| json!(format!("http://{address}")))
        .collect()
}

/// An upstream that begins an answer, and ends it when it is told to.
pub async fn held() -> (SocketAddr, oneshot::Sender<()>, oneshot::Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (end, ended) = oneshot::channel();
    let (asked, was_asked) = oneshot::channel();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _request = stream.read(&mut [0; 4096]).await.unwrap();
        let begun = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nfirst";
        stream.write_all(begun).await.unwrap();
        asked.send(()).unwrap();
        ended.await.unwrap();
        stream.write_all(b" last").await.unwrap();
    });
    (address, end, was_asked)
}

on_both_backends! {
    async fn several_upstreams_share_the_calls_each_under_its_own_name(backend: Backend) {
        let world = World::start(&backend).await;
        let (one, two) = (Upstream::saying("one").await, Upstream::saying("two").await);
        world.name_location(json!({ "upstreams": addresses(&[one.address, two.address]) })).await;
        let key = world.key("service:location:read");
        let mut said = Vec::new();
        for _ in 0..20 {
            let answer = world.call(Method::GET, "/x", &key).send().await.unwrap();
            assert_eq!(answer.status(), 200);
            said.push(answer.text().await.unwrap());
        }
        assert!(said.contains(&"one".into()) && said.contains(&"two".into()), "{said:?}");
        for upstream in [&one, &two] {
            for seen in upstream.seen() {
                assert_eq!(seen.one("host"), upstream.address.to_string());
            }
        }
        world.stop().await;
    }

    async fn an_upstream_that_is_gone_costs_no_call_while_there_is_another(backend: Backend) {
        let world = World::start(&backend).await;
        let (gone, here) = (Upstream::saying("gone").await, Upstream::saying("here").await);
        world.name_location(json!({ "upstreams": addresses(&[gone.address, here.address]) })).await;
        let key = world.key("service:location:write");
        drop(gone);
        for _ in 0..10 {
            let answer = world.call(Method::POST, "/x", &key).body("x").send().await.unwrap();
            assert_eq!((answer.status().as_u16(), answer.text().await.unwrap().as_str()), (200, "here"));
            // The next one to be asked is told its own name, whoever was tried before.
            assert_eq!(here.last().one("host"), here.address.to_string());
        }
        world.stop().await;
    }

    async fn a_call_under_way_ends_at_an_upstream_that_is_taken_away(backend: Backend) {
        let world = World::start(&backend).await;
        let ((old, end, was_asked), new) = (held().await, Upstream::saying("new").await);
        world.name_location(json!({ "upstreams": addresses(&[old]) })).await;
        let key = world.key("service:location:read");
        let mut under_way = world.call(Method::GET, "/x", &key).send().await.unwrap();
        was_asked.await.unwrap();
        expect(200, world.change_location(&json!({ "upstreams": addresses(&[new.address]) }))).await;
        testkit::eventually_async("new calls go to the new one", || async {
            let answer = world.call(Method::GET, "/x", &key).send().await.unwrap();
            (answer.text().await.unwrap() == "new").then_some(())
        }).await;
        let mut body = under_way.chunk().await.unwrap().unwrap().to_vec();
        assert_eq!(body, b"first");
        end.send(()).unwrap();
        while let Some(piece) = under_way.chunk().await.unwrap() {
            body.extend_from_slice(&piece);
        }
        assert_eq!(body, b"first last");
        world.stop().await;
    }

    async fn upstreams_are_one_or_several_and_none_twice(backend: Backend) {
        let world = World::start(&backend).await;
        let admin = world.harness.issuer().admin();
        let many: Value = (0..33).map(|port| json!(format!("http://127.0.0.1:{}", 9000 + port))).collect();
        for (wrong, field) in [
            (json!({}), "upstream"),
            (json!({ "upstream": "http://a", "upstreams": ["http://b"] }), "upstreams"),
            (json!({ "upstream": "https://a" }), "upstream"),
            (json!({ "upstreams": [] }), "upstreams"),
            (json!({ "upstreams": many }), "upstreams"),
            (json!({ "upstreams": ["http://a", "https://b"] }), "upstreams[1]"),
            (json!({ "upstreams": ["http://a:80", "http://b", "http://A"] }), "upstreams[2]"),
        ] {
            let mut body = wrong;
            body["name"] = json!("location");
            let asked = world.platform(Method::POST, "/v1/services").bearer_auth(&admin).json(&body);
            let refused = expect(422, asked).await;
            assert_eq!(refused["errors"][0]["field"], field, "{refused}");
        }
        let made = world.name_location(json!({ "upstreams": ["http://a", "http://b:8080"] })).await;
        assert_eq!(made["service"]["upstreams"], json!(["http://a:80", "http://b:8080"]));
        let changed = expect(200, world.change_location(&json!({ "upstream": "http://c" }))).await;
        assert_eq!(changed["service"]["upstreams"], json!(["http://c:80"]));
        let kept = expect(200, world.change_location(&json!({ "timeout": 5 }))).await;
        assert_eq!(kept["service"]["upstreams"], json!(["http://c:80"]));
        world.stop().await;
    }
}
