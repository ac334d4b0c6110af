//! Completing a login.

use super::*;

testkit::on_both_backends! {
    async fn a_code_completes_one_login_also_for_two_at_once(backend: Backend) {
        let (harness, github) = with_github(&backend, present()).await;
        let code = answered(&harness, &github, "ada").await;
        let key = Receiver::new(false).jwk();
        let (one, two) = tokio::join!(complete(&harness, &code, &key).send(), complete(&harness, &code, &key).send());
        let mut both = [one.unwrap().status().as_u16(), two.unwrap().status().as_u16()];
        both.sort_unstable();
        assert_eq!(both, [200, 401]);
        assert_eq!(expect(401, complete(&harness, &code, &key)).await["code"], "invalid_code");
        harness.stop().await;
    }

    async fn a_key_or_type_that_can_not_be_used_spends_no_code(backend: Backend) {
        let (harness, github) = with_github(&backend, present()).await;
        let code = answered(&harness, &github, "ada").await;
        let off_curve = json!({ "kty": "EC", "crv": "P-256", "x": "A".repeat(43), "y": "A".repeat(43) });
        for key in [json!("the user public key"), json!(null), json!({}), off_curve] {
            let refused = expect(422, complete(&harness, &code, &key)).await;
            assert_eq!(refused["errors"][0]["field"], "public_key", "{refused}");
        }
        for (body, field) in [
            (json!({ "account_type": "gitlab", "token": code }), "account_type"),
            (json!({ "token": code }), "account_type"),
            (json!({ "account_type": "github" }), "token"),
            (json!({ "account_type": "github", "token": 7 }), "token"),
        ] {
            let refused = expect(422, post(&harness, "/complete", &body)).await;
            assert_eq!(refused["errors"][0]["field"], field);
            assert!(!refused.to_string().contains(&code));
        }
        expect(200, complete(&harness, &code, &Receiver::new(true).jwk())).await;
        harness.stop().await;
    }

    async fn a_token_of_this_app_completes_a_login_and_that_of_another_does_not(backend: Backend) {
        use testkit::github::{CLIENT_ID, OauthApp};
        let (harness, github) = with_github(&backend, present()).await;
        github.register(OauthApp::new("another", "app", "https://evil.example"));
        let key = Receiver::new(false).jwk();
        let own = github.token(CLIENT_ID, "ada");
        let done = expect(200, complete(&harness, &own, &key)).await;
        assert_eq!((&done["ext_id"], &done["email"]), (&json!("4711"), &json!("ada@x.dev")));
        // It is GitHub's to end: until then it is good again, and for the same person.
        let again = expect(200, complete(&harness, &own, &key)).await;
        assert_eq!((&again["id"], &again["user_id"]), (&done["id"], &done["user_id"]));

        let other = github.token("another", "ada");
        let refused = expect(401, complete(&harness, &other, &key)).await;
        assert_eq!(refused["code"], "token_of_another_app");
        assert!(!refused.to_string().contains(&other));
        let before = github.asked().len();
        for nonsense in ["gho_unknown token", "gho_\u{e9}", &"g".repeat(300), "../user", "a\r\nb"] {
            expect(401, complete(&harness, nonsense, &key)).await;
        }
        assert_eq!(github.asked().len(), before, "GitHub isn't bothered with what can't be a token");
        harness.stop().await;
    }

    async fn guessing_is_paced_by_address(backend: Backend) {
        let (harness, github) = with_github(&backend, present()).await;
        let good = answered(&harness, &github, "ada").await;
        let key = Receiver::new(false).jwk();
        for _ in 0..50 {
            expect(401, complete(&harness, "lrc_nonsense", &key)).await;
        }
        let paced = complete(&harness, "lrc_nonsense", &key).send().await.unwrap();
        assert_eq!(paced.status(), 429);
        assert!(paced.headers().contains_key("retry-after"));
        expect(429, complete(&harness, &good, &key)).await;
        harness.stop().await;
    }

    async fn a_key_may_come_as_text_or_pem(backend: Backend) {
        use base64::engine::general_purpose::STANDARD;
        let (harness, github) = with_github(&backend, present()).await;
        let receiver = Receiver::new(false);
        let code = answered(&harness, &github, "ada").await;
        let text = receiver.jwk().to_string();
        let done = expect(200, complete(&harness, &code, &text.into())).await;
        assert_eq!(claims(&receiver.read(done["token"].as_str().unwrap()))["ID"], done["id"]);

        let receiver = Receiver::new(true);
        let prefix = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x6e, 0x03, 0x21, 0x00];
        let der = STANDARD.encode([&prefix[..], &receiver.raw()].concat());
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{der}\n-----END PUBLIC KEY-----\n");
        let code = answered(&harness, &github, "ben").await;
        let done = expect(200, complete(&harness, &code, &pem.into())).await;
        assert_eq!(claims(&receiver.read(done["token"].as_str().unwrap()))["ID"], done["id"]);
        harness.stop().await;
    }
}
