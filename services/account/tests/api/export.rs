use super::*;

testkit::on_both_backends! {
    async fn what_is_kept_of_a_person_comes_from_all_services_and_holds_no_secret(backend: Backend) {
        let key = json!({
            "id": "key_01h455vb4pex5vsknk084sn02q", "name": "ci", "scopes": "usage:read", "account_id": null,
            "created_at": "2026-11-21T10:00:00Z", "expires_at": "2026-12-21T10:00:00Z",
            "revoked_at": null, "last_used_at": null,
        });
        let keys = json!({ "api_keys": [key] });
        let v1api = Double::new("v1api", move |_| (200, keys.clone()));
        let world = World::beside(&backend, &[], Clock::system(), &[&v1api]).await;
        let (seb, eve) = (world.person("seb@x.dev").await, world.person("eve@x.dev").await);
        let account = world.account(&seb).await;
        let elsewhere = world.account(&eve).await;
        world.join(&elsewhere, &eve.token, &seb, "viewer").await;
        expect(200, world.delete(&seb.token, &format!("/v1/accounts/{elsewhere}/members/{}", seb.id))).await;
        let invite = world.invite(&account, &seb.token, &json!({ "email": "friend@x.dev" })).await;
        world.invite(&elsewhere, &eve.token, &json!({})).await;

        let answer = world.get(&seb.token, "/v1/users/me/export").send().await.unwrap();
        assert_eq!(answer.headers()["cache-control"], "no-store");
        assert!(answer.headers()["content-disposition"].to_str().unwrap().starts_with("attachment"));
        let export: Value = answer.json().await.unwrap();
        assert_eq!(export["user"]["id"], json!(seb.id));
        assert_eq!((&export["user"]["email"], &export["identity"]["email"]), (&json!("seb@x.dev"), &json!("seb@x.dev")));
        assert_eq!(export["identity"]["providers"][0]["provider"], "emailpass");
        let roles: std::collections::BTreeMap<_, _> = export["memberships"].as_array().unwrap().iter()
            .map(|membership| (text(&membership["account_id"]), membership["role"].clone()))
            .collect();
        assert_eq!(roles, [(account.clone(), json!("owner")), (elsewhere.clone(), json!(null))].into());
        assert_eq!(export["invites"].as_array().unwrap().len(), 1, "{export}");
        assert_eq!((&export["invites"][0]["id"], &export["invites"][0]["state"]), (&invite["invite"]["id"], &json!("pending")));
        assert_eq!(export["api_keys"][0]["name"], "ci");
        let asked = v1api.asked();
        assert_eq!(asked.last().unwrap().path, format!("/internal/users/{}/keys", seb.id));
        let whole = export.to_string();
        for secret in ["argon2", PASSWORD, "friend@x.dev", "eve@x.dev", invite["token"].as_str().unwrap()] {
            assert!(!whole.contains(secret), "{secret}: {whole}");
        }
        expect(403, world.get(&world.admin, "/v1/users/me/export")).await;
        expect(401, world.get("", "/v1/users/me/export")).await;
        world.harness.stop().await;
    }

    async fn who_has_no_user_yet_gets_what_there_is_and_nobody_gets_half_of_it(backend: Backend) {
        let v1api = Double::new("v1api", |_| (500, json!({})));
        let world = World::beside(&backend, &[], Clock::system(), &[&v1api]).await;
        let token = world.registered("new@x.dev").await;
        let export = expect(200, world.get(&token, "/v1/users/me/export")).await;
        assert_eq!((&export["user"], &export["identity"]["email"]), (&json!(null), &json!("new@x.dev")));
        let seb = world.person("seb@x.dev").await;
        expect(503, world.get(&seb.token, "/v1/users/me/export")).await;
        world.harness.stop().await;
    }
}
