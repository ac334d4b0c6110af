//! Signing in from the command line by a browser, and what operators do there.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use serde_json::{Value, json};
use testkit::{eventually_async, expect};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use crate::harness::{Up, client, json_lines, text};

const PERSON: (&str, &str) = ("ada@example.com", "correct horse battery staple");

/// A user of the platform; her token.
async fn user(up: &Up) -> String {
    let body = json!({ "email": PERSON.0, "password": PERSON.1 });
    let url = format!("{}/auth/euser/emailpass/register", up.url);
    let token = expect(200, client().post(url).json(&body)).await["token"]
        .as_str()
        .unwrap()
        .to_owned();
    let request = client()
        .post(format!("{}/v1/users", up.url))
        .bearer_auth(&token);
    expect(201, request.json(&json!({ "email": PERSON.0 }))).await;
    token
}

/// Does in a browser what the page at this address asks for.
async fn answer(address: &str, decision: &str) {
    let opened = client().get(address).send().await.unwrap();
    let cookie = opened.headers()["set-cookie"].to_str().unwrap().to_owned();
    let html = opened.text().await.unwrap();
    let value = |name: &str| {
        let (_, rest) = html
            .split_once(&format!("name=\"{name}\" value=\""))
            .unwrap();
        rest.split('"').next().unwrap().to_owned()
    };
    let (proof, code) = (value("proof"), value("user_code"));
    let fields = [
        ("proof", proof.as_str()),
        ("user_code", &code),
        ("decision", decision),
        ("email", PERSON.0),
        ("password", PERSON.1),
    ];
    let (page, _) = address.split_once('?').unwrap();
    let sent = client()
        .post(page)
        .header("cookie", cookie.split(';').next().unwrap())
        .form(&fields);
    expect(200, sent).await;
}

/// Runs `slipway login` while its person answers; whether it succeeded, and what it said.
async fn log_in(up: &Up, decision: &str) -> (bool, String) {
    let mut command = up.command(&["login", "--no-browser"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    let line = said.next_line().await.unwrap().unwrap();
    let address = line
        .split_whitespace()
        .find(|word| word.starts_with("http"))
        .unwrap();
    answer(address, decision).await;
    let mut rest = String::new();
    while let Some(line) = said.next_line().await.unwrap() {
        rest += &line;
    }
    let status = child.wait().await.unwrap();
    (status.success(), rest)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_signs_in_by_a_browser_and_commands_act_for_her_until_she_signs_out() {
    let config = tempfile::tempdir().unwrap();
    let home = config.path().to_str().unwrap();
    let up = Up::start_with(&[("XDG_CONFIG_HOME", home)]).await;
    user(&up).await;
    let file = config.path().join("slipway/credentials.json");
    let elsewhere = ["apps", "--data-dir", "/nonexistent"];

    let (succeeded, said) = log_in(&up, "deny").await;
    assert!(!succeeded && said.contains("has not let"), "{said}");
    assert!(!file.exists());
    let (succeeded, said) = log_in(&up, "allow").await;
    assert!(succeeded, "{said}");
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let said = text(&up.run(&elsewhere).await.stderr);
    assert!(said.contains("no apps yet"), "{said}");

    // One that has nearly ended is renewed without anybody's doing.
    let kept = || -> Value { serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap() };
    let mut old = kept();
    old["platforms"][&up.url]["euser"]["expires_at"] = json!(0);
    std::fs::write(&file, old.to_string()).unwrap();
    let said = text(&up.run(&elsewhere).await.stderr);
    assert!(said.contains("no apps yet"), "{said}");
    let new = kept();
    let token = |kept: &Value| kept["platforms"][&up.url]["euser"]["refresh_token"].clone();
    assert!(token(&new).is_string() && token(&new) != token(&old));

    let output = up.run(&["logout"]).await;
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(!file.exists());
    let said = text(&up.run(&elsewhere).await.stderr);
    assert!(said.contains("slipway login"), "{said}");
    // It has ended at the platform, too.
    std::fs::write(&file, new.to_string()).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    eventually_async("what she was signed in by to be refused", || async {
        let said = text(&up.run(&elsewhere).await.stderr);
        (!said.contains("no apps yet")).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_replaces_and_revokes_keys_and_takes_people_in() {
    let config = tempfile::tempdir().unwrap();
    let up = Up::start_with(&[("XDG_CONFIG_HOME", config.path().to_str().unwrap())]).await;
    let first: Value =
        serde_json::from_str(&up.result(&["admin", "keys", "--json"]).await).unwrap();
    let active = |said: &Value| {
        let keys = said["keys"].as_array().unwrap().clone();
        keys.into_iter()
            .find(|key| key["state"] == "active")
            .unwrap()["kid"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let said = up.result(&["admin", "keys", "rotate", "--json"]).await;
    let said: Value = serde_json::from_str(&said).unwrap();
    assert!(
        said["rotated"] == false && said["rotates_at"].is_string(),
        "{said}"
    );
    let said = up
        .result(&["admin", "keys", "rotate", "--now", "--json"])
        .await;
    let second: Value = serde_json::from_str(&said).unwrap();
    assert_ne!(active(&second), active(&first));
    up.result(&["admin", "keys", "revoke", &active(&second)])
        .await;
    let list = up.result(&["admin", "keys"]).await;
    assert!(
        list.contains("active") && !list.contains(&active(&second)),
        "{list}"
    );

    let people = config.path().join("people.ndjson");
    let hash = "$2b$06$abcdefghijklmnopqrstuu50eFBEC8vQwBnuFXMHE45jBnqvQ8xz.";
    let rows = [
        json!({ "email": "moved@example.com", "password_hash": hash }),
        json!({ "email": "broken@example.com", "password_hash": "plain words" }),
    ];
    std::fs::write(&people, rows.map(|row| row.to_string()).join("\n")).unwrap();
    let output = up
        .run(&["admin", "import", people.to_str().unwrap(), "--json"])
        .await;
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let results = json_lines(&text(&output.stdout));
    assert_eq!(results[0]["result"]["status"], "created");
    assert_eq!(results[1]["result"]["status"], "refused");
    let body = json!({ "email": "moved@example.com", "password": "correct horse battery" });
    let url = format!("{}/auth/euser/emailpass", up.url);
    expect(200, client().post(url).json(&body)).await;
}
