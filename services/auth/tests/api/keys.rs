//! Signing keys that operators replace and revoke.

use chassis::Context;
use common::time::{Clock, Span};
use testkit::eventually_async;

use super::*;

const KEYS: &str = "/auth/admin/keys";

fn ask(harness: &Harness, method: Method, path: &str, token: &str) -> reqwest::RequestBuilder {
    let request = harness.request(method, "auth", &format!("{KEYS}{path}"));
    request.bearer_auth(token)
}

async fn rotate(harness: &Harness, admin: &str, body: Value) -> Value {
    expect(
        200,
        ask(harness, Method::POST, "/rotate", admin).json(&body),
    )
    .await
}

/// The names of the keys in this state.
fn kids(said: &Value, state: &str) -> Vec<String> {
    let keys = said["keys"].as_array().unwrap().iter();
    keys.filter(|key| key["state"] == state)
        .map(|key| key["kid"].as_str().unwrap().to_owned())
        .collect()
}

fn kid(token: &str) -> String {
    part(token, 0)["kid"].as_str().unwrap().to_owned()
}

async fn published(harness: &Harness) -> Vec<String> {
    let set = expect(
        200,
        harness.request(Method::GET, "auth", "/.well-known/jwks.json"),
    )
    .await;
    let keys = set["keys"].as_array().unwrap().iter();
    keys.map(|key| key["kid"].as_str().unwrap().to_owned())
        .collect()
}

fn context(harness: &Harness) -> &Context {
    harness.platform().context("auth").unwrap()
}

