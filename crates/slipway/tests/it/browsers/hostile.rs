//! What others try with somebody's browser.

use common::session::SessionCookie;
use reqwest::Method;
use serde_json::json;
use testkit::{eventually_async, expect, on_both_backends};

use super::sdk::Mode;
use super::{PAGE, credentials, person, start};
use crate::harness::client;

on_both_backends! {
    async fn a_cookie_that_was_planted_never_becomes_anybodys(backend: Backend) {
        let up = start(&backend).await;
        let (mut sdk, email) = person(&up.url, Mode::Session).await;
        let planted = SessionCookie::random().expose().to_owned();
        sdk.cookie = Some(planted.clone());
        sdk.login("euser", "emailpass", &credentials(&email)).await.unwrap();
        let own = sdk.cookie.clone().unwrap();
        assert_ne!(own, planted);
        // Nor does a session of the attacker's own go on as the person's.
        let (mut eve, email_of_eve) = person(&up.url, Mode::Session).await;
        eve.login("euser", "emailpass", &credentials(&email_of_eve)).await.unwrap();
        sdk.cookie.clone_from(&eve.cookie);
        sdk.login("euser", "emailpass", &credentials(&email)).await.unwrap();
        assert_eq!(sdk.me().await.unwrap()["user"]["email"], email);
        let eves = eve.cookie.clone().unwrap();
        let me = |cookie: &str| client().get(format!("{}/v1/users/me", up.url)).header("cookie", format!("connect.sid={cookie}"));
        expect(401, me(&planted)).await;
        expect(200, me(&own)).await;
        // The browser was in it, so that it has ended.
        eventually_async("the attacker's session is over", || async {
            (me(&eves).send().await.unwrap().status() == 401).then_some(())
        })
        .await;
        up.platform.stop().await;
    }

    async fn no_page_of_somebody_elses_changes_anything_by_a_persons_cookie(backend: Backend) {
        let up = start(&backend).await;
        let (mut sdk, email) = person(&up.url, Mode::Session).await;
        sdk.login("euser", "emailpass", &credentials(&email)).await.unwrap();
        let cookie = format!("connect.sid={}", sdk.cookie.clone().unwrap());
        let ask = |method: Method, path: &str, origin: Option<&str>| {
            let request = client().request(method, format!("{}{path}", up.url)).header("cookie", &cookie).json(&json!({}));
            match origin {
                Some(origin) => request.header("origin", origin),
                None => request,
            }
        };
        let sub = PAGE.replace("https://", "https://sub.");
        for origin in [None, Some("null"), Some("https://evil.example"), Some(sub.as_str()), Some("http://shop.example")] {
            for (method, path) in [
                (Method::POST, "/v1/generate"),
                (Method::POST, "/auth/token/refresh"),
                (Method::POST, "/auth/mfa/factors"),
                (Method::POST, "/auth/password"),
                (Method::DELETE, "/auth/session"),
                (Method::DELETE, "/auth/sessions"),
            ] {
                let refused = expect(403, ask(method, path, origin)).await;
                assert_eq!(refused["code"], "origin_not_allowed", "{path} from {origin:?}");
            }
            // Signing in is no use of the cookie: it works, and is who the body says.
            let login = client().post(format!("{}/auth/euser/emailpass", up.url)).header("cookie", &cookie).json(&credentials(&email));
            let login = match origin {
                Some(origin) => login.header("origin", origin),
                None => login,
            };
            expect(200, login).await;
        }
        // The platform's own pages and the one that is named may.
        for origin in [up.url.as_str(), PAGE] {
            expect(201, ask(Method::POST, "/v1/generate", Some(origin))).await;
        }
        // A cookie begins no session by itself, not even from a page of ours.
        expect(401, ask(Method::POST, "/auth/session", Some(PAGE))).await;
        // An old one keeps nobody from what is open to all.
        let old = format!("connect.sid={}", SessionCookie::random().expose());
        for path in ["/docs", "/openapi.json", "/healthz", "/auth/euser/providers", "/.well-known/jwks.json"] {
            let answer = client().get(format!("{}{path}", up.url)).header("cookie", &old).send().await.unwrap();
            assert_eq!(answer.status(), 200, "{path}");
        }
        up.platform.stop().await;
    }
}
