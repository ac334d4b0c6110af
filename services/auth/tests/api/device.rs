//! Programs without a browser that people let in (RFC 8628).

use common::id::IdentityId;
use common::time::{Clock, Span};
use slipway_auth::identities;

use super::*;

const PAGE: &str = "/oauth/device";

fn form(harness: &Harness, path: &str, fields: &[(&str, &str)]) -> reqwest::RequestBuilder {
    harness.request(Method::POST, "auth", path).form(fields)
}

async fn ask(harness: &Harness) -> Value {
    let asked = form(
        harness,
        "/oauth/device_authorization",
        &[("client_id", "slipway-cli")],
    );
    expect(200, asked).await
}

fn poll(harness: &Harness, asked: &Value) -> reqwest::RequestBuilder {
    let code = asked["device_code"].as_str().unwrap();
    poll_by(harness, code)
}

fn poll_by(harness: &Harness, code: &str) -> reqwest::RequestBuilder {
    let fields = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
        ("device_code", code),
        ("client_id", "slipway-cli"),
    ];
    form(harness, "/oauth/token", &fields)
}

async fn refused(request: reqwest::RequestBuilder) -> String {
    let said = expect(400, request).await;
    assert_eq!(said["error"], said["code"], "{said}");
    said["error"].as_str().unwrap().to_owned()
}

/// A person's browser, as far as the page needs one.
struct Browser {
    cookie: String,
    proof: String,
}

impl Browser {
    /// Opens the page.
    async fn open(harness: &Harness) -> Self {
        let opened = harness.request(Method::GET, "auth", PAGE).send();
        let opened = opened.await.unwrap();
        assert_eq!(opened.status(), 200);
        let cookie = opened.headers()["set-cookie"].to_str().unwrap().to_owned();
        for attribute in ["HttpOnly", "SameSite=Lax", "Path=/oauth/device"] {
            assert!(cookie.contains(attribute), "{cookie}");
        }
        let policy = opened.headers()["content-security-policy"]
            .to_str()
            .unwrap();
        assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
        let html = opened.text().await.unwrap();
        let (_, rest) = html.split_once("name=\"proof\" value=\"").unwrap();
        Self {
            cookie: cookie.split(';').next().unwrap().to_owned(),
            proof: rest.split('"').next().unwrap().to_owned(),
        }
    }

    fn send(&self, harness: &Harness, fields: &[(&str, &str)]) -> reqwest::RequestBuilder {
        let mut all = vec![("proof", self.proof.as_str())];
        all.extend(fields);
        form(harness, PAGE, &all).header("cookie", &self.cookie)
    }

    fn allow(
        &self,
        harness: &Harness,
        asked: &Value,
        (email, password): (&str, &str),
    ) -> reqwest::RequestBuilder {
        let code = asked["user_code"].as_str().unwrap();
        let fields = [
            ("user_code", code),
            ("decision", "allow"),
            ("email", email),
            ("password", password),
        ];
        self.send(harness, &fields)
    }
}

const SEB: (&str, &str) = ("seb@x.dev", PASSWORD);

async fn page(status: u16, request: reqwest::RequestBuilder) -> String {
    let said = expect(status, request).await;
    said.as_str().unwrap().to_owned()
}

async fn with_seb(backend: &Backend, clock: &Clock) -> (Harness, IdentityId) {
    let harness = auth(backend).clock(clock.clone()).start().await;
    let signed = token(register(&harness, SEB.0, SEB.1)).await;
    let id = claims(&signed)["sub"].as_str().unwrap().parse().unwrap();
    (harness, id)
}

fn still() -> Clock {
    Clock::manual(Clock::system().now())
}

