//! What must not come through, and GitHub in bad moods.

use common::time::Span;
use testkit::github::{Mood, OauthApp};

use super::*;

fn with(back: &Url, name: &str, value: &str) -> Url {
    let mut url = back.clone();
    let pairs: Vec<_> = back.query_pairs().into_owned().collect();
    let kept = pairs
        .iter()
        .map(|(key, old)| (key.as_str(), if key == name { value } else { old.as_str() }));
    url.query_pairs_mut().clear().extend_pairs(kept);
    url
}

fn value(url: &Url, name: &str) -> String {
    let found = url.query_pairs().find(|(key, _)| key == name);
    found.unwrap().1.into_owned()
}

testkit::on_both_backends! {
    async fn a_state_is_good_once_and_for_its_own_code_actor_and_browser(backend: Backend) {
        let clock = present();
        let (harness, github) = with_github(&backend, clock.clone()).await;
        let response = start(&harness).send().await.unwrap();
        let own = cookie(&response);
        let body: Value = response.json().await.unwrap();
        let back = github.consent(body["location"].as_str().unwrap(), "ada").await;
        let another = github.consent(&location(start(&harness)).await, "ben").await;

        let state = "No state provided, or session expired";
        for (wrong, said) in [
            (with(&back, "state", "unheard-of"), state),
            (with(&back, "state", ""), state),
            (with(&back, "state", &"x".repeat(5_000)), state),
        ] {
            let refused = expect(401, pass_on(&harness, &wrong)).await;
            assert_eq!((&refused["type"], &refused["message"]), (&json!("unauthorized"), &json!(said)));
        }
        expect(401, pass_on(&harness, &back).header("cookie", format!("slipway-oauth={}", "x".repeat(43)))).await;
        let path = format!("/auth/admin/github/callback?{}", back.query().unwrap());
        expect(400, harness.request(Method::GET, "auth", &path)).await;

        // Ben's code with the state of Ada's browser: GitHub holds it against the verifier.
        let swapped = with(&back, "code", &value(&another, "code"));
        expect(401, pass_on(&harness, &swapped).header("cookie", &own)).await;
        // That spent the state, and GitHub's code too.
        expect(401, pass_on(&harness, &back).header("cookie", &own)).await;
        expect(401, pass_on(&harness, &another)).await;

        let back = github.consent(&location(start(&harness)).await, "ada").await;
        let (one, two) = tokio::join!(pass_on(&harness, &back).send(), pass_on(&harness, &back).send());
        let mut both = [one.unwrap().status().as_u16(), two.unwrap().status().as_u16()];
        both.sort_unstable();
        assert_eq!(both, [200, 401], "of two at once one");
        expect(401, pass_on(&harness, &back)).await;

        let back = github.consent(&location(start(&harness)).await, "ada").await;
        clock.advance(Span::minutes(10));
        expect(401, pass_on(&harness, &back)).await;
        harness.stop().await;
    }

    async fn who_declines_is_told_so_and_the_state_is_spent(backend: Backend) {
        let (harness, github) = with_github(&backend, present()).await;
        let location = location(start(&harness)).await;
        let back = github.refuse(&location).await;
        let refused = expect(401, pass_on(&harness, &back)).await;
        let message = refused["message"].as_str().unwrap();
        assert!(message.starts_with("The user has denied your application access., read more at: "), "{message}");
        let back = github.consent(&location, "ada").await;
        expect(401, pass_on(&harness, &back)).await;
        let nothing = harness.request(Method::GET, "auth", &format!("{START}/callback"));
        assert_eq!(expect(401, nothing).await["message"], "No code provided");
        harness.stop().await;
    }

    async fn nobody_is_sent_to_a_callback_that_the_operator_does_not_know(backend: Backend) {
        let (harness, github) = with_github(&backend, present()).await;
        let ask = |url: &str| post(&harness, START, &json!({ "callback_url": url }));
        for evil in ["https://evil.example/x", "https://shop.example@evil.example/", "//evil.example", "javascript:alert(1)"] {
            let refused = expect(400, ask(evil)).await;
            assert_eq!(refused["type"], "not_allowed");
        }
        expect(400, post(&harness, START, &json!({ "callback_url": ["https://shop.example"] }))).await;
        let good = location(ask("https://shop.example/signed-in")).await;
        assert!(good.contains("redirect_uri=https%3A%2F%2Fshop.example%2Fsigned-in"), "{good}");

        // GitHub has a word in it, too; and what was asked for is what the code is exchanged with.
        let back = github.consent(&good, "ada").await;
        assert_eq!(value(&back, "error"), "redirect_uri_mismatch");
        github.register(OauthApp::new(testkit::github::CLIENT_ID, testkit::github::CLIENT_SECRET, "https://shop.example"));
        let back = github.consent(&location(ask("https://shop.example/signed-in")).await, "ada").await;
        token(pass_on(&harness, &back)).await;
        let forged = good.replace("signed-in", "elsewhere");
        let back = github.consent(&forged, "ada").await;
        expect(502, pass_on(&harness, &back)).await;
        harness.stop().await;
    }

    async fn a_code_without_our_verifier_is_worth_nothing(backend: Backend) {
        let (harness, github) = with_github(&backend, present()).await;
        // The code of a trip with another challenge: one that was injected.
        let url = Url::parse(&location(start(&harness)).await).unwrap();
        let injected = with(&url, "code_challenge", &"A".repeat(43));
        let back = github.consent(injected.as_str(), "ada").await;
        expect(401, pass_on(&harness, &back)).await;
        harness.stop().await;
    }

    async fn no_text_in_any_place_does_more_than_be_one(backend: Backend) {
        let (harness, github) = with_github(&backend, present()).await;
        let send = async |method: Method, path: &str, body: &Value| {
            let answer = harness.request(method, "auth", path).json(body).send().await.unwrap();
            let status = answer.status().as_u16();
            assert!(!answer.headers().contains_key("x-injected"), "{path}: {body}");
            let text = answer.text().await.unwrap();
            assert!((400..500).contains(&status), "{path} answers {status} to {body}: {text}");
            assert!(!text.contains("<script") || text.starts_with('{'), "{path}: {text}");
        };
        let key = json!({ "kty": "OKP", "crv": "X25519", "x": "weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ" });
        let whole = json!({ "account_type": "github", "token": "lrc_x", "public_key": key });
        for harm in crate::injection::HARMFUL {
            let text: String = harm.bytes().map(|byte| format!("%{byte:02x}")).collect();
            for path in [
                format!("/login-request?code={text}"),
                format!("/login-request/{text}"),
                format!("/auth-redirect/{text}?state={text}&code={text}"),
                format!("/auth-redirect?state={text}&error={text}&error_description={text}&error_uri={text}"),
                format!("{START}/callback?state={text}&code={text}"),
                format!("{START}/callback?error={text}&error_description={text}&error_uri={text}"),
                format!("/auth/{text}/github/callback?code=x"),
            ] {
                send(Method::GET, &path, &json!({})).await;
            }
            send(Method::POST, &format!("/auth/{text}/github"), &json!({})).await;
            send(Method::POST, START, &json!({ "callback_url": harm })).await;
            for field in ["account_type", "token", "public_key"] {
                let mut body = whole.clone();
                body[field] = harm.into();
                send(Method::POST, "/complete", &body).await;
            }
        }
        // All is still there.
        sign_in(&harness, &github, "ada").await;
        harness.stop().await;
    }

    async fn one_address_can_not_fill_the_table(backend: Backend) {
        let (harness, _github) = with_github(&backend, present()).await;
        for _ in 0..slipway_auth::requests::OPEN_BY_ADDRESS {
            location(start(&harness)).await;
        }
        let refused = start(&harness).send().await.unwrap();
        assert_eq!(refused.status(), 429);
        assert!(refused.headers()["retry-after"].to_str().unwrap().parse::<u32>().unwrap() <= 601);
        harness.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_github_answers_the_person_hears_what_is_wrong() {
    let backend = Backend::sqlite();
    let (harness, github) = with_github(&backend, present()).await;
    for (mood, status, code) in [
        (Mood::Status(500), 502, "github_failed"),
        (Mood::Status(404), 502, "github_failed"),
        (Mood::Status(302), 502, "github_failed"),
        (Mood::Status(503), 503, "github_unavailable"),
        (Mood::Status(429), 503, "github_unavailable"),
        (Mood::Garbage, 502, "github_unreadable"),
        (Mood::Endless, 502, "github_unreadable"),
        (Mood::Silent, 503, "github_unavailable"),
    ] {
        github.set_mood(Mood::Well);
        let back = github
            .consent(&location(start(&harness)).await, "ada")
            .await;
        github.set_mood(mood);
        let problem = expect(status, pass_on(&harness, &back)).await;
        assert_eq!(problem["code"], code, "{mood:?}");
        for secret in [
            testkit::github::CLIENT_SECRET,
            &value(&back, "code"),
            "Unicorn",
        ] {
            assert!(!problem.to_string().contains(secret), "{mood:?}: {problem}");
        }
    }
    github.set_mood(Mood::Well);
    github.register(OauthApp::new(
        testkit::github::CLIENT_ID,
        "a new secret",
        PUBLIC,
    ));
    let back = github
        .consent(&location(start(&harness)).await, "ada")
        .await;
    let problem = expect(502, pass_on(&harness, &back)).await;
    assert_eq!(problem["code"], "github_misconfigured");
    let back = github
        .consent(&location(start(&harness)).await, "ada")
        .await;
    drop(github);
    let problem = expect(503, pass_on(&harness, &back)).await;
    assert_eq!(problem["code"], "github_unavailable");
    harness.stop().await;
}
