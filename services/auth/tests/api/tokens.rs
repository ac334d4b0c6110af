use common::id::IdentityId;
use common::time::{Clock, Span};
use common::token::ActorType;
use slipway_auth::identities;
use testkit::eventually_async;

use super::*;

testkit::on_both_backends! {
    async fn a_session_can_be_refreshed_until_it_is_too_old(backend: Backend) {
        let clock = Clock::manual(Clock::system().now());
        let harness = auth(&backend)
            .clock(clock.clone())
            .setting("auth.access_lifetime", "1d")
            .setting("auth.session_max_age", "36h")
            .start()
            .await;
        let first = token(register(&harness, "seb@x.dev", PASSWORD)).await;
        clock.advance(Span::hours(23));
        // Until revocations have been asked for at the new time, no token is taken.
        let again = eventually_async("a refreshed token", || async {
            let response = refresh(&harness, &first).send().await.unwrap();
            (response.status() == 200).then_some(response)
        });
        let again: Value = again.await.json().await.unwrap();
        let again = again["token"].as_str().unwrap();
        assert_ne!(claims(again)["jti"], claims(&first)["jti"]);
        assert_eq!(claims(again)["auth_time"], claims(&first)["auth_time"]);
        let ends = claims(again)["exp"].as_i64().unwrap() - claims(&first)["iat"].as_i64().unwrap();
        assert_eq!(ends, 36 * 3_600, "it ends with the session");

        clock.advance(Span::hours(13));
        let status = eventually_async("a refusal", || async {
            let status = refresh(&harness, again).send().await.unwrap().status().as_u16();
            (status != 503).then_some(status)
        });
        assert_eq!(status.await, 401);
        harness.stop().await;
    }

    async fn taking_admin_away_ends_the_tokens_at_once_and_everywhere(backend: Backend) {
        let harness = auth(&backend).start().await;
        let admin = token(login(&harness, "admin", "root@x.dev", "the operator's own")).await;
        let id: IdentityId = claims(&admin)["sub"].as_str().unwrap().parse().unwrap();
        let now = harness.clock.now();
        let identity = id.clone();
        let taken = db(&harness)
            .write(move |db| identities::withdraw_actor(db, &identity, ActorType::Admin, now))
            .await
            .unwrap();
        assert!(taken);
        expect(401, refresh(&harness, &admin)).await;
        expect(401, login(&harness, "admin", "root@x.dev", "the operator's own")).await;
        // As an external user the person goes on, with tokens of the new generation.
        let euser = token(login(&harness, "euser", "root@x.dev", "the operator's own")).await;
        assert_eq!(claims(&euser)["gen"], 2);

        let service = service_token(&harness, "v1api", "auth").await;
        let feed = harness.private(Method::GET, "auth", "/internal/feeds/revocations?since=0");
        let feed = expect(200, feed.bearer_auth(&service)).await;
        assert!(feed["entries"].to_string().contains(id.as_str()), "{feed}");
        harness.stop().await;
    }

    async fn keys_are_published_with_what_they_may_sign(backend: Backend) {
        let harness = auth(&backend).start().await;
        let request = harness.request(Method::GET, "auth", "/.well-known/jwks.json");
        let response = request.send().await.unwrap();
        assert_eq!(response.headers()["cache-control"], "public, max-age=300");
        let set: Value = response.json().await.unwrap();
        let keys = set["keys"].as_array().unwrap();
        assert_eq!(keys.len(), 2, "the one that signs, and the next: {set}");
        for key in keys {
            assert_eq!((&key["kty"], &key["alg"]), (&json!("EC"), &json!("ES256")));
            let kinds = key["typ"].as_array().unwrap();
            assert!(kinds.contains(&json!("at+jwt")) && !kinds.contains(&json!("forward+jwt")));
            assert!(key.get("d").is_none());
        }
        let signed = token(register(&harness, "seb@x.dev", PASSWORD)).await;
        assert!(keys.iter().any(|key| key["kid"] == part(&signed, 0)["kid"]));
        assert_eq!(expect(200, harness.private(Method::GET, "auth", "/internal/jwks")).await, set);
        harness.stop().await;
    }

    async fn no_other_kind_of_token_is_refreshed_into_a_persons(backend: Backend) {
        let harness = auth(&backend).start().await;
        let account = service_token(&harness, "account", "auth").await;
        let invite = json!({
            "kind": "invite+jwt", "sub": "invite_x", "audience": "slipway:invite", "lifetime": 60,
        });
        let invite =
            token(harness.private(Method::POST, "auth", "/internal/tokens").bearer_auth(&account).json(&invite)).await;
        for other in [account.as_str(), invite.as_str(), "a.b.c", ""] {
            expect(401, refresh(&harness, other)).await;
        }
        harness.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_can_be_signed_with_ed25519() {
    let backend = Backend::sqlite();
    let harness = auth(&backend)
        .setting("auth.algorithm", "EdDSA")
        .start()
        .await;
    let signed = token(register(&harness, "seb@x.dev", PASSWORD)).await;
    assert_eq!(part(&signed, 0)["alg"], "EdDSA");
    expect(200, refresh(&harness, &signed)).await;
    harness.stop().await;
}
