use super::*;

testkit::on_both_backends! {
    async fn the_last_owner_can_neither_leave_nor_be_demoted(backend: Backend) {
        let world = World::new(&backend).await;
        let (seb, eve) = (world.person("seb@x.dev").await, world.person("eve@x.dev").await);
        let account = world.account(&seb).await;
        let path = format!("/v1/accounts/{account}/members/{}", seb.id);
        let demoted = json!({ "role": "developer" });
        for token in [&seb.token, &world.admin] {
            assert_eq!(expect(409, world.delete(token, &path)).await["code"], "last_owner");
            assert_eq!(expect(409, world.patch(token, &path, &demoted)).await["code"], "last_owner");
        }
        world.join(&account, &seb.token, &eve, "owner").await;
        expect(200, world.patch(&seb.token, &path, &demoted)).await;
        expect(403, world.patch(&seb.token, &path, &json!({ "role": "owner" }))).await;
        expect(200, world.delete(&seb.token, &path)).await;
        expect(404, world.get(&seb.token, &format!("/v1/accounts/{account}"))).await;
        world.harness.stop().await;
    }

    async fn of_two_owners_who_leave_at_once_one_stays(backend: Backend) {
        let world = World::new(&backend).await;
        let (seb, eve) = (world.person("seb@x.dev").await, world.person("eve@x.dev").await);
        let account = world.account(&seb).await;
        world.join(&account, &seb.token, &eve, "owner").await;
        let path = |user: &str| format!("/v1/accounts/{account}/members/{user}");
        let (one, other) = tokio::join!(
            world.delete(&seb.token, &path(&seb.id)).send(),
            world.delete(&eve.token, &path(&eve.id)).send(),
        );
        let mut statuses = [one.unwrap().status().as_u16(), other.unwrap().status().as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409]);
        world.harness.stop().await;
    }

    async fn only_owners_change_others_and_everybody_may_leave(backend: Backend) {
        let world = World::new(&backend).await;
        let (seb, dev) = (world.person("seb@x.dev").await, world.person("dev@x.dev").await);
        let viewer = world.person("viewer@x.dev").await;
        let account = world.account(&seb).await;
        world.join(&account, &seb.token, &dev, "developer").await;
        world.join(&account, &seb.token, &viewer, "viewer").await;
        let path = |who: &Person| format!("/v1/accounts/{account}/members/{}", who.id);
        expect(403, world.delete(&dev.token, &path(&viewer))).await;
        expect(403, world.patch(&dev.token, &path(&dev), &json!({ "role": "owner" }))).await;
        let left = expect(200, world.delete(&viewer.token, &path(&viewer))).await;
        assert_eq!(left["member"]["role"], json!(null));
        expect(404, world.delete(&seb.token, &path(&viewer))).await;
        let listed = expect(200, world.get(&dev.token, &format!("/v1/accounts/{account}/members"))).await;
        let users: Vec<_> = listed["members"].as_array().unwrap().iter().map(|member| text(&member["user_id"])).collect();
        assert_eq!(users, [dev.id.clone(), seb.id.clone()], "those who came last first");
        let page = expect(200, world.get(&dev.token, &format!("/v1/accounts/{account}/members?limit=1"))).await;
        let next = text(&page["next"]);
        let rest = expect(200, world.get(&dev.token, &format!("/v1/accounts/{account}/members?after={next}"))).await;
        assert_eq!(rest["members"][0]["user_id"], json!(seb.id));
        world.harness.stop().await;
    }

    async fn who_was_removed_does_not_come_back_by_the_same_invite(backend: Backend) {
        let world = World::new(&backend).await;
        let (seb, eve) = (world.person("seb@x.dev").await, world.person("eve@x.dev").await);
        let account = world.account(&seb).await;
        let invite = world.invite(&account, &seb.token, &json!({ "max_uses": 10 })).await;
        expect(200, world.accept(&eve.token, &invite)).await;
        let joined = world.membership(&account, &eve.id).await;
        expect(200, world.delete(&seb.token, &format!("/v1/accounts/{account}/members/{}", eve.id))).await;
        expect(409, world.accept(&eve.token, &invite)).await;
        let left = world.membership(&account, &eve.id).await;
        world.join(&account, &seb.token, &eve, "viewer").await;
        let back = world.membership(&account, &eve.id).await;
        let told = |membership: &Value| (membership["role"].clone(), membership["version"].as_i64().unwrap());
        assert_eq!([told(&joined), told(&left), told(&back)], [
            (json!("developer"), 1),
            (json!(null), 2),
            (json!("viewer"), 3),
        ]);
        world.harness.stop().await;
    }

    async fn memberships_are_told_to_services_only(backend: Backend) {
        let world = World::new(&backend).await;
        let seb = world.person("seb@x.dev").await;
        let account = world.account(&seb).await;
        let path = format!("/internal/memberships/{account}/{}", seb.id);
        let private = |token: &str| world.harness.private(Method::GET, "account", &path).bearer_auth(token);
        expect(401, private(&seb.token)).await;
        expect(401, private(&world.admin)).await;
        expect(401, private(&world.v1api_token("project").await)).await;
        expect(200, private(&world.v1api_token("account").await)).await;
        // What is private is not on the listener behind the gateway.
        expect(404, world.get(&world.v1api_token("account").await, &path)).await;
        let stranger = format!("/internal/memberships/{account}/{}", common::id::UserId::new(world.harness.clock.now()));
        let token = world.v1api_token("account").await;
        let none = expect(200, world.harness.private(Method::GET, "account", &stranger).bearer_auth(token)).await;
        assert_eq!((&none["role"], &none["version"]), (&json!(null), &json!(0)));
        world.harness.stop().await;
    }
}
