use super::*;

testkit::on_both_backends! {
    async fn a_person_who_registered_signs_in_and_her_token_tells_who_she_is(backend: Backend) {
        let harness = auth(&backend).start().await;
        let first = claims(&token(register(&harness, "Seb@MedusaJS.com", PASSWORD)).await);
        assert_eq!(first["actor_id"], "");
        assert_eq!(first["actor_type"], "euser");
        assert_eq!(first["app_metadata"], json!({}));
        assert_eq!(first["auth_provider"], "emailpass");
        assert_eq!(first["aud"], "slipway");
        assert_eq!(first["iss"], "micro");
        assert_eq!(first["exp"].as_i64().unwrap() - first["iat"].as_i64().unwrap(), 3_600);

        let signed_in = token(login(&harness, "euser", "seb@medusajs.COM", PASSWORD)).await;
        assert_eq!(claims(&signed_in)["auth_identity_id"], first["auth_identity_id"]);
        assert_eq!(claims(&signed_in)["sub"], first["sub"]);
        assert_eq!(part(&signed_in, 0)["typ"], "at+jwt");
        assert_eq!(part(&signed_in, 0)["alg"], "ES256");
        harness.stop().await;
    }

    async fn a_wrong_password_an_unknown_email_and_an_actor_not_held_look_alike(backend: Backend) {
        let harness = auth(&backend).start().await;
        expect(200, register(&harness, "seb@x.dev", PASSWORD)).await;
        let mut answers = Vec::new();
        for request in [
            login(&harness, "euser", "seb@x.dev", "another password"),
            login(&harness, "euser", "nobody@x.dev", PASSWORD),
            login(&harness, "euser", "not an address", PASSWORD),
            login(&harness, "admin", "seb@x.dev", PASSWORD),
        ] {
            let mut body = expect(401, request).await;
            body["request_id"].take();
            answers.push(body);
        }
        assert_eq!(answers[0]["message"], "Invalid email or password");
        assert_eq!(answers[0]["type"], "unauthorized");
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
        harness.stop().await;
    }

    async fn a_half_done_registration_goes_on_with_the_right_password_only(backend: Backend) {
        let harness = auth(&backend).start().await;
        let first = token(register(&harness, "seb@x.dev", PASSWORD)).await;
        let again = token(register(&harness, "SEB@x.dev", PASSWORD)).await;
        assert_eq!(claims(&first)["sub"], claims(&again)["sub"]);
        let taken = expect(401, register(&harness, "seb@x.dev", "another password")).await;
        assert_eq!(taken["message"], "Identity with email already exists");

        // Once there is a user, registering is over.
        let identity = claims(&first)["sub"].as_str().unwrap().to_owned();
        let service = service_token(&harness, "account", "auth").await;
        let path = format!("/internal/identities/{identity}/user");
        let user = common::id::UserId::new(harness.clock.now());
        let link = json!({ "user_id": user });
        expect(200, harness.private(Method::PUT, "auth", &path).bearer_auth(&service).json(&link)).await;
        let taken = expect(401, register(&harness, "seb@x.dev", PASSWORD)).await;
        assert_eq!(taken["message"], "Identity with email already exists");
        harness.stop().await;
    }

    async fn two_who_register_one_email_at_once_become_one_identity(backend: Backend) {
        let harness = auth(&backend).start().await;
        let both = [register(&harness, "seb@x.dev", PASSWORD), register(&harness, "seb@x.dev", PASSWORD)];
        let [one, other] = both.map(reqwest::RequestBuilder::send);
        let (one, other) = tokio::join!(one, other);
        let statuses = [one.unwrap().status().as_u16(), other.unwrap().status().as_u16()];
        assert!(statuses.contains(&200), "{statuses:?}");
        assert!(statuses.iter().all(|status| [200, 401].contains(status)), "{statuses:?}");
        expect(200, login(&harness, "euser", "seb@x.dev", PASSWORD)).await;
        harness.stop().await;
    }

    async fn nobody_registers_as_an_admin(backend: Backend) {
        let harness = auth(&backend).start().await;
        let body = credentials("seb@x.dev", PASSWORD);
        let refused = expect(400, post(&harness, "/auth/admin/emailpass/register", &body)).await;
        assert_eq!(refused["type"], "not_allowed");
        expect(401, login(&harness, "admin", "seb@x.dev", PASSWORD)).await;
        harness.stop().await;
    }

    async fn a_password_too_short_or_too_common_is_refused_with_the_reason(backend: Backend) {
        let harness = auth(&backend).start().await;
        for (password, code) in [("seven77", "password_too_short"), ("Password1", "password_too_common")] {
            let refused = expect(400, register(&harness, "seb@x.dev", password)).await;
            assert_eq!((&refused["code"], &refused["type"]), (&json!(code), &json!("invalid_data")));
            assert_eq!(refused["errors"][0]["field"], "password");
            assert!(!refused.to_string().contains(password), "{refused}");
        }
        expect(200, register(&harness, "seb@x.dev", &"long enough ".repeat(8))).await;
        harness.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_the_lax_policy_the_passwords_of_older_systems_are_taken() {
    let backend = Backend::sqlite();
    let harness = auth(&backend)
        .setting("auth.password.policy", "seed")
        .start()
        .await;
    expect(200, register(&harness, "verte.fra@gmail.com", "verte")).await;
    expect(200, register(&harness, "seb@medusajs.com", "test1234")).await;
    expect(400, register(&harness, "x@x.dev", "four")).await;
    harness.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_requests_are_told_as_medusa_tells_them() {
    let backend = Backend::sqlite();
    let harness = auth(&backend).start().await;
    let missing = expect(401, post(&harness, "/auth/euser/emailpass", &json!({}))).await;
    assert_eq!(missing["message"], "Password should be a string");
    let missing = expect(
        401,
        post(
            &harness,
            "/auth/euser/emailpass",
            &json!({"password": "x", "more": 1}),
        ),
    )
    .await;
    assert_eq!(missing["message"], "Email should be a string");
    let bodiless = harness.request(Method::GET, "auth", "/auth/euser/emailpass");
    expect(401, bodiless).await;

    let body = credentials("seb@x.dev", PASSWORD);
    let refused = expect(400, post(&harness, "/auth/euser/google", &body)).await;
    assert_eq!(
        refused["message"],
        "The actor type euser is not allowed to use the auth provider google"
    );
    assert_eq!(refused["type"], "not_allowed");
    let broken = harness
        .request(Method::POST, "auth", "/auth/euser/emailpass")
        .header("content-type", "application/json")
        .body("{");
    assert_eq!(expect(400, broken).await["type"], "invalid_data");

    let response = harness
        .request(Method::POST, "auth", "/auth/token/refresh")
        .send()
        .await
        .unwrap();
    assert!(
        response.headers()["www-authenticate"]
            .to_str()
            .unwrap()
            .starts_with("Bearer")
    );
    let body: Value = response.json().await.unwrap();
    assert_eq!(
        (&body["type"], &body["message"]),
        (&json!("unauthorized"), &json!("Unauthorized"))
    );

    let providers = expect(
        200,
        harness.request(Method::GET, "auth", "/auth/euser/providers"),
    )
    .await;
    assert_eq!(providers["providers"][0]["id"], "emailpass");
    expect(
        404,
        harness.request(Method::GET, "auth", "/auth/service/providers"),
    )
    .await;
    harness.stop().await;
}
