//! Second factors: setting up, signing in, losing them.

use common::time::{Clock, Span};
use testkit::eventually_async;
use totp_rs::{Builder as App, Secret};

use super::sessions::{begin, browser, cookie_in, exchange, traded};
use super::*;

/// auth in a moment that lasts, so that no code is over before it is shown.
fn stopped(backend: &Backend) -> Builder<'_> {
    auth(backend).clock(Clock::manual(Clock::system().now()))
}

/// Somebody with an enabled factor, and the app that makes its codes.
struct Secured {
    token: String,
    factor: String,
    secret: String,
}

fn mfa(harness: &Harness, method: Method, rest: &str, token: &str) -> reqwest::RequestBuilder {
    harness
        .request(method, "auth", &format!("/auth/mfa/{rest}"))
        .bearer_auth(token)
}

/// The code of an app, so many steps from now.
pub(super) fn code(harness: &Harness, secret: &str, steps: i64) -> String {
    let app = App::new()
        .with_secret(Secret::try_from_base32(secret).unwrap())
        .with_account_name("x")
        .build()
        .unwrap();
    let seconds = harness.clock.now().unix() + 30 * steps;
    app.generate(seconds.try_into().unwrap()).to_string()
}

/// A code that no app would show now.
fn wrong(harness: &Harness, secret: &str) -> String {
    let right: Vec<_> = (-2..=2).map(|step| code(harness, secret, step)).collect();
    let mut wrong = (0..10).map(|number| format!("00000{number}"));
    wrong.find(|code| !right.contains(code)).unwrap()
}

async fn start(harness: &Harness, token: &str) -> Value {
    let body = json!({ "provider": "totp", "label": "phone" });
    expect(
        200,
        mfa(harness, Method::POST, "factors", token).json(&body),
    )
    .await
}

fn verify(harness: &Harness, token: &str, factor: &str, code: &str) -> reqwest::RequestBuilder {
    let path = format!("factors/{factor}/verify");
    mfa(harness, Method::POST, &path, token).json(&json!({ "code": code }))
}

/// Enables a factor with the code of a step ago: its id and its secret.
pub(super) async fn enable(harness: &Harness, token: &str) -> (String, String) {
    let started = start(harness, token).await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let (factor, secret) = (text(&started["mfa_factor"]["id"]), text(&started["secret"]));
    let code = code(harness, &secret, -1);
    expect(200, verify(harness, token, &factor, &code)).await;
    (factor, secret)
}

/// Registers somebody, who enables a factor.
async fn secured(harness: &Harness, email: &str) -> Secured {
    let token = super::token(register(harness, email, PASSWORD)).await;
    let (factor, secret) = enable(harness, &token).await;
    Secured {
        token,
        factor,
        secret,
    }
}

pub(super) async fn recovery_codes(harness: &Harness, token: &str, count: u32) -> Vec<String> {
    let body = json!({ "count": count });
    let made = expect(
        200,
        mfa(harness, Method::POST, "recovery-codes", token).json(&body),
    )
    .await;
    serde_json::from_value(made["recovery_codes"].clone()).unwrap()
}

/// A login that waits: its token and its challenge.
async fn waiting(harness: &Harness, email: &str) -> (String, String) {
    let answer = expect(200, login(harness, "euser", email, PASSWORD)).await;
    assert_eq!(answer["mfa_required"], true, "{answer}");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&answer["token"]), text(&answer["mfa_challenge"]["id"]))
}

pub(super) fn complete(
    harness: &Harness,
    pending: &(String, String),
    method: &str,
    code: &str,
) -> reqwest::RequestBuilder {
    let path = format!("challenges/{}/verify", pending.1);
    mfa(harness, Method::POST, &path, &pending.0).json(&json!({ "method": method, "code": code }))
}

/// Waits until revocations are known at a time that has been set.
pub(super) async fn known_again(harness: &Harness, token: &str) {
    eventually_async("revocations are known", || async {
        let response = mfa(harness, Method::GET, "factors", token)
            .send()
            .await
            .unwrap();
        (response.status() != 503).then_some(())
    })
    .await;
}

