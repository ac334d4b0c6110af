use common::time::Span;
use testkit::eventually_async;

use super::*;

testkit::on_both_backends! {
    async fn the_first_invite_makes_an_owner_and_accepting_again_changes_nothing(backend: Backend) {
        let world = World::new(&backend).await;
        let (seb, eve) = (world.person("seb@x.dev").await, world.person("eve@x.dev").await);
        let made = expect(201, world.post(&world.admin, "/v1/accounts", &json!({ "name": "Shop" }))).await;
        let account = text(&made["account"]["id"]);
        let invite = world.invite(&account, &world.admin, &json!({})).await;
        assert_eq!((&invite["invite"]["role"], &invite["invite"]["status"]), (&json!("owner"), &json!("pending")));

        let accepted = expect(200, world.accept(&seb.token, &invite)).await;
        assert_eq!(accepted["account"]["id"], json!(account));
        assert_eq!((&accepted["membership"]["role"], &accepted["membership"]["user_id"]), (&json!("owner"), &json!(seb.id)));
        assert_eq!(expect(200, world.accept(&seb.token, &invite)).await, accepted);
        assert_eq!(expect(409, world.accept(&eve.token, &invite)).await["code"], "invite_used_up");

        let next = world.invite(&account, &world.admin, &json!({})).await;
        assert_eq!(next["invite"]["role"], "developer");
        let listed = expect(200, world.get(&seb.token, &format!("/v1/accounts/{account}/invites"))).await;
        let listed = listed["invites"].as_array().unwrap().clone();
        assert_eq!(listed.len(), 2);
        assert!(listed.iter().all(|invite| invite.get("token").is_none()), "{listed:?}");
        world.harness.stop().await;
    }

    async fn an_invite_is_accepted_by_as_many_as_it_is_for_even_at_once(backend: Backend) {
        let world = World::new(&backend).await;
        let owner = world.person("seb@x.dev").await;
        let account = world.account(&owner).await;
        let invite = world.invite(&account, &owner.token, &json!({ "max_uses": 2 })).await;
        let mut people = Vec::new();
        for name in ["a", "b", "c", "d"] {
            people.push(world.person(&format!("{name}@x.dev")).await);
        }
        let (a, b, c, d) = tokio::join!(
            world.accept(&people[0].token, &invite).send(),
            world.accept(&people[1].token, &invite).send(),
            world.accept(&people[2].token, &invite).send(),
            world.accept(&people[3].token, &invite).send(),
        );
        let mut statuses = [a, b, c, d].map(|answer| answer.unwrap().status().as_u16());
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 200, 409, 409]);
        let members = expect(200, world.get(&owner.token, &format!("/v1/accounts/{account}/members"))).await;
        assert_eq!(members["members"].as_array().unwrap().len(), 3);
        world.harness.stop().await;
    }

    async fn one_who_accepts_twice_at_once_uses_the_invite_up_once(backend: Backend) {
        let world = World::new(&backend).await;
        let (owner, person) = (world.person("seb@x.dev").await, world.person("a@x.dev").await);
        let account = world.account(&owner).await;
        let invite = world.invite(&account, &owner.token, &json!({ "max_uses": 2 })).await;
        let (one, other) = tokio::join!(
            world.accept(&person.token, &invite).send(),
            world.accept(&person.token, &invite).send(),
        );
        for answer in [one, other] {
            assert_eq!(answer.unwrap().status().as_u16(), 200);
        }
        // One use is left for somebody else.
        let second = world.person("b@x.dev").await;
        expect(200, world.accept(&second.token, &invite)).await;
        let third = world.person("c@x.dev").await;
        expect(409, world.accept(&third.token, &invite)).await;
        let members = expect(200, world.get(&owner.token, &format!("/v1/accounts/{account}/members"))).await;
        assert_eq!(members["members"].as_array().unwrap().len(), 3);
        world.harness.stop().await;
    }

    async fn one_gives_at_most_the_role_one_has(backend: Backend) {
        let world = World::new(&backend).await;
        let (owner, dev) = (world.person("seb@x.dev").await, world.person("dev@x.dev").await);
        let viewer = world.person("viewer@x.dev").await;
        let account = world.account(&owner).await;
        world.join(&account, &owner.token, &dev, "developer").await;
        world.join(&account, &dev.token, &viewer, "viewer").await;
        let path = format!("/v1/accounts/{account}/invite");
        let refused = expect(403, world.post(&dev.token, &path, &json!({ "role": "owner" }))).await;
        assert_eq!(refused["code"], "insufficient_role");
        expect(403, world.post(&viewer.token, &path, &json!({ "role": "viewer" }))).await;
        let owners = world.invite(&account, &owner.token, &json!({ "role": "owner" })).await;
        let owners = format!("/v1/accounts/{account}/invites/{}", text(&owners["invite"]["id"]));
        expect(403, world.delete(&dev.token, &owners)).await;
        for wrong in [json!({ "max_uses": 0 }), json!({ "expires_in": 5 }), json!({ "expires_in": "31d" }), json!({ "role": "boss" })] {
            expect(422, world.post(&owner.token, &path, &wrong)).await;
        }
        world.harness.stop().await;
    }

    async fn an_invite_that_was_taken_back_says_so(backend: Backend) {
        let world = World::new(&backend).await;
        let (owner, eve) = (world.person("seb@x.dev").await, world.person("eve@x.dev").await);
        let account = world.account(&owner).await;
        let invite = world.invite(&account, &owner.token, &json!({})).await;
        let path = format!("/v1/accounts/{account}/invites/{}", text(&invite["invite"]["id"]));
        assert_eq!(expect(200, world.delete(&owner.token, &path)).await["invite"]["status"], "revoked");
        expect(200, world.delete(&owner.token, &path)).await;
        assert_eq!(expect(410, world.accept(&eve.token, &invite)).await["code"], "invite_revoked");
        let other = world.account(&owner).await;
        let elsewhere = format!("/v1/accounts/{other}/invites/{}", text(&invite["invite"]["id"]));
        expect(404, world.delete(&owner.token, &elsewhere)).await;
        world.harness.stop().await;
    }

    async fn an_expired_invite_says_so(backend: Backend) {
        let clock = Clock::manual(Clock::system().now());
        let world = World::with(&backend, &[], clock.clone()).await;
        let (owner, eve) = (world.person("seb@x.dev").await, world.person("eve@x.dev").await);
        let account = world.account(&owner).await;
        let invite = world.invite(&account, &owner.token, &json!({ "expires_in": "10m" })).await;
        clock.advance(Span::minutes(11));
        // Until revocations have been asked for at the new time, no token is taken.
        let answer = eventually_async("an answer", || async {
            let answer = world.accept(&eve.token, &invite).send().await.unwrap();
            (answer.status() != 503).then_some(answer)
        })
        .await;
        assert_eq!(answer.status(), 410);
        assert_eq!(answer.json::<Value>().await.unwrap()["code"], "invite_expired");
        world.harness.stop().await;
    }

    async fn an_invite_for_one_email_is_for_its_verified_owner_alone(backend: Backend) {
        let world = World::new(&backend).await;
        let (owner, eve) = (world.person("seb@x.dev").await, world.person("eve@x.dev").await);
        let ann = world.person("ann@x.dev").await;
        let account = world.account(&owner).await;
        let invite = world.invite(&account, &owner.token, &json!({ "email": "Ann@x.dev" })).await;
        assert_eq!(expect(403, world.accept(&eve.token, &invite)).await["code"], "invite_wrong_email");
        assert_eq!(expect(403, world.accept(&ann.token, &invite)).await["code"], "email_not_verified");
        let identity = expect(200, world.get(&ann.token, "/v1/users/me")).await;
        let identity = text(&identity["user"]["identity_id"]).parse().unwrap();
        let (db, now) = (world.harness.platform().context("auth").unwrap().db.clone(), world.harness.clock.now());
        db.write(move |db| slipway_auth::identities::store::set_email_verified(db, &identity, now)).await.unwrap();
        expect(200, world.accept(&ann.token, &invite)).await;
        world.harness.stop().await;
    }

    async fn the_inviters_right_is_looked_at_again(backend: Backend) {
        let world = World::new(&backend).await;
        let (owner, dev) = (world.person("seb@x.dev").await, world.person("dev@x.dev").await);
        let eve = world.person("eve@x.dev").await;
        let account = world.account(&owner).await;
        world.join(&account, &owner.token, &dev, "developer").await;
        let invite = world.invite(&account, &dev.token, &json!({})).await;
        let path = format!("/v1/accounts/{account}/members/{}", dev.id);
        expect(200, world.patch(&owner.token, &path, &json!({ "role": "viewer" }))).await;
        assert_eq!(expect(403, world.accept(&eve.token, &invite)).await["code"], "inviter_lost_right");

        // An admin's invite ends with the grant, too.
        let invite = world.invite(&account, &world.admin, &json!({})).await;
        let (db, now) = (world.harness.platform().context("auth").unwrap().db.clone(), world.harness.clock.now());
        db.write(move |db| {
            use slipway_auth::identities::{self, Provider, Realm, store};
            let root = store::by_provider(db, &Realm::Platform, Provider::Emailpass, "root@x.dev")?;
            let (root, _) = root.expect("the first admin");
            identities::withdraw_actor(db, &root.id, common::token::ActorType::Admin, now)
        })
        .await
        .unwrap();
        assert_eq!(expect(403, world.accept(&eve.token, &invite)).await["code"], "inviter_lost_right");
        world.harness.stop().await;
    }

    async fn what_is_no_invite_is_refused_and_who_is_no_user_is_told(backend: Backend) {
        let world = World::new(&backend).await;
        let owner = world.person("seb@x.dev").await;
        let account = world.account(&owner).await;
        for token in [owner.token.clone(), "a.b.c".into(), String::new()] {
            let refused = expect(400, world.accept(&owner.token, &json!({ "token": token }))).await;
            assert_eq!(refused["code"], "invite_invalid");
        }
        let invite = world.invite(&account, &owner.token, &json!({})).await;
        let nobody = world.registered("new@x.dev").await;
        assert_eq!(expect(403, world.accept(&nobody, &invite)).await["code"], "user_required");
        // An invite's token opens nothing else.
        let token = text(&invite["token"]);
        expect(401, world.get(&token, &format!("/v1/accounts/{account}"))).await;
        expect(401, world.get(&token, "/v1/users/me")).await;
        world.harness.stop().await;
    }
}
