//! The interface of verte-auth: its document's own examples, and what they leave open.

use common::time::Clock;

use super::*;

fn call(harness: &Harness, method: Method, path: &str) -> reqwest::RequestBuilder {
    harness.request(method, "auth", path)
}

/// A user with her number, key and token.
struct User {
    number: i64,
    key: String,
    token: String,
}

async fn user(harness: &Harness, email: &str) -> User {
    let made = expect(
        200,
        post(harness, "/api/users/signup", &credentials(email, PASSWORD)),
    )
    .await;
    let login = expect(
        200,
        post(harness, "/api/users/login", &credentials(email, PASSWORD)),
    )
    .await;
    User {
        number: made["createdUser"]["ID"].as_i64().unwrap(),
        key: made["createdUser"]["key"].as_str().unwrap().to_owned(),
        token: login["token"].as_str().unwrap().to_owned(),
    }
}

fn account(
    harness: &Harness,
    call: &str,
    number: i64,
    key: &str,
    body: &Value,
) -> reqwest::RequestBuilder {
    post(
        harness,
        &format!("/api/users/{number}/accounts/{call}"),
        body,
    )
    .header("key", key)
}

testkit::on_both_backends! {
    async fn the_documents_own_examples_are_answered_as_it_shows(backend: Backend) {
        let harness = auth(&backend).setting("auth.password.policy", "seed").start().await;
        let body = credentials("verte.fra@gmail.com", "verte");
        let made = expect(200, post(&harness, "/api/users/signup", &body)).await;
        assert_eq!(made["success"], true);
        let user = &made["createdUser"];
        assert_eq!((&user["ID"], &user["email"], &user["password"]), (&json!(1), &json!("verte.fra@gmail.com"), &json!("")));
        assert_eq!(user["DeletedAt"], "0001-01-01T00:00:00Z");
        assert!(user["CreatedAt"].is_string() && user["UpdatedAt"].is_string());
        let key = user["key"].as_str().unwrap();
        // 128 bits in base64 are 22 characters.
        assert!(key.len() >= 22, "{key}");

        let login = expect(200, post(&harness, "/api/users/login", &body)).await;
        assert_eq!((&login["success"], &login["userId"]), (&json!(true), &json!(1)));
        let token = login["token"].as_str().unwrap();
        assert_eq!((&claims(token)["ID"], &claims(token)["aud"]), (&json!(1), &json!("slipway")));

        for call in ["signup", "login"] {
            let answer = expect(200, account(&harness, call, 1, key, &body)).await;
            assert_eq!((&answer["sucess"], &answer["success"]), (&json!(true), &json!(true)));
            let made = &answer["createdAccount"];
            assert_eq!((&made["ID"], &made["ownerID"], &made["key"]), (&json!(1), &json!(1), &json!(key)));
            assert_eq!((&made["username"], &made["password"]), (&json!("verte.fra@gmail.com"), &json!("")));
            let token = made["token"].as_str().unwrap();
            assert_eq!(part(token, 0)["typ"], "realm+jwt");
            let said = claims(token);
            assert_eq!((&said["ID"], &said["ownerID"], &said["username"]), (&json!(1), &json!(1), &json!("verte.fra@gmail.com")));
            assert!(said["aud"].as_str().unwrap().starts_with("realm:realm_"));
        }
        harness.stop().await;
    }

    async fn a_user_is_the_same_identity_at_either_interface(backend: Backend) {
        let harness = auth(&backend).start().await;
        let made = user(&harness, "seb@x.dev").await;
        let other = token(login(&harness, "euser", "SEB@x.dev", PASSWORD)).await;
        assert_eq!(claims(&other)["sub"], claims(&made.token)["sub"]);
        // Her token is one like any other's, and her number stays in it.
        let refreshed = token(refresh(&harness, &made.token)).await;
        assert_eq!(claims(&refreshed)["ID"], made.number);

        // Who registered elsewhere gets a number when she comes here, and a key when she asks for one.
        expect(200, register(&harness, "ada@x.dev", PASSWORD)).await;
        let ada = expect(200, post(&harness, "/api/users/login", &credentials("ada@x.dev", PASSWORD))).await;
        assert_eq!(ada["userId"], 2);
        let key = post(&harness, "/api/users/2/key", &json!({})).bearer_auth(ada["token"].as_str().unwrap());
        let key = expect(200, key).await;
        let body = credentials("eve@x.dev", PASSWORD);
        expect(200, account(&harness, "signup", 2, key["key"].as_str().unwrap(), &body)).await;
        harness.stop().await;
    }

    async fn refusals_say_success_false_and_why(backend: Backend) {
        let harness = auth(&backend).start().await;
        let owner = user(&harness, "seb@x.dev").await;
        let taken = credentials("Seb@X.dev", PASSWORD);
        let person = credentials("ada@x.dev", PASSWORD);
        expect(200, account(&harness, "signup", owner.number, &owner.key, &person)).await;
        let wrong = credentials("ada@x.dev", "another password");
        let short = credentials("eve@x.dev", "short");
        let cases = [
            (409, "email_taken", post(&harness, "/api/users/signup", &taken)),
            (401, "unauthorized", post(&harness, "/api/users/login", &credentials("seb@x.dev", "another password"))),
            (401, "unauthorized", post(&harness, "/api/users/login", &credentials("nobody@x.dev", PASSWORD))),
            (422, "invalid_data", post(&harness, "/api/users/signup", &json!({"email": "eve@x.dev"}))),
            (422, "invalid_data", post(&harness, "/api/users/signup", &credentials("no address", PASSWORD))),
            (400, "invalid_json", post(&harness, "/api/users/signup", &json!({})).body("{")),
            (400, "password_too_short", post(&harness, "/api/users/signup", &short)),
            (409, "email_taken", account(&harness, "signup", owner.number, &owner.key, &person)),
            (401, "unauthorized", account(&harness, "login", owner.number, &owner.key, &wrong)),
            (401, "unauthorized", account(&harness, "login", owner.number, "no such key", &person)),
            (401, "unauthorized", post(&harness, &format!("/api/users/{}/accounts/login", owner.number), &person)),
        ];
        for (status, code, request) in cases {
            let refused = expect(status, request).await;
            assert_eq!((&refused["code"], &refused["success"], &refused["sucess"]), (&json!(code), &json!(false), &json!(false)), "{refused}");
            assert!(refused["message"].is_string());
        }
        harness.stop().await;
    }

    async fn a_key_opens_its_owners_realm_and_no_other(backend: Backend) {
        let harness = auth(&backend).start().await;
        let (one, other) = (user(&harness, "one@x.dev").await, user(&harness, "two@x.dev").await);
        let body = credentials("ada@x.dev", PASSWORD);
        expect(200, account(&harness, "signup", one.number, &one.key, &body)).await;
        // The same address is somebody else in another realm, and nobody on the platform.
        expect(401, account(&harness, "login", other.number, &other.key, &body)).await;
        expect(401, login(&harness, "euser", "ada@x.dev", PASSWORD)).await;
        expect(200, account(&harness, "signup", other.number, &other.key, &body)).await;
        expect(401, account(&harness, "login", other.number, &one.key, &body)).await;
        expect(401, account(&harness, "login", one.number, &other.key, &body)).await;

        // A realm's token is none of the platform's.
        let signed_in = expect(200, account(&harness, "login", one.number, &one.key, &body)).await;
        let realm_token = signed_in["createdAccount"]["token"].as_str().unwrap();
        expect(401, refresh(&harness, realm_token)).await;
        let path = format!("/api/users/{}/accounts", one.number);
        expect(401, call(&harness, Method::GET, &path).bearer_auth(realm_token)).await;
        harness.stop().await;
    }

    async fn a_new_key_goes_beside_the_old_one_for_a_while(backend: Backend) {
        let clock = Clock::manual(Clock::system().now());
        let harness = auth(&backend).clock(clock.clone()).start().await;
        let (owner, other) = (user(&harness, "one@x.dev").await, user(&harness, "two@x.dev").await);
        let body = credentials("ada@x.dev", PASSWORD);
        expect(200, account(&harness, "signup", owner.number, &owner.key, &body)).await;
        let path = format!("/api/users/{}/key", owner.number);
        let ask = |token: &str, body: Value| post(&harness, &path, &body).bearer_auth(token);
        expect(401, ask(&other.token, json!({}))).await;
        expect(401, post(&harness, &path, &json!({}))).await;
        expect(422, ask(&owner.token, json!({"grace": -1}))).await;
        let new = expect(200, ask(&owner.token, json!({"grace": 60}))).await;
        let new = new["key"].as_str().unwrap();
        for key in [&owner.key, new] {
            expect(200, account(&harness, "login", owner.number, key, &body)).await;
        }
        clock.advance(common::time::Span::seconds(61));
        expect(401, account(&harness, "login", owner.number, &owner.key, &body)).await;
        expect(200, account(&harness, "login", owner.number, new, &body)).await;
        harness.stop().await;
    }

    async fn an_owner_lists_disables_and_deletes_accounts_of_her_own(backend: Backend) {
        let harness = auth(&backend).start().await;
        let (owner, other) = (user(&harness, "one@x.dev").await, user(&harness, "two@x.dev").await);
        for number in 1..=3 {
            let body = credentials(&format!("person-{number}@x.dev"), PASSWORD);
            expect(200, account(&harness, "signup", owner.number, &owner.key, &body)).await;
        }
        let path = format!("/api/users/{}/accounts", owner.number);
        let list = |query: &str, token: &str| call(&harness, Method::GET, &format!("{path}{query}")).bearer_auth(token);
        let first = expect(200, list("?limit=2", &owner.token)).await;
        let numbers = |page: &Value| page["accounts"].as_array().unwrap().iter().map(|row| row["ID"].as_i64().unwrap()).collect::<Vec<_>>();
        assert_eq!(numbers(&first), [3, 2]);
        assert!(first["accounts"][0].get("token").is_none() && first["accounts"][0].get("key").is_none());
        let rest = expect(200, list(&format!("?after={}", first["next"].as_str().unwrap()), &owner.token)).await;
        assert_eq!((numbers(&rest), &rest["next"]), (vec![1], &Value::Null));

        let of = |method: Method, number: i64, token: &str| call(&harness, method, &format!("{path}/{number}")).bearer_auth(token);
        let disable = |yes: bool, token: &str| of(Method::PATCH, 2, token).json(&json!({ "disabled": yes }));
        for refused in [list("", &other.token), disable(true, &other.token), of(Method::DELETE, 2, &other.token)] {
            expect(401, refused).await;
        }
        let person = credentials("person-2@x.dev", PASSWORD);
        let sign_in = || account(&harness, "login", owner.number, &owner.key, &person);
        let disabled = expect(200, disable(true, &owner.token)).await;
        assert_eq!(disabled["account"]["disabled"], true);
        expect(401, sign_in()).await;
        expect(200, disable(false, &owner.token)).await;
        let again = expect(200, sign_in()).await;
        let again = claims(again["createdAccount"]["token"].as_str().unwrap());
        assert_eq!(again["gen"], 2, "tokens of before are of an older generation");

        expect(200, of(Method::DELETE, 2, &owner.token)).await;
        expect(404, of(Method::DELETE, 2, &owner.token)).await;
        expect(404, disable(true, &owner.token)).await;
        expect(401, sign_in()).await;
        // The address is free again, the number isn't.
        let anew = expect(200, account(&harness, "signup", owner.number, &owner.key, &person)).await;
        assert_eq!(anew["createdAccount"]["ID"], 4);
        harness.stop().await;
    }

    async fn two_who_sign_up_at_once_get_numbers_of_their_own(backend: Backend) {
        let harness = auth(&backend).start().await;
        let bodies = ["one@x.dev", "two@x.dev"].map(|email| credentials(email, PASSWORD));
        let [one, two] = bodies.each_ref().map(|body| expect(200, post(&harness, "/api/users/signup", body)));
        let (one, two) = tokio::join!(one, two);
        let mut numbers = [&one, &two].map(|made| made["createdUser"]["ID"].as_i64().unwrap());
        numbers.sort_unstable();
        assert_eq!(numbers, [1, 2]);

        // Of one address, one becomes the user and the other is told.
        let body = credentials("same@x.dev", PASSWORD);
        let both = [post(&harness, "/api/users/signup", &body), post(&harness, "/api/users/signup", &body)];
        let [one, other] = both.map(reqwest::RequestBuilder::send);
        let (one, other) = tokio::join!(one, other);
        let mut statuses = [one.unwrap().status().as_u16(), other.unwrap().status().as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409]);
        harness.stop().await;
    }

    async fn keys_and_passwords_are_kept_as_digests_only(backend: Backend) {
        let harness = auth(&backend).start().await;
        let owner = user(&harness, "one@x.dev").await;
        let kept: Vec<String> = db(&harness)
            .read(|db| {
                use diesel::prelude::*;
                #[derive(QueryableByName)]
                struct Row {
                    #[diesel(sql_type = diesel::sql_types::Text)]
                    digest: String,
                }
                diesel::sql_query("SELECT digest FROM project_keys")
                    .load::<Row>(db)
                    .map(|rows| rows.into_iter().map(|row| row.digest).collect())
            })
            .await
            .unwrap();
        assert_eq!(kept.len(), 1);
        assert!(kept[0].len() == 64 && !kept[0].contains(&owner.key));
        harness.stop().await;
    }
}
