//! Browsers, and the client library of Medusa in them: by token and by session, with one factor and two.

mod ended;
mod hostile;
mod medusa;
mod sdk;

use common::random;
use serde_json::{Value, json};
use testkit::Backend;

use crate::harness::{InProcess, code_of};
use sdk::{Mode, Sdk};

const PASSWORD: &str = "correct horse battery";
/// A page whose scripts may call.
const PAGE: &str = "https://shop.example";

/// A platform that pages of one other origin may call.
async fn start(backend: &Backend) -> InProcess {
    InProcess::on(backend, &[("cors.origins", PAGE)]).await
}

fn credentials(email: &str) -> Value {
    json!({ "email": email, "password": PASSWORD })
}

/// Somebody new, who has become a user, by a client that isn't signed in yet.
async fn person(url: &str, mode: Mode) -> (Sdk, String) {
    let email = format!("{}@x.dev", hex(&random::bytes::<8>()));
    let mut sdk = Sdk::new(url, PAGE, mode);
    let token = sdk
        .register("euser", "emailpass", &credentials(&email))
        .await
        .unwrap();
    let body = json!({ "email": email });
    sdk.fetch("POST", "/v1/users", Some(&body), Some(&token))
        .await
        .unwrap();
    sdk.clear_token();
    (sdk, email)
}

/// The same, with an enabled second factor: its id and its secret.
async fn secured(url: &str, mode: Mode) -> (Sdk, String, String) {
    let (mut sdk, email) = person(url, mode).await;
    let entered = sdk
        .login("euser", "emailpass", &credentials(&email))
        .await
        .unwrap();
    assert!(entered.is_string(), "{entered}");
    let started = sdk
        .mfa_start(&json!({ "provider": "totp", "label": "phone" }))
        .await
        .unwrap();
    let secret = started["secret"].as_str().unwrap().to_owned();
    let id = started["mfa_factor"]["id"].as_str().unwrap();
    let enabled = sdk.mfa_verify(id, &code_of(&secret, 0)).await.unwrap();
    assert_eq!(enabled["mfa_factor"]["status"], "enabled");
    (sdk, email, secret)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
