//! What every service's HTTP promises, shown on a small service of its own.

use actix_web::{HttpResponse, web};
use chassis::auth::{Admin, Euser};
use chassis::db::Migrations;
use chassis::http::{ApiError, Json, Path, Query, Routes};
use chassis::platform::{self, Launch, Platform};
use chassis::settings::{Settings, Sources};
use chassis::{Assembly, Service};
use common::id::AccountId;
use common::page::PageQuery;
use common::time::Clock;
use serde::Deserialize;
use serde_json::{Value, json};

fn none() -> Migrations {
    chassis::db::own_migrations()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Echo {
    name: String,
}

fn routes(r: &mut Routes) {
    r.post("/v1/echo", async |Json(echo): Json<Echo>| {
        HttpResponse::Ok().json(json!({"name": echo.name}))
    });
    r.get(
        "/v1/accounts/{account_id}",
        async |Path(id): Path<AccountId>| HttpResponse::Ok().json(json!({"id": id})),
    );
    r.get("/v1/list", async |Query(page): Query<PageQuery>| {
        HttpResponse::Ok().json(json!({"limit": page.limit()}))
    });
    r.get("/v1/panic", async || -> HttpResponse {
        panic!("a secret detail")
    });
    r.get("/v1/fails", async || {
        Err::<HttpResponse, _>(ApiError::internal("SELECT * FROM secrets"))
    });
    r.get("/v1/euser", async |_: Euser| HttpResponse::Ok().finish());
    r.get("/v1/admin", async |_: Admin| HttpResponse::Ok().finish());
    r.internal_get("/internal/hello", async |_: web::Data<chassis::Context>| {
        HttpResponse::Ok().json("hello")
    });
}

struct Running {
    platform: Platform,
    client: reqwest::Client,
    _data: tempfile::TempDir,
}

impl Running {
    async fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let mut sources = Sources::default();
        sources.overrides.insert(
            "data_dir".into(),
            data.path().to_string_lossy().into_owned(),
        );
        let service = Service::new("account", none(), |_| async {
            Ok(Assembly::new().routes(routes))
        })
        .issues_tokens();
        let launch = Launch {
            services: vec![service],
            settings: Settings::load(sources).unwrap(),
            clock: Clock::system(),
            embedded: true,
        };
        let platform = platform::start(launch).await.unwrap();
        #[expect(clippy::disallowed_methods, reason = "a test's own client")]
        let client = reqwest::Client::new();
        Self {
            platform,
            client,
            _data: data,
        }
    }

    fn url(&self, path: &str) -> String {
        format!(
            "{}{path}",
            self.platform.directory().get("account").unwrap().api
        )
    }

    fn private(&self, path: &str) -> String {
        format!(
            "{}{path}",
            self.platform.directory().get("account").unwrap().private
        )
    }

    async fn get(&self, url: String) -> (u16, Value) {
        let response = self.client.get(url).send().await.unwrap();
        let status = response.status().as_u16();
        assert!(response.headers().contains_key("x-request-id"));
        (status, response.json().await.unwrap_or(Value::Null))
    }

    async fn post(&self, body: &'static str, kind: &str) -> (u16, Value) {
        let request = self
            .client
            .post(self.url("/v1/echo"))
            .header("content-type", kind)
            .body(body);
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_failure_of_the_framework_is_a_problem() {
    let running = Running::start().await;
    let (status, body) = running.get(running.url("/nowhere")).await;
    assert_eq!(
        (status, body["code"].as_str()),
        (404, Some("not_found")),
        "{body}"
    );
    let (status, body) = running.get(running.url("/v1/echo")).await;
    assert_eq!(
        (status, body["code"].as_str()),
        (405, Some("method_not_allowed")),
        "{body}"
    );
    let (status, body) = running.get(running.url("/v1/accounts/acc_nonsense")).await;
    assert_eq!(
        (status, body["code"].as_str()),
        (404, Some("not_found")),
        "{body}"
    );
    let (status, body) = running.get(running.url("/v1/list?limit=x")).await;
    assert_eq!(
        (status, body["code"].as_str()),
        (400, Some("invalid_query")),
        "{body}"
    );

    let json = "application/json";
    for (body, kind, status, code) in [
        ("{", json, 400, "invalid_json"),
        ("{\"name\": 1}", json, 422, "invalid_data"),
        ("{\"name\": \"x\", \"more\": 1}", json, 422, "invalid_data"),
        (
            "{\"name\": \"x\"}",
            "text/plain",
            415,
            "unsupported_media_type",
        ),
        ("", json, 422, "invalid_data"),
        ("\u{0}\u{1}", json, 400, "invalid_json"),
    ] {
        let (got, answer) = running.post(body, kind).await;
        assert_eq!(
            (got, answer["code"].as_str()),
            (status, Some(code)),
            "{body}: {answer}"
        );
        assert!(answer["message"].is_string());
    }
    let large: &'static str =
        Box::leak(format!("{{\"name\": \"{}\"}}", "x".repeat(300_000)).into_boxed_str());
    let (status, answer) = running.post(large, json).await;
    assert_eq!(
        (status, answer["code"].as_str()),
        (413, Some("body_too_large"))
    );
    running.platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_and_an_inner_error_tell_nothing_outside() {
    let running = Running::start().await;
    for path in ["/v1/panic", "/v1/fails"] {
        let (status, body) = running.get(running.url(path)).await;
        assert_eq!(
            (status, body["code"].as_str()),
            (500, Some("internal")),
            "{body}"
        );
        let text = body.to_string();
        assert!(!text.contains("secret"), "{text}");
    }
    let (status, _) = running.get(running.url("/v1/list")).await;
    assert_eq!(status, 200, "the worker lives on");
    running.platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_listener_serves_its_own_routes_only() {
    let running = Running::start().await;
    assert_eq!(running.get(running.private("/internal/hello")).await.0, 200);
    assert_eq!(running.get(running.private("/healthz")).await.0, 200);
    assert_eq!(running.get(running.private("/metrics")).await.0, 200);
    assert_eq!(running.get(running.private("/v1/list")).await.0, 404);
    for path in [
        "/internal/hello",
        "/healthz",
        "/metrics",
        "/internal/routes",
    ] {
        assert_eq!(running.get(running.url(path)).await.0, 404, "{path}");
    }
    let (_, routes) = running.get(running.private("/internal/routes")).await;
    for path in ["/v1/echo", "/internal/routes", "/internal/events/replay"] {
        assert!(routes.to_string().contains(path), "{path}: {routes}");
    }
    running.platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_singular_account_path_is_the_plural_one() {
    let running = Running::start().await;
    let id = AccountId::new(Clock::system().now());
    for name in ["account", "accounts"] {
        let (status, body) = running.get(running.url(&format!("/v1/{name}/{id}"))).await;
        assert_eq!(
            (status, body["id"].as_str()),
            (200, Some(id.as_str())),
            "{body}"
        );
    }
    running.platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_a_route_that_needs_one_is_401_with_a_challenge() {
    let running = Running::start().await;
    for path in ["/v1/euser", "/v1/admin"] {
        let response = running.client.get(running.url(path)).send().await.unwrap();
        assert_eq!(response.status(), 401);
        assert!(
            response.headers()["www-authenticate"]
                .to_str()
                .unwrap()
                .starts_with("Bearer")
        );
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["message"], "Unauthorized");
    }
    running.platform.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_with_an_idempotency_key_is_done_once() {
    let running = Running::start().await;
    let send = async |key: &str, name: &str| {
        let request = running
            .client
            .post(running.url("/v1/echo"))
            .header("idempotency-key", key);
        let response = request.json(&json!({"name": name})).send().await.unwrap();
        let replayed = response.headers().contains_key("idempotency-replayed");
        (
            response.status().as_u16(),
            replayed,
            response.json::<Value>().await.unwrap(),
        )
    };
    assert_eq!(send("k1", "a").await, (200, false, json!({"name": "a"})));
    assert_eq!(send("k1", "a").await, (200, true, json!({"name": "a"})));
    let (status, _, body) = send("k1", "b").await;
    assert_eq!(
        (status, body["code"].as_str()),
        (422, Some("idempotency_key_reused"))
    );
    assert_eq!(send("k2", "b").await, (200, false, json!({"name": "b"})));
    running.platform.stop().await;
}
