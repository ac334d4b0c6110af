//! Realms as their owners meet them.

use super::*;

fn ask(harness: &Harness, method: Method, path: &str, token: &str) -> reqwest::RequestBuilder {
    harness.request(method, "auth", path).bearer_auth(token)
}

fn names(page: &Value) -> Vec<&str> {
    let realms = page["realms"].as_array().unwrap().iter();
    realms
        .map(|realm| realm["name"].as_str().unwrap())
        .collect()
}

testkit::on_both_backends! {
    async fn a_person_has_realms_that_nobody_else_sees(backend: Backend) {
        let harness = auth(&backend).start().await;
        let seb = token(register(&harness, "seb@x.dev", PASSWORD)).await;
        let ada = token(register(&harness, "ada@x.dev", PASSWORD)).await;
        let make = |name: &str, token: &str| ask(&harness, Method::POST, "/v1/realms", token).json(&json!({ "name": name }));
        let mut last = Value::Null;
        for name in ["one", "two", "three"] {
            last = expect(201, make(name, &seb)).await;
            assert_eq!((&last["realm"]["name"], &last["realm"]["account_id"]), (&json!(name), &json!(null)));
        }
        expect(201, make("another's", &ada)).await;

        let page = expect(200, ask(&harness, Method::GET, "/v1/realms?limit=2", &seb)).await;
        assert_eq!(names(&page), ["three", "two"]);
        let path = format!("/v1/realms?limit=2&after={}", page["next"].as_str().unwrap());
        let page = expect(200, ask(&harness, Method::GET, &path, &seb)).await;
        assert_eq!((names(&page), &page["next"]), (vec!["one"], &json!(null)));

        let path = format!("/v1/realms/{}", last["realm"]["id"].as_str().unwrap());
        assert_eq!(expect(200, ask(&harness, Method::GET, &path, &seb)).await, last);
        let change = json!({ "name": "renamed", "password_policy": "seed" });
        expect(404, ask(&harness, Method::GET, &path, &ada)).await;
        expect(404, ask(&harness, Method::PATCH, &path, &ada).json(&change)).await;
        let changed = expect(200, ask(&harness, Method::PATCH, &path, &seb).json(&change)).await;
        assert_eq!((&changed["realm"]["name"], &changed["realm"]["password_policy"]), (&json!("renamed"), &json!("seed")));
        let changed = expect(200, ask(&harness, Method::PATCH, &path, &seb).json(&json!({ "name": "again" }))).await;
        assert_eq!(changed["realm"]["password_policy"], "seed");
        assert_eq!(expect(200, ask(&harness, Method::GET, &path, &seb)).await, changed);
        harness.stop().await;
    }

    async fn what_is_no_realm_is_refused_by_name(backend: Backend) {
        let harness = auth(&backend).start().await;
        let seb = token(register(&harness, "seb@x.dev", PASSWORD)).await;
        let make = |body: Value| ask(&harness, Method::POST, "/v1/realms", &seb).json(&body);
        for (body, field) in [
            (json!({}), "name"),
            (json!({ "name": "" }), "name"),
            (json!({ "name": "x", "password_policy": "none" }), "password_policy"),
            (json!({ "name": "x", "owner_id": "authid_1" }), "owner_id"),
        ] {
            let refused = expect(422, make(body)).await;
            assert!(refused.to_string().contains(field), "{refused}");
        }
        expect(401, post(&harness, "/v1/realms", &json!({ "name": "x" }))).await;
        harness.stop().await;
    }

    async fn a_key_names_a_realm_that_its_maker_may_use(backend: Backend) {
        let harness = auth(&backend).start().await;
        let seb = token(register(&harness, "seb@x.dev", PASSWORD)).await;
        let ada = token(register(&harness, "ada@x.dev", PASSWORD)).await;
        let gateway = service_token(&harness, "v1api", "auth").await;
        let choose = async |whose: &str, realm: &Value| {
            let user = common::id::UserId::new(common::time::Clock::system().now());
            let body = json!({ "identity_id": claims(whose)["sub"], "user_id": user, "realm_id": realm });
            let request = harness.private(Method::POST, "auth", "/internal/realms/choose").bearer_auth(&gateway);
            expect(200, request.json(&body)).await["realm_id"].clone()
        };
        assert_eq!(choose(&seb, &Value::Null).await, Value::Null);
        let make = async |name: &str| {
            let request = ask(&harness, Method::POST, "/v1/realms", &seb).json(&json!({ "name": name }));
            expect(201, request).await["realm"]["id"].clone()
        };
        let (first, second) = (make("first").await, make("second").await);
        assert_eq!(choose(&seb, &Value::Null).await, first);
        assert_eq!(choose(&seb, &second).await, second);
        assert_eq!(choose(&ada, &second).await, Value::Null);
        harness.stop().await;
    }
}
