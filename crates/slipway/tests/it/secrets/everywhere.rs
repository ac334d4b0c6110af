//! Every kind of secret is used in the ways that it is used, well and badly; then nothing that the
//! platform wrote, told or kept may show one.

use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Backend, on_both_backends};

use super::api::Api;
use super::canary::{Canary, must_not_show};
use super::database::{Dump, of_file, of_server};
use super::mistakes;
use super::places::{content, files_under};
use super::processes::Watch;
use super::server::Server;
use super::teller;
use crate::harness::Up;

const ADMIN: &str = "ada@example.com";
const PERSON: &str = "grace@example.com";

/// Everything that is secret by now.
struct Secrets {
    admin_password: Canary,
    password: Canary,
    wrong_password: Canary,
    setting: Canary,
    variable: Canary,
    line: Canary,
    aws: Canary,
    misplaced: Canary,
    found: Vec<Canary>,
}

impl Secrets {
    fn new() -> Self {
        Self {
            admin_password: Canary::new("the admin's password"),
            password: Canary::new("a person's password"),
            wrong_password: Canary::new("a password that was wrong"),
            setting: Canary::plain("a secret setting", 40),
            variable: Canary::new("a secret variable"),
            line: Canary::plain("a line of a secret variable", 40),
            aws: Canary::plain("an AWS secret key", 40),
            misplaced: Canary::new("a secret where none belongs"),
            found: Vec::new(),
        }
    }

    fn all(&self, server: &Server) -> Vec<Canary> {
        let made = [
            &self.admin_password,
            &self.password,
            &self.wrong_password,
            &self.setting,
            &self.variable,
            &self.line,
            &self.aws,
            &self.misplaced,
            &server.password,
        ];
        made.into_iter().chain(&self.found).cloned().collect()
    }
}

on_both_backends! {
    async fn a_secret_is_seen_nowhere(backend: Backend) {
        let watch = Watch::start();
        let mut secrets = Secrets::new();
        let server = Server::new(backend.postgres_url());
        let mut up = start(&backend, &server, &secrets).await;
        let api = Api::new(&up.url);

        let token = people(&api, &mut secrets).await;
        let account = account(&api, &mut secrets, &token).await;
        let app = teller::deploy(&up, &api, &account, &token, &secrets.variable, &secrets.line).await;
        server.will_forget(&app.environment);
        secrets.found.extend(teller::secrets_of(&up, &app).await);
        project_secrets(&api, &app, &token, &secrets).await;
        keys(&api, &mut secrets, &token).await;
        let key = &secrets.found.last().unwrap().value;
        mistakes::make(&api, &secrets.misplaced, key, &app, &token).await;

        let known = secrets.all(&server);
        let said = teller::logs(&up, &api, &app, &token).await;
        assert!(said.contains("***"), "{said}");
        must_not_show(&known, "an app's or a build's log", &said);
        for command in [&["config"][..], &["doctor"], &["apps"], &["logs", "teller", "--build", "last"]] {
            let output = up.run_as(&token, command).await;
            let text = format!("{}{}", crate::harness::text(&output.stdout), crate::harness::text(&output.stderr));
            must_not_show(&known, &format!("`slipway {}`", command.join(" ")), &text);
        }
        must_not_show(&known, "an answer", &api.all_told());
        look_around(&up, &backend, &known);
        assert!(up.stop().await.success());
        look_around(&up, &backend, &known);
        let commands = watch.seen();
        assert!(commands.iter().any(|line| line.contains("tell.py app")), "the processes are watched");
        for line in commands {
            must_not_show(&known, "a command line", &line);
        }
        drop(up);
    }
}

async fn start(backend: &Backend, server: &Server, secrets: &Secrets) -> Up {
    backend.clean_up_queues_of(&[
        "auth",
        "account",
        "project",
        "github",
        "provisioner",
        "v1api",
    ]);
    let apps = server.url();
    let mut settings = vec![
        ("SLIPWAY_LOG__LEVEL", "trace,actix_server=trace"),
        // What AWS is asked is signed and told by nobody's log, though nobody answers.
        ("SLIPWAY_AWS__STS_ENDPOINT", "http://127.0.0.1:1/"),
        ("SLIPWAY_ADMIN_EMAIL", ADMIN),
        ("SLIPWAY_ADMIN_PASSWORD", &secrets.admin_password.value),
        ("SLIPWAY_APPS__POSTGRES_URL", &apps),
        ("SLIPWAY_SERVICES__GITHUB__SECRET", &secrets.setting.value),
    ];
    let (database, amqp) = (server.platform_url(), backend.amqp());
    if let (Some(database), Some((amqp, prefix))) = (&database, &amqp) {
        settings.extend([
            ("SLIPWAY_DATABASE__URL", database.as_str()),
            ("SLIPWAY_AMQP__URL", amqp),
            ("SLIPWAY_AMQP__PREFIX", prefix),
        ]);
    }
    Up::start_with(&settings).await
}

