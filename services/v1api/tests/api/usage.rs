use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};
use testkit::{expect, on_both_backends};

use crate::support::World;
use crate::upstream::{Upstream, ok};

/// Counts by service, endpoint, method and class of status.
fn counts(usage: &Value) -> BTreeMap<String, i64> {
    let rows = usage["usage"].as_array().unwrap().iter();
    rows.map(|row| {
        let part = |name: &str| row[name].as_str().unwrap().to_owned();
        let name = [
            part("service"),
            part("method"),
            part("endpoint"),
            part("status_class"),
        ]
        .join(" ");
        (name, row["count"].as_i64().unwrap())
    })
    .collect()
}

on_both_backends! {
    async fn every_call_is_counted_once_for_its_caller_refusals_too(backend: Backend) {
        let upstream = Upstream::saying("x").await;
        let world = World::start(&backend).await;
        let issuer = world.harness.issuer();
        let (user, token) = issuer.someone();
        let new = json!({"name": "location", "upstream": format!("http://{}", upstream.address), "scopes": ["read"]});
        expect(201, world.platform(Method::POST, "/v1/services").bearer_auth(issuer.admin()).json(&new)).await;
        world.until_known("location").await;
        let key = issuer.api_key(&user, "service:location:read", None);
        for number in 0..7 {
            expect(200, world.platform(Method::GET, &format!("/v1/location/track/{number}")).bearer_auth(&token)).await;
        }
        for _ in 0..3 {
            expect(200, world.platform(Method::GET, "/v1/location/track/1").bearer_auth(&key)).await;
        }
        expect(403, world.platform(Method::POST, "/v1/location/track/1").bearer_auth(&token)).await;
        expect(200, world.platform(Method::GET, "/v1/users/me").bearer_auth(&token)).await;
        let read = |query: &str| world.platform(Method::GET, &format!("/v1/usage{query}")).bearer_auth(&token);
        // Workers hand in their tallies apart, so all of them are waited for, not the last call's alone.
        let wanted = [("location GET /track/:id 2xx", 10), ("location POST other 4xx", 1), ("account GET /v1/users/me 2xx", 1)];
        let all_told = |usage: &Value| {
            let told = counts(usage);
            wanted.iter().all(|(name, count)| told.get(*name) == Some(count))
        };
        testkit::eventually_async("the counts", || async { all_told(&expect(200, read("")).await).then_some(()) }).await;
        let by_key = expect(200, read("?group_by=key")).await;
        let of_key: Vec<_> = by_key["usage"].as_array().unwrap().iter().filter(|row| row["key_id"].is_string()).collect();
        assert_eq!(of_key.len(), 1, "{by_key}");
        assert_eq!(of_key[0]["count"], 3);
        let by_day = expect(200, read("?group_by=day&from=2020-01-01")).await;
        assert_eq!(by_day["usage"][0]["day"].as_str().unwrap().len(), 10);
        let first = expect(200, read("?limit=1")).await;
        let second = expect(200, read(&format!("?limit=1&after={}", first["next"].as_str().unwrap()))).await;
        assert_ne!(first["usage"], second["usage"]);
        assert_eq!(expect(200, read("?to=2020-01-01")).await["usage"], json!([]));
        // Others see their own, an admin whose she asks for.
        let (_, other) = issuer.someone();
        expect(403, world.platform(Method::GET, &format!("/v1/usage?user_id={user}")).bearer_auth(&other)).await;
        let asked = expect(200, world.platform(Method::GET, &format!("/v1/usage?user_id={user}")).bearer_auth(issuer.admin())).await;
        assert!(all_told(&asked), "{asked}");
        for query in ["?from=x", "?group_by=x", "?unknown=1", "?after=x"] {
            expect(400, read(query)).await;
        }
        world.stop().await;
    }

    async fn what_goes_over_the_wire_is_measured_and_how_long_it_takes(backend: Backend) {
        let upstream = Upstream::start(|request| match request.first_line().split(' ').nth(1) {
            Some("/large") => ok(&"y".repeat(200_000)),
            Some("/stream") => "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nfour\r\n0\r\n\r\n".into(),
            _ => ok("seven b"),
        }).await;
        let world = World::start(&backend).await;
        let issuer = world.harness.issuer();
        let (user, _) = issuer.someone();
        let new = json!({"name": "location", "upstream": format!("http://{}", upstream.address), "scopes": ["read", "write"]});
        expect(201, world.platform(Method::POST, "/v1/services").bearer_auth(issuer.admin()).json(&new)).await;
        world.until_known("location").await;
        let token = issuer.api_key(&user, "service:location:write usage:read", None);
        let call = |method, path: &str| world.platform(method, &format!("/v1/location/{path}")).bearer_auth(&token);
        let pieces = || futures_util::stream::iter(["ten", " bytes."].map(Ok::<_, std::io::Error>));
        for _ in 0..2 {
            expect(200, call(Method::GET, "short")).await;
            expect(200, call(Method::HEAD, "large")).await;
            expect(200, call(Method::GET, "large")).await;
            expect(200, call(Method::GET, "stream")).await;
            expect(200, call(Method::POST, "known").body("12345")).await;
            expect(200, call(Method::POST, "pieces").body(reqwest::Body::wrap_stream(pieces()))).await;
            expect(200, call(Method::POST, "long").body("x".repeat(100_000))).await;
        }
        let wanted = [
            ("GET /large", 0, 400_000), ("GET /short", 0, 14), ("GET /stream", 0, 8), ("HEAD /large", 0, 0),
            ("POST /known", 10, 14), ("POST /long", 200_000, 14), ("POST /pieces", 20, 14),
        ];
        testkit::eventually_async("the bytes", || async {
            let usage = expect(200, world.platform(Method::GET, "/v1/usage").bearer_auth(&token)).await;
            let rows = usage["usage"].as_array().unwrap().iter().filter(|row| row["service"] == "location");
            let told: BTreeMap<_, _> = rows.map(|row| {
                let name = format!("{} {}", row["method"].as_str().unwrap(), row["endpoint"].as_str().unwrap());
                (name, (row["bytes_in"].as_i64().unwrap(), row["bytes_out"].as_i64().unwrap()))
            }).collect();
            let all = wanted.iter().all(|(name, inward, outward)| told.get(*name) == Some(&(*inward, *outward)));
            all.then_some(())
        }).await;
        let usage = expect(200, world.platform(Method::GET, "/v1/usage").bearer_auth(&token)).await;
        for row in usage["usage"].as_array().unwrap() {
            let part = |name: &str| row["latency_ms"][name].as_f64().unwrap();
            assert!(0.0 < part("p50") && part("p50") <= part("p95") && part("p95") <= part("p99"), "{row}");
        }
        world.stop().await;
    }

    async fn an_endpoint_is_what_the_service_says_it_is(backend: Backend) {
        let templates = std::sync::Arc::new(std::sync::Mutex::new(json!({"/track/{parcel}": {}, "/track/all": {}})));
        let published = std::sync::Arc::clone(&templates);
        let upstream = Upstream::start(move |request| match request.first_line().split(' ').nth(1) {
            Some("/openapi.json") => ok(&json!({"openapi": "3.1.0", "paths": *published.lock().unwrap()}).to_string()),
            _ => ok("x"),
        }).await;
        let silent = Upstream::start(|_| "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".into()).await;
        let world = World::with(&backend, &[("gateway.endpoints_refresh", "100ms")]).await;
        let issuer = world.harness.issuer();
        let (user, _) = issuer.someone();
        for (name, upstream) in [("location", &upstream), ("silent", &silent)] {
            let new = json!({"name": name, "upstream": format!("http://{}", upstream.address), "scopes": ["read"]});
            expect(201, world.platform(Method::POST, "/v1/services").bearer_auth(issuer.admin()).json(&new)).await;
            world.until_known(name).await;
        }
        let key = issuer.api_key(&user, "service:location:read service:silent:read usage:read", None);
        let call = |path: &str| world.platform(Method::GET, &format!("/v1/{path}")).bearer_auth(&key);
        let counted = |path: &'static str, endpoint: &'static str| {
            let (call, key, world) = (&call, &key, &world);
            testkit::eventually_async("the endpoint's name", move || async move {
                let _whichever = call(path).send().await.unwrap();
                let usage = expect(200, world.platform(Method::GET, "/v1/usage").bearer_auth(key)).await;
                counts(&usage).contains_key(endpoint).then_some(())
            })
        };
        counted("location/track/blue", "location GET /track/{parcel} 2xx").await;
        counted("location/track/all", "location GET /track/all 2xx").await;
        counted("location/elsewhere/17", "location GET /elsewhere/:id 2xx").await;
        counted("silent/track/17", "silent GET /track/:id 4xx").await;
        *templates.lock().unwrap() = json!({"/{anything}/{else}": {}});
        counted("location/elsewhere/17", "location GET /{anything}/{else} 2xx").await;
        world.stop().await;
    }

    async fn counts_are_kept_over_a_stop(backend: Backend) {
        let world = World::start(&backend).await;
        let (user, token) = world.harness.issuer().someone();
        for _ in 0..50 {
            expect(200, world.platform(Method::GET, "/v1/users/me").bearer_auth(&token)).await;
        }
        world.stop().await;
        let world = World::start(&backend).await;
        let admin = world.harness.issuer().admin();
        let usage = expect(200, world.platform(Method::GET, &format!("/v1/usage?user_id={user}")).bearer_auth(admin)).await;
        assert_eq!(counts(&usage)["account GET /v1/users/me 2xx"], 50);
        world.stop().await;
    }
}
