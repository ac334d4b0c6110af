use super::*;

testkit::on_both_backends! {
    async fn an_admin_makes_accounts_and_external_users_where_they_are_let(backend: Backend) {
        let world = World::new(&backend).await;
        let seb = world.person("seb@x.dev").await;
        let name = json!({ "name": "  Shop  " });
        assert_eq!(expect(403, world.post(&seb.token, "/v1/accounts", &name)).await["code"], "wrong_actor");
        let made = expect(201, world.post(&world.admin, "/v1/accounts", &name)).await;
        assert_eq!(made["account"]["name"], "Shop");
        for wrong in [json!({}), json!({ "name": "" }), json!({ "name": 1 }), json!({ "name": "x", "more": 1 })] {
            expect(422, world.post(&world.admin, "/v1/accounts", &wrong)).await;
        }
        world.harness.stop().await;
    }

    async fn who_makes_an_account_for_herself_owns_it(backend: Backend) {
        let world = World::with(&backend, &[("accounts.self_service", "true")], Clock::system()).await;
        let token = world.registered("eve@x.dev").await;
        let name = json!({ "name": "Shop" });
        assert_eq!(expect(403, world.post(&token, "/v1/accounts", &name)).await["code"], "user_required");
        let seb = world.person("seb@x.dev").await;
        let made = expect(201, world.post(&seb.token, "/v1/accounts", &name)).await;
        let account = text(&made["account"]["id"]);
        let membership = world.membership(&account, &seb.id).await;
        assert_eq!((&membership["role"], &membership["version"]), (&json!("owner"), &json!(1)));
        world.harness.stop().await;
    }

    async fn an_account_is_seen_by_its_members_and_admins_only(backend: Backend) {
        let world = World::new(&backend).await;
        let (seb, eve) = (world.person("seb@x.dev").await, world.person("eve@x.dev").await);
        let account = world.account(&seb).await;
        let path = format!("/v1/accounts/{account}");
        expect(200, world.get(&seb.token, &path)).await;
        expect(200, world.get(&world.admin, &path)).await;
        expect(200, world.get(&seb.token, &format!("/v1/account/{account}/members"))).await;
        expect(401, world.get("", &path)).await;
        for path in [path.clone(), format!("{path}/members"), format!("{path}/invites")] {
            expect(404, world.get(&eve.token, &path)).await;
        }
        expect(404, world.patch(&eve.token, &path, &json!({ "name": "Mine" }))).await;
        expect(404, world.delete(&eve.token, &path)).await;
        expect(404, world.get(&world.admin, "/v1/accounts/acc_nonsense")).await;
        assert_eq!(expect(200, world.get(&eve.token, "/v1/accounts")).await["accounts"], json!([]));
        world.harness.stop().await;
    }

    async fn accounts_are_listed_newest_first_page_by_page(backend: Backend) {
        let world = World::new(&backend).await;
        let mut names = Vec::new();
        for place in 0..5 {
            let name = format!("Shop {place}");
            expect(201, world.post(&world.admin, "/v1/accounts", &json!({ "name": name }))).await;
            names.insert(0, name);
        }
        let (mut seen, mut after) = (Vec::new(), String::new());
        loop {
            let page = expect(200, world.get(&world.admin, &format!("/v1/accounts?limit=2{after}"))).await;
            seen.extend(page["accounts"].as_array().unwrap().iter().map(|account| text(&account["name"])));
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => break,
            }
        }
        // Those of one millisecond have no order among them.
        seen.sort();
        names.sort();
        assert_eq!(seen, names);
        expect(400, world.get(&world.admin, "/v1/accounts?after=nonsense")).await;
        world.harness.stop().await;
    }

    async fn of_two_who_edit_at_once_the_second_is_told(backend: Backend) {
        let world = World::new(&backend).await;
        let seb = world.person("seb@x.dev").await;
        let path = format!("/v1/accounts/{}", world.account(&seb).await);
        let response = world.get(&seb.token, &path).send().await.unwrap();
        let tag = response.headers()["etag"].to_str().unwrap().to_owned();
        let rename = |name: &str| {
            world.patch(&seb.token, &path, &json!({ "name": name })).header("if-match", &tag)
        };
        expect(200, rename("One")).await;
        assert_eq!(expect(412, rename("Other")).await["code"], "precondition_failed");
        assert_eq!(expect(200, world.get(&seb.token, &path)).await["account"]["name"], "One");
        world.harness.stop().await;
    }

    async fn a_deleted_account_is_gone_for_everybody(backend: Backend) {
        let world = World::new(&backend).await;
        let seb = world.person("seb@x.dev").await;
        let account = world.account(&seb).await;
        let path = format!("/v1/accounts/{account}");
        let invite = world.invite(&account, &seb.token, &json!({})).await;
        let before = world.membership(&account, &seb.id).await;
        let gone = expect(200, world.delete(&seb.token, &path)).await;
        assert!(gone["account"]["deleted_at"].is_string(), "{gone}");
        expect(404, world.get(&seb.token, &path)).await;
        expect(404, world.get(&world.admin, &path)).await;
        expect(404, world.delete(&world.admin, &path)).await;
        expect(404, world.get(&world.admin, &format!("{path}/members"))).await;
        expect(404, world.post(&world.admin, &format!("{path}/invite"), &json!({}))).await;
        let eve = world.person("eve@x.dev").await;
        expect(404, world.accept(&eve.token, &invite)).await;
        let after = world.membership(&account, &seb.id).await;
        assert_eq!(after["role"], json!(null));
        assert!(after["version"].as_i64() > before["version"].as_i64(), "{before} {after}");
        world.harness.stop().await;
    }

    async fn an_api_key_reaches_as_far_as_its_scopes_and_its_account(backend: Backend) {
        let world = World::new(&backend).await;
        let seb = world.person("seb@x.dev").await;
        let (mine, also_mine) = (world.account(&seb).await, world.account(&seb).await);
        let me = expect(200, world.get(&seb.token, "/v1/users/me")).await;
        let body = json!({
            "kind": "key+jwt", "sub": "key_1", "audience": "slipway", "lifetime": 60, "scope": "accounts:read",
            "identity_id": me["user"]["identity_id"], "actor_type": "euser", "account_id": mine,
        });
        let v1api = world.v1api_token("auth").await;
        let request = world.harness.private(Method::POST, "auth", "/internal/tokens").bearer_auth(v1api).json(&body);
        let key = text(&expect(200, request).await["token"]);
        expect(200, world.get(&key, &format!("/v1/accounts/{mine}"))).await;
        expect(404, world.get(&key, &format!("/v1/accounts/{also_mine}"))).await;
        let listed = expect(200, world.get(&key, "/v1/accounts")).await;
        assert_eq!(listed["accounts"].as_array().unwrap().len(), 1);
        let refused = expect(403, world.patch(&key, &format!("/v1/accounts/{mine}"), &json!({ "name": "x" }))).await;
        assert_eq!(refused["code"], "insufficient_scope");
        expect(401, world.get(&key, "/v1/users/me")).await;
        world.harness.stop().await;
    }
}
