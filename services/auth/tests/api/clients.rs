//! The interface for other servers: its document's own examples, and what they leave open.

use common::time::{Clock, Span};
use diesel::RunQueryDsl as _;
use diesel::sql_types::Binary;

use super::*;

/// A project's server: it has a realm, and a key to it.
struct Server<'a> {
    harness: &'a Harness,
    owner: String,
    realm: String,
    key: String,
}

impl<'a> Server<'a> {
    /// A server of a new person's, whose realm has these fields.
    async fn new(harness: &'a Harness, email: &str, realm: Value) -> Self {
        let owner = token(register(harness, email, PASSWORD)).await;
        let made = post(harness, "/v1/realms", &realm).bearer_auth(&owner);
        let realm = expect(201, made).await["realm"]["id"]
            .as_str()
            .unwrap()
            .to_owned();
        let mut server = Self {
            harness,
            owner,
            realm,
            key: String::new(),
        };
        server.key = server.key_to(&server.realm, "clients:write").await;
        server
    }

    /// A key of the owner's, as the gateway has it signed.
    async fn key_to(&self, realm: &str, scope: &str) -> String {
        let gateway = service_token(self.harness, "v1api", "auth").await;
        let body = json!({
            "kind": "key+jwt", "sub": "key_1", "audience": "slipway", "lifetime": 60 * 86_400, "scope": scope,
            "identity_id": claims(&self.owner)["sub"], "actor_type": "euser", "extra": { "realm_id": realm },
        });
        let request = self
            .harness
            .private(Method::POST, "auth", "/internal/tokens");
        token(request.bearer_auth(&gateway).json(&body)).await
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> reqwest::RequestBuilder {
        let method = method.parse().unwrap();
        let request = self.harness.request(method, "auth", path);
        request.bearer_auth(&self.key).json(body)
    }

    async fn sign_up(&self, email: &str, pid: &str) -> Value {
        expect(
            200,
            self.ask("POST", "/signup", &person(email, PASSWORD, pid)),
        )
        .await
    }

    async fn log_in(&self, email: &str, password: &str) -> Value {
        expect(
            200,
            self.ask("POST", "/login", &credentials(email, password)),
        )
        .await
    }

    fn find(&self, client: &Value) -> reqwest::RequestBuilder {
        self.ask(
            "POST",
            "/auth",
            &json!({ "pid": client["pid"], "cid": client["cid"] }),
        )
    }

    /// Lets time pass. Who checks tokens must hear from the feed of revocations again after that.
    async fn advance(&self, clock: &Clock, span: Span) {
        clock.advance(span);
        testkit::eventually_async("tokens are checked again", || async {
            let asked = self.ask("PUT", "/auth", &json!({ "cid": "nonsense" }));
            (asked.send().await.unwrap().status() == 401).then_some(())
        })
        .await;
    }

    fn set_password(&self, reset: &Value, password: &str) -> reqwest::RequestBuilder {
        let body = json!({ "cid": reset["cid"], "password": password });
        self.ask("PUT", "/password", &body)
    }
}

fn person(email: &str, password: &str, pid: &str) -> Value {
    json!({ "email": email, "password": password, "pid": pid })
}

fn realm() -> Value {
    json!({ "name": "People" })
}

testkit::on_both_backends! {
    async fn the_documents_own_examples_are_answered_as_it_shows(backend: Backend) {
        let harness = auth(&backend).start().await;
        let server = Server::new(&harness, "owner@x.dev", json!({ "name": "People", "password_policy": "seed" })).await;
        let is_client = |answer: &Value, pid: &str| {
            assert_eq!(answer["pid"], pid, "{answer}");
            for member in ["cid", "secret"] {
                assert!(answer[member].as_str().unwrap().len() >= 43, "{answer}");
            }
            assert_ne!(answer["cid"], answer["secret"]);
            assert!(answer["expires_at"].is_string());
        };
        let first = expect(200, server.ask("POST", "/signup", &person("a@x.dev", "verte", "u-1"))).await;
        is_client(&first, "u-1");
        assert_eq!(first.get("email"), None, "an email is never sent back");
        let second = server.log_in("A@x.dev", "verte").await;
        is_client(&second, "u-1");
        assert_ne!(first["cid"], second["cid"]);
        for client in [&first, &second] {
            let told = expect(200, server.find(client)).await;
            assert_eq!((&told["pid"], &told["cid"], &told["secret"]), (&client["pid"], &client["cid"], &client["secret"]));
            assert_eq!(told.get("purpose"), None);
        }
        let extended = expect(200, server.ask("PUT", "/auth", &json!({ "cid": first["cid"] }))).await;
        assert_eq!(extended["cid"], first["cid"]);
        assert!(extended["expires_at"].as_str().unwrap() >= first["expires_at"].as_str().unwrap());

        let reset = expect(200, server.ask("POST", "/reset", &json!({ "email": "a@x.dev" }))).await;
        is_client(&reset, "u-1");
        assert_eq!((&reset["email"], &reset["purpose"]), (&json!("a@x.dev"), &json!("password_reset")));
        let told = expect(200, server.find(&reset)).await;
        assert_eq!((&told["secret"], &told["purpose"]), (&reset["secret"], &json!("password_reset")));

        let out = expect(200, server.ask("POST", "/logout", &json!({ "cid": first["cid"] }))).await;
        assert_eq!(out, json!({ "cid": null }));
        assert_eq!(expect(401, server.find(&first)).await["cid"], json!(null));
        let out = server.ask("POST", "/logout?scope=everywhere", &json!({ "cid": second["cid"] }));
        assert_eq!(expect(200, out).await, json!({ "cid": null }));
        for ended in [&second, &reset] {
            assert_eq!(expect(401, server.find(ended)).await["cid"], json!(null));
        }
        harness.stop().await;
    }

    async fn a_refusal_says_that_there_is_no_client(backend: Backend) {
        let harness = auth(&backend).start().await;
        let server = Server::new(&harness, "owner@x.dev", realm()).await;
        let one = server.sign_up("one@x.dev", "one").await;
        let two = server.sign_up("two@x.dev", "two").await;
        let cid = &one["cid"];
        let reset = expect(200, server.ask("POST", "/reset", &json!({ "email": "one@x.dev" }))).await;
        let with_key = |key: &str, path: &str| post(&harness, path, &json!({ "cid": cid, "pid": "one" })).bearer_auth(key);
        let reader = server.key_to(&server.realm, "clients:read").await;
        let lost = server.key_to("realm_01h455vb4pex5vsknk084sn02q", "clients:write").await;
        let cases = [
            (401, "unauthorized", server.ask("POST", "/auth", &json!({ "pid": "one", "cid": "nonsense" }))),
            (401, "unauthorized", server.ask("POST", "/auth", &json!({ "pid": "two", "cid": cid }))),
            (401, "unauthorized", server.ask("PUT", "/auth", &json!({ "cid": "nonsense" }))),
            (401, "unauthorized", server.ask("POST", "/logout", &json!({ "cid": "nonsense" }))),
            (401, "unauthorized", server.ask("POST", "/login", &credentials("one@x.dev", "another password"))),
            (401, "unauthorized", server.ask("POST", "/login", &credentials("nobody@x.dev", PASSWORD))),
            (401, "unauthorized", server.ask("POST", "/login", &credentials("no address", PASSWORD))),
            (401, "unauthorized", server.set_password(&json!({ "cid": "nonsense" }), PASSWORD)),
            (404, "not_found", server.ask("POST", "/reset", &json!({ "email": "nobody@x.dev" }))),
            (409, "pid_taken", server.ask("POST", "/signup", &person("three@x.dev", PASSWORD, "one"))),
            (409, "email_taken", server.ask("POST", "/signup", &person("ONE@x.dev", PASSWORD, "three"))),
            (422, "invalid_data", server.ask("POST", "/signup", &person("no address", PASSWORD, "three"))),
            (422, "invalid_data", server.ask("POST", "/signup", &person("three@x.dev", PASSWORD, ""))),
            (422, "invalid_data", server.ask("POST", "/signup", &person("three@x.dev", PASSWORD, "a\nb"))),
            (400, "password_too_short", server.ask("POST", "/signup", &person("three@x.dev", "verte", "three"))),
            (400, "password_too_common", server.set_password(&reset, "password1")),
            (403, "not_extendable", server.ask("PUT", "/auth", &json!({ "cid": reset["cid"] }))),
            (403, "not_for_reset", server.set_password(&two, PASSWORD)),
            (422, "invalid_data", server.ask("POST", "/auth", &json!({ "pid": "one" }))),
            (401, "unauthorized", harness.request(Method::POST, "auth", "/auth").json(&json!({}))),
            (401, "unauthorized", with_key(&server.owner, "/auth")),
            (403, "insufficient_scope", with_key(&reader, "/auth")),
            (403, "no_realm", with_key(&lost, "/auth")),
        ];
        for (status, code, request) in cases {
            let refused = expect(status, request).await;
            assert_eq!((&refused["code"], refused.get("cid")), (&json!(code), Some(&json!(null))), "{refused}");
            assert!(refused["message"].is_string());
        }
        // None of that has changed anything.
        for client in [&one, &two, &reset] {
            expect(200, server.find(client)).await;
        }
        harness.stop().await;
    }

    async fn a_realm_knows_nothing_of_another(backend: Backend) {
        let harness = auth(&backend).start().await;
        let server = Server::new(&harness, "owner@x.dev", realm()).await;
        let other = Server::new(&harness, "other@x.dev", realm()).await;
        let client = server.sign_up("one@x.dev", "one").await;
        expect(401, other.find(&client)).await;
        expect(401, other.ask("PUT", "/auth", &json!({ "cid": client["cid"] }))).await;
        expect(401, other.ask("POST", "/logout?scope=everywhere", &json!({ "cid": client["cid"] }))).await;
        expect(404, other.ask("POST", "/reset", &json!({ "email": "one@x.dev" }))).await;
        expect(401, other.ask("POST", "/login", &credentials("one@x.dev", PASSWORD))).await;
        let reset = expect(200, server.ask("POST", "/reset", &json!({ "email": "one@x.dev" }))).await;
        expect(401, other.set_password(&reset, "a new password")).await;
        // A key of somebody else's that names this realm opens it no more than any other.
        let forged = other.key_to(&server.realm, "clients:write").await;
        let request = post(&harness, "/auth", &json!({ "pid": "one", "cid": client["cid"] })).bearer_auth(&forged);
        assert_eq!(expect(403, request).await["code"], "no_realm");
        // The same address and name are somebody else there.
        other.sign_up("one@x.dev", "one").await;
        expect(200, server.find(&client)).await;
        // And she is nobody of the platform.
        expect(401, login(&harness, "euser", "one@x.dev", PASSWORD)).await;
        harness.stop().await;
    }

    async fn a_reset_sets_one_password_and_ends_all_clients(backend: Backend) {
        let harness = auth(&backend).start().await;
        let server = Server::new(&harness, "owner@x.dev", realm()).await;
        let client = server.sign_up("one@x.dev", "one").await;
        let reset = expect(200, server.ask("POST", "/reset", &json!({ "email": "one@x.dev" }))).await;
        let earlier = expect(200, server.ask("POST", "/reset", &json!({ "email": "one@x.dev" }))).await;
        for _ in 0..5 {
            expect(401, server.ask("POST", "/login", &credentials("one@x.dev", "another password"))).await;
        }
        expect(429, server.ask("POST", "/login", &credentials("one@x.dev", PASSWORD))).await;
        // Of two at the same instant one sets it.
        let (one, other) = tokio::join!(
            server.set_password(&reset, "a new password").send(),
            server.set_password(&reset, "a new password").send(),
        );
        let mut statuses = [one.unwrap().status().as_u16(), other.unwrap().status().as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 401]);
        for ended in [&client, &reset, &earlier] {
            expect(401, server.find(ended)).await;
        }
        expect(401, server.set_password(&earlier, "one more password")).await;
        // The new password ends what the wrong tries have led to.
        let client = server.log_in("one@x.dev", "a new password").await;
        expect(401, server.ask("POST", "/login", &credentials("one@x.dev", PASSWORD))).await;
        expect(200, server.find(&client)).await;
        harness.stop().await;
    }

