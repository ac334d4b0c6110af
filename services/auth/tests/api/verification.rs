use super::*;
use common::time::{Clock, Span};

const SUBJECT: &str = "Confirm your email";

fn request(harness: &Harness, token: &str, email: &str) -> reqwest::RequestBuilder {
    let body = json!({ "entity_id": email, "entity_type": "email" });
    post(harness, "/auth/verification/request", &body).bearer_auth(token)
}

fn confirm(harness: &Harness, code: &str) -> reqwest::RequestBuilder {
    post(
        harness,
        "/auth/verification/confirm",
        &json!({ "code": code }),
    )
}

async fn is_verified(harness: &Harness, token: &str) -> bool {
    let service = service_token(harness, "account", "auth").await;
    let path = format!(
        "/internal/identities/{}",
        claims(token)["sub"].as_str().unwrap()
    );
    let read = harness
        .private(Method::GET, "auth", &path)
        .bearer_auth(&service);
    expect(200, read).await["email_verified"].as_bool().unwrap()
}

testkit::on_both_backends! {
    async fn who_registers_shows_by_the_code_in_her_mail_that_the_address_is_hers(backend: Backend) {
        let harness = auth(&backend).start().await;
        let token = token(register(&harness, "Seb@x.dev", PASSWORD)).await;
        let sent = letter(&backend, "seb@x.dev", SUBJECT, 1).await;
        assert!(sent.links[0].starts_with("http://localhost:8080/auth/verify#"), "{sent:?}");
        assert!(!is_verified(&harness, &token).await);
        let code = secret_of(&sent);
        let confirmed = expect(200, confirm(&harness, &code)).await;
        assert_eq!(confirmed["entity_id"], "seb@x.dev");
        assert_eq!((&confirmed["entity_type"], &confirmed["code_provider"]), (&json!("email"), &json!("token")));
        assert!(confirmed["verified_at"].is_string());
        assert!(is_verified(&harness, &token).await);

        let again = expect(400, confirm(&harness, &code)).await;
        assert_eq!(again["message"], "Verification code is invalid or already used");
        assert_eq!(again["type"], "not_allowed");
        // Asking again tells that it is done, and sends nothing.
        let known = expect(201, request(&harness, &token, "seb@x.dev")).await;
        assert_eq!(known["verification"]["verified_at"], confirmed["verified_at"]);
        assert_eq!(texts(&harness, "SELECT id AS text FROM letters").await.len(), 1);
        // Nothing that could be guessed is kept.
        let kept = texts(&harness, "SELECT code_digest AS text FROM verifications").await;
        assert!(kept.iter().all(|digest| !digest.contains(&code)));
        harness.stop().await;
    }

    async fn a_code_that_is_asked_for_ends_the_one_before(backend: Backend) {
        let harness = auth(&backend).start().await;
        let token = token(register(&harness, "seb@x.dev", PASSWORD)).await;
        let first = secret_of(&letter(&backend, "seb@x.dev", SUBJECT, 1).await);
        let asked = expect(201, request(&harness, &token, "SEB@x.dev")).await;
        let asked = &asked["verification"];
        assert_eq!(asked["entity_id"], "seb@x.dev");
        assert_eq!(asked["auth_identity_id"], claims(&token)["sub"]);
        assert_eq!((&asked["entity_type"], &asked["code_provider"]), (&json!("email"), &json!("token")));
        assert!(asked["requested_at"].is_string() && asked["verified_at"].is_null() && asked["code"].is_null());
        let second = secret_of(&letter(&backend, "seb@x.dev", SUBJECT, 2).await);
        expect(400, confirm(&harness, &first)).await;
        // Two at the same instant.
        let (one, other) = tokio::join!(confirm(&harness, &second).send(), confirm(&harness, &second).send());
        let mut statuses = [one.unwrap().status().as_u16(), other.unwrap().status().as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 400]);
        harness.stop().await;
    }

    async fn a_code_ends_after_a_day(backend: Backend) {
        let clock = Clock::manual(Clock::system().now());
        let harness = auth(&backend).clock(clock.clone()).start().await;
        expect(200, register(&harness, "seb@x.dev", PASSWORD)).await;
        let code = secret_of(&letter(&backend, "seb@x.dev", SUBJECT, 1).await);
        clock.advance(Span::hours(25));
        let expired = expect(400, confirm(&harness, &code)).await;
        assert_eq!(expired["message"], "Verification code has expired");
        harness.stop().await;
    }

    async fn only_her_own_address_is_verified_and_not_too_often(backend: Backend) {
        let harness = auth(&backend).start().await;
        let seb = token(register(&harness, "seb@x.dev", PASSWORD)).await;
        expect(200, register(&harness, "ben@x.dev", PASSWORD)).await;
        let refused = expect(400, request(&harness, &seb, "ben@x.dev")).await;
        assert_eq!(refused["type"], "not_allowed");
        expect(400, request(&harness, &seb, "not an address")).await;
        let path = "/auth/verification/request";
        expect(401, post(&harness, path, &json!({ "entity_id": "seb@x.dev", "entity_type": "email" }))).await;
        for body in [
            json!({}),
            json!({ "entity_id": "seb@x.dev" }),
            json!({ "entity_id": 1, "entity_type": "email" }),
            json!({ "entity_id": "seb@x.dev", "entity_type": "phone" }),
            json!({ "entity_id": "seb@x.dev", "entity_type": "email", "code_provider": "sms" }),
        ] {
            let refused = expect(400, post(&harness, path, &body).bearer_auth(&seb)).await;
            assert_eq!(refused["type"], "invalid_data", "{body}");
        }
        for _ in 0..5 {
            expect(201, request(&harness, &seb, "seb@x.dev")).await;
        }
        let response = request(&harness, &seb, "seb@x.dev").send().await.unwrap();
        assert_eq!(response.status(), 429);
        let wait: i64 = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=3_601).contains(&wait), "{wait}");
        harness.stop().await;
    }

    async fn where_the_operator_wants_none_no_code_is_sent(backend: Backend) {
        let harness = auth(&backend).setting("auth.verify_email", "false").start().await;
        expect(200, register(&harness, "seb@x.dev", PASSWORD)).await;
        assert_eq!(texts(&harness, "SELECT id AS text FROM letters").await, [""; 0]);
        harness.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_that_is_none_is_told_as_medusa_tells_it() {
    let backend = Backend::sqlite();
    let harness = auth(&backend).start().await;
    let path = "/auth/verification/confirm";
    let missing = expect(400, post(&harness, path, &json!({}))).await;
    assert_eq!(missing["message"], "Verification code is required");
    assert_eq!(missing["type"], "invalid_data");
    let body = json!({ "code": "nonsense", "code_provider": "token" });
    let wrong = expect(400, post(&harness, path, &body)).await;
    assert_eq!(
        wrong["message"],
        "Verification code is invalid or already used"
    );
    let body = json!({ "code": "nonsense", "code_provider": "sms" });
    expect(400, post(&harness, path, &body)).await;
    harness.stop().await;
}
