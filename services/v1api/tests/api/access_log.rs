//! The access log, as an operator finds it.

use std::path::{Path, PathBuf};

use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Backend, eventually, expect, on_both_backends};

use crate::support::World;
use crate::upstream::{Upstream, ok};

/// A gateway that writes the log into this directory, and the file.
async fn logging(backend: &Backend, directory: &Path, sample: &str) -> (World, PathBuf) {
    let file = directory.join("access.log");
    let settings = [
        ("access_log.output", file.to_str().unwrap()),
        ("access_log.sample", sample),
        ("http.workers", "1"),
    ];
    (World::with(backend, &settings).await, file)
}

fn lines(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let lines = whole.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The line of the request with this id.
async fn line_of(file: &Path, id: &str) -> Value {
    eventually(&format!("{id} is in the log"), || {
        let mut lines = lines(file).into_iter();
        lines.find(|line| line["request_id"] == id)
    })
    .await
}

on_both_backends! {
    async fn a_call_is_one_line_with_all_there_is_to_know_and_no_secret(backend: Backend) {
        let directory = tempfile::tempdir().unwrap();
        let (world, file) = logging(&backend, directory.path(), "1").await;
        let upstream = Upstream::saying("0123456789").await;
        world.name_location(json!({ "upstream": format!("http://{}", upstream.address) })).await;
        let (user, _) = world.harness.issuer().someone();
        let key = world.harness.issuer().api_key(&user, "service:location:write", None);
        let asked = world.call(Method::POST, "/orders/4711?token=s3cret", &key);
        let asked = asked.header("x-request-id", "call-1").header("cookie", "s3cret").body("hello");
        assert_eq!(asked.send().await.unwrap().status(), 200);
        let line = line_of(&file, "call-1").await;
        for (field, value) in [
            ("http.request.method", json!("POST")),
            ("server.address", json!(world.address.to_string())),
            ("service", json!("location")),
            ("http.route", json!("/orders/:id")),
            ("http.response.status_code", json!(200)),
            ("http.request.body.size", json!(5)),
            ("http.response.body.size", json!(10)),
            ("upstream.address", json!(upstream.address.to_string())),
            ("user.id", json!(user.to_string())),
            ("client.address", json!("127.0.0.1")),
        ] {
            assert_eq!(line[field], value, "{field} in {line}");
        }
        assert_eq!(line["trace_id"], upstream.last().one("traceparent").split('-').nth(1).unwrap());
        let took = (line["duration_ms"].as_f64().unwrap(), line["upstream.duration_ms"].as_f64().unwrap());
        assert!(took.0 >= took.1 && took.1 > 0.0, "{line}");
        assert!(line["api_key.id"].as_str().is_some_and(|id| !id.is_empty()), "{line}");
        assert!(line["timestamp"].is_string());
        assert!(line.get("error.type").is_none());
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(!text.contains("s3cret") && !text.contains("4711") && !text.contains(&key), "{text}");
        world.stop().await;
    }

    async fn what_was_refused_is_told_with_the_reason(backend: Backend) {
        let directory = tempfile::tempdir().unwrap();
        let (world, file) = logging(&backend, directory.path(), "0").await;
        let ask = async |path: &str, host: &str, id: &str| {
            let asked = world.on(host, Method::GET, path).header("x-request-id", id);
            asked.send().await.unwrap().status().as_u16()
        };
        let platform = crate::support::PLATFORM;
        for (path, host, status, code) in [
            ("/v1/location/x", platform, 401, "unauthorized"),
            ("/v1/api-keys", platform, 401, "unauthorized"),
            ("/nothing", platform, 404, "not_found"),
            ("/", "elsewhere.example", 421, "misdirected_request"),
            ("/", "no-app.localhost", 404, "unknown_app"),
        ] {
            let id = format!("refused-{code}-{}", path.len());
            assert_eq!(ask(path, host, &id).await, status);
            let line = line_of(&file, &id).await;
            assert_eq!((&line["error.type"], &line["http.response.status_code"]), (&json!(code), &json!(status)), "{line}");
            assert_eq!(line["server.address"], host);
        }
        world.stop().await;
    }

    async fn a_streamed_answer_is_told_at_its_end_with_its_length(backend: Backend) {
        let directory = tempfile::tempdir().unwrap();
        let (world, file) = logging(&backend, directory.path(), "1").await;
        let upstream = Upstream::start(|seen| match seen.first_line() {
            line if line.contains("/chunks") => "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n".into(),
            _ => ok(&"x".repeat(100_000)),
        }).await;
        world.name_location(json!({ "upstream": format!("http://{}", upstream.address) })).await;
        let key = world.key("service:location:read");
        for (path, length) in [("/chunks", 11), ("/long", 100_000)] {
            let asked = world.call(Method::GET, path, &key).header("x-request-id", &path[1..]);
            assert_eq!(asked.send().await.unwrap().bytes().await.unwrap().len(), length);
            assert_eq!(line_of(&file, &path[1..]).await["http.response.body.size"], length);
        }
        world.stop().await;
    }

    async fn the_file_is_opened_anew_when_it_has_been_put_elsewhere(backend: Backend) {
        let directory = tempfile::tempdir().unwrap();
        let (world, file) = logging(&backend, directory.path(), "1").await;
        let admin = world.harness.issuer().admin();
        let ask = async |id: &str| {
            let asked = world.platform(Method::GET, "/v1/services").bearer_auth(&admin);
            expect(200, asked.header("x-request-id", id)).await;
        };
        ask("before").await;
        line_of(&file, "before").await;
        let aside = directory.path().join("aside.log");
        std::fs::rename(&file, &aside).unwrap();
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::HUP).unwrap();
        eventually("there is a new one", || file.exists().then_some(())).await;
        ask("after").await;
        line_of(&file, "after").await;
        assert!(lines(&file).iter().all(|line| line["request_id"] != "before"));
        assert!(lines(&aside).iter().all(|line| line["request_id"] != "after"));
        world.stop().await;
    }

    async fn what_is_in_the_queue_is_written_before_the_gateway_ends(backend: Backend) {
        let directory = tempfile::tempdir().unwrap();
        let (world, file) = logging(&backend, directory.path(), "1").await;
        let admin = world.harness.issuer().admin();
        for number in 0..20 {
            let asked = world.platform(Method::GET, "/v1/services").bearer_auth(&admin);
            expect(200, asked.header("x-request-id", format!("call-{number}"))).await;
        }
        world.stop().await;
        let told = lines(&file).iter().filter(|line| line["request_id"].as_str().unwrap().starts_with("call-")).count();
        assert_eq!(told, 20);
    }
}