testkit::on_both_backends! {
    async fn who_has_enabled_a_factor_signs_in_with_a_code_of_it(backend: Backend) {
        let harness = stopped(&backend).start().await;
        let first = token(register(&harness, "seb@x.dev", PASSWORD)).await;
        let started = start(&harness, &first).await;
        let factor = &started["mfa_factor"];
        assert_eq!((&factor["status"], &factor["provider"], &factor["label"]), (&json!("pending"), &json!("totp"), &json!("phone")));
        let (secret, url) = (started["secret"].as_str().unwrap(), started["otpauth_url"].as_str().unwrap());
        assert!(url.starts_with("otpauth://totp/") && url.contains(secret) && url.contains("issuer=Slipway"), "{url}");
        // One that isn't enabled is asked for by nobody.
        assert!(expect(200, login(&harness, "euser", "seb@x.dev", PASSWORD)).await.get("mfa_required").is_none());
        let id = factor["id"].as_str().unwrap();
        let refused = expect(400, verify(&harness, &first, id, &wrong(&harness, secret))).await;
        assert_eq!((&refused["type"], &refused["message"]), (&json!("not_allowed"), &json!("Invalid TOTP code")));
        let enabled = expect(200, verify(&harness, &first, id, &code(&harness, secret, -1))).await;
        assert_eq!(enabled["mfa_factor"]["status"], "enabled");
        let listed = expect(200, mfa(&harness, Method::GET, "factors", &first)).await;
        assert_eq!(listed["mfa_factors"], json!([enabled["mfa_factor"]]));
        assert!(!listed.to_string().contains(secret), "{listed}");

        let answer = expect(200, login(&harness, "euser", "seb@x.dev", PASSWORD)).await;
        assert_eq!(answer["mfa_required"], true);
        let challenge = &answer["mfa_challenge"];
        assert_eq!((&challenge["methods"], &challenge["attempts"], &challenge["max_attempts"]), (&json!(["totp"]), &json!(0), &json!(5)));
        let pending = (answer["token"].as_str().unwrap().to_owned(), challenge["id"].as_str().unwrap().to_owned());
        assert_eq!(part(&pending.0, 0)["typ"], "mfa+jwt");
        assert_eq!((&claims(&pending.0)["actor_id"], &claims(&pending.0)["scope"]), (&json!(""), &json!("")));

        let done = token(complete(&harness, &pending, "totp", &code(&harness, secret, 0))).await;
        assert_eq!((&part(&done, 0)["typ"], &claims(&done)["sub"]), (&json!("at+jwt"), &claims(&first)["sub"]));
        assert_eq!(claims(&done)["auth_provider"], "emailpass");
        expect(200, refresh(&harness, &done)).await;
        let again = expect(400, complete(&harness, &pending, "totp", &code(&harness, secret, 1))).await;
        assert_eq!(again["message"], "MFA challenge has already been completed");
        harness.stop().await;
    }

    async fn no_way_to_a_token_goes_around_the_second_factor(backend: Backend) {
        let harness = stopped(&backend).start().await;
        let _secured = secured(&harness, "seb@x.dev").await;
        let body = credentials("seb@x.dev", PASSWORD);
        for request in [
            login(&harness, "euser", "seb@x.dev", PASSWORD),
            harness.request(Method::GET, "auth", "/auth/euser/emailpass").json(&body),
            // A registration that was left half done goes on as a login does.
            register(&harness, "seb@x.dev", PASSWORD),
            post(&harness, "/api/users/login", &body),
        ] {
            let answer = expect(200, request).await;
            assert_eq!((&answer["mfa_required"], &part(answer["token"].as_str().unwrap(), 0)["typ"]), (&json!(true), &json!("mfa+jwt")), "{answer}");
            assert!(answer["mfa_challenge"]["id"].is_string(), "{answer}");
        }
        harness.stop().await;
    }

    async fn a_pending_token_is_good_for_its_own_challenge_and_a_session_only(backend: Backend) {
        let harness = stopped(&backend).start().await;
        let seb = secured(&harness, "seb@x.dev").await;
        let eve = secured(&harness, "eve@x.dev").await;
        let pending = waiting(&harness, "seb@x.dev").await;
        let answers = [
            refresh(&harness, &pending.0),
            mfa(&harness, Method::GET, "factors", &pending.0),
            mfa(&harness, Method::POST, "factors", &pending.0).json(&json!({ "provider": "totp" })),
            verify(&harness, &pending.0, &seb.factor, &code(&harness, &seb.secret, 0)),
            mfa(&harness, Method::DELETE, &format!("factors/{}", seb.factor), &pending.0),
            mfa(&harness, Method::POST, "recovery-codes", &pending.0),
            harness.request(Method::GET, "auth", "/auth/sessions").bearer_auth(&pending.0),
            harness.request(Method::DELETE, "auth", "/auth/sessions").bearer_auth(&pending.0),
        ];
        for answer in answers {
            assert_eq!(expect(401, answer).await["message"], "Unauthorized");
        }
        // Another's challenge looks like none, and so does another login's of one's own.
        let others = waiting(&harness, "eve@x.dev").await;
        let later = waiting(&harness, "seb@x.dev").await;
        for challenge in [&others.1, &later.1, &"mfachal_01h455vb4pex5vsknk084sn02q".to_owned()] {
            let crossed = (pending.0.clone(), challenge.clone());
            let refused = expect(404, complete(&harness, &crossed, "totp", &code(&harness, &eve.secret, 0))).await;
            assert_eq!(refused["message"], format!("MFA challenge with id \"{challenge}\" was not found"));
        }
        // A whole token completes nothing.
        let whole = (seb.token.clone(), pending.1.clone());
        expect(401, complete(&harness, &whole, "totp", &code(&harness, &seb.secret, 0))).await;
        token(complete(&harness, &pending, "totp", &code(&harness, &seb.secret, 0))).await;
        // The login is over: its token begins no session any more.
        expect(401, begin(&harness, &pending.0)).await;
        harness.stop().await;
    }

    async fn completing_a_login_gives_a_session_of_its_own(backend: Backend) {
        let harness = stopped(&backend).start().await;
        let seb = secured(&harness, "seb@x.dev").await;
        let pending = waiting(&harness, "seb@x.dev").await;
        let before = browser(begin(&harness, &pending.0)).await;
        assert_eq!(before.answer["user"]["actor_id"], "");
        let by_cookie = traded(&harness, &before.cookie).await;
        assert_eq!(part(&by_cookie, 0)["typ"], "mfa+jwt");
        expect(401, refresh(&harness, &by_cookie)).await;
        // It isn't among those in which she is signed in.
        let sessions = harness.request(Method::GET, "auth", "/auth/sessions").bearer_auth(&seb.token);
        assert_eq!(expect(200, sessions).await["sessions"], json!([]));

        let pending = (by_cookie.clone(), pending.1);
        let response = complete(&harness, &pending, "totp", &code(&harness, &seb.secret, 0)).send().await.unwrap();
        let after = cookie_in(&response).unwrap();
        assert_ne!(after, before.cookie);
        let answer: Value = response.json().await.unwrap();
        expect(404, exchange(&harness, &before.cookie).await).await;
        expect(401, begin(&harness, &by_cookie)).await;
        assert_eq!(part(&traded(&harness, &after).await, 0)["typ"], "at+jwt");
        // As clients do next: the new token begins another.
        let own = begin(&harness, answer["token"].as_str().unwrap()).header("cookie", format!("connect.sid={after}"));
        let own = browser(own).await;
        expect(404, exchange(&harness, &after).await).await;
        expect(200, exchange(&harness, &own.cookie).await).await;
        harness.stop().await;
    }

    async fn a_code_is_taken_once(backend: Backend) {
        let harness = stopped(&backend).start().await;
        let seb = secured(&harness, "seb@x.dev").await;
        let used = code(&harness, &seb.secret, -1);
        let pending = waiting(&harness, "seb@x.dev").await;
        let refused = expect(400, complete(&harness, &pending, "totp", &used)).await;
        assert_eq!((&refused["type"], &refused["message"]), (&json!("not_allowed"), &json!("Invalid MFA challenge code")));
        let right = code(&harness, &seb.secret, 0);
        token(complete(&harness, &pending, "totp", &right)).await;
        let next = waiting(&harness, "seb@x.dev").await;
        expect(400, complete(&harness, &next, "totp", &right)).await;
        // Nor is one of before the last that was taken.
        expect(400, complete(&harness, &next, "totp", &used)).await;
        token(complete(&harness, &next, "totp", &code(&harness, &seb.secret, 1))).await;
        harness.stop().await;
    }

    async fn of_two_who_show_one_code_at_once_one_is_let_in(backend: Backend) {
        let harness = stopped(&backend).start().await;
        let seb = secured(&harness, "seb@x.dev").await;
        let codes = recovery_codes(&harness, &seb.token, 3).await;
        let right = code(&harness, &seb.secret, 0);
        for (method, code) in [("totp", right.as_str()), ("recovery_code", codes[0].as_str())] {
            let logins = [waiting(&harness, "seb@x.dev").await, waiting(&harness, "seb@x.dev").await];
            let [one, other] = logins.each_ref().map(|login| complete(&harness, login, method, code).send());
            let (one, other) = tokio::join!(one, other);
            let mut statuses = [one.unwrap().status().as_u16(), other.unwrap().status().as_u16()];
            statuses.sort_unstable();
            assert_eq!(statuses, [200, 400], "{method}");
        }
        // One login is completed once, even with two codes that are both right.
        let login = waiting(&harness, "seb@x.dev").await;
        let both = [&codes[1], &codes[2]].map(|code| complete(&harness, &login, "recovery_code", code).send());
        let [one, other] = both;
        let (one, other) = tokio::join!(one, other);
        let mut statuses = [one.unwrap().status().as_u16(), other.unwrap().status().as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 400]);
        harness.stop().await;
    }

    async fn a_challenge_takes_five_codes_also_at_once(backend: Backend) {
        let harness = stopped(&backend).start().await;
        let seb = secured(&harness, "seb@x.dev").await;
        let (wrong, right) = (wrong(&harness, &seb.secret), code(&harness, &seb.secret, 0));
        let pending = waiting(&harness, "seb@x.dev").await;
        for _ in 0..4 {
            let refused = expect(400, complete(&harness, &pending, "totp", &wrong)).await;
            assert_eq!(refused["message"], "Invalid MFA challenge code");
        }
        for code in [&wrong, &right] {
            let refused = expect(400, complete(&harness, &pending, "totp", code)).await;
            assert_eq!((&refused["type"], &refused["message"]), (&json!("not_allowed"), &json!("MFA challenge has too many failed attempts")));
        }
        // A closed one begins no session, and the next login goes on.
        expect(401, begin(&harness, &pending.0)).await;
        let next = waiting(&harness, "seb@x.dev").await;
        let tries = (0..12).map(|_| complete(&harness, &next, "totp", &wrong).send());
        let tries: Vec<_> = tries.map(tokio::spawn).collect();
        let mut taken = 0;
        for tried in tries {
            let body: Value = tried.await.unwrap().unwrap().json().await.unwrap();
            taken += u32::from(body["message"] == "Invalid MFA challenge code");
        }
        assert_eq!(taken, 4, "the fifth says that it was the last");
        harness.stop().await;
    }

    async fn wrong_codes_slow_down_across_logins(backend: Backend) {
        let clock = Clock::manual(Clock::system().now());
        let harness = auth(&backend).clock(clock.clone()).start().await;
        let seb = secured(&harness, "seb@x.dev").await;
        let bad = wrong(&harness, &seb.secret);
        for _ in 0..2 {
            let pending = waiting(&harness, "seb@x.dev").await;
            for _ in 0..5 {
                expect(400, complete(&harness, &pending, "totp", &bad)).await;
            }
        }
        let pending = waiting(&harness, "seb@x.dev").await;
        let right = code(&harness, &seb.secret, 0);
        let response = complete(&harness, &pending, "totp", &right).send().await.unwrap();
        assert_eq!(response.status(), 429);
        assert!(response.headers().contains_key("retry-after"));
        clock.advance(Span::seconds(31));
        known_again(&harness, &seb.token).await;
        token(complete(&harness, &pending, "totp", &code(&harness, &seb.secret, 0))).await;
        harness.stop().await;
    }

    async fn a_challenge_has_five_minutes(backend: Backend) {
        let clock = Clock::manual(Clock::system().now());
        let harness = auth(&backend).clock(clock.clone()).start().await;
        let seb = secured(&harness, "seb@x.dev").await;
        let pending = waiting(&harness, "seb@x.dev").await;
        let session = browser(begin(&harness, &pending.0)).await;
        // Its token is good for as long, and for what clocks may differ.
        clock.advance(Span::seconds(301));
        known_again(&harness, &seb.token).await;
        let refused = expect(400, complete(&harness, &pending, "totp", &code(&harness, &seb.secret, 0))).await;
        assert_eq!(refused["message"], "MFA challenge has expired");
        expect(404, exchange(&harness, &session.cookie).await).await;
        harness.stop().await;
    }

    async fn a_recovery_code_is_good_once_and_new_ones_take_their_place(backend: Backend) {
        let harness = stopped(&backend).start().await;
        let plain = token(register(&harness, "ada@x.dev", PASSWORD)).await;
        let refused = expect(400, mfa(&harness, Method::POST, "recovery-codes", &plain)).await;
        assert_eq!((&refused["type"], &refused["message"]), (&json!("not_allowed"), &json!("Recovery codes require an enabled MFA factor")));

        let seb = secured(&harness, "seb@x.dev").await;
        for count in [0, 51, -1] {
            let body = json!({ "count": count });
            let refused = expect(400, mfa(&harness, Method::POST, "recovery-codes", &seb.token).json(&body)).await;
            assert_eq!(refused["type"], "invalid_data");
        }
        let default = expect(200, mfa(&harness, Method::POST, "recovery-codes", &seb.token)).await;
        assert_eq!(default["recovery_codes"].as_array().unwrap().len(), 10);
        let old = default["recovery_codes"][0].as_str().unwrap().to_owned();
        let codes = recovery_codes(&harness, &seb.token, 2).await;
        let answer = expect(200, login(&harness, "euser", "seb@x.dev", PASSWORD)).await;
        assert_eq!(answer["mfa_challenge"]["methods"], json!(["totp", "recovery_code"]));
        let pending = (answer["token"].as_str().unwrap().to_owned(), answer["mfa_challenge"]["id"].as_str().unwrap().to_owned());
        expect(400, complete(&harness, &pending, "recovery_code", &old)).await;
        // A code of one method is none of the other.
        expect(400, complete(&harness, &pending, "totp", &codes[0])).await;
        let refused = expect(400, complete(&harness, &pending, "sms", &codes[0])).await;
        assert_eq!((&refused["type"], &refused["message"]), (&json!("invalid_data"), &json!("MFA challenge does not support method \"sms\"")));
        let typed = codes[0].replace('-', " ").to_uppercase();
        token(complete(&harness, &pending, "recovery_code", &typed)).await;
        let next = waiting(&harness, "seb@x.dev").await;
        expect(400, complete(&harness, &next, "recovery_code", &codes[0])).await;
        token(complete(&harness, &next, "recovery_code", &codes[1])).await;
        let last = expect(200, login(&harness, "euser", "seb@x.dev", PASSWORD)).await;
        assert_eq!(last["mfa_challenge"]["methods"], json!(["totp"]));
        harness.stop().await;
    }

    async fn factors_change_soon_after_signing_in_or_by_a_code(backend: Backend) {
        let clock = Clock::manual(Clock::system().now());
        let harness = auth(&backend).clock(clock.clone()).start().await;
        let seb = secured(&harness, "seb@x.dev").await;
        let ada = token(register(&harness, "ada@x.dev", PASSWORD)).await;
        let body = json!({ "provider": "totp" });
        let refused = expect(400, mfa(&harness, Method::POST, "factors", &seb.token).json(&body)).await;
        assert_eq!(refused["message"], "An active TOTP factor already exists for this auth identity");
        let refused = expect(400, mfa(&harness, Method::POST, "factors", &ada).json(&json!({ "provider": "sms" }))).await;
        assert_eq!(refused["type"], "invalid_data");

        clock.advance(Span::minutes(11));
        known_again(&harness, &seb.token).await;
        let path = format!("factors/{}", seb.factor);
        let disable = |body: Value| mfa(&harness, Method::DELETE, &path, &seb.token).json(&body);
        for refused in [
            mfa(&harness, Method::POST, "factors", &ada).json(&body),
            mfa(&harness, Method::POST, "recovery-codes", &seb.token),
            disable(json!({})),
        ] {
            let refused = expect(403, refused).await;
            assert_eq!((&refused["code"], &refused["type"]), (&json!("sign_in_too_old"), &json!("not_allowed")));
        }
        let refused = expect(400, disable(json!({ "code": wrong(&harness, &seb.secret) }))).await;
        assert_eq!(refused["message"], "Invalid MFA verification code");
        let right = code(&harness, &seb.secret, 0);
        let codes = json!({ "code": right });
        expect(200, mfa(&harness, Method::POST, "recovery-codes", &seb.token).json(&codes)).await;
        expect(400, disable(json!({ "code": right }))).await;
        expect(200, disable(json!({ "method": "totp", "code": code(&harness, &seb.secret, 1) }))).await;
        // Signing in anew is as good.
        let ada = token(login(&harness, "euser", "ada@x.dev", PASSWORD)).await;
        expect(200, mfa(&harness, Method::POST, "factors", &ada).json(&body)).await;
        harness.stop().await;
    }

    async fn a_factor_that_is_disabled_is_asked_for_no_more_and_other_sessions_end(backend: Backend) {
        let harness = stopped(&backend).start().await;
        let seb = secured(&harness, "seb@x.dev").await;
        let codes = recovery_codes(&harness, &seb.token, 1).await;
        let (here, elsewhere) = (browser(begin(&harness, &seb.token)).await, browser(begin(&harness, &seb.token)).await);
        let current = traded(&harness, &here.cookie).await;
        let path = format!("factors/{}", seb.factor);
        let disabled = expect(200, mfa(&harness, Method::DELETE, &path, &current)).await;
        assert_eq!(disabled["mfa_factor"]["status"], "disabled");
        expect(200, exchange(&harness, &here.cookie).await).await;
        expect(404, exchange(&harness, &elsewhere.cookie).await).await;
        let again = expect(200, mfa(&harness, Method::DELETE, &path, &current)).await;
        assert_eq!(again, disabled);
        let refused = expect(400, verify(&harness, &current, &seb.factor, &code(&harness, &seb.secret, 1))).await;
        assert_eq!(refused["message"], "Disabled MFA factors cannot be verified");
        let answer = expect(200, login(&harness, "euser", "seb@x.dev", PASSWORD)).await;
        assert!(answer.get("mfa_required").is_none(), "{answer}");

        // A new one has codes of its own.
        let fresh = start(&harness, &current).await;
        let (id, secret) = (fresh["mfa_factor"]["id"].as_str().unwrap(), fresh["secret"].as_str().unwrap());
        assert_ne!(secret, seb.secret);
        expect(400, verify(&harness, &current, id, &code(&harness, &seb.secret, 0))).await;
        expect(200, verify(&harness, &current, id, &code(&harness, secret, 0))).await;
        let pending = waiting(&harness, "seb@x.dev").await;
        let refused = expect(400, complete(&harness, &pending, "recovery_code", &codes[0])).await;
        assert_eq!(refused["message"], "MFA challenge does not support method \"recovery_code\"");
        harness.stop().await;
    }

    async fn anothers_factor_looks_like_none(backend: Backend) {
        let harness = stopped(&backend).start().await;
        let seb = secured(&harness, "seb@x.dev").await;
        let eve = token(register(&harness, "eve@x.dev", PASSWORD)).await;
        let refused = expect(404, verify(&harness, &eve, &seb.factor, &code(&harness, &seb.secret, 0))).await;
        assert_eq!(refused["message"], format!("MFA factor with id \"{}\" was not found", seb.factor));
        expect(404, mfa(&harness, Method::DELETE, &format!("factors/{}", seb.factor), &eve)).await;
        assert_eq!(expect(200, mfa(&harness, Method::GET, "factors", &eve)).await["mfa_factors"], json!([]));
        token(complete(&harness, &waiting(&harness, "seb@x.dev").await, "totp", &code(&harness, &seb.secret, 0))).await;
        harness.stop().await;
    }

    async fn a_set_up_that_is_begun_anew_forgets_the_one_before(backend: Backend) {
        let harness = stopped(&backend).start().await;
        let seb = token(register(&harness, "seb@x.dev", PASSWORD)).await;
        let first = start(&harness, &seb).await;
        let both = [&seb, &seb].map(|token| mfa(&harness, Method::POST, "factors", token).json(&json!({ "provider": "totp" })).send());
        let [one, other] = both;
        let (one, other) = tokio::join!(one, other);
        assert_eq!([one.unwrap().status().as_u16(), other.unwrap().status().as_u16()], [200, 200]);
        let listed = expect(200, mfa(&harness, Method::GET, "factors", &seb)).await;
        assert_eq!(listed["mfa_factors"].as_array().unwrap().len(), 1, "{listed}");
        let (id, secret) = (first["mfa_factor"]["id"].as_str().unwrap(), first["secret"].as_str().unwrap());
        expect(404, verify(&harness, &seb, id, &code(&harness, secret, 0))).await;
        harness.stop().await;
    }

    async fn a_login_that_waits_ends_with_a_generation(backend: Backend) {
        let harness = stopped(&backend).start().await;
        let seb = secured(&harness, "seb@x.dev").await;
        let pending = waiting(&harness, "seb@x.dev").await;
        let id: common::id::IdentityId = claims(&seb.token)["sub"].as_str().unwrap().parse().unwrap();
        let now = harness.clock.now();
        db(&harness).write(move |db| slipway_auth::identities::revoke_all(db, &id, now)).await.unwrap();
        expect(401, complete(&harness, &pending, "totp", &code(&harness, &seb.secret, 0))).await;
        harness.stop().await;
    }

    async fn secrets_are_sealed_and_recovery_codes_kept_as_digests(backend: Backend) {
        let harness = stopped(&backend).start().await;
        let seb = secured(&harness, "seb@x.dev").await;
        let codes = recovery_codes(&harness, &seb.token, 1).await;
        let (sealed, digests): (Vec<Vec<u8>>, Vec<String>) = db(&harness)
            .read(|db| {
                use diesel::prelude::*;
                #[derive(QueryableByName)]
                struct Sealed {
                    #[diesel(sql_type = diesel::sql_types::Binary)]
                    sealed_secret: Vec<u8>,
                }
                #[derive(QueryableByName)]
                struct Kept {
                    #[diesel(sql_type = diesel::sql_types::Text)]
                    digest: String,
                }
                let sealed: Vec<Sealed> = diesel::sql_query("SELECT sealed_secret FROM mfa_factors").load(db)?;
                let kept: Vec<Kept> = diesel::sql_query("SELECT digest FROM mfa_recovery_codes").load(db)?;
                Ok::<_, diesel::result::Error>((
                    sealed.into_iter().map(|row| row.sealed_secret).collect(),
                    kept.into_iter().map(|row| row.digest).collect(),
                ))
            })
            .await
            .unwrap();
        let secret = Secret::try_from_base32(&seb.secret).unwrap();
        assert_eq!(sealed.len(), 1);
        assert!(!sealed[0].windows(20).any(|window| window == secret.as_bytes()));
        let plain = codes[0].replace('-', "");
        assert!(digests.len() == 1 && digests[0].len() == 64 && !digests[0].contains(&plain));
        harness.stop().await;
    }
}
