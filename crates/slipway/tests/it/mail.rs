//! Mail of the whole platform: what the command line lists, and what a crash loses or doubles.

use std::os::unix::process::ExitStatusExt as _;

use reqwest::RequestBuilder;
use serde_json::{Value, json};
use slipway_auth::mail::failpoints;
use testkit::{MailServer, eventually, eventually_async, expect};

use crate::harness::{Up, client, slipway, text};

const PASSWORD: &str = "correct horse battery";

fn post(up: &Up, path: &str, body: &Value) -> RequestBuilder {
    client().post(format!("{}{path}", up.url)).json(body)
}

fn register(up: &Up, email: &str) -> RequestBuilder {
    let body = json!({ "email": email, "password": PASSWORD });
    post(up, "/auth/euser/emailpass/register", &body)
}

/// The secret in the newest link that was mailed to somebody with this in the subject.
async fn mailed(up: &Up, to: &str, subject: &str) -> String {
    eventually_async("the mail is listed", || async {
        let listed = up.result(&["mail", "--json"]).await;
        let mails: Vec<Value> = serde_json::from_str(&listed).unwrap();
        let found = mails
            .iter()
            .find(|mail| mail["to"] == to && mail["subject"].as_str().unwrap().contains(subject))?;
        let link = found["links"][0].as_str().unwrap();
        assert!(link.starts_with(&up.url), "{link}");
        Some(link.split_once('#').unwrap().1.to_owned())
    })
    .await
}

fn token_of(answer: &Value) -> String {
    answer["token"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_mail_server_the_command_line_lists_what_people_need() {
    let up = Up::start_with(&[
        ("SLIPWAY_ADMIN_EMAIL", "root@x.dev"),
        ("SLIPWAY_ADMIN_PASSWORD", "the operator's own"),
    ])
    .await;
    let empty = up.run(&["mail"]).await;
    assert!(text(&empty.stderr).contains("no mail"), "{empty:?}");
    let seb = token_of(&expect(200, register(&up, "seb@x.dev")).await);
    let user = post(&up, "/v1/users", &json!({ "email": "seb@x.dev" }));
    expect(201, user.bearer_auth(&seb)).await;

    // An invite for an address needs that it is shown to be hers.
    let body = json!({ "email": "root@x.dev", "password": "the operator's own" });
    let root = token_of(&expect(200, post(&up, "/auth/admin/emailpass", &body)).await);
    let account = post(&up, "/v1/accounts", &json!({ "name": "Shop" })).bearer_auth(&root);
    let account = expect(201, account).await;
    let path = format!(
        "/v1/accounts/{}/invite",
        account["account"]["id"].as_str().unwrap()
    );
    let invite = post(&up, &path, &json!({ "email": "seb@x.dev" })).bearer_auth(&root);
    let invite = json!({ "token": token_of(&expect(201, invite).await) });
    let accept = || post(&up, "/v1/invite/accept", &invite).bearer_auth(&seb);
    let refused = accept().send().await.unwrap();
    assert!(refused.status().is_client_error(), "{}", refused.status());
    let code = mailed(&up, "seb@x.dev", "Confirm").await;
    let confirm = post(&up, "/auth/verification/confirm", &json!({ "code": code }));
    expect(200, confirm).await;
    expect(200, accept()).await;

    // And a new password, the whole way.
    let path = "/auth/euser/emailpass/reset-password";
    let asked = expect(201, post(&up, path, &json!({ "identifier": "seb@x.dev" }))).await;
    assert_eq!(asked, "Created");
    let reset = mailed(&up, "seb@x.dev", "new password").await;
    let page = client()
        .get(format!("{}/auth/reset", up.url))
        .send()
        .await
        .unwrap();
    assert_eq!(page.status(), 200);
    assert!(page.headers().contains_key("content-security-policy"));
    let new = json!({ "password": "another horse battery" });
    let update = post(&up, "/auth/euser/emailpass/update", &new).bearer_auth(&reset);
    expect(200, update).await;
    // What she was signed in by ends everywhere.
    eventually_async("the old token is refused by account", || async {
        let request = client()
            .get(format!("{}/v1/users/me", up.url))
            .bearer_auth(&seb);
        (request.send().await.unwrap().status() == 401).then_some(())
    })
    .await;
    let listed = up.result(&["mail"]).await;
    assert!(
        listed.contains("Your password was changed") && listed.contains("/auth/reset#"),
        "{listed}"
    );
    for secret in [reset.as_str(), code.as_str()] {
        assert!(!up.log().contains(secret), "a secret stands in the log");
    }
    assert!(
        !up.log().contains("seb@x.dev"),
        "an address stands in the log"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_anywhere_on_its_way_loses_no_letter_and_makes_no_second_one() {
    let server = MailServer::start().await;
    let url = server.url();
    let mut up = Up::start_with(&[
        ("SLIPWAY_MAIL__SMTP_URL", &url),
        ("SLIPWAY_MAIL__FROM", "Slipway <no-reply@x.dev>"),
        // Each start has another port, and the platform's own link would have it as well.
        ("SLIPWAY_MAIL__VERIFY_URL", "https://x.dev/verify#{code}"),
    ])
    .await;
    for (number, point) in failpoints::ALL.iter().enumerate() {
        up.stop().await;
        up.restart_with(&[("SLIPWAY_FAILPOINT", point)]).await;
        let email = format!("seb{number}@x.dev");
        // It may die before it has answered.
        let _answer = register(&up, &email).send().await;
        let ended = up.end().await;
        let ended = ended.unwrap_or_else(|| panic!("{point} was not passed\n{}", up.log()));
        assert!(
            ended.core_dumped() || ended.signal().is_some(),
            "{point}: {ended}"
        );

        up.restart().await;
        // One after it shows that it is not only late.
        let after = format!("after{number}@x.dev");
        expect(200, register(&up, &after)).await;
        let to = |email: &str| {
            let mut mails = server.received();
            mails.retain(|mail| mail.to == [email.to_owned()]);
            mails
        };
        eventually("the mail after it", || to(&after).pop()).await;
        let mails = eventually(point, || Some(to(&email)).filter(|mails| !mails.is_empty())).await;
        assert!(
            mails.iter().all(|mail| *mail == mails[0]),
            "{point}: {mails:#?}"
        );
        let times = if *point == failpoints::HANDED_OVER {
            2
        } else {
            1
        };
        assert_eq!(mails.len(), times, "{point}");
        assert!(mails[0].header("message-id").unwrap().starts_with("<mail_"));
    }
    up.stop().await;
}

#[tokio::test]
async fn a_template_that_can_not_be_used_stops_the_start_by_its_name() {
    let nowhere = tempfile::tempdir().unwrap();
    std::fs::write(nowhere.path().join("reset_password.html"), "<p>No link</p>").unwrap();
    let output = slipway(&["up", "--port", "0", "--data-dir", "data"])
        .env("SLIPWAY_MAIL__TEMPLATES", nowhere.path())
        .current_dir(nowhere.path())
        .output()
        .await
        .unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("reset_password.html") && said.contains("{{link}}"),
        "{said}"
    );
}

#[tokio::test]
async fn a_mail_server_without_a_sender_stops_the_start_without_its_password() {
    let nowhere = tempfile::tempdir().unwrap();
    let output = slipway(&["up", "--port", "0", "--data-dir", "data"])
        .env("SLIPWAY_MAIL__SMTP_URL", "smtps://seb:hunter2@mail.x.dev")
        .current_dir(nowhere.path())
        .output()
        .await
        .unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("`from`") && !said.contains("hunter2"),
        "{said}"
    );
}
