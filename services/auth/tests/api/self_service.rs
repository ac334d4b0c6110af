use super::*;

const NEW: &str = "another horse battery";

fn change_password(
    harness: &Harness,
    token: &str,
    old: &str,
    new: &str,
) -> reqwest::RequestBuilder {
    let body = json!({ "old_password": old, "password": new });
    post(harness, "/auth/password", &body).bearer_auth(token)
}

fn change_email(
    harness: &Harness,
    token: &str,
    email: &str,
    password: &str,
) -> reqwest::RequestBuilder {
    post(harness, "/auth/email", &credentials(email, password)).bearer_auth(token)
}

async fn confirm(harness: &Harness, status: u16, code: &str) -> Value {
    expect(
        status,
        post(
            harness,
            "/auth/verification/confirm",
            &json!({ "code": code }),
        ),
    )
    .await
}

testkit::on_both_backends! {
    async fn a_person_changes_her_password_and_goes_on_alone(backend: Backend) {
        let harness = auth(&backend).start().await;
        let elsewhere = token(register(&harness, "seb@x.dev", PASSWORD)).await;
        let here = token(login(&harness, "euser", "seb@x.dev", PASSWORD)).await;
        let wrong = expect(400, change_password(&harness, &here, "another password", NEW)).await;
        assert_eq!((&wrong["code"], &wrong["type"]), (&json!("wrong_password"), &json!("invalid_data")));
        expect(400, change_password(&harness, &here, PASSWORD, "short")).await;
        expect(401, post(&harness, "/auth/password", &json!({ "old_password": PASSWORD, "password": NEW }))).await;

        let renewed = token(change_password(&harness, &here, PASSWORD, NEW)).await;
        assert_eq!(claims(&renewed)["sub"], claims(&here)["sub"]);
        expect(401, refresh(&harness, &here)).await;
        expect(401, refresh(&harness, &elsewhere)).await;
        expect(200, refresh(&harness, &renewed)).await;
        expect(401, login(&harness, "euser", "seb@x.dev", PASSWORD)).await;
        expect(200, login(&harness, "euser", "seb@x.dev", NEW)).await;
        letter(&backend, "seb@x.dev", "password was changed", 1).await;
        harness.stop().await;
    }

    async fn of_two_changes_at_the_same_instant_one_counts(backend: Backend) {
        let harness = auth(&backend).start().await;
        let person = token(register(&harness, "seb@x.dev", PASSWORD)).await;
        let (one, other) = tokio::join!(
            change_password(&harness, &person, PASSWORD, NEW).send(),
            change_password(&harness, &person, PASSWORD, "a third one, please").send(),
        );
        let (one, other) = (one.unwrap().status().as_u16(), other.unwrap().status().as_u16());
        // Who comes last finds another password, or no token that holds.
        assert!([one, other].contains(&200) && [one, other].iter().any(|status| [400, 401].contains(status)), "{one} {other}");
        let password = if one == 200 { NEW } else { "a third one, please" };
        expect(200, login(&harness, "euser", "seb@x.dev", password)).await;
        harness.stop().await;
    }

    async fn a_found_token_is_no_way_to_guess_the_password(backend: Backend) {
        let harness = auth(&backend).start().await;
        let person = token(register(&harness, "seb@x.dev", PASSWORD)).await;
        for _ in 0..5 {
            expect(400, change_password(&harness, &person, "another password", NEW)).await;
        }
        expect(429, change_password(&harness, &person, PASSWORD, NEW)).await;
        expect(429, change_email(&harness, &person, "new@x.dev", PASSWORD)).await;
        // What she is signed in by goes on.
        expect(200, refresh(&harness, &person)).await;
        harness.stop().await;
    }

    async fn an_address_changes_once_the_new_one_is_confirmed_and_the_old_one_is_told(backend: Backend) {
        let harness = auth(&backend).start().await;
        let person = token(register(&harness, "seb@x.dev", PASSWORD)).await;
        let first = secret_of(&letter(&backend, "seb@x.dev", "Confirm", 1).await);
        expect(400, change_email(&harness, &person, "new@x.dev", "another password")).await;
        expect(400, change_email(&harness, &person, "not an address", PASSWORD)).await;
        let same = expect(400, change_email(&harness, &person, "SEB@x.dev", PASSWORD)).await;
        assert_eq!(same["code"], "same_email");
        expect(401, post(&harness, "/auth/email", &credentials("new@x.dev", PASSWORD))).await;

        let asked = expect(201, change_email(&harness, &person, "New@x.dev", PASSWORD)).await;
        assert_eq!(asked["verification"]["entity_id"], "new@x.dev");
        assert!(asked["verification"]["verified_at"].is_null());
        letter(&backend, "seb@x.dev", "is about to change", 1).await;
        let code = secret_of(&letter(&backend, "new@x.dev", "Confirm", 1).await);
        // Until then all is as it was.
        expect(200, login(&harness, "euser", "seb@x.dev", PASSWORD)).await;
        expect(401, login(&harness, "euser", "new@x.dev", PASSWORD)).await;
        let path = "/auth/euser/emailpass/reset-password";
        expect(201, post(&harness, path, &json!({ "identifier": "seb@x.dev" }))).await;
        let reset = secret_of(&letter(&backend, "seb@x.dev", "A new password", 1).await);

        assert_eq!(confirm(&harness, 200, &code).await["entity_id"], "new@x.dev");
        letter(&backend, "seb@x.dev", "email address was changed", 1).await;
        expect(401, login(&harness, "euser", "seb@x.dev", PASSWORD)).await;
        let signed_in = token(login(&harness, "euser", "new@x.dev", PASSWORD)).await;
        assert_eq!(claims(&signed_in)["sub"], claims(&person)["sub"]);
        // What was sent to the old address is of no use any more.
        confirm(&harness, 400, &first).await;
        let update = post(&harness, "/auth/euser/emailpass/update", &json!({ "password": NEW }));
        expect(401, update.bearer_auth(&reset)).await;
        confirm(&harness, 400, &code).await;
        harness.stop().await;
    }

    async fn another_s_address_is_not_told_of_and_not_taken(backend: Backend) {
        let harness = auth(&backend).start().await;
        let person = token(register(&harness, "seb@x.dev", PASSWORD)).await;
        expect(201, change_email(&harness, &person, "ben@x.dev", PASSWORD)).await;
        let code = secret_of(&letter(&backend, "ben@x.dev", "Confirm", 1).await);
        expect(200, register(&harness, "ben@x.dev", NEW)).await;
        expect(201, change_email(&harness, &person, "ben@x.dev", PASSWORD)).await;
        // The one from before has ended; the new one finds the address taken.
        confirm(&harness, 400, &code).await;
        let codes = eventually("both of ben's letters", || {
            let mails = letters(&backend, "ben@x.dev", "Confirm");
            (mails.len() == 3).then(|| mails.iter().map(secret_of).collect::<Vec<_>>())
        }).await;
        let mut answers = Vec::new();
        for code in codes {
            let response = post(&harness, "/auth/verification/confirm", &json!({ "code": code })).send().await.unwrap();
            answers.push(response.status().as_u16());
        }
        answers.sort_unstable();
        assert_eq!(answers, [200, 400, 409], "ben's own, the ended one, and the one for seb");
        expect(200, login(&harness, "euser", "seb@x.dev", PASSWORD)).await;
        expect(200, login(&harness, "euser", "ben@x.dev", NEW)).await;
        harness.stop().await;
    }
}
