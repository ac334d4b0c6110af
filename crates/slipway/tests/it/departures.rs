//! What ends, and what goes on, where somebody is removed, disabled or deleted: in all services at once.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use testkit::{Backend, eventually_async, expect, on_both_backends};

use crate::harness::{InProcess, client};

const PASSWORD: &str = "correct horse battery";
const ADMIN: [&str; 2] = ["root@x.dev", "the operator's own"];

struct World {
    up: InProcess,
    http: reqwest::Client,
    admin: String,
}

/// A person, and two keys of hers: one confined to her account, and one of her own.
struct Person {
    email: &'static str,
    token: String,
    user: String,
    confined: String,
    own: String,
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("no text: {value}"))
        .to_owned()
}

impl World {
    async fn start(backend: &Backend) -> Self {
        let settings = [
            ("auth.admin_email", ADMIN[0]),
            ("auth.admin_password", ADMIN[1]),
        ];
        let up = InProcess::on(backend, &settings).await;
        let mut world = Self {
            up,
            http: client(),
            admin: String::new(),
        };
        let body = json!({ "email": ADMIN[0], "password": ADMIN[1] });
        let login = world
            .ask(Method::POST, "/auth/admin/emailpass", "")
            .json(&body);
        world.admin = text(&expect(200, login).await["token"]);
        world
    }

    fn ask(&self, method: Method, path: &str, token: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.up.url));
        if token.is_empty() {
            request
        } else {
            request.bearer_auth(token)
        }
    }

    async fn post(&self, status: u16, path: &str, token: &str, body: Value) -> Value {
        expect(status, self.ask(Method::POST, path, token).json(&body)).await
    }

    async fn account(&self) -> String {
        let made = self
            .post(201, "/v1/accounts", &self.admin, json!({ "name": "Shop" }))
            .await;
        text(&made["account"]["id"])
    }

    async fn person(&self, email: &'static str, account: &str, role: &str) -> Person {
        let body = json!({ "email": email, "password": PASSWORD });
        let token = text(
            &self
                .post(200, "/auth/euser/emailpass/register", "", body)
                .await["token"],
        );
        let user = self
            .post(201, "/v1/users", &token, json!({ "email": email }))
            .await;
        let path = format!("/v1/accounts/{account}/invite");
        let invite = self
            .post(201, &path, &self.admin, json!({ "role": role }))
            .await;
        self.post(
            200,
            "/v1/invite/accept",
            &token,
            json!({ "token": invite["token"] }),
        )
        .await;
        let scopes = ["accounts:read", "usage:read", "keys:read"];
        let confined = json!({ "scopes": scopes, "account_id": account });
        let confined = self.post(201, "/v1/generate", &token, confined).await;
        let own = self
            .post(201, "/v1/generate", &token, json!({ "scopes": scopes }))
            .await;
        Person {
            email,
            token,
            user: text(&user["user"]["id"]),
            confined: text(&confined["token"]),
            own: text(&own["token"]),
        }
    }

    async fn identity(&self, email: &str) -> String {
        let path = format!("/auth/admin/identities?email={email}");
        let found = expect(200, self.ask(Method::GET, &path, &self.admin)).await;
        text(&found["identities"][0]["id"])
    }

    async fn status(&self, path: &str, token: &str) -> u16 {
        self.ask(Method::GET, path, token)
            .send()
            .await
            .unwrap()
            .status()
            .as_u16()
    }

    async fn until(&self, what: &str, path: &str, token: &str, status: u16) {
        eventually_async(what, || async {
            (self.status(path, token).await == status).then_some(())
        })
        .await;
    }

    /// Her token and her keys, at each service that takes them.
    async fn until_all_has_ended(&self, who: &Person, account: &str) {
        let paths = [
            "/v1/usage".to_owned(),
            "/v1/accounts".to_owned(),
            format!("/v1/accounts/{account}"),
            format!("/v1/accounts/{account}/projects"),
            format!("/v1/accounts/{account}/github/repositories"),
        ];
        for path in paths {
            for (what, token) in [
                ("token", &who.token),
                ("confined key", &who.confined),
                ("key", &who.own),
            ] {
                self.until(&format!("the {what} ends at {path}"), &path, token, 401)
                    .await;
            }
        }
    }
}

