use super::*;
use common::time::{Clock, Span};
use testkit::MailServer;

const SUBJECT: &str = "A new password";
const CHANGED: &str = "was changed";
const NEW: &str = "another horse battery";

fn ask(harness: &Harness, actor: &str, identifier: &str) -> reqwest::RequestBuilder {
    let path = format!("/auth/{actor}/emailpass/reset-password");
    post(harness, &path, &json!({ "identifier": identifier }))
}

fn update(harness: &Harness, actor: &str, token: &str, password: &str) -> reqwest::RequestBuilder {
    let path = format!("/auth/{actor}/emailpass/update");
    post(harness, &path, &json!({ "password": password })).bearer_auth(token)
}

/// Asks for a link; the token in the letter number `count`.
async fn link(harness: &Harness, backend: &Backend, email: &str, count: usize) -> String {
    expect(201, ask(harness, "euser", email)).await;
    secret_of(&letter(backend, email, SUBJECT, count).await)
}

testkit::on_both_backends! {
    async fn who_forgot_her_password_sets_another_by_the_link_in_her_mail(backend: Backend) {
        let harness = auth(&backend).start().await;
        let before = token(register(&harness, "seb@x.dev", PASSWORD)).await;
        let response = ask(&harness, "euser", "Seb@X.dev").send().await.unwrap();
        assert_eq!(response.status(), 201);
        assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/plain"));
        assert_eq!(response.text().await.unwrap(), "Created");
        let letter_to_her = letter(&backend, "seb@x.dev", SUBJECT, 1).await;
        assert!(letter_to_her.links[0].starts_with("http://localhost:8080/auth/reset#"), "{letter_to_her:?}");
        let reset = secret_of(&letter_to_her);
        assert_eq!(part(&reset, 0)["typ"], "reset+jwt");
        assert_eq!(claims(&reset)["exp"].as_i64().unwrap() - claims(&reset)["iat"].as_i64().unwrap(), 900);

        // It is good for nothing else.
        expect(401, refresh(&harness, &reset)).await;
        let done = expect(200, update(&harness, "euser", &reset, NEW)).await;
        assert_eq!(done, json!({ "success": true }));
        expect(401, login(&harness, "euser", "seb@x.dev", PASSWORD)).await;
        expect(200, login(&harness, "euser", "seb@x.dev", NEW)).await;
        expect(401, refresh(&harness, &before)).await;
        letter(&backend, "seb@x.dev", CHANGED, 1).await;

        // And only once.
        let again = expect(401, update(&harness, "euser", &reset, "a third one, please")).await;
        assert_eq!((&again["type"], &again["message"]), (&json!("unauthorized"), &json!("Unauthorized")));
        expect(200, login(&harness, "euser", "seb@x.dev", NEW)).await;
        let acts = texts(&harness, "SELECT action AS text FROM audit_log").await;
        assert!(acts.contains(&"identity.password_reset".to_owned()), "{acts:?}");
        harness.stop().await;
    }

    async fn nobody_learns_whether_there_is_somebody(backend: Backend) {
        let harness = auth(&backend).start().await;
        expect(200, register(&harness, "seb@x.dev", PASSWORD)).await;
        for (actor, identifier) in [("euser", "nobody@x.dev"), ("admin", "seb@x.dev"), ("euser", "not an address")] {
            let answer = expect(201, ask(&harness, actor, identifier)).await;
            assert_eq!(answer, "Created", "{actor} {identifier}");
        }
        link(&harness, &backend, "seb@x.dev", 1).await;
        // The wishes from before hers are through by now.
        assert_eq!(letters(&backend, "seb@x.dev", SUBJECT).len(), 1);
        assert_eq!(letters(&backend, "nobody@x.dev", "").len(), 0);
        assert_eq!(texts(&harness, "SELECT id AS text FROM reset_requests").await, [""; 0]);
        harness.stop().await;
    }

    async fn of_several_links_the_first_that_is_used_ends_the_others(backend: Backend) {
        let harness = auth(&backend).start().await;
        expect(200, register(&harness, "seb@x.dev", PASSWORD)).await;
        let first = link(&harness, &backend, "seb@x.dev", 1).await;
        let second = link(&harness, &backend, "seb@x.dev", 2).await;
        assert_ne!(first, second);
        // Two at the same instant.
        let both = [update(&harness, "euser", &first, NEW), update(&harness, "euser", &second, PASSWORD)];
        let [one, other] = both.map(reqwest::RequestBuilder::send);
        let (one, other) = tokio::join!(one, other);
        let mut statuses = [one.unwrap().status().as_u16(), other.unwrap().status().as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 401]);
        letter(&backend, "seb@x.dev", CHANGED, 1).await;
        // And one twice at the same instant.
        let third = link(&harness, &backend, "seb@x.dev", 3).await;
        let both = [update(&harness, "euser", &third, NEW), update(&harness, "euser", &third, NEW)];
        let [one, other] = both.map(reqwest::RequestBuilder::send);
        let (one, other) = tokio::join!(one, other);
        let mut statuses = [one.unwrap().status().as_u16(), other.unwrap().status().as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 401]);
        harness.stop().await;
    }

    async fn a_token_is_for_its_own_identity_actor_and_purpose(backend: Backend) {
        let harness = auth(&backend).start().await;
        let access = token(register(&harness, "seb@x.dev", PASSWORD)).await;
        expect(200, register(&harness, "ben@x.dev", PASSWORD)).await;
        let reset = link(&harness, &backend, "seb@x.dev", 1).await;
        expect(401, update(&harness, "admin", &reset, NEW)).await;
        expect(400, update(&harness, "service", &reset, NEW)).await;
        expect(401, update(&harness, "euser", &access, NEW)).await;
        expect(401, update(&harness, "euser", "nonsense", NEW)).await;
        let none = post(&harness, "/auth/euser/emailpass/update", &json!({ "password": NEW, "token": reset }));
        let response = none.send().await.unwrap();
        assert_eq!(response.status(), 401);
        assert!(response.headers()["www-authenticate"].to_str().unwrap().starts_with("Bearer"));
        // A token in the query isn't one, either.
        let path = format!("/auth/euser/emailpass/update?token={reset}");
        expect(401, post(&harness, &path, &json!({ "password": NEW }))).await;

        // What isn't taken as a password leaves the link as it is.
        expect(400, update(&harness, "euser", &reset, "short")).await;
        let path = "/auth/euser/emailpass/update";
        let missing = expect(401, post(&harness, path, &json!({})).bearer_auth(&reset)).await;
        assert_eq!(missing["message"], "Password should be a string");
        expect(200, update(&harness, "euser", &reset, NEW)).await;
        // Another's password is what it was, whatever the body says.
        expect(200, login(&harness, "euser", "ben@x.dev", PASSWORD)).await;
        harness.stop().await;
    }

    async fn a_link_ends_after_a_quarter_of_an_hour(backend: Backend) {
        let clock = Clock::manual(Clock::system().now());
        let harness = auth(&backend).clock(clock.clone()).start().await;
        expect(200, register(&harness, "seb@x.dev", PASSWORD)).await;
        let reset = link(&harness, &backend, "seb@x.dev", 1).await;
        clock.advance(Span::seconds(15 * 60 + 61));
        expect(401, update(&harness, "euser", &reset, NEW)).await;
        expect(200, login(&harness, "euser", "seb@x.dev", PASSWORD)).await;
        harness.stop().await;
    }

    async fn nobody_s_mailbox_is_filled(backend: Backend) {
        let clock = Clock::manual(Clock::system().now());
        let harness = auth(&backend).clock(clock.clone()).start().await;
        expect(200, register(&harness, "seb@x.dev", PASSWORD)).await;
        for _ in 0..8 {
            assert_eq!(expect(201, ask(&harness, "euser", "seb@x.dev")).await, "Created");
        }
        letter(&backend, "seb@x.dev", SUBJECT, 5).await;
        clock.advance(Span::minutes(61));
        link(&harness, &backend, "seb@x.dev", 6).await;
        assert_eq!(letters(&backend, "seb@x.dev", SUBJECT).len(), 6);
        harness.stop().await;
    }

    async fn a_new_password_ends_the_pacing_of_wrong_ones(backend: Backend) {
        let harness = auth(&backend).start().await;
        expect(200, register(&harness, "seb@x.dev", PASSWORD)).await;
        for _ in 0..5 {
            expect(401, login(&harness, "euser", "seb@x.dev", "another password")).await;
        }
        expect(429, login(&harness, "euser", "seb@x.dev", PASSWORD)).await;
        let reset = link(&harness, &backend, "seb@x.dev", 1).await;
        expect(200, update(&harness, "euser", &reset, NEW)).await;
        expect(200, login(&harness, "euser", "seb@x.dev", NEW)).await;
        // And shows that she reads what is sent to the address.
        let verified = texts(&harness, "SELECT email AS text FROM identities WHERE email_verified_at IS NOT NULL").await;
        assert!(verified.contains(&"seb@x.dev".to_owned()), "{verified:?}");
        harness.stop().await;
    }

    async fn the_links_of_other_interfaces_are_the_operators(backend: Backend) {
        let harness = auth(&backend)
            .setting("mail.reset_url", "https://shop.example.com/reset?token={token}")
            .start()
            .await;
        expect(200, register(&harness, "seb@x.dev", PASSWORD)).await;
        expect(201, ask(&harness, "euser", "seb@x.dev")).await;
        let sent = letter(&backend, "seb@x.dev", SUBJECT, 1).await;
        assert!(sent.links[0].starts_with("https://shop.example.com/reset?token=ey"), "{sent:?}");
        harness.stop().await;
    }

    async fn a_link_that_ended_before_it_could_be_sent_is_made_anew(backend: Backend) {
        let clock = Clock::manual(Clock::system().now());
        let server = MailServer::start().await;
        let address = server.address();
        drop(server);
        let harness = auth(&backend)
            .clock(clock.clone())
            .setting("mail.smtp_url", &format!("smtp://{address}"))
            .setting("mail.from", "Slipway <no-reply@x.dev>")
            .setting("auth.verify_email", "false")
            .start()
            .await;
        expect(200, register(&harness, "seb@x.dev", PASSWORD)).await;
        expect(201, ask(&harness, "euser", "seb@x.dev")).await;
        testkit::eventually_async("an attempt failed", || async {
            let failures = texts(&harness, "SELECT failure AS text FROM letters WHERE failure IS NOT NULL").await;
            (!failures.is_empty()).then_some(())
        })
        .await;
        clock.advance(Span::hours(2));
        let server = MailServer::start_at(address).await;
        let mail = eventually("a mail", || server.received().into_iter().next()).await;
        let text = mail.text();
        let start = text.split_once("/auth/reset#").unwrap().1;
        let reset: String = start.chars().take_while(|c| !c.is_whitespace()).collect();
        expect(200, update(&harness, "euser", &reset, NEW)).await;
        harness.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wish_that_is_none_is_told() {
    let backend = Backend::sqlite();
    let harness = auth(&backend).start().await;
    for body in [
        json!({}),
        json!({ "identifier": 1 }),
        json!({ "identifier": "" }),
    ] {
        let refused = expect(
            400,
            post(&harness, "/auth/euser/emailpass/reset-password", &body),
        )
        .await;
        assert_eq!(
            (&refused["type"], &refused["message"]),
            (
                &json!("invalid_data"),
                &json!("Identifier should be a string")
            )
        );
    }
    let body = json!({ "identifier": "seb@x.dev" });
    for path in [
        "/auth/euser/google/reset-password",
        "/auth/service/emailpass/reset-password",
    ] {
        assert_eq!(
            expect(400, post(&harness, path, &body)).await["type"],
            "not_allowed"
        );
    }
    harness.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pages_of_links_are_the_same_for_all_and_kept_by_nobody() {
    let backend = Backend::sqlite();
    let harness = auth(&backend).start().await;
    for (path, route) in [
        ("/auth/reset", "/update"),
        ("/auth/verify", "/auth/verification/confirm"),
    ] {
        let get = |path: String| harness.request(Method::GET, "auth", &path).send();
        let response = get(path.to_owned()).await.unwrap();
        assert_eq!(response.status(), 200);
        let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header("referrer-policy"), "no-referrer");
        assert_eq!(header("cache-control"), "no-store");
        let policy = header("content-security-policy");
        assert!(
            policy.contains("default-src 'none'") && policy.contains("script-src 'sha256-"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe"), "{policy}");
        let html = response.text().await.unwrap();
        assert!(
            html.contains(route) && html.contains("location.hash"),
            "{html}"
        );
        // Nothing of another's making comes in: not even the query.
        let other = get(format!("{path}?token=%3Cscript%3E"))
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        assert_eq!(html, other);
        for elsewhere in ["http://", "https://", "src="] {
            assert!(!html.contains(elsewhere), "{html}");
        }
    }
    harness.stop().await;
}
