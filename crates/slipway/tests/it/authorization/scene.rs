//! An account with all that routes can name, and its people.

use std::collections::HashMap;
use std::path::Path;

use common::role::Role;
use common::session::SessionCookie;
use common::token::{Claims, TokenKind, claim};
use reqwest::Method;
use serde_json::{Value, json};
use testkit::{eventually_async, expect};
use tokio::process::Command;

use super::policy::Row;
use super::world::{PASSWORD, Person, SECRET, World, claims_of};
use crate::harness::{client, code_of};

#[derive(Clone)]
pub(super) struct Scene {
    pub(super) owner: Person,
    pub(super) developer: Person,
    pub(super) viewer: Person,
    /// The owner of another account.
    pub(super) stranger: Person,
    /// Somebody without a user.
    pub(super) newcomer: Person,
    /// The stranger's account; the scene's owner looks on there.
    pub(super) elsewhere: String,
    /// Whose login waits for a second factor.
    pub(super) secured: Secured,
    names: HashMap<&'static str, String>,
}

impl Scene {
    /// All of it, with `unique` in what must be so.
    pub(super) async fn set(world: &World, unique: &str) -> Self {
        let email = |name: &str| format!("{name}-{unique}@x.dev");
        let owner = world.person(&email("owner")).await;
        let developer = world.person(&email("developer")).await;
        let viewer = world.person(&email("viewer")).await;
        let stranger = world.person(&email("stranger")).await;
        let account = account(world, &owner).await;
        join(world, &account, &developer, Role::Developer).await;
        join(world, &account, &viewer, Role::Viewer).await;
        let elsewhere = self::account(world, &stranger).await;
        join(world, &elsewhere, &owner, Role::Viewer).await;
        let mut scene = Self {
            newcomer: world.newcomer(&email("newcomer")).await,
            secured: secure(world, &email("secured")).await,
            owner,
            developer,
            viewer,
            stranger,
            elsewhere,
            names: HashMap::new(),
        };
        let identity = identity_of(&scene.owner);
        for (name, value) in [
            ("account_id", account.clone()),
            ("owner", account),
            ("user_id", scene.viewer.user()),
            ("identity_id", identity),
            ("identity_user", scene.owner.user()),
            ("leaver", identity_of(&scene.developer)),
            ("newcomer", identity_of(&scene.newcomer)),
            ("email", scene.newcomer.email.clone()),
            ("owner_email", scene.owner.email.clone()),
            ("password", PASSWORD.into()),
            ("secret", SECRET.into()),
            ("unique", unique.into()),
            ("name", format!("first-{unique}")),
            ("repo", "shop".into()),
            ("actor", "euser".into()),
            ("provider", "emailpass".into()),
            ("feed", "revocations".into()),
            ("challenge_id", scene.secured.challenge.clone()),
            ("recovery_code", scene.secured.recovery_code.clone()),
        ] {
            scene.names.insert(name, value);
        }
        scene.furnish(world).await;
        scene
    }

    /// Makes what an account can have.
    async fn furnish(&mut self, world: &World) {
        let token = self.owner.token.clone();
        let body = json!({ "role": "viewer" });
        for (id, token_name) in [("invite_id", ""), ("accepted_id", "invite_token")] {
            let path = self.fill("/v1/accounts/{account_id}/invite");
            let made = world.call(201, Method::POST, &path, &token, &body).await;
            self.note(id, &made["invite"]["id"]);
            if !token_name.is_empty() {
                self.note(token_name, &made["token"]);
            }
        }
        let made = world
            .call(201, Method::POST, "/v1/generate", &token, &json!({}))
            .await;
        self.note("key_id", &made["api_key"]["id"]);
        let named = json!({ "name": self.names["name"], "upstream": "http://203.0.113.1:80" });
        let admin = world.admin_token();
        world
            .call(201, Method::POST, "/v1/services", &admin, &named)
            .await;
        self.enrol(world, &token).await;
        self.browse(world, &token).await;
        self.sign_in_clients(world, &token).await;
        self.push(&world.up.url).await;
        self.build(world, &token).await;
        self.equip(world, &token).await;
        self.listen(world, &token).await;
    }

    /// A webhook that is sent nothing.
    async fn listen(&mut self, world: &World, token: &str) {
        let path = self.fill("/v1/accounts/{account_id}/webhooks");
        let body = json!({ "url": "https://hooks.customer.example/", "event_types": ["webhook.disabled"] });
        let made = world.call(201, Method::POST, &path, token, &body).await;
        self.note("webhook_id", &made["webhook"]["id"]);
        let path = self.fill("/v1/accounts/{account_id}/webhooks/{webhook_id}");
        let off = json!({ "enabled": false });
        world.call(200, Method::PATCH, &path, token, &off).await;
    }