testkit::on_both_backends! {
    async fn who_has_a_second_factor_shows_it_before_she_lets_a_program_in(backend: Backend) {
        let clock = still();
        let (harness, _) = with_seb(&backend, &clock).await;
        let seb = token(login(&harness, "euser", SEB.0, SEB.1)).await;
        let (_, secret) = mfa::enable(&harness, &seb).await;
        let recovery = mfa::recovery_codes(&harness, &seb, 1).await;
        let right = mfa::code(&harness, &secret, 0);
        for code in [right.as_str(), recovery[0].as_str()] {
            let (asked, browser) = (ask(&harness).await, Browser::open(&harness).await);
            let allow = |code: &str| {
                let user_code = asked["user_code"].as_str().unwrap();
                let fields = [
                    ("user_code", user_code), ("decision", "allow"), ("email", SEB.0), ("password", SEB.1), ("code", code),
                ];
                browser.send(&harness, &fields)
            };
            assert!(page(401, allow("")).await.contains("a code of your second factor"));
            assert!(page(400, allow("none")).await.contains("Invalid MFA challenge code"));
            assert_eq!(refused(poll(&harness, &asked)).await, "authorization_pending");
            page(200, allow(code)).await;
            clock.advance(Span::seconds(6));
            let given = expect(200, poll(&harness, &asked)).await;
            assert!(given["access_token"].is_string(), "{given}");
            mfa::known_again(&harness, &seb).await;
            // Such a token hangs on its refresh token, and begins no session that doesn't.
            expect(401, sessions::begin(&harness, given["access_token"].as_str().unwrap())).await;
        }
        harness.stop().await;
    }

    async fn a_person_lets_a_program_in_and_it_gets_her_tokens_once(backend: Backend) {
        let clock = still();
        let (harness, id) = with_seb(&backend, &clock).await;
        let asked = ask(&harness).await;
        let code = asked["user_code"].as_str().unwrap();
        assert_eq!((code.len(), &asked["expires_in"]), (9, &json!(600)));
        assert_eq!(asked["verification_uri"], "http://localhost:8080/oauth/device");
        let complete = asked["verification_uri_complete"].as_str().unwrap();
        assert_eq!(complete, format!("http://localhost:8080/oauth/device?user_code={code}"));
        assert_eq!(refused(poll(&harness, &asked)).await, "authorization_pending");

        let browser = Browser::open(&harness).await;
        let typed = code.to_lowercase().replace('-', " ");
        let shown = page(200, browser.send(&harness, &[("user_code", &typed), ("decision", "find")])).await;
        for what in [code, "Slipway CLI", "127.0.0.1"] {
            assert!(shown.contains(what), "{what}: {shown}");
        }
        let shown = page(200, browser.allow(&harness, &asked, SEB)).await;
        assert!(shown.contains("let in"), "{shown}");

        clock.advance(Span::seconds(5));
        let given = expect(200, poll(&harness, &asked)).await;
        let access = given["access_token"].as_str().unwrap();
        assert_eq!((&claims(access)["sub"], &claims(access)["client_id"]), (&json!(id), &json!("slipway-cli")));
        let fields = [("grant_type", "refresh_token"), ("refresh_token", given["refresh_token"].as_str().unwrap())];
        expect(200, form(&harness, "/oauth/token", &fields)).await;
        clock.advance(Span::seconds(5));
        assert_eq!(refused(poll(&harness, &asked)).await, "expired_token", "a code is good once");
        page(404, browser.allow(&harness, &asked, SEB)).await;
        harness.stop().await;
    }

    async fn a_program_that_is_not_wanted_is_told_so(backend: Backend) {
        let clock = still();
        let (harness, _) = with_seb(&backend, &clock).await;
        let asked = ask(&harness).await;
        let browser = Browser::open(&harness).await;
        let code = asked["user_code"].as_str().unwrap();
        page(200, browser.send(&harness, &[("user_code", code), ("decision", "deny")])).await;
        assert_eq!(refused(poll(&harness, &asked)).await, "access_denied");
        page(404, browser.allow(&harness, &asked, SEB)).await;
        harness.stop().await;
    }

    async fn who_polls_too_fast_is_slowed_down_and_who_never_had_a_code_learns_nothing(backend: Backend) {
        let clock = still();
        let (harness, _) = with_seb(&backend, &clock).await;
        let asked = ask(&harness).await;
        assert_eq!(refused(poll(&harness, &asked)).await, "authorization_pending");
        assert_eq!(refused(poll(&harness, &asked)).await, "slow_down");
        clock.advance(Span::seconds(3));
        assert_eq!(refused(poll(&harness, &asked)).await, "slow_down", "it is to wait longer now");
        clock.advance(Span::seconds(13));
        assert_eq!(refused(poll(&harness, &asked)).await, "authorization_pending");
        for code in ["", "nonsense", asked["user_code"].as_str().unwrap(), &"x".repeat(65_536)] {
            assert_eq!(refused(poll_by(&harness, code)).await, "invalid_grant");
        }
        harness.stop().await;
    }

    async fn a_request_ends_by_itself(backend: Backend) {
        let clock = still();
        let (harness, _) = with_seb(&backend, &clock).await;
        let asked = ask(&harness).await;
        let browser = Browser::open(&harness).await;
        clock.advance(Span::minutes(10));
        page(404, browser.allow(&harness, &asked, SEB)).await;
        assert_eq!(refused(poll(&harness, &asked)).await, "expired_token");
        harness.stop().await;
    }

    async fn no_other_site_or_browser_can_let_a_program_in(backend: Backend) {
        let clock = still();
        let (harness, _) = with_seb(&backend, &clock).await;
        let asked = ask(&harness).await;
        let (mine, other) = (Browser::open(&harness).await, Browser::open(&harness).await);
        let mixed = Browser { cookie: mine.cookie.clone(), proof: other.proof.clone() };
        page(403, mixed.allow(&harness, &asked, SEB)).await;
        let bare = Browser { cookie: "x=y".into(), proof: mine.proof.clone() };
        page(403, bare.allow(&harness, &asked, SEB)).await;
        for site in ["cross-site", "same-site"] {
            page(403, mine.allow(&harness, &asked, SEB).header("sec-fetch-site", site)).await;
        }
        assert_eq!(refused(poll(&harness, &asked)).await, "authorization_pending");
        let evil = "\"><script>alert(1)</script>";
        let shown = page(404, mine.send(&harness, &[("user_code", evil), ("decision", "find")])).await;
        assert!(!shown.contains("<script"), "{shown}");
        page(200, mine.allow(&harness, &asked, SEB).header("sec-fetch-site", "same-origin")).await;
        harness.stop().await;
    }

    async fn a_wrong_password_lets_nothing_in_and_is_paced_as_anywhere(backend: Backend) {
        let clock = still();
        let (harness, _) = with_seb(&backend, &clock).await;
        let asked = ask(&harness).await;
        let browser = Browser::open(&harness).await;
        for _ in 0..5 {
            let shown = page(401, browser.allow(&harness, &asked, (SEB.0, "another password"))).await;
            assert!(shown.contains("Invalid email or password") && !shown.contains("another password"));
        }
        page(429, browser.allow(&harness, &asked, SEB)).await;
        expect(429, login(&harness, "euser", SEB.0, SEB.1)).await;
        assert_eq!(refused(poll(&harness, &asked)).await, "authorization_pending");
        clock.advance(Span::seconds(31));
        page(200, browser.allow(&harness, &asked, SEB)).await;
        harness.stop().await;
    }

    async fn codes_can_not_be_guessed_at_leisure(backend: Backend) {
        let clock = still();
        let (harness, _) = with_seb(&backend, &clock).await;
        let asked = ask(&harness).await;
        let browser = Browser::open(&harness).await;
        for _ in 0..50 {
            page(404, browser.send(&harness, &[("user_code", "BBBB-BBBB"), ("decision", "find")])).await;
        }
        page(429, browser.send(&harness, &[("user_code", "BBBB-BBBB"), ("decision", "find")])).await;
        page(429, browser.allow(&harness, &asked, SEB)).await;
        harness.stop().await;
    }

    async fn of_two_who_answer_and_two_who_fetch_at_the_same_instant_one_does(backend: Backend) {
        let clock = still();
        let (harness, _) = with_seb(&backend, &clock).await;
        let asked = ask(&harness).await;
        let (one, two) = (Browser::open(&harness).await, Browser::open(&harness).await);
        let status = |request: reqwest::RequestBuilder| async { request.send().await.unwrap().status().as_u16() };
        let (a, b) = tokio::join!(
            status(one.allow(&harness, &asked, SEB)), status(two.allow(&harness, &asked, SEB)),
        );
        let mut both = [a, b];
        both.sort_unstable();
        assert!(matches!(both, [200, 404 | 409]), "{both:?}");
        let (a, b) = tokio::join!(status(poll(&harness, &asked)), status(poll(&harness, &asked)));
        let mut both = [a, b];
        both.sort_unstable();
        assert_eq!(both, [200, 400]);
        harness.stop().await;
    }

    async fn who_ends_all_her_tokens_meanwhile_has_let_nothing_in(backend: Backend) {
        let clock = still();
        let (harness, id) = with_seb(&backend, &clock).await;
        let asked = ask(&harness).await;
        page(200, Browser::open(&harness).await.allow(&harness, &asked, SEB)).await;
        let now = harness.clock.now();
        db(&harness).write(move |db| identities::revoke_all(db, &id, now)).await.unwrap();
        assert_eq!(refused(poll(&harness, &asked)).await, "access_denied");
        harness.stop().await;
    }

    async fn an_operator_lets_a_program_in_as_one_and_nobody_else_does(backend: Backend) {
        let clock = still();
        let (harness, _) = with_seb(&backend, &clock).await;
        let fields = [("client_id", "slipway-cli"), ("actor_type", "admin")];
        let asked = expect(200, form(&harness, "/oauth/device_authorization", &fields)).await;
        let browser = Browser::open(&harness).await;
        page(401, browser.allow(&harness, &asked, SEB)).await;
        page(200, browser.allow(&harness, &asked, ("root@x.dev", "the operator's own"))).await;
        let given = expect(200, poll(&harness, &asked)).await;
        assert_eq!((&claims(given["access_token"].as_str().unwrap())["actor_type"], &given["scope"]), (&json!("admin"), &json!("*")));
        harness.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_clients_that_there_are_may_ask() {
    let backend = Backend::sqlite();
    let harness = auth(&backend).start().await;
    let path = "/oauth/device_authorization";
    for fields in [&[][..], &[("client_id", "another")]] {
        let said = expect(401, form(&harness, path, fields)).await;
        assert_eq!(said["error"], "invalid_client");
    }
    let fields = [("client_id", "slipway-cli"), ("actor_type", "service")];
    let said = expect(400, form(&harness, path, &fields)).await;
    assert_eq!(said["error"], "invalid_request");
    harness.stop().await;
}
