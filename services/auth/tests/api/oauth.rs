//! Introspection (RFC 7662) and revocation (RFC 7009).

use super::*;

fn ask(harness: &Harness, what: &str, token: &str) -> reqwest::RequestBuilder {
    harness
        .request(Method::POST, "auth", &format!("/oauth/{what}"))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("token={token}&token_type_hint=access_token"))
}

async fn introspect(harness: &Harness, caller: &str, token: &str) -> Value {
    expect(200, ask(harness, "introspect", token).bearer_auth(caller)).await
}

/// A user's token, and one of somebody in her realm.
async fn with_realm(harness: &Harness) -> (String, String) {
    let body = credentials("owner@x.dev", PASSWORD);
    let made = expect(200, post(harness, "/api/users/signup", &body)).await;
    let path = format!("/api/users/{}/accounts/signup", made["createdUser"]["ID"]);
    let key = made["createdUser"]["key"].as_str().unwrap();
    let person = post(harness, &path, &credentials("ada@x.dev", PASSWORD)).header("key", key);
    let person = expect(200, person).await;
    (
        token(login(harness, "euser", "owner@x.dev", PASSWORD)).await,
        person["createdAccount"]["token"]
            .as_str()
            .unwrap()
            .to_owned(),
    )
}

testkit::on_both_backends! {
    async fn one_learns_about_ones_own_tokens_and_those_of_ones_realm(backend: Backend) {
        let harness = auth(&backend).start().await;
        let (owner, in_realm) = with_realm(&harness).await;
        let other = token(register(&harness, "other@x.dev", PASSWORD)).await;
        let admin = token(login(&harness, "admin", "root@x.dev", "the operator's own")).await;

        let own = introspect(&harness, &owner, &owner).await;
        assert_eq!((&own["active"], &own["typ"], &own["token_type"]), (&json!(true), &json!("at+jwt"), &json!("Bearer")));
        for member in ["sub", "aud", "iss", "jti", "exp", "iat", "scope"] {
            assert_eq!(own[member], claims(&owner)[member], "{member}");
        }
        let person = introspect(&harness, &owner, &in_realm).await;
        assert_eq!((&person["active"], &person["typ"], &person["username"]), (&json!(true), &json!("realm+jwt"), &json!("ada@x.dev")));
        for token in [&owner, &in_realm, &other] {
            assert_eq!(introspect(&harness, &admin, token).await["active"], true);
        }
        // Anything else looks like nothing.
        for (caller, token) in [(&other, &owner), (&other, &in_realm), (&owner, &other), (&owner, &admin)] {
            assert_eq!(introspect(&harness, caller, token).await, json!({ "active": false }));
        }
        for token in ["", "nonsense", "a.b.c", &"x".repeat(20_000)] {
            assert_eq!(introspect(&harness, &owner, token).await, json!({ "active": false }));
        }
        expect(401, ask(&harness, "introspect", &owner)).await;
        expect(401, ask(&harness, "introspect", &owner).bearer_auth(&in_realm)).await;
        harness.stop().await;
    }

    async fn a_revoked_token_holds_no_longer_and_the_others_do(backend: Backend) {
        let harness = auth(&backend).start().await;
        let (owner, in_realm) = with_realm(&harness).await;
        let second = token(login(&harness, "euser", "owner@x.dev", PASSWORD)).await;
        for token in [&owner, &in_realm] {
            assert_eq!(expect(200, ask(&harness, "revoke", token)).await, json!({}));
            // Again, it is a token that doesn't hold, which is no error.
            expect(200, ask(&harness, "revoke", token)).await;
            assert_eq!(introspect(&harness, &second, token).await, json!({ "active": false }));
        }
        expect(401, refresh(&harness, &owner)).await;
        expect(200, refresh(&harness, &second)).await;
        expect(200, ask(&harness, "revoke", "nonsense")).await;

        // The other services hear of it.
        let service = service_token(&harness, "v1api", "auth").await;
        let feed = harness.private(Method::GET, "auth", "/internal/feeds/revocations?since=0");
        let feed = expect(200, feed.bearer_auth(&service)).await.to_string();
        for token in [&owner, &in_realm] {
            assert!(feed.contains(claims(token)["jti"].as_str().unwrap()), "{feed}");
        }
        harness.stop().await;
    }

    async fn an_api_key_is_looked_at_here_and_revoked_where_it_was_made(backend: Backend) {
        let harness = auth(&backend).start().await;
        let owner = token(register(&harness, "owner@x.dev", PASSWORD)).await;
        let service = service_token(&harness, "v1api", "auth").await;
        let body = json!({
            "kind": "key+jwt", "sub": "key_01h455vb4pex5vsknk084sn02q", "audience": "slipway", "lifetime": 3600,
            "identity_id": claims(&owner)["sub"], "actor_type": "euser", "scope": "usage:read",
        });
        let signed = harness.private(Method::POST, "auth", "/internal/tokens").bearer_auth(&service).json(&body);
        let key = token(signed).await;
        let said = introspect(&harness, &owner, &key).await;
        assert_eq!((&said["active"], &said["typ"], &said["scope"]), (&json!(true), &json!("key+jwt"), &json!("usage:read")));
        let refused = expect(400, ask(&harness, "revoke", &key)).await;
        assert_eq!((&refused["code"], &refused["error"]), (&json!("unsupported_token_type"), &json!("unsupported_token_type")));
        assert_eq!(introspect(&harness, &owner, &key).await["active"], true);
        harness.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_form_that_can_not_be_read_is_refused_without_repeating_it() {
    let backend = Backend::sqlite();
    let harness = auth(&backend).start().await;
    let post = || harness.request(Method::POST, "auth", "/oauth/revoke");
    let form = "application/x-www-form-urlencoded";
    let missing = expect(400, post().header("content-type", form).body("tok=s3cret")).await;
    assert_eq!(missing["code"], "invalid_request");
    assert!(
        missing["detail"].as_str().unwrap().contains("token"),
        "{missing}"
    );
    assert!(!missing.to_string().contains("s3cret"), "{missing}");
    expect(415, post().json(&json!({ "token": "x" }))).await;
    harness.stop().await;
}