    /// Browsers in which the owner is signed in, and a factor that she hasn't enabled.
    async fn browse(&mut self, world: &World, token: &str) {
        let url = format!("{}/auth/session", world.up.url);
        for _ in 0..2 {
            let begun = client().post(&url).bearer_auth(token).send().await.unwrap();
            assert_eq!(begun.status(), 200);
            let cookie = begun.headers()["set-cookie"].to_str().unwrap();
            let cookie = cookie.split(['=', ';']).nth(1).unwrap();
            let digest = SessionCookie::given(cookie).unwrap().digest();
            self.names.insert("session_cookie", cookie.to_owned());
            self.names.insert("session_digest", digest);
        }
        let nothing = json!({});
        let listed = world
            .call(200, Method::GET, "/auth/sessions", token, &nothing)
            .await;
        // The newest is first, and the cookie is its.
        self.note("session_id", &listed["sessions"][1]["id"]);
        let body = json!({ "provider": "totp" });
        let started = world
            .call(200, Method::POST, "/auth/mfa/factors", token, &body)
            .await;
        self.note("factor_id", &started["mfa_factor"]["id"]);
    }

    /// The owner's number, her key, and somebody in her realm.
    async fn enrol(&mut self, world: &World, token: &str) {
        let body = json!({ "email": self.owner.email, "password": PASSWORD });
        let login = world
            .call(200, Method::POST, "/api/users/login", token, &body)
            .await;
        let number = login["userId"].to_string();
        let path = format!("/api/users/{number}/key");
        let key = world
            .call(200, Method::POST, &path, token, &json!({}))
            .await;
        self.note("project_key", &key["key"]);
        let email = self.fill("somebody-{unique}@x.dev");
        let request = client()
            .post(format!(
                "{}/api/users/{number}/accounts/signup",
                world.up.url
            ))
            .header("key", &self.names["project_key"])
            .json(&json!({ "email": email, "password": PASSWORD }));
        let made = expect(200, request).await;
        let account = made["createdAccount"]["ID"].to_string();
        for (name, value) in [
            ("user_number", number),
            ("account_number", account),
            ("account_email", email),
        ] {
            self.names.insert(name, value);
        }
    }

    /// A realm of the account, and somebody of it who is signed in, and resets her password.
    async fn sign_in_clients(&mut self, world: &World, token: &str) {
        let body = json!({ "name": "People", "account_id": self.names["account_id"] });
        let made = world
            .call(201, Method::POST, "/v1/realms", token, &body)
            .await;
        self.note("realm_id", &made["realm"]["id"]);
        let key = self.server_key(&self.owner, "clients:write");
        let key = world.sign(TokenKind::ApiKey, &key);
        let email = self.fill("client-{unique}@x.dev");
        let body = json!({ "email": email, "password": PASSWORD, "pid": "somebody" });
        let client = world.call(200, Method::POST, "/signup", &key, &body).await;
        self.note("cid", &client["cid"]);
        let body = json!({ "email": email });
        let reset = world.call(200, Method::POST, "/reset", &key, &body).await;
        self.note("reset_cid", &reset["cid"]);
        self.names.insert("client_email", email);
    }

    /// A project, and a build of it that has ended: nobody can tell what a text file is to be.
    async fn build(&mut self, world: &World, token: &str) {
        let path = self.fill("/v1/accounts/{account_id}/projects");
        let source = json!({ "owner": self.names["account_id"], "repo": self.names["repo"] });
        let body = json!({ "name": "First", "github_data": source });
        let made = world.call(201, Method::POST, &path, token, &body).await;
        self.note("project_id", &made["project"]["id"]);
        self.note("environment_id", &made["project"]["environments"][0]["id"]);
        let path = format!("{path}/{}", self.names["project_id"]);
        let body = json!({ "environment_id": self.names["environment_id"] });
        let asked = world
            .call(202, Method::POST, &format!("{path}/build"), token, &body)
            .await;
        self.note("build_id", &asked["build"]["id"]);
        let path = format!("{path}/builds/{}", self.names["build_id"]);
        eventually_async("the build has failed", || async {
            let build = world.call(200, Method::GET, &path, token, &json!({})).await;
            (build["build"]["state"] == "failed").then_some(())
        })
        .await;
    }

    /// What an environment and a project can have, so that there is something to be taken away.
    async fn equip(&self, world: &World, token: &str) {
        let project = self.fill("/v1/accounts/{account_id}/projects/{project_id}");
        let environment = self.fill("/environments/{environment_id}");
        let variables = json!({ "variables": { "GREETING": "hi", "COLOUR": "blue" } });
        let publication = json!({ "name": self.fill("shop-{unique}") });
        let credentials =
            json!({ "role_arn": "arn:aws:iam::123456789012:role/x", "region": "eu-central-1" });
        for (path, body) in [
            (format!("{project}{environment}/variables"), variables),
            (format!("{project}{environment}/publication"), publication),
            (format!("{project}/credentials/aws"), credentials),
        ] {
            world.call(200, Method::PUT, &path, token, &body).await;
        }
    }

    fn note(&mut self, name: &'static str, value: &Value) {
        let text = value.as_str().unwrap_or_else(|| panic!("{name}: {value}"));
        self.names.insert(name, text.to_owned());
    }

    /// The same people and things, looked for in the other account.
    pub(super) fn moved_elsewhere(&self) -> Self {
        let mut moved = self.clone();
        for name in ["account_id", "owner"] {
            moved.names.insert(name, self.elsewhere.clone());
        }
        moved
    }

