use chassis::audit::Entry;
use chassis::http::ClientAddress;
use common::event::{AuthEvent, Envelope, IdentityState};
use common::id::IdentityId;
use common::time::Span;
use common::token::ActorType;
use slipway_account::users::departure::depart;
use slipway_account::users::events::on_identity_deleted;
use testkit::eventually_async;

use super::*;

impl World {
    fn leave(&self, who: &Person, body: &Value) -> RequestBuilder {
        self.delete(&who.token, "/v1/users/me").json(body)
    }

    fn db(&self) -> chassis::db::Database {
        self.harness
            .platform()
            .context("account")
            .unwrap()
            .db
            .clone()
    }

    /// Waits until nobody can sign in with this address.
    async fn until_unknown(&self, email: &str) {
        eventually_async("the identity is gone", || async {
            (self.login(email).send().await.unwrap().status() == 401).then_some(())
        })
        .await;
    }
}

testkit::on_both_backends! {
    async fn who_deletes_herself_is_gone_and_what_she_offered_with_her(backend: Backend) {
        let world = World::new(&backend).await;
        let (seb, eve) = (world.person("seb@x.dev").await, world.person("eve@x.dev").await);
        let ann = world.person("ann@x.dev").await;
        let account = world.account(&seb).await;
        world.join(&account, &seb.token, &eve, "owner").await;
        let invite = world.invite(&account, &seb.token, &json!({ "role": "viewer" })).await;
        let by_eve = world.invite(&account, &eve.token, &json!({ "role": "viewer" })).await;
        let before = world.membership(&account, &seb.id).await["version"].as_i64().unwrap();

        let deleted = expect(200, world.leave(&seb, &json!({ "password": PASSWORD }))).await;
        assert_eq!(deleted, json!({ "id": seb.id, "object": "user", "deleted": true }));
        // By the time of the answer, not some time later.
        expect(401, world.login("seb@x.dev")).await;
        let left = world.membership(&account, &seb.id).await;
        assert_eq!((&left["role"], &left["version"]), (&json!(null), &json!(before + 1)));
        assert_eq!(expect(410, world.accept(&ann.token, &invite)).await["code"], "invite_revoked");
        expect(200, world.accept(&ann.token, &by_eve)).await;
        let members = expect(200, world.get(&eve.token, &format!("/v1/accounts/{account}/members"))).await;
        assert!(!members.to_string().contains("seb@x.dev"), "{members}");
        eventually_async("her token has ended", || async {
            (world.get(&seb.token, "/v1/users/me").send().await.unwrap().status() == 401).then_some(())
        })
        .await;
        // The address is free, and whoever takes it is somebody else.
        let anew = world.person("seb@x.dev").await;
        assert_ne!(anew.id, seb.id);
        expect(404, world.get(&anew.token, &format!("/v1/accounts/{account}"))).await;
        world.harness.stop().await;
    }

    async fn one_is_deleted_by_the_password_or_soon_after_signing_in_and_not_else(backend: Backend) {
        let clock = Clock::manual(Clock::system().now());
        let world = World::with(&backend, &[], clock.clone()).await;
        let (fresh, seb) = (world.person("fresh@x.dev").await, world.person("seb@x.dev").await);
        expect(200, world.leave(&fresh, &json!({}))).await;
        clock.advance(Span::minutes(11));
        let leave = async |body: Value| {
            // Until revocations have been asked for at the new time, no token is taken.
            let answer = eventually_async("an answer", || async {
                let answer = world.leave(&seb, &body).send().await.unwrap();
                (answer.status() != 503).then_some(answer)
            })
            .await;
            (answer.status().as_u16(), answer.json::<Value>().await.unwrap()["code"].clone())
        };
        assert_eq!(leave(json!({})).await, (403, json!("sign_in_required")));
        assert_eq!(leave(json!({ "password": "another password" })).await, (403, json!("wrong_password")));
        assert_eq!(leave(json!({ "password": 1 })).await.0, 422);
        assert_eq!(leave(json!({ "password": PASSWORD, "force": true })).await.0, 422);
        assert_eq!(leave(json!({ "password": PASSWORD })).await, (200, json!(null)));
        world.harness.stop().await;
    }

    async fn the_last_owner_stays_and_hears_of_what_unless_an_admin_forces_it(backend: Backend) {
        let world = World::new(&backend).await;
        let (seb, eve) = (world.person("seb@x.dev").await, world.person("eve@x.dev").await);
        let (alone, shared) = (world.account(&seb).await, world.account(&seb).await);
        world.join(&shared, &seb.token, &eve, "owner").await;
        let identity = world.identity(&seb).await;
        let by_herself = expect(409, world.leave(&seb, &json!({ "password": PASSWORD }))).await;
        let by_admin = expect(409, world.administer(Method::DELETE, &identity, "")).await;
        for refused in [by_herself, by_admin] {
            assert_eq!((&refused["code"], &refused["accounts"]), (&json!("last_owner"), &json!([alone])));
        }
        assert_eq!(world.membership(&shared, &seb.id).await["role"], "owner", "nothing was begun");
        expect(200, world.login("seb@x.dev")).await;

        expect(200, world.administer(Method::DELETE, &identity, "?force=true")).await;
        expect(401, world.login("seb@x.dev")).await;
        assert_eq!(world.membership(&shared, &eve.id).await["role"], "owner");
        let members = expect(200, world.get(&world.admin, &format!("/v1/accounts/{alone}/members"))).await;
        assert_eq!(members["members"], json!([]));
        // It is the operators' now, who give it an owner.
        let invite = world.invite(&alone, &world.admin, &json!({})).await;
        assert_eq!(invite["invite"]["role"], "owner");
        expect(200, world.accept(&eve.token, &invite)).await;
        world.harness.stop().await;
    }

    async fn of_two_owners_who_delete_themselves_at_once_one_stays(backend: Backend) {
        let world = World::new(&backend).await;
        let (seb, eve) = (world.person("seb@x.dev").await, world.person("eve@x.dev").await);
        let account = world.account(&seb).await;
        world.join(&account, &seb.token, &eve, "owner").await;
        let body = json!({ "password": PASSWORD });
        let (one, other) = tokio::join!(world.leave(&seb, &body).send(), world.leave(&eve, &body).send());
        let mut statuses = [one.unwrap().status().as_u16(), other.unwrap().status().as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409]);
        let members = expect(200, world.get(&world.admin, &format!("/v1/accounts/{account}/members"))).await;
        assert_eq!(members["members"].as_array().unwrap().len(), 1, "{members}");
        world.harness.stop().await;
    }

    async fn an_owner_who_deletes_herself_and_one_who_leaves_at_once_leave_an_owner(backend: Backend) {
        let world = World::new(&backend).await;
        let (seb, eve) = (world.person("seb@x.dev").await, world.person("eve@x.dev").await);
        let account = world.account(&seb).await;
        world.join(&account, &seb.token, &eve, "owner").await;
        let body = json!({ "password": PASSWORD });
        let (one, other) = tokio::join!(
            world.leave(&seb, &body).send(),
            world.delete(&eve.token, &format!("/v1/accounts/{account}/members/{}", eve.id)).send(),
        );
        let mut statuses = [one.unwrap().status().as_u16(), other.unwrap().status().as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409]);
        world.harness.stop().await;
    }

    async fn who_is_deleted_while_she_accepts_an_invite_is_no_member(backend: Backend) {
        let world = World::new(&backend).await;
        let (seb, eve) = (world.person("seb@x.dev").await, world.person("eve@x.dev").await);
        let account = world.account(&seb).await;
        let invite = world.invite(&account, &seb.token, &json!({})).await;
        let body = json!({ "password": PASSWORD });
        let (gone, accepted) = tokio::join!(world.leave(&eve, &body).send(), world.accept(&eve.token, &invite).send());
        assert_eq!(gone.unwrap().status(), 200);
        assert!(accepted.unwrap().status().as_u16() < 500);
        assert_eq!(world.membership(&account, &eve.id).await["role"], json!(null));
        world.harness.stop().await;
    }

    async fn an_admin_gives_that_up_before_she_deletes_herself(backend: Backend) {
        let world = World::new(&backend).await;
        let seb = world.person("seb@x.dev").await;
        let identity = world.identity(&seb).await;
        expect(200, world.administer(Method::PUT, &identity, "/actors/admin")).await;
        let body = json!({ "password": PASSWORD });
        assert_eq!(expect(409, world.leave(&seb, &body)).await["code"], "is_admin");
        expect(200, world.administer(Method::DELETE, &identity, "/actors/admin")).await;
        let seb = Person { token: text(&expect(200, world.login("seb@x.dev")).await["token"]), ..seb };
        expect(200, world.leave(&seb, &body)).await;
        world.harness.stop().await;
    }

    async fn who_has_no_user_is_told_and_an_admins_token_deletes_nobody(backend: Backend) {
        let world = World::new(&backend).await;
        let token = world.registered("seb@x.dev").await;
        let delete = |token: &str| world.delete(token, "/v1/users/me").json(&json!({ "password": PASSWORD }));
        expect(404, delete(&token)).await;
        expect(403, delete(&world.admin)).await;
        expect(401, world.harness.request(Method::DELETE, "account", "/v1/users/me")).await;
        world.harness.stop().await;
    }

    async fn a_crash_before_auth_is_told_is_repaired_by_the_event(backend: Backend) {
        let world = World::new(&backend).await;
        let seb = world.person("seb@x.dev").await;
        let identity: IdentityId = world.identity(&seb).await.parse().unwrap();
        let (gone, now) = (identity.clone(), world.harness.clock.now());
        // What `DELETE /v1/users/me` commits, and nothing after it.
        let user = world.db().write(move |db| depart(db, &gone, false, &entry(), now)).await.unwrap();
        assert_eq!(user.unwrap().id.as_str(), seb.id);
        world.until_unknown("seb@x.dev").await;
        expect(404, world.administer(Method::GET, identity.as_str(), "")).await;
        world.harness.stop().await;
    }

    async fn a_crash_before_the_identity_is_deleted_is_repaired_by_the_event_or_by_asking_again(backend: Backend) {
        let world = World::new(&backend).await;
        let seb = world.person("seb@x.dev").await;
        let identity = world.identity(&seb).await;
        // What auth asks of account first, before it dies.
        let token = world.service_token("auth").await;
        let path = format!("/internal/identities/{identity}/departure");
        let ask = || world.harness.private(Method::POST, "account", &path).bearer_auth(&token);
        assert_eq!(expect(200, ask().json(&json!({ "only_ask": true }))).await["user_id"], json!(seb.id));
        assert_eq!(expect(200, ask().json(&json!({}))).await["user_id"], json!(seb.id));
        assert_eq!(expect(200, ask().json(&json!({}))).await["user_id"], json!(null), "again changes nothing");
        world.until_unknown("seb@x.dev").await;
        world.harness.stop().await;
    }

    async fn an_identity_that_is_gone_takes_its_user_with_it_once(backend: Backend) {
        let world = World::new(&backend).await;
        let seb = world.person("seb@x.dev").await;
        let account = world.account(&seb).await;
        let identity: IdentityId = world.identity(&seb).await.parse().unwrap();
        let now = world.harness.clock.now();
        let deleted = AuthEvent::IdentityDeleted(IdentityState {
            identity_id: identity,
            realm_id: None,
            generation: 2,
            user_id: None,
            disabled: false,
            deleted: true,
        });
        let envelope = Envelope::new(deleted, 9, now, None);
        let mut versions = Vec::new();
        for _ in 0..2 {
            let envelope = envelope.clone();
            world
                .db()
                .write(move |db| on_identity_deleted(db, &envelope, now).map_err(|error| panic!("{error}")))
                .await
                .unwrap_or_else(|error: diesel::result::Error| panic!("{error}"));
            versions.push(world.membership(&account, &seb.id).await);
        }
        assert_eq!(versions[0]["role"], json!(null));
        assert_eq!(versions[0], versions[1]);
        world.harness.stop().await;
    }

    async fn a_removed_members_invites_end_in_that_account_alone(backend: Backend) {
        let world = World::new(&backend).await;
        let (seb, dev) = (world.person("seb@x.dev").await, world.person("dev@x.dev").await);
        let eve = world.person("eve@x.dev").await;
        let (one, other) = (world.account(&seb).await, world.account(&seb).await);
        for account in [&one, &other] {
            world.join(account, &seb.token, &dev, "developer").await;
        }
        let (ended, kept) = (
            world.invite(&one, &dev.token, &json!({})).await,
            world.invite(&other, &dev.token, &json!({})).await,
        );
        expect(200, world.delete(&seb.token, &format!("/v1/accounts/{one}/members/{}", dev.id))).await;
        assert_eq!(expect(410, world.accept(&eve.token, &ended)).await["code"], "invite_revoked");
        expect(200, world.accept(&eve.token, &kept)).await;
        // Coming back brings no invite back.
        world.join(&one, &seb.token, &dev, "developer").await;
        expect(410, world.accept(&eve.token, &ended)).await;
        world.harness.stop().await;
    }

    async fn a_disabled_admins_invites_are_good_for_nothing(backend: Backend) {
        let world = World::new(&backend).await;
        let (seb, second) = (world.person("seb@x.dev").await, world.person("second@x.dev").await);
        let account = world.account(&seb).await;
        let identity = world.identity(&second).await;
        expect(200, world.administer(Method::PUT, &identity, "/actors/admin")).await;
        let login = world.harness.request(Method::POST, "auth", "/auth/admin/emailpass");
        let body = json!({ "email": "second@x.dev", "password": PASSWORD });
        let admin = text(&expect(200, login.json(&body)).await["token"]);
        let invite = world.invite(&account, &admin, &json!({})).await;
        let disable = world.administer(Method::PATCH, &identity, "").json(&json!({ "disabled": true }));
        expect(200, disable).await;
        let eve = world.person("eve@x.dev").await;
        assert_eq!(expect(403, world.accept(&eve.token, &invite)).await["code"], "inviter_lost_right");
        world.harness.stop().await;
    }
}

fn entry() -> Entry<'static> {
    Entry {
        actor: "test",
        actor_type: ActorType::Service,
        action: "user.deleted",
        subject: "",
        account_id: None,
        address: ClientAddress(None),
        details: Value::Null,
    }
}
