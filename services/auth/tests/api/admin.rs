use std::sync::{Arc, Mutex};

use chassis::db::Db;
use common::event::{AccountEvent, Envelope, UserState};
use common::id::{AccountId, IdentityId, RealmId, UserId};
use common::names::DisplayName;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use slipway_auth::identities::events::on_account_event;
use slipway_auth::realms::{self, OwnRealm};
use testkit::{Double, eventually_async};

use super::*;

const IDENTITIES: &str = "/auth/admin/identities";

struct World {
    harness: Harness,
    account: Double,
    /// What account answers when somebody is to go.
    departure: Arc<Mutex<(u16, Value)>>,
    admin: String,
}

impl World {
    async fn new(backend: &Backend) -> Self {
        let departure = Arc::new(Mutex::new((200, json!({ "user_id": null }))));
        let said = Arc::clone(&departure);
        let account = Double::new("account", move |_| said.lock().unwrap().clone());
        let harness = auth(backend).double(&account).start().await;
        let admin = token(login(&harness, "admin", "root@x.dev", "the operator's own")).await;
        Self {
            harness,
            account,
            departure,
            admin,
        }
    }

    fn ask(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let path = format!("{IDENTITIES}{path}");
        self.harness
            .request(method, "auth", &path)
            .bearer_auth(&self.admin)
    }

    fn disable(&self, id: &str, disabled: bool) -> reqwest::RequestBuilder {
        let request = self.ask(Method::PATCH, &format!("/{id}"));
        request.json(&json!({ "disabled": disabled }))
    }

    /// Somebody who has registered: her identity, and her token.
    async fn person(&self, email: &str) -> (String, String) {
        let token = token(register(&self.harness, email, PASSWORD)).await;
        (id_of(&token), token)
    }

    /// Another admin: her identity, and her token as that.
    async fn second_admin(&self) -> (String, String) {
        let (id, _) = self.person("second@x.dev").await;
        expect(200, self.ask(Method::PUT, &format!("/{id}/actors/admin"))).await;
        let token = token(login(&self.harness, "admin", "second@x.dev", PASSWORD)).await;
        (id, token)
    }

    async fn emails(&self, query: &str) -> Vec<String> {
        let found = expect(200, self.ask(Method::GET, query)).await;
        let found = found["identities"].as_array().unwrap().clone();
        found
            .iter()
            .map(|identity| identity["email"].as_str().unwrap().to_owned())
            .collect()
    }
}

fn id_of(token: &str) -> String {
    claims(token)["sub"].as_str().unwrap().to_owned()
}

async fn statuses<const N: usize>(requests: [reqwest::RequestBuilder; N]) -> Vec<u16> {
    let sent = requests.map(|request| async { request.send().await.unwrap().status().as_u16() });
    let mut statuses = futures_util::future::join_all(sent).await;
    statuses.sort_unstable();
    statuses
}

#[derive(diesel::QueryableByName)]
struct Name {
    #[diesel(sql_type = Text)]
    name: String,
}

#[derive(diesel::QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

/// Every column in which an identity can be named, as `table.column`, audit log and events aside.
fn places(db: &mut Db) -> QueryResult<Vec<String>> {
    let columns = "('identity_id', 'owner_id', 'auth_identity_id')";
    let query = match db {
        Db::Postgres(_) => format!(
            "SELECT table_name || '.' || column_name AS name FROM information_schema.columns
             WHERE table_schema = current_schema() AND column_name IN {columns}"
        ),
        Db::Sqlite(_) => format!(
            "SELECT m.name || '.' || c.name AS name FROM sqlite_master m, pragma_table_info(m.name) c
             WHERE m.type = 'table' AND c.name IN {columns}"
        ),
    };
    let names: Vec<Name> = diesel::sql_query(query).load(db)?;
    Ok(names.into_iter().map(|row| row.name).collect())
}

