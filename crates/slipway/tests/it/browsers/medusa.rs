//! The client as its documentation has it used.

use testkit::on_both_backends;

use super::sdk::{FetchError, Mode};
use super::{PASSWORD, credentials, person, secured, start};
use crate::harness::code_of;

fn unauthorized() -> FetchError {
    FetchError {
        status: 401,
        message: "Unauthorized".into(),
    }
}

on_both_backends! {
    async fn an_unmodified_client_works_by_token_and_in_sessions(backend: Backend) {
        let up = start(&backend).await;
        for mode in [Mode::Jwt, Mode::Session] {
            let (mut sdk, email) = person(&up.url, mode).await;
            assert_eq!(sdk.me().await, Err(unauthorized()));
            let entered = sdk.login("euser", "emailpass", &credentials(&email)).await.unwrap();
            assert!(entered.is_string(), "{entered}");
            assert_eq!(sdk.cookie.is_some(), mode == Mode::Session);
            assert_eq!(sdk.me().await.unwrap()["user"]["email"], email);

            let before = sdk.cookie.clone();
            sdk.refresh().await.unwrap();
            assert!(mode == Mode::Jwt || sdk.cookie != before, "a session of its own");
            assert_eq!(sdk.me().await.unwrap()["user"]["email"], email);
            // What changes something works as well: the page is one of ours.
            let body = serde_json::json!({ "name": "mine" });
            let key = sdk.fetch("POST", "/v1/generate", Some(&body), None).await.unwrap();
            assert!(key["token"].is_string());

            sdk.logout().await.unwrap();
            assert_eq!(sdk.cookie, None);
            assert_eq!(sdk.me().await, Err(unauthorized()));
            let wrong = serde_json::json!({ "email": email, "password": format!("not {PASSWORD}") });
            let refused = sdk.login("euser", "emailpass", &wrong).await.unwrap_err();
            assert_eq!((refused.status, refused.message.as_str()), (401, "Invalid email or password"));
        }
        up.platform.stop().await;
    }

    async fn a_second_factor_is_asked_for_and_completes_the_login_in_either_way(backend: Backend) {
        let up = start(&backend).await;
        for mode in [Mode::Jwt, Mode::Session] {
            let (mut sdk, email, secret) = secured(&up.url, mode).await;
            let codes = sdk.recovery_codes().await.unwrap();
            let recovery = codes["recovery_codes"][0].as_str().unwrap();
            sdk.logout().await.unwrap();

            let entered = sdk.login("euser", "emailpass", &credentials(&email)).await.unwrap();
            assert_eq!(entered["mfa_required"], true);
            let challenge = &entered["mfa_challenge"];
            assert_eq!(challenge["methods"], serde_json::json!(["totp", "recovery_code"]));
            let id = challenge["id"].as_str().unwrap();
            // Until then nobody is signed in, by token or by cookie.
            let pending = sdk.cookie.clone();
            assert_eq!(sdk.me().await, Err(unauthorized()));
            assert_eq!(sdk.mfa_list().await, Err(unauthorized()));
            assert_eq!(sdk.refresh().await, Err(unauthorized()));
            let wrong = sdk.verify_challenge(id, "totp", "none").await.unwrap_err();
            assert_eq!((wrong.status, wrong.message.as_str()), (400, "Invalid MFA challenge code"));

            sdk.verify_challenge(id, "totp", &code_of(&secret, 1)).await.unwrap();
            assert!(mode == Mode::Jwt || sdk.cookie != pending, "a session of its own");
            assert_eq!(sdk.me().await.unwrap()["user"]["email"], email);
            sdk.logout().await.unwrap();

            let entered = sdk.login("euser", "emailpass", &credentials(&email)).await.unwrap();
            let id = entered["mfa_challenge"]["id"].as_str().unwrap();
            sdk.verify_challenge(id, "recovery_code", recovery).await.unwrap();
            let factors = sdk.mfa_list().await.unwrap();
            let factor = factors["mfa_factors"][0]["id"].as_str().unwrap();
            assert_eq!(sdk.mfa_disable(factor).await.unwrap()["mfa_factor"]["status"], "disabled");
            assert_eq!(sdk.me().await.unwrap()["user"]["email"], email);
            sdk.logout().await.unwrap();
            assert!(sdk.login("euser", "emailpass", &credentials(&email)).await.unwrap().is_string());
        }
        up.platform.stop().await;
    }

    async fn a_login_that_waits_can_be_left(backend: Backend) {
        let up = start(&backend).await;
        let (mut sdk, email, _secret) = secured(&up.url, Mode::Session).await;
        sdk.logout().await.unwrap();
        sdk.login("euser", "emailpass", &credentials(&email)).await.unwrap();
        let pending = sdk.cookie.clone();
        sdk.logout().await.unwrap();
        sdk.cookie = pending;
        assert_eq!(sdk.logout().await, Err(unauthorized()));
        up.platform.stop().await;
    }
}
