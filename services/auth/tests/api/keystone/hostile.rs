//! What must not come through at the pages, and what they must not show.

use slipway_auth::requests::OPEN_BY_ADDRESS;
use testkit::github::{CLIENT_ID, CLIENT_SECRET, Mood, OauthApp};

use super::*;

async fn is_answered(harness: &Harness, asked: &Value) -> bool {
    expect(200, poll(harness, asked)).await["answered"]
        .as_bool()
        .unwrap()
}

testkit::on_both_backends! {
    async fn the_page_shows_who_asks_and_can_be_framed_scripted_or_kept_by_nobody(backend: Backend) {
        let (harness, github) = with_github(&backend, present()).await;
        let asked = ask(&harness).await;
        let page = Browser::default().get(&harness, &path_of(&asked)).await;
        let header = |name: &str| page.headers()[name].to_str().unwrap().to_owned();
        let policy = header("content-security-policy");
        let github_at = github.settings().iter().find(|(key, _)| *key == "github.web_url").unwrap().1.clone();
        for part in ["default-src 'none'", "frame-ancestors 'none'", &format!("form-action 'self' {github_at}")] {
            assert!(policy.contains(part), "{policy}");
        }
        assert!(!policy.contains("script-src") && !policy.contains("unsafe"), "{policy}");
        assert_eq!((header("cache-control"), header("x-content-type-options")), ("no-store".into(), "nosniff".into()));
        let cookie = header("set-cookie");
        for part in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=600"] {
            assert!(cookie.contains(part), "{cookie}");
        }
        let text = page.text().await.unwrap();
        let code = asked["user_code"].as_str().unwrap();
        assert!(text.contains(code) && text.contains("127.0.0.1") && text.contains(asked["created_at"].as_str().unwrap()), "{text}");
        assert!(!text.contains(asked["temporary_code"].as_str().unwrap()) && !text.contains("<script") && !text.contains("http"), "{text}");
        harness.stop().await;
    }

    async fn a_click_counts_only_from_our_page_in_the_same_browser(backend: Backend) {
        let (harness, _github) = with_github(&backend, present()).await;
        let asked = ask(&harness).await;
        let path = path_of(&asked);
        let mut browser = Browser::default();
        let proof = proof_in(&browser.get(&harness, &path).await.text().await.unwrap());
        let other = ask(&harness).await;
        let mut stranger = Browser::default();
        let strange_proof = proof_in(&stranger.get(&harness, &path).await.text().await.unwrap());

        // Another site's form has no proof or that of its own browser, and a browser that knows says so.
        let cookie = browser.0.clone().unwrap();
        let forged = [
            decide(&harness, &path, &proof, "continue"),
            decide(&harness, &path, "", "continue").header("cookie", &cookie),
            decide(&harness, &path, &strange_proof, "continue").header("cookie", &cookie),
            decide(&harness, &path_of(&other), &proof, "continue").header("cookie", &cookie),
            decide(&harness, &path, &proof, "continue").header("cookie", &cookie).header("sec-fetch-site", "cross-site"),
        ];
        for form in forged {
            let refused = form.send().await.unwrap();
            assert_eq!(refused.status(), 403, "{}", refused.text().await.unwrap());
        }
        assert_eq!(browser.click(&harness, &asked, "continue").await.status(), 303);
        // It is this browser's now.
        assert_eq!(stranger.get(&harness, &path).await.status(), 409);
        assert_eq!(stranger.send(decide(&harness, &path, &strange_proof, "continue")).await.status(), 409);
        assert_eq!(stranger.send(decide(&harness, &path, &strange_proof, "decline")).await.status(), 409);
        assert_eq!(browser.click(&harness, &asked, "continue").await.status(), 303);
        harness.stop().await;
    }

    async fn what_comes_back_counts_only_in_the_browser_that_went_and_once(backend: Backend) {
        let clock = present();
        let (harness, github) = with_github(&backend, clock.clone()).await;
        let (ours, theirs) = (ask(&harness).await, ask(&harness).await);
        let (mut ada, mut mallory) = (Browser::default(), Browser::default());
        let back = ada.consent(&harness, &github, &ours, "ada").await;
        let evil = mallory.consent(&harness, &github, &theirs, "ben").await;

        // Mallory has Ada's browser come back with what is Mallory's, and takes Ada's for herself.
        assert_eq!(ada.come_back(&harness, &evil).await.0, 400);
        assert_eq!(mallory.come_back(&harness, &back).await.0, 400);
        assert_eq!(Browser::default().come_back(&harness, &back).await.0, 400);
        // Ada's state at the address of the other request, and the other state at Ada's.
        let mut swapped = back.clone();
        swapped.set_path(evil.path());
        assert_eq!(ada.come_back(&harness, &swapped).await.0, 400);
        let mut swapped = evil.clone();
        swapped.set_path(back.path());
        assert_eq!(ada.come_back(&harness, &swapped).await.0, 400);
        assert!(!is_answered(&harness, &ours).await && !is_answered(&harness, &theirs).await);

        let (one, two) = (ada.0.clone(), ada.0.clone());
        let (mut one, mut two) = (Browser(one), Browser(two));
        let (one, two) = tokio::join!(one.come_back(&harness, &back), two.come_back(&harness, &back));
        let mut both = [one.0, two.0];
        both.sort_unstable();
        assert_eq!(both, [200, 400], "of two at once one");
        assert_eq!(ada.come_back(&harness, &back).await.0, 400);
        clock.advance(Span::seconds(2));
        assert!(is_answered(&harness, &ours).await && !is_answered(&harness, &theirs).await);
        harness.stop().await;
    }

    async fn a_name_at_github_is_text_and_nothing_else(backend: Backend) {
        let (harness, github) = with_github(&backend, present()).await;
        let evil = "<script>alert('\u{1f984}')</script>\"\u{202e}";
        github.add(Person { name: Some(format!("{evil}\0\r\n")), ..Person::new(666, evil, "", "e@x.dev") });
        let asked = ask(&harness).await;
        let mut browser = Browser::default();
        let back = browser.consent(&harness, &github, &asked, evil).await;
        let (status, page) = browser.come_back(&harness, &back).await;
        assert_eq!(status, 200);
        assert!(page.contains("&lt;script&gt;alert(&#39;\u{1f984}&#39;)&lt;/script&gt;&quot;"), "{page}");
        assert!(!page.contains("<script") && !page.contains('\u{202e}'), "{page}");
        let code = auth_code(&harness, &asked).await;
        let done = expect(200, complete(&harness, &code, &Receiver::new(false).jwk())).await;
        assert_eq!((&done["username"], &done["fullname"]), (&json!(evil), &json!(evil)));
        harness.stop().await;
    }

    async fn github_in_a_bad_mood_ends_no_login(backend: Backend) {
        let clock = present();
        let (harness, github) = with_github(&backend, clock.clone()).await;
        let asked = ask(&harness).await;
        let mut browser = Browser::default();
        for (mood, status) in [(Mood::Status(500), 502), (Mood::Garbage, 502), (Mood::Status(503), 503)] {
            let back = browser.consent(&harness, &github, &asked, "ada").await;
            github.set_mood(mood);
            let (got, page) = browser.come_back(&harness, &back).await;
            assert_eq!(got, status, "{page}");
            assert!(page.contains("GitHub") && page.contains("Try again") && !page.contains("Unicorn"), "{page}");
            github.set_mood(Mood::Well);
        }
        assert!(!is_answered(&harness, &asked).await);
        clock.advance(Span::seconds(2));
        browser.answer(&harness, &github, &asked, "ada").await;
        auth_code(&harness, &asked).await;
        harness.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_login_requests_of_one_address_keep_nobody_else_out() {
    let backend = Backend::sqlite();
    let (harness, _github) = with_github(&backend, present()).await;
    let url = harness
        .platform()
        .directory()
        .get("auth")
        .unwrap()
        .api
        .clone();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut flood = Vec::new();
    for _ in 0..20 {
        let (client, url) = (client.clone(), format!("{url}/login-request"));
        flood.push(tokio::spawn(async move {
            let mut taken = 0_i64;
            for _ in 0..500 {
                match client.post(&url).send().await.unwrap().status().as_u16() {
                    200 => taken += 1,
                    other => assert_eq!(other, 429),
                }
            }
            taken
        }));
    }
    let mut taken = 0;
    for part in flood {
        taken += part.await.unwrap();
    }
    assert_eq!(taken, OPEN_BY_ADDRESS, "of 10,000");

    // Somebody else, whose address the gateway tells, is served.
    let gateway = service_token(&harness, "v1api", "auth").await;
    let other = harness
        .request(Method::POST, "auth", "/login-request")
        .header("slipway-client-address", "198.51.100.7")
        .header("slipway-gateway-token", gateway);
    expect(200, other).await;
    harness.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_github_app_takes_one_address_to_the_letter() {
    let backend = Backend::sqlite();
    let github = Github::start(PUBLIC, common::time::Clock::system());
    github.add(Person::new(1, "ada", "Ada", "ada@x.dev"));
    let callback = format!("{PUBLIC}/auth-redirect");
    github.register(OauthApp {
        exact: true,
        ..OauthApp::new(CLIENT_ID, CLIENT_SECRET, &callback)
    });
    let mut builder = auth(&backend).setting("github.exact_callback", "true");
    for (key, value) in github.settings() {
        builder = builder.setting(key, &value);
    }
    let harness = builder.start().await;
    let asked = ask(&harness).await;
    let mut browser = Browser::default();
    let back = browser.consent(&harness, &github, &asked, "ada").await;
    assert_eq!(back.path(), "/auth-redirect");
    assert_eq!(browser.come_back(&harness, &back).await.0, 200);
    auth_code(&harness, &asked).await;
    harness.stop().await;
}