    async fn a_client_ends_with_its_time_unless_it_is_extended(backend: Backend) {
        let clock = Clock::manual(Clock::system().now());
        let harness = auth(&backend)
            .clock(clock.clone())
            .setting("auth.clients.lifetime", "2h")
            .setting("auth.clients.reset_lifetime", "600")
            .start()
            .await;
        let server = Server::new(&harness, "owner@x.dev", realm()).await;
        let (kept, left) = (server.sign_up("one@x.dev", "one").await, server.log_in("one@x.dev", PASSWORD).await);
        let reset = expect(200, server.ask("POST", "/reset", &json!({ "email": "one@x.dev" }))).await;
        server.advance(&clock, Span::seconds(601)).await;
        expect(401, server.set_password(&reset, "a new password")).await;
        server.advance(&clock, Span::minutes(60)).await;
        let extend = || server.ask("PUT", "/auth", &json!({ "cid": kept["cid"] }));
        expect(200, extend()).await;
        server.advance(&clock, Span::minutes(60)).await;
        expect(200, server.find(&kept)).await;
        expect(401, server.find(&left)).await;
        server.advance(&clock, Span::minutes(61)).await;
        expect(401, server.find(&kept)).await;
        expect(401, extend()).await;
        harness.stop().await;
    }

    async fn tries_are_paced_by_the_persons_address_and_not_by_her_servers(backend: Backend) {
        let harness = auth(&backend).start().await;
        let server = Server::new(&harness, "owner@x.dev", realm()).await;
        server.sign_up("one@x.dev", "one").await;
        let attempt = |email: &str, password: &str, address: &str| {
            let body = json!({ "email": email, "password": password, "client_ip": address });
            server.ask("POST", "/login", &body)
        };
        for n in 0..50 {
            expect(401, attempt(&format!("nobody-{n}@x.dev"), "another password", "192.0.2.1")).await;
        }
        let refused = expect(429, attempt("one@x.dev", PASSWORD, "192.0.2.1")).await;
        assert_eq!(refused.get("cid"), None, "who is to wait isn't to be signed out");
        expect(200, attempt("one@x.dev", PASSWORD, "192.0.2.2")).await;
        server.log_in("one@x.dev", PASSWORD).await;
        harness.stop().await;
    }

