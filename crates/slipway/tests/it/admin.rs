//! `slipway admin`, against a platform of its own.

use serde_json::{Value, json};
use testkit::expect;

use crate::harness::{Up, client, text};

const PASSWORD: &str = "correct horse battery";

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[tokio::test]
async fn an_operator_sees_to_people_and_to_the_audit_log() {
    let up = Up::start().await;
    let body = json!({ "email": "seb@x.dev", "password": PASSWORD });
    let sign_in = |path: &str| {
        client()
            .post(format!("{}/auth/euser/emailpass{path}", up.url))
            .json(&body)
    };
    expect(200, sign_in("/register")).await;
    let users = async |rest: &[&str]| up.result(&[&["admin", "users"], rest].concat()).await;

    let listed = users(&["list"]).await;
    assert!(
        listed.contains("seb@x.dev") && listed.contains("admin@slipway.localhost"),
        "{listed}"
    );
    let found = parsed(&users(&["list", "--email", "SEB@", "--json"]).await);
    let id = found[0]["id"].as_str().unwrap();
    assert_eq!(found.as_array().unwrap().len(), 1, "{found}");
    let shown = users(&["show", "Seb@x.dev"]).await;
    assert!(
        shown.contains(id) && shown.contains("signs in by emailpass as seb@x.dev"),
        "{shown}"
    );

    let disabled = parsed(&users(&["disable", id, "--json"]).await);
    assert_eq!(disabled["identity"]["disabled"], true);
    expect(401, sign_in("")).await;
    users(&["enable", "seb@x.dev"]).await;
    expect(200, sign_in("")).await;
    let granted = parsed(&users(&["grant", "seb@x.dev", "admin", "--json"]).await);
    assert_eq!(granted["identity"]["actors"], json!(["euser", "admin"]));
    users(&["withdraw", "seb@x.dev", "admin"]).await;
    users(&["force-reset", "seb@x.dev"]).await;
    expect(401, sign_in("")).await;
    users(&["delete", "seb@x.dev"]).await;

    for (arguments, says) in [
        (
            ["show", "seb@x.dev"],
            "nobody on the platform has the address",
        ),
        (
            ["show", "../identities"],
            "neither an identity's id nor an address",
        ),
        (
            ["disable", "admin@slipway.localhost"],
            "Nobody else is an admin",
        ),
    ] {
        let output = up
            .run(&[&["admin", "users"], &arguments[..]].concat())
            .await;
        let said = text(&output.stderr);
        assert!(
            output.status.code() == Some(1) && said.contains(says),
            "{said}"
        );
    }
    let log = up
        .result(&["admin", "audit", "--json", "--subject", id, "--limit", "3"])
        .await;
    let actions: Vec<_> = log
        .lines()
        .map(|line| parsed(line)["action"].clone())
        .collect();
    assert_eq!(
        actions,
        [
            "identity.deleted",
            "identity.reset_forced",
            "identity.actor_withdrawn"
        ]
    );
    let table = up
        .result(&["admin", "audit", "--action", "identity.disabled"])
        .await;
    assert!(
        table.starts_with("TIME") && table.lines().count() == 2,
        "{table}"
    );
}
