//! Linking GitHub to somebody who is signed in.

use super::*;

fn link(harness: &Harness, token: &str) -> reqwest::RequestBuilder {
    post(harness, &format!("{START}/link"), &json!({})).bearer_auth(token)
}

testkit::on_both_backends! {
    async fn somebody_links_github_and_signs_in_by_either(backend: Backend) {
        let (harness, github) = with_github(&backend, present()).await;
        let known = token(register(&harness, "seb@x.dev", PASSWORD)).await;
        let back = github.consent(&location(link(&harness, &known)).await, "ada").await;
        let linked = token(pass_on(&harness, &back).bearer_auth(&known)).await;
        assert_eq!(claims(&linked)["sub"], claims(&known)["sub"]);
        assert_eq!(claims(&sign_in(&harness, &github, "ada").await)["sub"], claims(&known)["sub"]);
        token(login(&harness, "euser", "seb@x.dev", PASSWORD)).await;
        // Once more changes nothing.
        let back = github.consent(&location(link(&harness, &known)).await, "ada").await;
        token(pass_on(&harness, &back).bearer_auth(&known)).await;
        harness.stop().await;
    }

    async fn an_account_is_one_identitys_and_an_identity_has_one(backend: Backend) {
        let (harness, github) = with_github(&backend, present()).await;
        let ada = sign_in(&harness, &github, "ada").await;
        let seb = token(register(&harness, "seb@x.dev", PASSWORD)).await;
        let back = github.consent(&location(link(&harness, &seb)).await, "ada").await;
        let refused = expect(409, pass_on(&harness, &back).bearer_auth(&seb)).await;
        assert_eq!(refused["code"], "github_account_taken");
        let back = github.consent(&location(link(&harness, &ada)).await, "ben").await;
        let refused = expect(409, pass_on(&harness, &back).bearer_auth(&ada)).await;
        assert_eq!(refused["code"], "github_account_linked");
        assert_ne!(claims(&sign_in(&harness, &github, "ben").await)["sub"], claims(&ada)["sub"]);
        harness.stop().await;
    }

    async fn only_who_asked_to_link_can_come_back_for_it(backend: Backend) {
        let (harness, github) = with_github(&backend, present()).await;
        let mallory = token(register(&harness, "mallory@x.dev", PASSWORD)).await;
        let other = token(register(&harness, "other@x.dev", PASSWORD)).await;
        expect(401, post(&harness, &format!("{START}/link"), &json!({}))).await;
        expect(401, post(&harness, "/auth/admin/github/link", &json!({})).bearer_auth(&mallory)).await;

        // Mallory has Ada follow a link to GitHub; Ada's browser comes back without Mallory's
        // cookie, and with nobody's token or Ada's own.
        let response = link(&harness, &mallory).send().await.unwrap();
        let cookie = cookie(&response);
        let body: Value = response.json().await.unwrap();
        let back = github.consent(body["location"].as_str().unwrap(), "ada").await;
        expect(401, pass_on(&harness, &back)).await;
        expect(401, pass_on(&harness, &back).bearer_auth(&other)).await;
        expect(401, pass_on(&harness, &back).header("cookie", "slipway-oauth=x")).await;
        let ada = sign_in(&harness, &github, "ada").await;
        assert_ne!(claims(&ada)["sub"], claims(&mallory)["sub"]);

        // Whoever asked comes back by cookie as well as by token.
        let response = link(&harness, &mallory).header("cookie", &cookie).send().await.unwrap();
        let body: Value = response.json().await.unwrap();
        let back = github.consent(body["location"].as_str().unwrap(), "ben").await;
        let linked = token(pass_on(&harness, &back).header("cookie", &cookie)).await;
        assert_eq!(claims(&linked)["sub"], claims(&mallory)["sub"]);
        harness.stop().await;
    }
}