    pub(super) fn account(&self) -> &str {
        &self.names["account_id"]
    }

    pub(super) fn member(&self, role: Role) -> &Person {
        match role {
            Role::Owner => &self.owner,
            Role::Developer => &self.developer,
            Role::Viewer => &self.viewer,
        }
    }

    /// A key of this person with all that it says but what `change` changes.
    pub(super) fn key(
        &self,
        of: &Person,
        account: &str,
        change: impl FnOnce(&mut Claims),
    ) -> Claims {
        let mut claims = of.claims.clone();
        claims.sub.clone_from(&self.names["key_id"]);
        claims.account_id = Some(account.parse().unwrap());
        claims.auth_provider = None;
        change(&mut claims);
        claims
    }

    /// A key of this person for the scene's realm.
    pub(super) fn server_key(&self, of: &Person, scope: &str) -> Claims {
        self.key(of, self.account(), |claims| {
            claims.scope = scope.parse().unwrap();
            let realm = self.names["realm_id"].clone();
            claims
                .extra
                .insert(claim::REALM_ID.to_owned(), realm.into());
        })
    }

    /// A row's path and query, with all names filled in.
    pub(super) fn path(&self, row: &Row) -> String {
        let mut path = row.path.to_owned();
        if let Some((name, value)) = row.name {
            path = path.replace(&format!("{{{name}}}"), value);
        }
        let path = self.fill(&path);
        assert!(
            !path.contains('{'),
            "the test doesn't know how to fill {path}"
        );
        format!("{path}{}", row.query)
    }

    /// Puts the names of what is there into a text.
    pub(super) fn fill(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (name, value) in &self.names {
            text = text.replace(&format!("{{{name}}}"), value);
        }
        text
    }

    async fn push(&self, platform: &str) {
        let room = tempfile::tempdir().unwrap();
        std::fs::write(room.path().join("README"), "No app at all.\n").unwrap();
        let repository = self.fill(&format!("{platform}/git/{{owner}}/{{repo}}.git"));
        let header = format!(
            "http.extraHeader=Authorization: Bearer {}",
            self.owner.token
        );
        for arguments in [
            &["init", "--quiet", "--initial-branch=main"][..],
            &["add", "--all"],
            &[
                "-c",
                "user.name=x",
                "-c",
                "user.email=x@x.dev",
                "commit",
                "--quiet",
                "-m",
                "x",
            ],
            &["-c", &header, "push", "--quiet", &repository, "main"],
        ] {
            git(room.path(), arguments).await;
        }
    }
}

/// A login that waits for its second factor, and by what it can be completed.
#[derive(Clone)]
pub(super) struct Secured {
    pub(super) pending: Claims,
    challenge: String,
    recovery_code: String,
}

/// Somebody who has enabled a second factor, and has signed in with the first.
async fn secure(world: &World, email: &str) -> Secured {
    let token = world.newcomer(email).await.token;
    let post =
        async |path: &str, body: Value| world.call(200, Method::POST, path, &token, &body).await;
    let started = post("/auth/mfa/factors", json!({ "provider": "totp" })).await;
    let (id, secret) = (&started["mfa_factor"]["id"], &started["secret"]);
    let path = format!("/auth/mfa/factors/{}/verify", id.as_str().unwrap());
    let code = code_of(secret.as_str().unwrap(), 0);
    post(&path, json!({ "code": code })).await;
    let codes = post("/auth/mfa/recovery-codes", json!({ "count": 1 })).await;
    let body = json!({ "email": email, "password": PASSWORD });
    let login = post("/auth/euser/emailpass", body).await;
    Secured {
        pending: claims_of(login["token"].as_str().unwrap()),
        challenge: login["mfa_challenge"]["id"].as_str().unwrap().to_owned(),
        recovery_code: codes["recovery_codes"][0].as_str().unwrap().to_owned(),
    }
}

fn identity_of(person: &Person) -> String {
    person.claims.auth_identity_id.clone().unwrap().to_string()
}

async fn git(directory: &Path, arguments: &[&str]) {
    let mut command = Command::new("git");
    command
        .args(arguments)
        .current_dir(directory)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("NO_PROXY", "localhost,127.0.0.1");
    let output = command.output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "git: {said}");
}

/// A new account with this owner.
async fn account(world: &World, owner: &Person) -> String {
    let body = json!({ "name": "Shop" });
    let admin = world.admin_token();
    let made = world
        .call(201, Method::POST, "/v1/accounts", &admin, &body)
        .await;
    let account = made["account"]["id"].as_str().unwrap().to_owned();
    join(world, &account, owner, Role::Owner).await;
    account
}

/// Makes somebody a member.
pub(super) async fn join(world: &World, account: &str, who: &Person, role: Role) {
    let path = format!("/v1/accounts/{account}/invite");
    let admin = world.sign(TokenKind::Access, &world.admin);
    let body = json!({ "role": role });
    let invite = world.call(201, Method::POST, &path, &admin, &body).await;
    let body = json!({ "token": invite["token"] });
    world
        .call(200, Method::POST, "/v1/invite/accept", &who.token, &body)
        .await;
}