testkit::on_both_backends! {
    async fn a_key_that_is_replaced_at_once_costs_no_token(backend: Backend) {
        let harness = auth(&backend).start().await;
        let admin = admin(&harness).await;
        let before = token(register(&harness, "seb@x.dev", PASSWORD)).await;
        let first = expect(200, ask(&harness, Method::GET, "", &admin)).await;
        let next = kids(&first, "next");
        assert_eq!((kids(&first, "active"), next.len()), (vec![kid(&before)], 1));

        let said = rotate(&harness, &admin, json!({ "now": true })).await;
        assert_eq!((&said["rotated"], said.get("rotates_at")), (&json!(true), None));
        assert_eq!((kids(&said, "active"), kids(&said, "retiring")), (next.clone(), vec![kid(&before)]));
        let after = token(login(&harness, "euser", "seb@x.dev", PASSWORD)).await;
        assert_eq!(kid(&after), next[0]);
        assert_eq!(published(&harness).await.len(), 3, "the one before, this one, and the next");
        for token in [&before, &after] {
            expect(200, refresh(&harness, token)).await;
        }
        harness.stop().await;
    }

    async fn a_key_that_nobody_can_know_yet_signs_when_everybody_can(backend: Backend) {
        let clock = Clock::manual(Clock::system().now());
        let harness = auth(&backend).clock(clock.clone()).setting("auth.access_lifetime", "1d").start().await;
        let admin = admin(&harness).await;
        let said = rotate(&harness, &admin, json!({})).await;
        assert_eq!((&said["rotated"], kids(&said, "active")), (&json!(false), vec![kid(&admin)]));
        let due = clock.now() + Span::hours(1);
        assert_eq!(said["rotates_at"], json!(due));
        let next = kids(&said, "next");

        clock.advance(Span::hours(1));
        // So that nobody has to wait for the next look.
        context(&harness).signals.send(slipway_auth::keys::SIGNAL);
        let after = eventually_async("a token of the next key", || async {
            let token = token(login(&harness, "euser", "root@x.dev", "the operator's own")).await;
            (kid(&token) == next[0]).then_some(token)
        });
        let after = after.await;
        for token in [&after, &admin] {
            let status = eventually_async("revocations known as of now", || async {
                let status = refresh(&harness, token).send().await.unwrap().status();
                (status != 503).then_some(status)
            });
            assert_eq!(status.await, 200);
        }
        harness.stop().await;
    }

    async fn all_that_a_revoked_key_signed_is_refused_and_the_next_one_signs(backend: Backend) {
        let harness = auth(&backend).start().await;
        let operator = admin(&harness).await;
        let before = token(register(&harness, "seb@x.dev", PASSWORD)).await;
        let service = service_token(&harness, "v1api", "auth").await;
        let bad = kid(&before);
        let next = kids(&expect(200, ask(&harness, Method::GET, "", &operator)).await, "next");
        let said = expect(200, ask(&harness, Method::DELETE, &format!("/{bad}"), &operator)).await;
        assert_eq!((&said["revoked"], kids(&said, "active")), (&json!(true), next.clone()));

        expect(401, refresh(&harness, &before)).await;
        expect(401, ask(&harness, Method::GET, "", &operator)).await;
        let feed = || harness.private(Method::GET, "auth", "/internal/feeds/revocations?since=0");
        expect(401, feed().bearer_auth(&service)).await;
        assert!(!published(&harness).await.contains(&bad));
        let after = token(login(&harness, "euser", "seb@x.dev", PASSWORD)).await;
        assert_eq!(kid(&after), next[0]);
        expect(200, refresh(&harness, &after)).await;
        let service = service_token(&harness, "v1api", "auth").await;
        let told = expect(200, feed().bearer_auth(&service)).await.to_string();
        assert!(told.contains(&bad), "the other services hear of it: {told}");

        // One that doesn't sign yet is only replaced.
        let operator = admin(&harness).await;
        let next = kids(&expect(200, ask(&harness, Method::GET, "", &operator)).await, "next");
        let said = expect(200, ask(&harness, Method::DELETE, &format!("/{}", next[0]), &operator)).await;
        assert_eq!(kids(&said, "active"), vec![kid(&operator)]);
        assert!(kids(&said, "next") != next && kids(&said, "next").len() == 1);
        expect(200, refresh(&harness, &after)).await;
        harness.stop().await;
    }

    async fn a_key_stays_revoked_over_a_restart(backend: Backend) {
        let harness = auth(&backend).start().await;
        let operator = admin(&harness).await;
        let path = format!("/{}", kid(&operator));
        expect(200, ask(&harness, Method::DELETE, &path, &operator)).await;
        harness.stop().await;
        let harness = auth(&backend).start().await;
        expect(401, refresh(&harness, &operator)).await;
        expect(200, refresh(&harness, &admin(&harness).await)).await;
        harness.stop().await;
    }

    async fn keys_are_no_ones_but_the_operators(backend: Backend) {
        let harness = auth(&backend).start().await;
        let person = token(register(&harness, "seb@x.dev", PASSWORD)).await;
        let operator = admin(&harness).await;
        let before = published(&harness).await;
        let path = format!("/{}", before[0]);
        for (method, path) in [(Method::GET, ""), (Method::POST, "/rotate"), (Method::DELETE, path.as_str())] {
            let refused = expect(403, ask(&harness, method.clone(), path, &person)).await;
            assert_eq!(refused["type"], "not_allowed");
            expect(401, harness.request(method, "auth", &format!("{KEYS}{path}"))).await;
        }
        expect(404, ask(&harness, Method::DELETE, "/another", &operator)).await;
        assert_eq!(published(&harness).await, before);
        harness.stop().await;
    }

    async fn operators_who_revoke_at_the_same_instant_leave_one_key_that_signs(backend: Backend) {
        let harness = auth(&backend).start().await;
        let operator = admin(&harness).await;
        let path = format!("/{}", kid(&operator));
        let revoke = || async {
            let response = ask(&harness, Method::DELETE, &path, &operator).send().await.unwrap();
            response.status().as_u16()
        };
        let (a, b) = tokio::join!(revoke(), revoke());
        let mut statuses = [a, b];
        statuses.sort_unstable();
        assert!(matches!(statuses, [200, 401 | 404]), "{statuses:?}");
        let said = expect(200, ask(&harness, Method::GET, "", &admin(&harness).await)).await;
        assert_eq!((kids(&said, "active").len(), kids(&said, "next").len()), (1, 1), "{said}");
        harness.stop().await;
    }
}