/// Somebody registers, signs in with the wrong password and with the right one; her token.
async fn people(api: &Api, secrets: &mut Secrets) -> String {
    let with = |password: &Canary| json!({ "email": PERSON, "password": password.value });
    let login = |body: &Value| {
        api.request(Method::POST, "/auth/euser/emailpass")
            .json(body)
    };
    let register = api.request(Method::POST, "/auth/euser/emailpass/register");
    let first = api
        .expect(200, register.json(&with(&secrets.password)))
        .await;
    api.told(401, login(&with(&secrets.wrong_password))).await;
    let again = api.request(Method::POST, "/auth/euser/emailpass/register");
    api.told(401, again.json(&with(&secrets.wrong_password)))
        .await;
    let token = first["token"].as_str().unwrap();
    api.post(201, "/v1/users", token, &json!({ "email": PERSON }))
        .await;
    let second = api.expect(200, login(&with(&secrets.password))).await;
    let second = second["token"].as_str().unwrap().to_owned();
    secrets
        .found
        .push(Canary::token("a person's first token", token));
    secrets
        .found
        .push(Canary::token("a person's token", &second));
    second
}

/// The admin makes an account and invites the person to own it.
async fn account(api: &Api, secrets: &mut Secrets, token: &str) -> String {
    let login = json!({ "email": ADMIN, "password": secrets.admin_password.value });
    let login = api
        .request(Method::POST, "/auth/admin/emailpass")
        .json(&login);
    let admin = api.expect(200, login).await["token"]
        .as_str()
        .unwrap()
        .to_owned();
    let made = api
        .post(201, "/v1/accounts", &admin, &json!({ "name": "Acme" }))
        .await;
    let account = made["account"]["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/accounts/{account}/invite");
    let invite = || {
        api.request(Method::POST, &path)
            .bearer_auth(&admin)
            .header("idempotency-key", "invite-1")
    };
    let made = api
        .expect(201, invite().json(&json!({ "role": "owner" })))
        .await;
    let replayed = api
        .told(409, invite().json(&json!({ "role": "owner" })))
        .await;
    assert!(replayed.contains("already_done"), "{replayed}");
    let invite = made["token"].as_str().unwrap();
    api.post(200, "/v1/invite/accept", token, &json!({ "token": invite }))
        .await;
    secrets
        .found
        .push(Canary::token("the admin's token", &admin));
    secrets.found.push(Canary::token("an invite", invite));
    account
}

/// AWS credentials go in and don't come out.
async fn project_secrets(api: &Api, app: &teller::App, token: &str, secrets: &Secrets) {
    let path = format!("{}/credentials/aws", app.path);
    let key = json!({ "access_key_id": "AKIAEXAMPLEEXAMPLE", "secret_access_key": secrets.aws.value, "region": "eu-central-1" });
    api.told(
        200,
        api.request(Method::PUT, &path)
            .bearer_auth(token)
            .json(&key),
    )
    .await;
    api.told(200, api.request(Method::GET, &path).bearer_auth(token))
        .await;
    let variables = format!("{}/environments/{}/variables", app.path, app.environment);
    api.told(200, api.request(Method::GET, &variables).bearer_auth(token))
        .await;
}

/// A key is made once, however often it is asked for, and used.
async fn keys(api: &Api, secrets: &mut Secrets, token: &str) {
    let body = json!({ "name": "till", "scopes": ["users:read", "usage:read"] });
    let generate = || {
        api.request(Method::POST, "/v1/generate")
            .bearer_auth(token)
            .header("idempotency-key", "key-1")
    };
    let made = api.expect(201, generate().json(&body)).await;
    let replayed = api.told(409, generate().json(&body)).await;
    assert!(replayed.contains("already_done"), "{replayed}");
    let key = made["token"].as_str().unwrap();
    api.told(200, api.request(Method::GET, "/v1/usage").bearer_auth(key))
        .await;
    api.told(
        200,
        api.request(Method::GET, "/v1/api-keys").bearer_auth(token),
    )
    .await;
    secrets.found.push(Canary::token("an API key", key));
}

/// The log, the files and the tables.
fn look_around(up: &Up, backend: &Backend, known: &[Canary]) {
    let log = up.log();
    assert!(log.contains("TRACE"), "the log has everything");
    must_not_show(known, "the platform's log", &log);
    let apps = slipway_provisioner::process::apps_directory(&up.data_dir, is_root()).unwrap();
    let mut databases = 0;
    for file in files_under(&up.data_dir)
        .into_iter()
        .chain(files_under(&apps))
    {
        // What an app itself has written, as it has written it: for Slipway's eyes only.
        if file.ends_with("output.log")
            && file.starts_with(up.data_dir.join("provisioner/instances"))
        {
            continue;
        }
        must_not_show(known, &file.display().to_string(), &content(&file));
        if file.extension().is_some_and(|kind| kind == "db") {
            databases += 1;
            show_tables(known, of_file(&file));
        }
    }
    match backend.postgres_url() {
        Some(url) => show_tables(known, of_server(&url)),
        None => assert_eq!(databases, 6, "each service has a file"),
    }
}

fn show_tables(known: &[Canary], tables: Dump) {
    for (column, values) in tables {
        must_not_show(known, &column, &values);
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