/// The places that name this identity.
async fn named_in(harness: &Harness, id: &str) -> Vec<String> {
    let id = id.to_owned();
    let found: QueryResult<Vec<String>> = db(harness)
        .read(move |db| {
            let mut found = Vec::new();
            for place in places(db)?.into_iter().chain(["identities.id".to_owned()]) {
                let (table, column) = place.split_once('.').unwrap();
                let query = format!("SELECT COUNT(*) AS n FROM {table} WHERE {column} = '{id}'");
                let count: Count = diesel::sql_query(query).get_result(db)?;
                if count.n > 0 {
                    found.push(place);
                }
            }
            Ok(found)
        })
        .await;
    found.unwrap()
}

testkit::on_both_backends! {
    async fn an_operator_sees_where_somebody_is_signed_in_and_ends_it_all(backend: Backend) {
        let world = World::new(&backend).await;
        let (id, token) = world.person("seb@x.dev").await;
        for _ in 0..2 {
            super::sessions::browser(super::sessions::begin(&world.harness, &token)).await;
        }
        let path = format!("/{id}/sessions");
        let listed = expect(200, world.ask(Method::GET, &path)).await;
        assert_eq!(listed["sessions"].as_array().unwrap().len(), 2, "{listed}");
        let page = expect(200, world.ask(Method::GET, &format!("{path}?limit=1"))).await;
        assert_eq!((&page["sessions"][0], &page["next"]), (&listed["sessions"][0], &listed["sessions"][0]["id"]));
        assert!(!listed.to_string().contains("digest"), "{listed}");
        expect(404, world.ask(Method::GET, "/authid_01h455vb4pex5vsknk084sn02q/sessions")).await;
        expect(404, world.ask(Method::DELETE, "/authid_01h455vb4pex5vsknk084sn02q/sessions")).await;

        expect(200, world.ask(Method::DELETE, &path)).await;
        let listed = expect(200, world.ask(Method::GET, &path)).await;
        assert_eq!(listed["sessions"], json!([]));
        eventually_async("her token has ended", || async {
            let status = refresh(&world.harness, &token).send().await.unwrap().status();
            (status == 401).then_some(())
        })
        .await;
        // Her password is as good as before.
        expect(200, login(&world.harness, "euser", "seb@x.dev", PASSWORD)).await;
        world.harness.stop().await;
    }

    async fn identities_are_found_by_the_beginning_of_their_address_newest_first(backend: Backend) {
        let world = World::new(&backend).await;
        for email in ["ann@x.dev", "Anna@x.dev", "bob@x.dev", "an_x@x.dev", "änne@x.dev"] {
            world.person(email).await;
        }
        assert_eq!(world.emails("?email=ann").await, ["anna@x.dev", "ann@x.dev"]);
        assert_eq!(world.emails("?email=%20ANN%40").await, ["ann@x.dev"]);
        assert_eq!(world.emails("?email=a%CC%88").await, ["änne@x.dev"], "composed or not is one");
        // What means something to a pattern means nothing here.
        assert_eq!(world.emails("?email=an_").await, ["an_x@x.dev"]);
        assert_eq!(world.emails("?email=%25").await, [""; 0]);
        assert_eq!(world.emails("?email='").await, [""; 0]);
        assert_eq!(world.emails("?realm=platform").await.len(), 6);

        let (mut seen, mut after) = (Vec::new(), String::new());
        loop {
            let page = expect(200, world.ask(Method::GET, &format!("?limit=2{after}"))).await;
            let identities = page["identities"].as_array().unwrap();
            seen.extend(identities.iter().map(|identity| identity["email"].as_str().unwrap().to_owned()));
            let Some(next) = page["next"].as_str() else { break };
            after = format!("&after={next}");
        }
        assert_eq!(seen, ["änne@x.dev", "an_x@x.dev", "bob@x.dev", "anna@x.dev", "ann@x.dev", "root@x.dev"]);
        for wrong in ["?after=x", "?realm=x", "?limit=x", "?unknown=1"] {
            let refused = expect(400, world.ask(Method::GET, wrong)).await;
            assert_eq!((&refused["code"], &refused["type"]), (&json!("invalid_query"), &json!("invalid_data")));
        }
        world.harness.stop().await;
    }

    async fn an_identity_is_shown_whole_but_for_what_it_signs_in_by(backend: Backend) {
        let world = World::new(&backend).await;
        let (id, _) = world.person("seb@x.dev").await;
        let read = expect(200, world.ask(Method::GET, &format!("/{id}"))).await;
        let identity = &read["identity"];
        assert_eq!((&identity["email"], &identity["realm"]), (&json!("seb@x.dev"), &json!("platform")));
        assert_eq!((&identity["actors"], &identity["generation"]), (&json!(["euser"]), &json!(1)));
        assert_eq!((&identity["disabled"], &identity["email_verified"]), (&json!(false), &json!(false)));
        assert_eq!(identity["providers"][0]["provider"], "emailpass");
        assert!(!read.to_string().contains("argon2"), "{read}");
        expect(404, world.ask(Method::GET, &format!("/{}", IdentityId::new(world.harness.clock.now())))).await;
        assert_eq!(expect(404, world.ask(Method::GET, "/nonsense")).await["type"], "not_found");
        world.harness.stop().await;
    }

    async fn nobody_but_an_admin_administers(backend: Backend) {
        let world = World::new(&backend).await;
        let (id, seb) = world.person("seb@x.dev").await;
        let routes = [
            (Method::GET, IDENTITIES.to_owned()),
            (Method::GET, format!("{IDENTITIES}/{id}")),
            (Method::PATCH, format!("{IDENTITIES}/{id}")),
            (Method::DELETE, format!("{IDENTITIES}/{id}")),
            (Method::POST, format!("{IDENTITIES}/{id}/force-reset")),
            (Method::PUT, format!("{IDENTITIES}/{id}/actors/admin")),
            (Method::DELETE, format!("{IDENTITIES}/{id}/actors/euser")),
        ];
        for (method, path) in routes {
            let request = || world.harness.request(method.clone(), "auth", &path);
            assert_eq!(expect(403, request().bearer_auth(&seb)).await["code"], "wrong_actor", "{method} {path}");
            assert_eq!(expect(401, request()).await["type"], "unauthorized", "{method} {path}");
        }
        expect(200, refresh(&world.harness, &seb)).await;
        world.harness.stop().await;
    }

    async fn the_paths_of_administration_and_of_signing_in_as_an_admin_are_apart(backend: Backend) {
        let world = World::new(&backend).await;
        // `admin` is an actor here, and a part of the path there.
        expect(200, login(&world.harness, "admin", "root@x.dev", "the operator's own")).await;
        let providers = world.harness.request(Method::GET, "auth", "/auth/admin/providers");
        assert_eq!(expect(200, providers).await["providers"][0]["id"], "emailpass");
        expect(400, post(&world.harness, "/auth/admin/emailpass/register", &credentials("x@x.dev", PASSWORD))).await;
        assert!(expect(200, world.ask(Method::GET, "")).await["identities"].is_array());
        // Signing in by a provider of that name is no longer a question that can be asked.
        expect(405, post(&world.harness, IDENTITIES, &credentials("root@x.dev", "the operator's own"))).await;
        expect(400, post(&world.harness, "/auth/euser/identities", &credentials("x@x.dev", PASSWORD))).await;
        world.harness.stop().await;
    }

    async fn who_is_disabled_is_out_at_once_and_comes_back_by_signing_in_only(backend: Backend) {
        let world = World::new(&backend).await;
        let (id, seb) = world.person("seb@x.dev").await;
        let changed = expect(200, world.disable(&id, true)).await;
        assert_eq!((&changed["identity"]["disabled"], &changed["identity"]["generation"]), (&json!(true), &json!(2)));
        eventually_async("her token has ended", || async {
            (refresh(&world.harness, &seb).send().await.unwrap().status() == 401).then_some(())
        })
        .await;
        expect(401, login(&world.harness, "euser", "seb@x.dev", PASSWORD)).await;
        // Again changes nothing.
        assert_eq!(expect(200, world.disable(&id, true)).await["identity"], changed["identity"]);

        let changed = expect(200, world.disable(&id, false)).await;
        assert_eq!(changed["identity"]["disabled_at"], json!(null));
        expect(401, refresh(&world.harness, &seb)).await;
        expect(200, login(&world.harness, "euser", "seb@x.dev", PASSWORD)).await;
        expect(422, world.ask(Method::PATCH, &format!("/{id}")).json(&json!({ "email": "x@x.dev" }))).await;
        world.harness.stop().await;
    }

    async fn an_admin_is_made_and_unmade_by_admins(backend: Backend) {
        let world = World::new(&backend).await;
        let (id, second) = world.second_admin().await;
        let list = |token: &str| world.harness.request(Method::GET, "auth", IDENTITIES).bearer_auth(token);
        expect(200, list(&second)).await;
        let path = format!("/{id}/actors/admin");
        let granted = expect(200, world.ask(Method::PUT, &path)).await;
        assert_eq!(granted["identity"]["actors"], json!(["euser", "admin"]));
        let withdrawn = expect(200, world.ask(Method::DELETE, &path)).await;
        assert_eq!(withdrawn["identity"]["actors"], json!(["euser"]));
        eventually_async("what she was as an admin has ended", || async {
            (list(&second).send().await.unwrap().status() == 401).then_some(())
        })
        .await;
        expect(401, login(&world.harness, "admin", "second@x.dev", PASSWORD)).await;
        expect(200, login(&world.harness, "euser", "second@x.dev", PASSWORD)).await;
        expect(200, world.ask(Method::DELETE, &path)).await;
        for actor in ["service", "root"] {
            expect(404, world.ask(Method::PUT, &format!("/{id}/actors/{actor}"))).await;
        }
        world.harness.stop().await;
    }

    async fn the_last_admin_stays_one_whatever_is_asked(backend: Backend) {
        let world = World::new(&backend).await;
        let root = id_of(&world.admin);
        let (second, _) = world.second_admin().await;
        // One who can't sign in is none who could let the last one in again.
        expect(200, world.disable(&second, true)).await;
        let asked = [
            world.disable(&root, true),
            world.ask(Method::DELETE, &format!("/{root}")),
            world.ask(Method::DELETE, &format!("/{root}/actors/admin")),
            world.ask(Method::POST, &format!("/{root}/force-reset")),
        ];
        for request in asked {
            assert_eq!(expect(409, request).await["code"], "last_admin");
        }
        expect(200, refresh(&world.harness, &world.admin)).await;
        expect(200, world.disable(&second, false)).await;
        expect(200, world.ask(Method::DELETE, &format!("/{root}/actors/admin"))).await;
        world.harness.stop().await;
    }

    async fn of_two_admins_who_unmake_each_other_at_once_one_stays(backend: Backend) {
        let world = World::new(&backend).await;
        let root = id_of(&world.admin);
        let (second, token) = world.second_admin().await;
        let by_second = |method: Method, path: &str| {
            let path = format!("{IDENTITIES}{path}");
            world.harness.request(method, "auth", &path).bearer_auth(&token)
        };
        let one = world.ask(Method::DELETE, &format!("/{second}/actors/admin"));
        let other = by_second(Method::DELETE, &format!("/{root}/actors/admin"));
        let statuses = statuses([one, other]).await;
        // The other is the last by then, or is none any more.
        assert!(statuses == [200, 409] || statuses == [200, 401], "{statuses:?}");
        let root_is = login(&world.harness, "admin", "root@x.dev", "the operator's own").send().await.unwrap().status() == 200;
        let second_is = login(&world.harness, "admin", "second@x.dev", PASSWORD).send().await.unwrap().status() == 200;
        assert!(root_is ^ second_is, "one of the two");
        world.harness.stop().await;
    }

    async fn of_two_admins_who_delete_each_other_at_once_one_stays(backend: Backend) {
        let world = World::new(&backend).await;
        let root = id_of(&world.admin);
        let (second, token) = world.second_admin().await;
        let path = format!("{IDENTITIES}/{root}");
        let one = world.ask(Method::DELETE, &format!("/{second}"));
        let other = world.harness.request(Method::DELETE, "auth", &path).bearer_auth(&token);
        let statuses = statuses([one, other]).await;
        assert!(statuses == [200, 409] || statuses == [200, 401], "{statuses:?}");
        let root_is = login(&world.harness, "admin", "root@x.dev", "the operator's own").send().await.unwrap().status() == 200;
        let second_is = login(&world.harness, "admin", "second@x.dev", PASSWORD).send().await.unwrap().status() == 200;
        assert!(root_is ^ second_is, "one of the two");
        world.harness.stop().await;
    }

    async fn a_forced_reset_leaves_no_password_that_is_right(backend: Backend) {
        let world = World::new(&backend).await;
        let (id, seb) = world.person("seb@x.dev").await;
        let forced = expect(200, world.ask(Method::POST, &format!("/{id}/force-reset"))).await;
        assert_eq!(forced["identity"]["generation"], 2);
        eventually_async("her token has ended", || async {
            (refresh(&world.harness, &seb).send().await.unwrap().status() == 401).then_some(())
        })
        .await;
        let refused = expect(401, login(&world.harness, "euser", "seb@x.dev", PASSWORD)).await;
        assert_eq!(refused["message"], "Invalid email or password");
        expect(401, register(&world.harness, "seb@x.dev", PASSWORD)).await;
        // A link has gone to her, and with a new password she is in again.
        let reset = secret_of(&letter(&backend, "seb@x.dev", "A new password", 1).await);
        let update = post(&world.harness, "/auth/euser/emailpass/update", &json!({ "password": "another horse battery" }));
        expect(200, update.bearer_auth(&reset)).await;
        expect(200, login(&world.harness, "euser", "seb@x.dev", "another horse battery")).await;
        world.harness.stop().await;
    }

    async fn a_realm_of_an_account_outlives_whoever_made_it(backend: Backend) {
        let world = World::new(&backend).await;
        let (maker, _) = world.person("seb@x.dev").await;
        let now = world.harness.clock.now();
        let realm = OwnRealm {
            id: RealmId::new(now),
            owner_id: maker.parse().unwrap(),
            account_id: Some(AccountId::new(now)),
            name: DisplayName::parse("Customers").unwrap(),
            password_policy: None,
            created_at: now,
        };
        let (id, kept) = (realm.id.clone(), realm.clone());
        db(&world.harness).write(move |db| realms::store::insert(db, &realm)).await.unwrap();
        expect(200, world.ask(Method::DELETE, &format!("/{maker}"))).await;
        assert_eq!(named_in(&world.harness, &maker).await, [""; 0]);
        let found: QueryResult<_> = db(&world.harness).read(move |db| realms::store::find(db, &id)).await;
        let found = found.unwrap().unwrap();
        assert_eq!(found.owner_id.as_str(), id_of(&world.admin), "where no member is known, an admin stands for her");
        assert_eq!((found.account_id, found.name), (kept.account_id, kept.name));
        world.harness.stop().await;
    }

    async fn what_is_deleted_is_nowhere_any_more_and_can_be_made_anew(backend: Backend) {
        let world = World::new(&backend).await;
        let body = credentials("owner@x.dev", PASSWORD);
        let made = expect(200, post(&world.harness, "/api/users/signup", &body)).await;
        let (number, key) = (made["createdUser"]["ID"].to_string(), made["createdUser"]["key"].as_str().unwrap().to_owned());
        let path = format!("/api/users/{number}/accounts/signup");
        let person = post(&world.harness, &path, &credentials("of-realm@x.dev", PASSWORD)).header("key", &key);
        expect(200, person).await;
        let id = id_of(&token(login(&world.harness, "euser", "owner@x.dev", PASSWORD)).await);
        let shown = expect(200, world.ask(Method::GET, &format!("/{id}"))).await;
        let realm = shown["identity"]["realms"][0].as_str().unwrap().to_owned();
        assert_eq!(world.emails(&format!("?realm={realm}")).await, ["of-realm@x.dev"]);
        assert!(!named_in(&world.harness, &id).await.is_empty());

        let deleted = expect(200, world.ask(Method::DELETE, &format!("/{id}"))).await;
        assert_eq!(deleted, json!({ "id": id, "object": "identity", "deleted": true }));
        assert_eq!(named_in(&world.harness, &id).await, [""; 0]);
        assert_eq!(world.emails(&format!("?realm={realm}")).await, [""; 0]);
        expect(404, world.ask(Method::DELETE, &format!("/{id}"))).await;
        expect(401, login(&world.harness, "euser", "owner@x.dev", PASSWORD)).await;
        let anew = token(register(&world.harness, "owner@x.dev", PASSWORD)).await;
        assert_ne!(id_of(&anew), id);
        world.harness.stop().await;
    }

    async fn an_identity_stays_where_account_says_no_and_an_admin_stays_one(backend: Backend) {
        let world = World::new(&backend).await;
        let (id, second) = world.second_admin().await;
        let problem = json!({ "code": "last_owner", "detail": "Accounts …", "status": 409, "accounts": ["acc_1"] });
        *world.departure.lock().unwrap() = (409, problem);
        let refused = expect(409, world.ask(Method::DELETE, &format!("/{id}"))).await;
        assert_eq!((&refused["code"], &refused["accounts"]), (&json!("last_owner"), &json!(["acc_1"])));
        *world.departure.lock().unwrap() = (500, json!({}));
        expect(503, world.ask(Method::DELETE, &format!("/{id}"))).await;
        // Nothing of it was begun.
        expect(200, refresh(&world.harness, &second)).await;
        *world.departure.lock().unwrap() = (200, json!({ "user_id": null }));
        expect(200, world.ask(Method::DELETE, &format!("/{id}?force=true"))).await;
        let asked = world.account.asked();
        let forced = asked.iter().filter(|asked| asked.body["force"] == true);
        assert_eq!(forced.map(|asked| asked.body["only_ask"].clone()).collect::<Vec<_>>(), [json!(true), json!(false)]);
        world.harness.stop().await;
    }

    async fn the_event_of_a_deleted_user_removes_her_identity_once_and_no_last_admins(backend: Backend) {
        let world = World::new(&backend).await;
        let now = world.harness.clock.now();
        let deleted = |identity: &str| {
            let user = UserState {
                user_id: UserId::new(now),
                identity_id: identity.parse().unwrap(),
                created_at: now,
                deleted: true,
            };
            Envelope::new(AccountEvent::UserDeleted(user), 2, now, None)
        };
        let told = async |envelope: Envelope<AccountEvent>| {
            db(&world.harness)
                .write(move |db| on_account_event(db, &envelope, now).map_err(|error| panic!("{error}")))
                .await
                .unwrap_or_else(|error: diesel::result::Error| panic!("{error}"));
        };
        let (id, _) = world.person("seb@x.dev").await;
        let event = deleted(&id);
        told(event.clone()).await;
        assert_eq!(named_in(&world.harness, &id).await, [""; 0]);
        let (anew, _) = world.person("seb@x.dev").await;
        told(event).await;
        expect(200, world.ask(Method::GET, &format!("/{anew}"))).await;
        told(deleted(&id_of(&world.admin))).await;
        expect(200, login(&world.harness, "admin", "root@x.dev", "the operator's own")).await;
        world.harness.stop().await;
    }
}
