use common::event::{ProjectEvent, Visibility};
use common::scope::Verb;
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use testkit::{expect, on_both_backends};
use tokio::net::TcpListener;

use crate::named::named;
use crate::support::{App, World};
use crate::upstream::{Upstream, ok};

const PAGE: &str = "https://shop.example";

impl World {
    /// Asks what a page may do.
    async fn preflight(&self, path: &str, origin: &str) -> HeaderMap {
        let asked = self
            .platform(Method::OPTIONS, path)
            .header("origin", origin)
            .header("access-control-request-method", "GET")
            .header("access-control-request-headers", "authorization, x-own");
        let answer = asked.send().await.unwrap();
        assert_eq!(answer.status(), 204);
        answer.headers().clone()
    }
}

fn allowed(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get("access-control-allow-origin")?;
    Some(value.to_str().unwrap())
}

on_both_backends! {
    async fn an_endpoint_needs_the_verb_that_its_service_says(backend: Backend) {
        let upstream = Upstream::saying("here").await;
        let world = named(&backend, upstream.address, json!({ "endpoints": [
            { "method": "POST", "path": "/search", "scope": "read" },
            { "path": "/admin/**", "scope": "write" },
            { "method": "GET", "path": "/admin/help", "scope": "read" },
        ]})).await;
        let (read, write) = (world.key("service:location:read"), world.key("service:location:write"));
        for (method, path, opened) in [
            (Method::GET, "/", true),
            (Method::POST, "/search?q=1", true),
            (Method::POST, "/orders", false),
            (Method::POST, "/Search", false),
            (Method::GET, "/admin", false),
            (Method::GET, "/admin/users", false),
            (Method::GET, "/ADMIN/users", false),
            (Method::GET, "/%61dmin/users", false),
            (Method::GET, "/admin/help", true),
        ] {
            let before = upstream.seen().len();
            let answer = world.call(method.clone(), path, &read).send().await.unwrap();
            let status = answer.status().as_u16();
            assert_eq!(status, if opened { 200 } else { 403 }, "{method} {path}");
            assert_eq!(upstream.seen().len() - before, usize::from(opened), "{method} {path}");
            if !opened {
                let body: Value = answer.json().await.unwrap();
                assert_eq!(body["code"], "insufficient_scope");
                assert!(body.to_string().contains("service:location:write"), "{body}");
            }
            assert_eq!(world.call(method, path, &write).send().await.unwrap().status(), 200);
        }
        world.stop().await;
    }

    async fn rules_of_a_publication_come_by_event(backend: Backend) {
        let upstream = Upstream::saying("here").await;
        let (world, app) = (World::start(&backend).await, App::new("location-production"));
        world.tell(app.created(), 1).await;
        world.tell(app.live(&[upstream.address]), 1).await;
        let told = |rules: Value| {
            let ProjectEvent::ServicePublished(mut service) = app.published("location", Visibility::Public, &[Verb::Write]) else {
                panic!("it is published");
            };
            service.rules = serde_json::from_value(rules).unwrap();
            ProjectEvent::ServicePublished(service)
        };
        world.tell(told(json!({})), 1).await;
        world.until_known("location").await;
        world.until(&app.host(), 200).await;
        let key = world.key("service:location:read");
        let status = async || world.call(Method::GET, "/admin", &key).send().await.unwrap().status();
        assert_eq!(status().await, 200);
        world.tell(told(json!({ "endpoints": [{ "path": "/admin", "scope": "write" }] })), 2).await;
        testkit::eventually_async("the rule holds", async || (status().await == 403).then_some(())).await;
        world.stop().await;
    }

    async fn a_page_of_an_allowed_origin_calls_with_a_key(backend: Backend) {
        let upstream = Upstream::start(|_| {
            "HTTP/1.1 200 OK\r\naccess-control-allow-origin: https://evil.example\r\naccess-control-allow-credentials: true\r\ncontent-length: 2\r\n\r\nok".into()
        }).await;
        let world = named(&backend, upstream.address, json!({ "cors": { "origins": [PAGE] } })).await;
        let asked = world.preflight("/v1/location/track", PAGE).await;
        assert_eq!(allowed(&asked), Some(PAGE));
        assert_eq!(asked["access-control-allow-headers"], "authorization, x-own");
        assert!(asked["access-control-allow-methods"].to_str().unwrap().contains("PATCH"));
        // A browser that gets no leave for cookies sends none.
        assert!(!asked.contains_key("access-control-allow-credentials"));
        assert!(upstream.seen().is_empty(), "preflights aren't the service's");

        let key = world.key("service:location:read");
        let get = async |key: &str, origin: &str| {
            world.call(Method::GET, "/track", key).header("origin", origin).send().await.unwrap()
        };
        let answer = get(&key, PAGE).await;
        assert_eq!((answer.status().as_u16(), allowed(answer.headers())), (200, Some(PAGE)));
        assert!(!answer.headers().contains_key("access-control-allow-credentials"));
        let varies = |headers: &HeaderMap| headers.get_all("vary").iter().any(|vary| vary == "Origin");
        assert!(varies(answer.headers()));
        // A page must be able to read why it was refused, too.
        let refused = get("nonsense", PAGE).await;
        assert_eq!((refused.status().as_u16(), allowed(refused.headers())), (401, Some(PAGE)));

        for other in ["https://evil.example", "https://shop.example.evil", "http://shop.example", "null"] {
            assert_eq!(allowed(&world.preflight("/v1/location/track", other).await), None, "{other}");
            let answer = get(&key, other).await;
            assert_eq!(allowed(answer.headers()), None, "{other}");
            assert!(varies(answer.headers()));
        }
        // The platform's own pages go on, with what is theirs; elsewhere the service's say nothing.
        let own = world.preflight("/v1/location/track", "https://admin.example").await;
        assert_eq!((allowed(&own), &own["access-control-allow-credentials"]), (Some("https://admin.example"), &"true".parse().unwrap()));
        for elsewhere in ["/v1/users/me", "/v1/other/track", "/auth/session"] {
            assert_eq!(allowed(&world.preflight(elsewhere, PAGE).await), None, "{elsewhere}");
        }
        world.stop().await;
    }

    async fn a_service_for_everybodys_pages_names_nobody(backend: Backend) {
        let upstream = Upstream::saying("here").await;
        let world = named(&backend, upstream.address, json!({ "cors": { "origins": ["*"] } })).await;
        let asked = world.preflight("/v1/location/track", PAGE).await;
        assert_eq!(allowed(&asked), Some("*"));
        let key = world.key("service:location:read");
        let answer = world.call(Method::GET, "/", &key).header("origin", PAGE).send().await.unwrap();
        assert_eq!(allowed(answer.headers()), Some("*"));
        let answer = world.call(Method::GET, "/", &key).send().await.unwrap();
        assert_eq!(allowed(answer.headers()), None);
        world.stop().await;
    }

    async fn a_service_takes_bodies_as_long_as_it_says(backend: Backend) {
        let upstream = Upstream::start(|seen| ok(&seen.body.len().to_string())).await;
        let world = named(&backend, upstream.address, json!({ "max_body": 10 })).await;
        let key = world.key("service:location:write");
        let post = async |body: reqwest::Body| {
            let answer = world.call(Method::POST, "/", &key).body(body).send().await.unwrap();
            (answer.status().as_u16(), answer.text().await.unwrap())
        };
        assert_eq!(post("0123456789".into()).await, (200, "10".into()));
        let (status, body) = post("0123456789+".into()).await;
        assert!(status == 413 && body.contains("body_too_large"), "{status} {body}");
        world.stop().await;
    }

    async fn a_service_answers_as_long_as_it_says(backend: Backend) {
        let upstream = Upstream::start(|seen| match seen.first_line().split(' ').nth(1).unwrap() {
            "/fits" => ok("0123456789"),
            "/long" => ok("0123456789+"),
            "/chunks-fit" => "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n".into(),
            "/chunks" => "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n01234\r\n6\r\n56789+\r\n0\r\n\r\n".into(),
            "/open" => "HTTP/1.1 200 OK\r\n\r\n0123456789+!close".into(),
            // By HEAD.
            _ => "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n".into(),
        }).await;
        let world = named(&backend, upstream.address, json!({ "max_response_body": 10 })).await;
        let key = world.key("service:location:read");
        let got = async |method: Method, path: &str| {
            let answer = world.call(method, path, &key).send().await?;
            Ok::<_, reqwest::Error>((answer.status().as_u16(), answer.text().await?))
        };
        for path in ["/fits", "/chunks-fit"] {
            assert_eq!(got(Method::GET, path).await.unwrap(), (200, "0123456789".into()), "{path}");
        }
        let (status, body) = got(Method::GET, "/long").await.unwrap();
        assert!(status == 502 && body.contains("response_too_large"), "{status} {body}");
        for path in ["/chunks", "/open"] {
            assert!(got(Method::GET, path).await.is_err(), "{path} can't be taken for whole");
        }
        assert_eq!(got(Method::HEAD, "/head").await.unwrap(), (200, String::new()));
        // The next call on what was cut off gets its own answer.
        assert_eq!(got(Method::GET, "/fits").await.unwrap().1, "0123456789");
        world.stop().await;
    }

    async fn a_service_is_waited_for_as_long_as_it_says(backend: Backend) {
        // It takes every connection and never answers.
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let world = named(&backend, silent.local_addr().unwrap(), json!({ "timeout": 1 })).await;
        let key = world.key("service:location:read");
        let begun = std::time::Instant::now();
        let answer = world.call(Method::GET, "/", &key).send().await.unwrap();
        assert_eq!(answer.status(), 504);
        // Without its own word it would have been a minute.
        assert!(begun.elapsed().as_secs() < 50, "{:?}", begun.elapsed());
        world.stop().await;
    }

    async fn a_services_rules_are_checked_and_changed(backend: Backend) {
        let upstream = Upstream::saying("here").await;
        let world = named(&backend, upstream.address, json!({ "timeout": 5, "scopes": ["read"] })).await;
        let change = |body: Value| world.change_location(&body);
        for (wrong, field) in [
            (json!({ "endpoints": [{ "path": "orders" }] }), "endpoints[0].path"),
            (json!({ "endpoints": [{ "path": "/", "scope": "write" }] }), "endpoints[0].scope"),
            (json!({ "cors": { "origins": ["shop.example"] } }), "cors.origins[0]"),
            (json!({ "timeout": 0 }), "timeout"),
            (json!({ "max_body": 0 }), "max_body"),
            (json!({ "max_response_body": 0 }), "max_response_body"),
            (json!({ "health": { "path": "x" } }), "health.path"),
            (json!({ "health": { "path": "/x", "interval": 5, "timeout": 6 } }), "health.timeout"),
        ] {
            let refused = expect(422, change(wrong)).await;
            assert_eq!(refused["errors"][0]["field"], field, "{refused}");
        }
        let wanted = json!({ "endpoints": [{ "path": "/a", "scope": "read" }], "max_body": 7 });
        let changed = expect(200, change(wanted.clone())).await;
        assert_eq!(changed["service"]["endpoints"], wanted["endpoints"]);
        assert_eq!((&changed["service"]["max_body"], &changed["service"]["timeout"]), (&json!(7), &json!(5)));
        let changed = expect(200, change(json!({ "timeout": null }))).await;
        assert_eq!((&changed["service"]["max_body"], &changed["service"]["timeout"]), (&json!(7), &Value::Null));
        world.stop().await;
    }
}
