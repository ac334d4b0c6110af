//! The document's own examples.

use super::*;

testkit::on_both_backends! {
    async fn the_documents_own_examples_are_answered_as_it_shows(backend: Backend) {
        let clock = present();
        let (harness, github) = with_github(&backend, clock.clone()).await;
        let asked = ask(&harness).await;
        assert!(asked["id"].as_i64().unwrap() > 0);
        assert_eq!((&asked["answered"], &asked["auth_code"], &asked["interval"]), (&json!(false), &Value::Null, &json!(2)));
        for time in ["created_at", "updated_at", "expires_at"] {
            assert!(asked[time].as_str().unwrap().ends_with('Z'), "{asked}");
        }
        // 128 bits in base64 are 22 characters; and what stands in addresses is something else.
        let code = asked["temporary_code"].as_str().unwrap();
        assert!(code.len() >= 22 && !asked["authorize_url"].as_str().unwrap().contains(code));

        let polled = expect(200, poll(&harness, &asked)).await;
        assert_eq!((&polled["id"], &polled["temporary_code"], &polled["answered"]), (&asked["id"], &asked["temporary_code"], &json!(false)));
        let mut browser = Browser::default();
        browser.answer(&harness, &github, &asked, "ada").await;
        clock.advance(Span::seconds(2));
        let polled = expect(200, poll(&harness, &asked)).await;
        assert_eq!((&polled["id"], &polled["answered"]), (&asked["id"], &json!(true)));
        let auth_code = polled["auth_code"].as_str().unwrap();

        let receiver = Receiver::new(false);
        let done = expect(200, complete(&harness, auth_code, &receiver.jwk())).await;
        assert!(done["id"].as_i64().unwrap() > 0);
        assert_eq!((&done["ext_id"], &done["account_type"], &done["username"]), (&json!("4711"), &json!("github"), &json!("ada")));
        assert_eq!((&done["fullnamd"], &done["fullname"], &done["email"]), (&json!("Ada Lovelace"), &json!("Ada Lovelace"), &json!("ada@x.dev")));
        assert_eq!(done["keys"]["ciper"], done["keys"]["cipher"]);
        let cipher = &done["keys"]["cipher"];
        assert_eq!((&cipher["kty"], &cipher["crv"], &cipher["use"], &cipher["alg"]), (&json!("EC"), &json!("P-256"), &json!("enc"), &json!("ECDH-ES")));

        // The token is one like any other's, and hers; only who has the key can read it.
        let token = receiver.read(done["token"].as_str().unwrap());
        let said = claims(&token);
        assert_eq!(part(&token, 0)["kid"], done["keys"]["sign"]["kid"]);
        let keys = expect(200, harness.request(Method::GET, "auth", "/.well-known/jwks.json")).await;
        assert!(keys["keys"].as_array().unwrap().contains(&done["keys"]["sign"]));
        let identity: common::id::IdentityId = said["auth_identity_id"].as_str().unwrap().parse().unwrap();
        assert_eq!(done["user_id"], identity.uuid().to_string());
        assert_eq!((&said["auth_provider"], &said["ID"]), (&json!("github"), &done["id"]));
        expect(200, refresh(&harness, &token)).await;

        // A provider of Medusa's finds the same person.
        let medusa = super::super::github::sign_in(&harness, &github, "ada").await;
        assert_eq!(claims(&medusa)["sub"], said["sub"]);
        harness.stop().await;
    }

    async fn the_services_own_keys_outlive_it(backend: Backend) {
        let clock = present();
        let mut keys = Vec::new();
        for login in ["ada", "ben"] {
            let (harness, github) = with_github(&backend, clock.clone()).await;
            let code = answered(&harness, &github, login).await;
            let done = expect(200, complete(&harness, &code, &Receiver::new(true).jwk())).await;
            keys.push(done["keys"].clone());
            harness.stop().await;
        }
        assert_eq!(keys[0], keys[1]);
    }
}
