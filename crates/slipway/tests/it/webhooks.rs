//! `slipway webhooks`, at a platform that runs.

use serde_json::{Value, json};
use testkit::{Hooks, Reply, eventually_async, expect};

use crate::harness::{Up, client, text};

/// An account of the operator's own, whose commands act for it.
async fn account(up: &Up) {
    up.result(&["usage"]).await;
    let file = std::fs::read(up.data_dir.join("admin-credentials.json")).unwrap();
    let credentials: Value = serde_json::from_slice(&file).unwrap();
    let body = json!({ "email": credentials["email"], "password": credentials["password"] });
    let post = |path: &str| client().post(format!("{}{path}", up.url));
    let token = |answer: &Value| answer["token"].as_str().unwrap().to_owned();
    let admin = token(&expect(200, post("/auth/admin/emailpass").json(&body)).await);
    let euser = token(&expect(200, post("/auth/euser/emailpass").json(&body)).await);
    let named = json!({ "name": "Acme" });
    let made = expect(201, post("/v1/accounts").bearer_auth(&admin).json(&named)).await;
    let invite = format!(
        "/v1/accounts/{}/invite",
        made["account"]["id"].as_str().unwrap()
    );
    let owner = json!({ "role": "owner" });
    let invited = expect(201, post(&invite).bearer_auth(&admin).json(&owner)).await;
    let accept = json!({ "token": invited["token"] });
    expect(
        200,
        post("/v1/invite/accept").bearer_auth(&euser).json(&accept),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhooks_are_made_tested_looked_at_and_removed() {
    let hooks = Hooks::start().await;
    let up = Up::start_with(&[
        ("SLIPWAY_WEBHOOKS__ALLOWED_ADDRESSES", "127.0.0.1"),
        ("SLIPWAY_WEBHOOKS__ALLOW_HTTP", "true"),
        ("SLIPWAY_WEBHOOKS__RETRIES", "10ms"),
    ])
    .await;
    let output = up.run(&["webhooks"]).await;
    assert!(text(&output.stderr).contains("member of no account"));
    account(&up).await;
    let webhooks = async |rest: &[&str]| up.result(&[&["webhooks"], rest].concat()).await;

    let (url, events) = (hooks.url("/hook"), "build.*,webhook.disabled");
    let secret = webhooks(&["add", &url, "--events", events, "--description", "Chat"]).await;
    let secret = secret.trim();
    let listed = webhooks(&[]).await;
    assert!(
        listed.contains("build.*, webhook.disabled") && listed.contains(&url),
        "{listed}"
    );
    assert!(!listed.contains(secret));
    let listed: Value = serde_json::from_str(&webhooks(&["list", "--json"]).await).unwrap();
    let id = listed[0]["id"].as_str().unwrap();

    hooks.reply("/hook", Reply::status(500));
    webhooks(&["test", id]).await;
    assert!(hooks.until("/hook", 1).await[0].is_signed_by(secret));
    let failed = eventually_async("the note of it", || async {
        let failed = webhooks(&["deliveries", id, "--failed"]).await;
        failed.contains("500").then_some(failed)
    })
    .await;
    let delivery = failed.lines().nth(1).unwrap().split(' ').next().unwrap();
    hooks.reply("/hook", Reply::status(200));
    let second = webhooks(&["rotate", id, "--overlap", "0"]).await;
    webhooks(&["replay", id, delivery]).await;
    assert!(hooks.until("/hook", 3).await[2].is_signed_by(second.trim()));

    webhooks(&["disable", id]).await;
    let output = up.run(&["webhooks", "test", id]).await;
    assert!(text(&output.stderr).contains("disabled"));
    webhooks(&["enable", id]).await;
    webhooks(&["remove", id]).await;
    let output = up.run(&["webhooks", "remove", id]).await;
    assert!(!output.status.success());
    // What is no id goes into no path.
    let output = up.run(&["webhooks", "remove", "../projects"]).await;
    assert!(text(&output.stderr).contains("not an id"));
}
