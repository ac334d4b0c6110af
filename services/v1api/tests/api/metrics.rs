//! What operators see of what passes.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;
use testkit::{eventually_async, on_both_backends};
use tokio::net::TcpListener;

use crate::support::{App, World};
use crate::upstream::{Upstream, ok};
use crate::upstreams::held;

impl World {
    async fn metrics(&self) -> String {
        let asked = self
            .harness
            .private(Method::GET, "v1api", "/metrics")
            .send();
        asked.await.unwrap().text().await.unwrap()
    }

    /// Waits until each of these lines is in `/metrics`.
    async fn until_measured(&self, wanted: &[&str]) {
        for line in wanted {
            eventually_async(line, || async {
                let text = self.metrics().await;
                text.lines().any(|other| other == *line).then_some(())
            })
            .await;
        }
    }
}

on_both_backends! {
    async fn what_passes_is_measured_by_service(backend: Backend) {
        let world = World::start(&backend).await;
        let upstream = Upstream::saying("0123456789").await;
        world.name_location(json!({ "upstream": format!("http://{}", upstream.address) })).await;
        let key = world.key("service:location:write");
        for _ in 0..3 {
            assert_eq!(world.call(Method::GET, "/x", &key).send().await.unwrap().status(), 200);
        }
        assert_eq!(world.call(Method::POST, "/x", &key).body("hello").send().await.unwrap().status(), 200);
        let refused = world.key("service:other:write");
        assert_eq!(world.call(Method::GET, "/x", &refused).send().await.unwrap().status(), 403);
        world.until_measured(&[
            r#"gateway_requests_total{service="v1api",target_service="location",http_request_method="GET",http_response_status_class="2xx"} 3"#,
            r#"gateway_requests_total{service="v1api",target_service="location",http_request_method="GET",http_response_status_class="4xx"} 1"#,
            r#"gateway_requests_total{service="v1api",target_service="location",http_request_method="POST",http_response_status_class="2xx"} 1"#,
            r#"gateway_request_body_bytes_total{service="v1api",target_service="location"} 5"#,
            r#"gateway_request_duration_seconds_count{service="v1api",target_service="location"} 5"#,
        ]).await;
        world.stop().await;
    }

    async fn what_is_under_way_and_what_fails_is_measured(backend: Backend) {
        let world = World::with(&backend, &[("http.workers", "1")]).await;
        let (address, end, was_asked) = held().await;
        world.name_location(json!({ "upstream": format!("http://{address}") })).await;
        let key = world.key("service:location:read");
        let under_way = world.call(Method::GET, "/x", &key).send().await.unwrap();
        was_asked.await.unwrap();
        world.until_measured(&[r#"gateway_upstream_in_flight{service="v1api",target_service="location"} 1"#]).await;
        end.send(()).unwrap();
        assert_eq!(under_way.text().await.unwrap(), "first last");
        world.until_measured(&[r#"gateway_upstream_in_flight{service="v1api",target_service="location"} 0"#]).await;
        // It takes every connection and never answers.
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let change = json!({ "upstream": format!("http://{}", silent.local_addr().unwrap()), "timeout": 1 });
        testkit::expect(200, world.change_location(&change)).await;
        eventually_async("its circuit opens", || async {
            let calls = (0..8).map(|_| world.call(Method::GET, "/x", &key).send());
            let answers = join_all(calls).await;
            let refused = answers.into_iter().any(|answer| answer.unwrap().status() == 503);
            let metrics = world.metrics().await;
            let open = r#"gateway_upstream_circuits_open{service="v1api",target_service="location"} 1"#;
            (refused && metrics.lines().any(|line| line == open)).then_some(())
        }).await;
        let metrics = world.metrics().await;
        for reason in ["timeout", "circuit_open"] {
            let line = format!(r#"gateway_upstream_failures_total{{service="v1api",target_service="location",reason="{reason}"}} "#);
            assert!(metrics.contains(&line), "{line} in {metrics}");
        }
        world.stop().await;
    }

    async fn health_and_an_apps_failures_are_measured(backend: Backend) {
        let world = World::start(&backend).await;
        let (well, app) = (Upstream::saying("x").await, App::new("shop"));
        let ill = Upstream::start(|_| "HTTP/1.1 500 Ill\r\ncontent-length: 0\r\n\r\n".into()).await;
        let health = json!({ "path": "/up", "interval": 1, "healthy_after": 1, "unhealthy_after": 1 });
        let upstreams = [format!("http://{}", well.address), format!("http://{}", ill.address)];
        world.name_location(json!({ "upstreams": upstreams, "health": health })).await;
        world.until_measured(&[
            r#"gateway_upstream_healthy{service="v1api",target_service="location"} 1"#,
            r#"gateway_upstream_unhealthy{service="v1api",target_service="location"} 1"#,
        ]).await;
        let gone = Upstream::start(|_| ok("x")).await;
        world.tell(app.live(&[gone.address]), 1).await;
        world.until(&app.host(), 200).await;
        drop(gone);
        world.until(&app.host(), 502).await;
        let metrics = world.metrics().await;
        let line = r#"gateway_upstream_failures_total{service="v1api",target_service="app:shop",reason="unreachable"} "#;
        assert!(metrics.contains(line), "{metrics}");
        world.stop().await;
    }
}
