//! "verte-auth": a user, her project key, and the accounts of her projects.

use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Backend, expect};

use super::{Policy, Seeds, replayed, text};

replayed! {
    a_users_projects_have_accounts_of_their_own;
}

async fn a_users_projects_have_accounts_of_their_own(backend: &Backend, policy: Policy) {
    let seeds = Seeds::start(backend, policy).await;
    let body = json!({ "email": "verte.fra@gmail.com", "password": "verte" });
    let made = seeds.post(200, "/api/users/signup", "", body.clone()).await;
    assert_eq!(made["success"], true);
    let user = &made["createdUser"];
    assert_eq!(
        members(user),
        [
            "CreatedAt",
            "DeletedAt",
            "ID",
            "UpdatedAt",
            "email",
            "key",
            "password"
        ]
    );
    assert_eq!(
        (&user["ID"], &user["email"], &user["password"]),
        (&json!(1), &body["email"], &json!(""))
    );
    let key = text(&user["key"]);

    let login = seeds.post(200, "/api/users/login", "", body.clone()).await;
    assert_eq!(
        (&login["success"], &login["userId"]),
        (&json!(true), &json!(1))
    );
    // The token opens the platform's routes like any other of hers.
    seeds.get("/v1/realms", &text(&login["token"])).await;

    for call in ["signup", "login"] {
        let path = format!("/api/users/1/accounts/{call}");
        let request = seeds.request(Method::POST, &path, "").header("key", &key);
        let answer = expect(200, request.json(&seeds.body(body.clone()))).await;
        assert_eq!(
            (&answer["sucess"], &answer["success"]),
            (&json!(true), &json!(true))
        );
        let account = &answer["createdAccount"];
        for member in [
            "ID",
            "CreatedAt",
            "UpdatedAt",
            "DeletedAt",
            "username",
            "password",
            "ownerID",
            "key",
            "token",
        ] {
            assert!(account.get(member).is_some(), "{member}: {account}");
        }
        assert_eq!(
            (&account["username"], &account["ownerID"]),
            (&body["email"], &json!(1))
        );
        assert_eq!(account["key"], key);
    }
    seeds.stop().await;
}

fn members(object: &Value) -> Vec<&str> {
    let mut names: Vec<_> = object
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    names.sort_unstable();
    names
}