on_both_backends! {
    async fn a_removed_members_keys_open_that_account_no_more_and_what_is_hers_still(backend: Backend) {
        let world = World::start(&backend).await;
        let account = world.account().await;
        let _owner = world.person("owner@x.dev", &account, "owner").await;
        let dev = world.person("dev@x.dev", &account, "developer").await;
        let elsewhere = world.account().await;
        let path = format!("/v1/accounts/{elsewhere}/invite");
        let invite = world.post(201, &path, &world.admin, json!({ "role": "viewer" })).await;
        world.post(200, "/v1/invite/accept", &dev.token, json!({ "token": invite["token"] })).await;
        let paths = [format!("/v1/accounts/{account}"), format!("/v1/accounts/{account}/members")];
        for path in &paths {
            assert_eq!((world.status(path, &dev.confined).await, world.status(path, &dev.own).await), (200, 200));
        }
        let removed = world.ask(Method::DELETE, &format!("/v1/accounts/{account}/members/{}", dev.user), &world.admin);
        expect(200, removed).await;
        for path in &paths {
            world.until("the confined key opens nothing", path, &dev.confined, 404).await;
            world.until("nor does the other", path, &dev.own, 404).await;
        }
        // She is somebody still, elsewhere.
        assert_eq!(world.status(&format!("/v1/accounts/{elsewhere}"), &dev.own).await, 200);
        assert_eq!(world.status("/v1/usage", &dev.own).await, 200);
        let listed = expect(200, world.ask(Method::GET, "/v1/accounts", &dev.confined)).await;
        assert_eq!(listed["accounts"], json!([]));
        world.up.platform.stop().await;
    }

    async fn who_deletes_herself_is_out_everywhere_and_what_is_the_accounts_stays(backend: Backend) {
        let world = World::start(&backend).await;
        let account = world.account().await;
        let owner = world.person("owner@x.dev", &account, "owner").await;
        let dev = world.person("dev@x.dev", &account, "developer").await;
        let export = expect(200, world.ask(Method::GET, "/v1/users/me/export", &dev.token)).await;
        assert_eq!(export["api_keys"].as_array().unwrap().len(), 2, "{export}");
        assert_eq!(export["api_keys"][1]["account_id"], json!(account));
        for token in [&dev.token, &dev.own, &dev.confined] {
            assert!(!export.to_string().contains(token.as_str()));
        }
        let deleted = world.ask(Method::DELETE, "/v1/users/me", &dev.token).json(&json!({ "password": PASSWORD }));
        expect(200, deleted).await;
        world.until_all_has_ended(&dev, &account).await;
        let body = json!({ "email": dev.email, "password": PASSWORD });
        world.post(401, "/auth/euser/emailpass", "", body).await;

        // The account goes on, and its owner sees what happened to whom.
        let path = format!("/v1/accounts/{account}/audit");
        let actions = eventually_async("it is all written down", || async {
            let log = expect(200, world.ask(Method::GET, &path, &owner.token)).await;
            let entries = log["entries"].as_array().unwrap();
            let actions: Vec<_> = entries.iter().map(|entry| text(&entry["action"])).collect();
            actions.contains(&"api_key.revoked".to_owned()).then_some(actions)
        })
        .await;
        for action in ["account.created", "invite.accepted", "api_key.created", "member.removed"] {
            assert!(actions.contains(&action.to_owned()), "{action}: {actions:?}");
        }
        let all = expect(200, world.ask(Method::GET, "/v1/audit?limit=100", &world.admin)).await;
        let services: std::collections::BTreeSet<_> =
            all["entries"].as_array().unwrap().iter().map(|entry| text(&entry["service"])).collect();
        assert!(services.is_superset(&["account".to_owned(), "auth".into(), "v1api".into()].into()), "{services:?}");
        for secret in [PASSWORD, ADMIN[1], dev.own.as_str(), owner.own.as_str()] {
            assert!(!all.to_string().contains(secret), "{all}");
        }
        world.up.platform.stop().await;
    }

    async fn who_is_disabled_is_out_everywhere_and_no_key_of_hers_comes_back(backend: Backend) {
        let world = World::start(&backend).await;
        let account = world.account().await;
        let dev = world.person("dev@x.dev", &account, "owner").await;
        let path = format!("/auth/admin/identities/{}", world.identity(dev.email).await);
        let set = |disabled: bool| world.ask(Method::PATCH, &path, &world.admin).json(&json!({ "disabled": disabled }));
        expect(200, set(true)).await;
        world.until_all_has_ended(&dev, &account).await;
        expect(200, set(false)).await;
        let body = json!({ "email": dev.email, "password": PASSWORD });
        let token = text(&world.post(200, "/auth/euser/emailpass", "", body).await["token"]);
        world.until("she is in again", &format!("/v1/accounts/{account}"), &token, 200).await;
        for key in [&dev.own, &dev.confined] {
            assert_eq!(world.status("/v1/usage", key).await, 401);
        }
        eventually_async("her list says that they are revoked", || async {
            let keys = expect(200, world.ask(Method::GET, "/v1/api-keys", &token)).await;
            let keys = keys["api_keys"].as_array().unwrap().clone();
            keys.iter().all(|key| key["revoked_at"].is_string()).then_some(())
        })
        .await;
        let made = world.post(201, "/v1/generate", &token, json!({ "scopes": ["usage:read"] })).await;
        assert_eq!(world.status("/v1/usage", &text(&made["token"])).await, 200, "a new one works");
        world.up.platform.stop().await;
    }

    async fn whom_an_admin_deletes_is_out_everywhere(backend: Backend) {
        let world = World::start(&backend).await;
        let account = world.account().await;
        let _owner = world.person("owner@x.dev", &account, "owner").await;
        let dev = world.person("dev@x.dev", &account, "developer").await;
        let path = format!("/auth/admin/identities/{}", world.identity(dev.email).await);
        expect(200, world.ask(Method::DELETE, &path, &world.admin)).await;
        world.until_all_has_ended(&dev, &account).await;
        expect(404, world.ask(Method::GET, &path, &world.admin)).await;
        let members = expect(200, world.ask(Method::GET, &format!("/v1/accounts/{account}/members"), &world.admin)).await;
        assert_eq!(members["members"].as_array().unwrap().len(), 1, "{members}");
        world.up.platform.stop().await;
    }
}
