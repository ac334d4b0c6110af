//! An app that tells its secrets to everybody.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::json;
use tokio::process::Command;

use super::api::Api;
use super::canary::Canary;
use crate::harness::{Up, text};

const FILES: [(&str, &str); 3] = [
    ("slipway.toml", include_str!("teller/slipway.toml")),
    ("tell.py", include_str!("teller/tell.py")),
    ("serve.py", include_str!("teller/serve.py")),
];

/// The app as it is live.
pub(super) struct App {
    /// Its project's path in the API.
    pub(super) path: String,
    pub(super) environment: String,
    build: String,
    url: String,
}

/// Pushes it with a token as password, gives it secrets and a database, and waits until it is live.
pub(super) async fn deploy(
    up: &Up,
    api: &Api,
    account: &str,
    token: &str,
    secret: &Canary,
    line: &Canary,
) -> App {
    push(up, account, token).await;
    let projects = format!("/v1/account/{account}/projects");
    let wanted = json!({ "name": "teller", "environment": { "database": true }, "github_data": { "owner": account, "repo": "teller" } });
    let made = api.post(201, &projects, token, &wanted).await;
    let path = format!("{projects}/{}", made["project"]["id"].as_str().unwrap());
    let environment = &made["project"]["environments"][0];
    let (id, url) = (
        environment["id"].as_str().unwrap().to_owned(),
        environment["url"].as_str().unwrap().to_owned(),
    );
    let key = format!("-----BEGIN KEY-----\n{}\n-----END KEY-----\n", line.value);
    let variables = json!({ "variables": {
        "API_SECRET": { "value": secret.value, "secret": true }, "KEY_FILE": { "value": key, "secret": true },
    }});
    let put = api.request(Method::PUT, &format!("{path}/environments/{id}/variables"));
    api.told(200, put.bearer_auth(token).json(&variables)).await;
    let asked = api
        .post(
            202,
            &format!("{path}/build"),
            token,
            &json!({ "environment_id": id }),
        )
        .await;
    let build = asked["build"]["id"].as_str().unwrap().to_owned();
    let app = App {
        path,
        environment: id,
        build,
        url,
    };
    until_live(up, api, &app, token).await;
    app
}

async fn push(up: &Up, account: &str, token: &str) {
    let directory = tempfile::tempdir().unwrap();
    for (name, content) in FILES {
        std::fs::write(directory.path().join(name), content).unwrap();
    }
    let remote = format!("{}/git/{account}/teller.git", up.url);
    let basic = STANDARD.encode(format!("git:{token}"));
    for words in [
        &["init", "--quiet", "--initial-branch=main"][..],
        &["add", "--all"],
        &["commit", "--quiet", "--message", "An app"],
        &["push", "--quiet", &remote, "main"],
    ] {
        let settings = [
            ("user.name", "Test".to_owned()),
            ("user.email", "test@example.com".to_owned()),
            ("http.extraHeader", format!("Authorization: Basic {basic}")),
        ];
        let mut git = Command::new("git");
        git.args(words).current_dir(directory.path());
        git.env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("NO_PROXY", "localhost");
        git.env("GIT_CONFIG_COUNT", settings.len().to_string());
        for (place, (name, value)) in settings.iter().enumerate() {
            git.env(format!("GIT_CONFIG_KEY_{place}"), name)
                .env(format!("GIT_CONFIG_VALUE_{place}"), value);
        }
        let output = git.output().await.unwrap();
        assert!(
            output.status.success(),
            "git {words:?}: {}",
            text(&output.stderr)
        );
    }
}

async fn until_live(up: &Up, api: &Api, app: &App, token: &str) {
    let path = format!("{}/builds/{}", app.path, app.build);
    let log = api
        .request(Method::GET, &format!("{path}/logs?follow=true"))
        .bearer_auth(token);
    let log = api.told(200, log).await;
    let build = api
        .told(200, api.request(Method::GET, &path).bearer_auth(token))
        .await;
    assert!(build.contains("\"live\""), "{build}\n{log}");
    testkit::eventually_async("the app answers", || async {
        (up.call_app(&app.url, "/env/PORT").await.0 == 200).then_some(())
    })
    .await;
}

/// What the platform made up for the app, as the app has it in its environment.
pub(super) async fn secrets_of(up: &Up, app: &App) -> Vec<Canary> {
    let (_, database) = up.call_app(&app.url, "/env/DATABASE_URL").await;
    let database: url::Url = database.parse().unwrap();
    let (_, session) = up.call_app(&app.url, "/env/SESSION_KEY").await;
    vec![
        Canary::found(
            "the password of an app's database",
            database.password().unwrap(),
        ),
        Canary::found("a secret made up for an app", &session),
    ]
}

/// What its build and it itself have told, once that is all there.
pub(super) async fn logs(up: &Up, api: &Api, app: &App, token: &str) -> String {
    let read = async |path: String| {
        api.told(200, api.request(Method::GET, &path).bearer_auth(token))
            .await
    };
    let build = read(format!("{}/builds/{}/logs", app.path, app.build)).await;
    for phase in ["build has told", "release has told"] {
        assert!(build.contains(phase), "{build}");
    }
    let path = format!("{}/environments/{}/logs", app.path, app.environment);
    let running = testkit::eventually_async("the app's output is kept", || async {
        let log = read(path.clone()).await;
        log.contains("app has told 5").then_some(log)
    })
    .await;
    let by_command = up.run_as(token, &["logs", "teller"]).await;
    assert!(by_command.status.success(), "{}", text(&by_command.stderr));
    [build, running, text(&by_command.stdout)].join("\n")
}

/// Deploys it with a database, as a person does; the address that it has of that.
pub(super) async fn deploy_with_database(up: &Up, name: &str) -> url::Url {
    let directory = tempfile::tempdir().unwrap();
    for (file, content) in FILES {
        std::fs::write(directory.path().join(file), content).unwrap();
    }
    let source = directory.path().to_str().unwrap();
    let url = up
        .result(&["deploy", source, "--name", name, "--database"])
        .await;
    let (status, database) = up.call_app(url.trim(), "/env/DATABASE_URL").await;
    assert_eq!(status, 200, "{database}");
    database.parse().unwrap()
}
