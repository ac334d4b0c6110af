//! "Medusa Platform": from a first registration to a store that is built.

use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use testkit::{Backend, eventually_async};

use super::{Policy, Seeds, replayed, text};

replayed! {
    a_store_comes_of_the_documents_calls;
}

async fn a_store_comes_of_the_documents_calls(backend: &Backend, policy: Policy) {
    let seeds = Seeds::start(backend, policy).await;
    let seb = json!({ "email": "seb@medusajs.com", "password": "test1234" });
    seeds
        .post(200, "/auth/euser/emailpass/register", "", seb.clone())
        .await;
    let answer = seeds.post(200, "/auth/euser/emailpass", "", seb).await;
    let token = text(&answer["token"]);

    let user = json!({ "email": "seb@medusajs.com" });
    let made = seeds.post(201, "/v1/users", &token, user).await;
    // The user's id is in the identity's metadata from then on.
    let refreshed = seeds
        .post(200, "/auth/token/refresh", &token, json!({}))
        .await;
    let token = text(&refreshed["token"]);
    assert_eq!(
        claims(&token)["app_metadata"]["user_id"],
        made["user"]["id"]
    );

    let admin = seeds.admin().await;
    let account = json!({ "name": "My Account" });
    seeds
        .post(403, "/v1/accounts", &token, account.clone())
        .await;
    let made = seeds.post(201, "/v1/accounts", &admin, account).await;
    let account = text(&made["account"]["id"]);
    let invite = seeds
        .post(
            201,
            &format!("/v1/accounts/{account}/invite"),
            &admin,
            json!({}),
        )
        .await;
    let body = json!({ "token": invite["token"] });
    seeds.post(200, "/v1/invite/accept", &token, body).await;

    let repositories = backend.directory().join("data/repos");
    repository(&repositories.join("medusajs/medusa-starter-default"));
    let body = json!({
        "name": "My Store",
        "github_data": { "owner": "medusajs", "repo": "medusa-starter-default" },
    });
    let projects = format!("/v1/account/{account}/projects");
    let made = seeds.post(201, &projects, &token, body).await;
    let project = text(&made["project"]["id"]);
    let environment = &made["project"]["environments"][0];
    assert_eq!(environment["name"], "production");
    assert!(text(&environment["id"]).starts_with("projenv_"));

    let body = json!({ "environment_id": environment["id"] });
    let asked = seeds
        .post(202, &format!("{projects}/{project}/build"), &token, body)
        .await;
    assert_eq!(asked["build"]["state"], "queued");
    let path = format!(
        "{projects}/{project}/builds/{}",
        text(&asked["build"]["id"])
    );
    let build = eventually_async("the build's end", || async {
        let build = seeds.get(&path, &token).await["build"].take();
        let over = ["live", "failed", "cancelled"].contains(&build["state"].as_str()?);
        over.then_some(build)
    })
    .await;
    assert_eq!(build["state"], "live", "{build}");
    // The app outlives the platform, unless its project is deleted.
    let delete = seeds.request(
        reqwest::Method::DELETE,
        &format!("{projects}/{project}"),
        &token,
    );
    testkit::expect(200, delete).await;
    seeds.stop().await;
}

/// What a token says.
fn claims(token: &str) -> Value {
    let body = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(body).unwrap()).unwrap()
}

/// A repository with a page in it.
fn repository(at: &Path) {
    std::fs::create_dir_all(at).unwrap();
    std::fs::write(at.join("index.html"), "A store.\n").unwrap();
    std::fs::write(at.join("Procfile"), "web: python3 -m http.server $PORT\n").unwrap();
    let identity = ["-c", "user.name=x", "-c", "user.email=x@x.dev"];
    for arguments in [
        &["init", "--quiet", "--initial-branch=main"][..],
        &["add", "--all"],
        &[&identity[..], &["commit", "--quiet", "-m", "A store"]].concat(),
    ] {
        let mut git = Command::new("git");
        git.args(arguments).current_dir(at);
        git.env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null");
        assert!(git.status().unwrap().success(), "git {arguments:?}");
    }
}
