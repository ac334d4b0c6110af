//! Polling: its pace, and how it ends.

use super::*;

testkit::on_both_backends! {
    async fn who_polls_too_fast_is_told_when_to_come_back(backend: Backend) {
        let clock = present();
        let (harness, github) = with_github(&backend, clock.clone()).await;
        let asked = ask(&harness).await;
        expect(200, poll(&harness, &asked)).await;
        Browser::default().answer(&harness, &github, &asked, "ada").await;
        let fast = poll(&harness, &asked).send().await.unwrap();
        assert_eq!((fast.status().as_u16(), fast.headers()["retry-after"].to_str().unwrap()), (429, "2"));
        let problem: Value = fast.json().await.unwrap();
        assert_eq!(problem["code"], "slow_down");
        assert!(!problem.to_string().contains("lrc_"), "{problem}");
        clock.advance(Span::seconds(2));
        auth_code(&harness, &asked).await;
        harness.stop().await;
    }

    async fn a_code_that_is_nobodys_is_unknown_and_an_old_one_has_ended(backend: Backend) {
        let clock = present();
        let (harness, _github) = with_github(&backend, clock.clone()).await;
        let asked = ask(&harness).await;
        let reference = path_of(&asked).rsplit('/').next().unwrap().to_owned();
        // What stands in the address polls nothing.
        for code in ["nonsense", &reference, &"x".repeat(5_000), ""] {
            let path = format!("/login-request?code={code}");
            expect(404, harness.request(Method::GET, "auth", &path)).await;
        }
        for wrong in ["/login-request", "/login-request?code=%00"] {
            expect(400, harness.request(Method::GET, "auth", wrong)).await;
        }
        for path in ["/login-request/%00", "/auth-redirect/%00?state=x&code=y"] {
            expect(404, harness.request(Method::GET, "auth", path)).await;
        }
        clock.advance(Span::minutes(10));
        let ended = expect(410, poll(&harness, &asked)).await;
        assert_eq!(ended["code"], "login_request_expired");
        let page = Browser::default().get(&harness, &path_of(&asked)).await;
        assert_eq!(page.status(), 410);
        harness.stop().await;
    }

    async fn who_declines_ends_it(backend: Backend) {
        let (harness, github) = with_github(&backend, present()).await;
        let here = ask(&harness).await;
        let mut browser = Browser::default();
        let page = browser.click(&harness, &here, "decline").await;
        assert_eq!(page.status(), 200);
        assert_eq!(browser.get(&harness, &path_of(&here)).await.status(), 410);

        let there = ask(&harness).await;
        let on = browser.click(&harness, &there, "continue").await;
        let back = github.refuse(on.headers()["location"].to_str().unwrap()).await;
        let (status, page) = browser.come_back(&harness, &back).await;
        assert!(status == 200 && page.contains("You have declined"), "{page}");
        for asked in [&here, &there] {
            assert_eq!(expect(403, poll(&harness, asked)).await["code"], "login_declined");
        }
        harness.stop().await;
    }

    async fn the_one_time_code_is_the_same_for_a_minute_and_then_nothing(backend: Backend) {
        let clock = present();
        let (harness, github) = with_github(&backend, clock.clone()).await;
        let asked = ask(&harness).await;
        Browser::default().answer(&harness, &github, &asked, "ada").await;
        // The minute begins when the program first sees it.
        clock.advance(Span::minutes(5));
        let code = auth_code(&harness, &asked).await;
        clock.advance(Span::seconds(30));
        assert_eq!(auth_code(&harness, &asked).await, code);
        clock.advance(Span::seconds(30));
        expect(410, poll(&harness, &asked)).await;
        let late = expect(401, complete(&harness, &code, &Receiver::new(false).jwk())).await;
        assert_eq!(late["code"], "code_expired");
        harness.stop().await;
    }
}
