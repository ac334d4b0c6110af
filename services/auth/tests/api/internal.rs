use common::event::{AccountEvent, ApiKeyState, Envelope, GatewayEvent, UserState};
use common::id::{ApiKeyId, IdentityId, UserId};
use common::time::Span;
use slipway_auth::identities::events::on_account_event;
use slipway_auth::revocation::on_gateway_event;

use super::*;

fn sign(harness: &Harness, service: &str, body: &Value) -> reqwest::RequestBuilder {
    harness
        .private(Method::POST, "auth", "/internal/tokens")
        .bearer_auth(service)
        .json(body)
}

testkit::on_both_backends! {
    async fn a_service_gets_a_token_for_its_own_secret_and_callee(backend: Backend) {
        let harness = auth(&backend).start().await;
        let ask = |service: &str, secret: &str, audience: &str| {
            let body = json!({ "service": service, "secret": secret, "audience": audience });
            harness.private(Method::POST, "auth", "/internal/service-tokens").json(&body)
        };
        let signed = expect(200, ask("account", "account's secret", "project")).await;
        let told = claims(signed["token"].as_str().unwrap());
        assert_eq!((&told["sub"], &told["aud"]), (&json!("account"), &json!("slipway:project")));
        assert_eq!(told["exp"].as_i64().unwrap() - told["iat"].as_i64().unwrap(), 300);
        expect(401, ask("account", "v1api's secret", "project")).await;
        expect(401, ask("nobody", "", "project")).await;
        expect(422, ask("account", "account's secret", "nowhere")).await;

        // A token for calling project is of no use here.
        let elsewhere = signed["token"].as_str().unwrap();
        expect(401, sign(&harness, elsewhere, &json!({}))).await;
        harness.stop().await;
    }

    async fn a_service_has_tokens_signed_of_its_own_kinds_only(backend: Backend) {
        let harness = auth(&backend).start().await;
        let account = service_token(&harness, "account", "auth").await;
        let v1api = service_token(&harness, "v1api", "auth").await;
        let person = claims(&token(register(&harness, "seb@x.dev", PASSWORD)).await);
        let invite = json!({ "kind": "invite+jwt", "sub": "invite_1", "audience": "slipway:invite", "lifetime": 60 });
        let key = json!({
            "kind": "key+jwt", "sub": "key_1", "audience": "slipway", "lifetime": 60, "jti": "tok_chosen",
            "scope": "projects:read", "identity_id": person["sub"], "actor_type": "euser",
        });
        let signed = claims(&token(sign(&harness, &account, &invite)).await);
        assert_eq!((&signed["sub"], &signed["aud"]), (&json!("invite_1"), &json!("slipway:invite")));
        let signed = claims(&token(sign(&harness, &v1api, &key)).await);
        assert_eq!((&signed["jti"], &signed["scope"]), (&json!("tok_chosen"), &json!("projects:read")));
        assert_eq!(signed["auth_identity_id"], person["sub"]);
        expect(403, sign(&harness, &v1api, &invite)).await;
        expect(403, sign(&harness, &account, &key)).await;
        for kind in ["at+jwt", "svc+jwt", "reset+jwt", "mfa+jwt", "realm+jwt", "forward+jwt"] {
            let mut other = key.clone();
            other["kind"] = json!(kind);
            expect(403, sign(&harness, &v1api, &other)).await;
        }
        let with = |member: &str, value: Value| {
            let mut changed = key.clone();
            changed[member] = value;
            changed
        };
        expect(403, sign(&harness, &v1api, &with("actor_type", json!("admin")))).await;
        expect(403, sign(&harness, &v1api, &with("scope", json!("*")))).await;
        expect(422, sign(&harness, &v1api, &with("identity_id", json!(null)))).await;
        expect(422, sign(&harness, &v1api, &with("extra", json!({ "gen": 99 })))).await;
        expect(422, sign(&harness, &v1api, &with("lifetime", json!(400 * 86_400)))).await;
        harness.stop().await;
    }

    async fn an_identity_becomes_one_user_and_its_next_token_tells_so(backend: Backend) {
        let harness = auth(&backend).start().await;
        let first = token(register(&harness, "seb@x.dev", PASSWORD)).await;
        let identity = claims(&first)["sub"].as_str().unwrap().to_owned();
        let account = service_token(&harness, "account", "auth").await;
        let path = format!("/internal/identities/{identity}");
        let link = |user: &UserId| {
            let request = harness.private(Method::PUT, "auth", &format!("{path}/user"));
            request.bearer_auth(&account).json(&json!({ "user_id": user }))
        };
        let now = harness.clock.now();
        let (user, other) = (UserId::new(now), UserId::new(now));
        expect(200, link(&user)).await;
        expect(200, link(&user)).await;
        expect(409, link(&other)).await;
        let renewed = claims(&token(refresh(&harness, &first)).await);
        assert_eq!(renewed["actor_id"], json!(user));
        assert_eq!(renewed["app_metadata"], json!({ "user_id": user, "euser_id": user }));

        let read = expect(200, harness.private(Method::GET, "auth", &path).bearer_auth(&account)).await;
        assert_eq!(read["email"], "seb@x.dev");
        assert_eq!(read["email_verified"], false);
        assert_eq!(read["actors"], json!(["euser"]));
        let unknown = format!("/internal/identities/{}", IdentityId::new(now));
        expect(404, harness.private(Method::GET, "auth", &unknown).bearer_auth(&account)).await;
        // Only the service whose business it is.
        let v1api = service_token(&harness, "v1api", "auth").await;
        let request = harness.private(Method::PUT, "auth", &format!("{path}/user")).bearer_auth(&v1api);
        expect(403, request.json(&json!({ "user_id": user }))).await;
        expect(401, harness.private(Method::GET, "auth", &path)).await;
        harness.stop().await;
    }

    async fn the_event_of_a_new_user_repairs_what_account_could_not_say(backend: Backend) {
        let harness = auth(&backend).start().await;
        let first = token(register(&harness, "seb@x.dev", PASSWORD)).await;
        let now = harness.clock.now();
        let user = UserState {
            user_id: UserId::new(now),
            identity_id: claims(&first)["sub"].as_str().unwrap().parse().unwrap(),
            created_at: now,
            deleted: false,
        };
        let envelope = Envelope::new(AccountEvent::UserCreated(user.clone()), 1, now, None);
        for _ in 0..2 {
            let envelope = envelope.clone();
            db(&harness)
                .write(move |db| on_account_event(db, &envelope, now).map_err(|error| panic!("{error}")))
                .await
                .unwrap_or_else(|error: diesel::result::Error| panic!("{error}"));
        }
        let renewed = claims(&token(refresh(&harness, &first)).await);
        assert_eq!(renewed["app_metadata"]["user_id"], json!(user.user_id));
        harness.stop().await;
    }

    async fn a_revoked_key_comes_into_the_feed(backend: Backend) {
        let harness = auth(&backend).start().await;
        let now = harness.clock.now();
        let key = ApiKeyState {
            key_id: ApiKeyId::new(now),
            jti: "tok_of_the_key".into(),
            user_id: UserId::new(now),
            account_id: None,
            expires_at: now + Span::days(1),
            revoked: true,
        };
        let envelope = Envelope::new(GatewayEvent::ApiKeyRevoked(key), 2, now, None);
        db(&harness)
            .write(move |db| on_gateway_event(db, &envelope, now).map_err(|error| panic!("{error}")))
            .await
            .unwrap_or_else(|error: diesel::result::Error| panic!("{error}"));
        let service = service_token(&harness, "v1api", "auth").await;
        let feed = harness.private(Method::GET, "auth", "/internal/feeds/revocations?since=0");
        let feed = expect(200, feed.bearer_auth(&service)).await;
        assert!(feed["entries"].to_string().contains("tok_of_the_key"), "{feed}");
        harness.stop().await;
    }
}
