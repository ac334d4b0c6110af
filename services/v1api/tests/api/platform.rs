use common::token::TokenKind;
use reqwest::Method;
use serde_json::Value;
use testkit::{expect, on_both_backends};

use crate::support::{PLATFORM, World, raw, status_of};

on_both_backends! {
    async fn a_platform_route_reaches_its_service_with_what_that_may_see(backend: Backend) {
        let world = World::start(&backend).await;
        let (_, token) = world.harness.issuer().someone();
        let request = world.on(PLATFORM, Method::GET, "/v1/users/me?x=1").bearer_auth(&token);
        let request = request.header("cookie", "connect.sid=1").header("x-forwarded-for", "6.6.6.6");
        let response = request
            .header("slipway-client-address", "6.6.6.6")
            .header("slipway-gateway-token", "forged")
            .header("x-request-id", "req-1")
            .send()
            .await
            .unwrap();
        assert_eq!(response.headers()["x-request-id"], "req-1");
        let seen: Value = response.json().await.unwrap();
        assert_eq!(seen["path"], "/v1/users/me?x=1");
        // The client's own address, by the gateway's own word.
        assert_eq!(seen["address"], "127.0.0.1");
        assert_eq!(seen["headers"]["slipway-client-address"], "127.0.0.1");
        assert_eq!(seen["headers"]["authorization"], format!("Bearer {token}"));
        assert_eq!(seen["headers"]["x-forwarded-for"], "127.0.0.1");
        assert_eq!(seen["headers"]["x-request-id"], "req-1");
        assert!(seen["headers"].get("cookie").is_none(), "{seen}");
        world.stop().await;
    }

    async fn the_singular_account_path_reaches_the_same_place(backend: Backend) {
        let world = World::start(&backend).await;
        let (_, token) = world.harness.issuer().someone();
        let seen = expect(200, world.platform(Method::GET, "/v1/account/acc_1").bearer_auth(&token)).await;
        assert_eq!(seen["path"], "/v1/accounts/acc_1");
        world.stop().await;
    }

    async fn a_bad_token_goes_no_further_than_the_edge(backend: Backend) {
        let world = World::start(&backend).await;
        let issuer = world.harness.issuer();
        let mut expired = issuer.claims("x", "slipway");
        (expired.iat, expired.exp) = (expired.iat - 7200, expired.iat - 3600);
        let foreign = issuer.sign(TokenKind::Access, &issuer.claims("x", "realm:x"));
        for token in ["x".into(), "a.b.c".into(), issuer.sign(TokenKind::Access, &expired), foreign] {
            let refused = world.platform(Method::GET, "/v1/users/me").bearer_auth(&token).send().await.unwrap();
            assert_eq!(refused.status(), 401);
            assert!(refused.headers()["www-authenticate"].to_str().unwrap().contains("invalid_token"));
        }
        // None is the service's to judge, and so is one of another kind.
        let invite = issuer.sign(TokenKind::Invite, &issuer.claims("x", "slipway:invite"));
        expect(200, world.platform(Method::GET, "/v1/users/me")).await;
        expect(200, world.platform(Method::GET, "/v1/users/me").bearer_auth(invite)).await;
        // A login goes through whatever old token comes along.
        expect(200, world.platform(Method::GET, "/.well-known/jwks.json")).await;
        world.stop().await;
    }

    async fn what_is_no_route_is_a_problem(backend: Backend) {
        let world = World::start(&backend).await;
        for path in ["/", "/nothing", "/internal/routes", "/metrics", "/v1", "/v2/users"] {
            let problem = expect(404, world.on(PLATFORM, Method::GET, path)).await;
            assert_eq!(problem["code"], "not_found", "{path}");
            assert!(problem["message"].is_string() && problem["request_id"].is_string(), "{problem}");
        }
        for path in ["/v1/users/../api-keys", "/v1/users/%2e%2e/x", "//v1/users", "/v1/users/a%2fb", "/v1/users/..;/x", "/v1/x%00y/z", "/v1/x\\y/z"] {
            let answer = raw(world.address, &format!("GET {path} HTTP/1.1\r\nhost: {PLATFORM}\r\nconnection: close\r\n\r\n")).await;
            assert_eq!(status_of(&answer), "400", "{path}: {answer}");
        }
        world.stop().await;
    }

    async fn the_gateway_says_whether_everything_behind_it_is_ready(backend: Backend) {
        let world = World::start(&backend).await;
        expect(200, world.platform(Method::GET, "/healthz")).await;
        let ready = expect(200, world.platform(Method::GET, "/readyz")).await;
        assert_eq!(ready["status"], "ready");
        world.stop().await;
    }

    async fn a_page_of_an_origin_that_is_named_may_call_and_no_other(backend: Backend) {
        let world = World::start(&backend).await;
        let preflight = |origin: &str| {
            let request = world.on(PLATFORM, Method::OPTIONS, "/v1/users/me").header("origin", origin);
            request.header("access-control-request-method", "POST").header("access-control-request-headers", "authorization")
        };
        let allowed = preflight("https://admin.example").send().await.unwrap();
        assert_eq!(allowed.status(), 204);
        assert_eq!(allowed.headers()["access-control-allow-origin"], "https://admin.example");
        assert_eq!(allowed.headers()["access-control-allow-credentials"], "true");
        let headers = allowed.headers()["access-control-allow-headers"].to_str().unwrap();
        for header in ["authorization", "content-type", "x-medusa-locale", "x-publishable-api-key", "idempotency-key"] {
            assert!(headers.contains(header), "{header}");
        }
        for origin in ["https://evil.example", "null", "https://admin.example.evil"] {
            let other = preflight(origin).send().await.unwrap();
            assert!(other.headers().get("access-control-allow-origin").is_none(), "{origin}");
        }
        // On errors too, on the gateway's own routes as on those of others.
        for path in ["/v1/api-keys", "/v1/nothing-here/x", "/nothing"] {
            let refused = world.on(PLATFORM, Method::GET, path).header("origin", "https://admin.example").send().await.unwrap();
            assert!(refused.status().is_client_error());
            assert_eq!(refused.headers()["access-control-allow-origin"], "https://admin.example", "{path}");
        }
        world.stop().await;
    }
}
