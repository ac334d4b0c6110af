use super::*;

testkit::on_both_backends! {
    async fn a_user_is_made_once_and_gets_into_the_next_token(backend: Backend) {
        let world = World::new(&backend).await;
        let token = world.registered("seb@x.dev").await;
        expect(404, world.get(&token, "/v1/users/me")).await;
        let other = json!({ "email": "somebody.else@x.dev" });
        assert_eq!(expect(403, world.post(&token, "/v1/users", &other)).await["code"], "email_mismatch");

        let own = json!({ "email": "SEB@x.dev" });
        let made = expect(201, world.post(&token, "/v1/users", &own)).await;
        let id = text(&made["user"]["id"]);
        assert!(id.starts_with("user_") && made["user"]["email"] == "seb@x.dev", "{made}");
        let again = expect(409, world.post(&token, "/v1/users", &own)).await;
        assert_eq!((&again["code"], &again["user_id"]), (&json!("user_exists"), &json!(id)));

        // Without a refresh the first token works on.
        let me = expect(200, world.get(&token, "/v1/users/me")).await;
        assert_eq!((&me["user"]["id"], &me["user"]["accounts"]), (&json!(id), &json!([])));
        let request = world.harness.request(Method::POST, "auth", "/auth/token/refresh").bearer_auth(&token);
        let renewed = text(&expect(200, request).await["token"]);
        assert_ne!(renewed, token);
        expect(200, world.get(&renewed, "/v1/users/me")).await;
        world.harness.stop().await;
    }

    async fn an_address_that_changes_at_auth_changes_here_as_well(backend: Backend) {
        let world = World::new(&backend).await;
        let seb = world.person("seb@x.dev").await;
        let account = world.account(&seb).await;
        let change = world.harness.request(Method::POST, "auth", "/auth/email").bearer_auth(&seb.token);
        expect(201, change.json(&json!({ "email": "new@x.dev", "password": PASSWORD }))).await;
        let mail = testkit::eventually("the mail to the new address", || {
            let mails = slipway_auth::mail::kept(backend.directory()).unwrap();
            mails.into_iter().find(|mail| mail.to == "new@x.dev")
        }).await;
        assert_eq!(expect(200, world.get(&seb.token, "/v1/users/me")).await["user"]["email"], "seb@x.dev");
        let (_, code) = mail.links[0].split_once('#').unwrap();
        let confirm = world.harness.request(Method::POST, "auth", "/auth/verification/confirm");
        expect(200, confirm.json(&json!({ "code": code }))).await;
        testkit::eventually_async("the user's address is the new one", || async {
            let me = expect(200, world.get(&seb.token, "/v1/users/me")).await;
            (me["user"]["email"] == "new@x.dev").then_some(())
        }).await;
        let members = expect(200, world.get(&seb.token, &format!("/v1/accounts/{account}/members"))).await;
        assert_eq!(members["members"][0]["email"], "new@x.dev", "{members}");
        world.harness.stop().await;
    }

    async fn two_first_requests_at_once_make_one_user(backend: Backend) {
        let world = World::new(&backend).await;
        let token = world.registered("seb@x.dev").await;
        let own = json!({ "email": "seb@x.dev" });
        let (one, other) = tokio::join!(
            world.post(&token, "/v1/users", &own).send(),
            world.post(&token, "/v1/users", &own).send(),
        );
        let mut statuses = [one.unwrap().status().as_u16(), other.unwrap().status().as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409]);
        world.harness.stop().await;
    }

    async fn an_admins_token_makes_no_user_and_no_token_none_at_all(backend: Backend) {
        let world = World::new(&backend).await;
        expect(403, world.post(&world.admin, "/v1/users", &json!({ "email": "root@x.dev" }))).await;
        expect(401, world.post("", "/v1/users", &json!({ "email": "root@x.dev" }))).await;
        let token = world.registered("seb@x.dev").await;
        let wrong = json!({ "email": "seb@x.dev", "admin": true });
        assert_eq!(expect(422, world.post(&token, "/v1/users", &wrong)).await["code"], "invalid_data");
        let wrong = json!({ "email": "no address" });
        assert_eq!(expect(422, world.post(&token, "/v1/users", &wrong)).await["errors"][0]["field"], "email");
        world.harness.stop().await;
    }

    async fn one_person_has_another_role_in_each_account(backend: Backend) {
        let world = World::new(&backend).await;
        let (seb, eve) = (world.person("seb@x.dev").await, world.person("eve@x.dev").await);
        let (first, second) = (world.account(&seb).await, world.account(&eve).await);
        world.join(&second, &eve.token, &seb, "viewer").await;
        let me = expect(200, world.get(&seb.token, "/v1/users/me")).await;
        let roles = |account: &str| {
            let accounts = me["user"]["accounts"].as_array().unwrap();
            text(&accounts.iter().find(|entry| entry["id"] == account).unwrap()["role"])
        };
        assert_eq!((roles(&first), roles(&second)), ("owner".into(), "viewer".into()));
        let name = json!({ "name": "Mine" });
        expect(200, world.patch(&seb.token, &format!("/v1/accounts/{first}"), &name)).await;
        let refused = expect(403, world.patch(&seb.token, &format!("/v1/accounts/{second}"), &name)).await;
        assert_eq!(refused["code"], "insufficient_role");
        world.harness.stop().await;
    }
}