    async fn secrets_are_sealed_where_they_are_kept(backend: Backend) {
        #[derive(diesel::QueryableByName)]
        struct Kept {
            #[diesel(sql_type = Binary)]
            sealed_secret: Vec<u8>,
        }
        let harness = auth(&backend).start().await;
        let server = Server::new(&harness, "owner@x.dev", realm()).await;
        let client = server.sign_up("one@x.dev", "one").await;
        let rows: Vec<Kept> = db(&harness)
            .read(|db| diesel::sql_query("SELECT sealed_secret FROM clients").load(db))
            .await
            .map_err(|error: diesel::result::Error| error)
            .unwrap();
        let secret = client["secret"].as_str().unwrap().as_bytes();
        assert_eq!(rows.len(), 1);
        assert!(!rows[0].sealed_secret.windows(secret.len()).any(|part| part == secret));
        harness.stop().await;
    }

    async fn people_are_the_same_at_either_interface_and_gone_when_they_are_deleted(backend: Backend) {
        let harness = auth(&backend).start().await;
        // verte-auth's user has a realm of her own, which is her first.
        let made = expect(200, post(&harness, "/api/users/signup", &credentials("seb@x.dev", PASSWORD))).await;
        let owner = token(login(&harness, "euser", "seb@x.dev", PASSWORD)).await;
        let realms = expect(200, harness.request(Method::GET, "auth", "/v1/realms").bearer_auth(&owner)).await;
        let realm = realms["realms"][0]["id"].as_str().unwrap().to_owned();
        let mut server = Server { harness: &harness, owner, realm, key: String::new() };
        server.key = server.key_to(&server.realm, "clients:write").await;
        let client = server.sign_up("one@x.dev", "one").await;
        let project_key = made["createdUser"]["key"].as_str().unwrap();
        let verte = post(&harness, "/api/users/1/accounts/login", &credentials("one@x.dev", PASSWORD)).header("key", project_key);
        let number = expect(200, verte).await["createdAccount"]["ID"].clone();
        // Who came by that interface is called by her identity's id.
        let verte = post(&harness, "/api/users/1/accounts/signup", &credentials("two@x.dev", PASSWORD)).header("key", project_key);
        expect(200, verte).await;
        let other = server.log_in("two@x.dev", PASSWORD).await;
        expect(200, server.find(&other)).await;

        let account = format!("/api/users/1/accounts/{number}");
        let disable = |disabled: bool| {
            let request = harness.request(Method::PATCH, "auth", &account).bearer_auth(&server.owner);
            request.json(&json!({ "disabled": disabled }))
        };
        expect(200, disable(true)).await;
        expect(401, server.find(&client)).await;
        expect(404, server.ask("POST", "/reset", &json!({ "email": "one@x.dev" }))).await;
        expect(200, disable(false)).await;
        // What ended then stays so.
        expect(401, server.find(&client)).await;
        let client = server.log_in("one@x.dev", PASSWORD).await;
        expect(200, harness.request(Method::DELETE, "auth", &account).bearer_auth(&server.owner)).await;
        expect(401, server.find(&client)).await;
        expect(200, server.find(&other)).await;
        harness.stop().await;
    }

    async fn the_oldest_clients_of_a_person_give_way(backend: Backend) {
        let harness = auth(&backend).start().await;
        let server = Server::new(&harness, "owner@x.dev", realm()).await;
        let first = server.sign_up("one@x.dev", "one").await;
        let second = expect(200, server.ask("POST", "/reset", &json!({ "email": "one@x.dev" }))).await;
        for _ in 0..99 {
                expect(200, server.ask("POST", "/reset", &json!({ "email": "one@x.dev" }))).await;
        }
        expect(401, server.find(&first)).await;
        expect(200, server.find(&second)).await;
        harness.stop().await;
    }
}
