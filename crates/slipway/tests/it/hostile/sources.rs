//! Repositories with names that lead elsewhere, and trees that do.

use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::Value;
use tokio::process::Command;

use super::raw::{answer_to, must_answer, statuses};
use crate::harness::{Up, client, json_lines, text};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tree_that_leads_out_of_itself_is_not_built_and_the_reason_is_told() {
    let up = Up::start().await;
    for (name, make, reason) in [
        ("link", link as fn(&Path), "the-link"),
        ("parent", parent, "the-link"),
        (
            "file",
            |at: &Path| submodule(at, "file:///etc/repo.git"),
            "lib",
        ),
    ] {
        let app = tempfile::tempdir().unwrap();
        std::fs::write(app.path().join("index.html"), "x").unwrap();
        make(app.path());
        commit(app.path()).await;
        let path = app.path().to_str().unwrap();
        let output = up.run(&["deploy", path, "--name", name, "--json"]).await;
        let events = json_lines(&text(&output.stdout));
        let failed = events.last().unwrap();
        assert_eq!(
            (output.status.code(), &failed["state"]),
            (Some(1), &"failed".into()),
            "{name}: {failed}"
        );
        assert!(
            failed["reason"].as_str().unwrap().contains(reason),
            "{name}: {failed}"
        );
        must_answer(&up, name).await;
    }
    // What git itself knows to mean harm doesn't even get into a repository.
    let app = tempfile::tempdir().unwrap();
    submodule(app.path(), "-oProxyCommand=touch /tmp/x");
    commit(app.path()).await;
    let output = up
        .run(&["deploy", app.path().to_str().unwrap(), "--name", "option"])
        .await;
    let said = text(&output.stderr);
    assert!(
        !output.status.success() && said.contains("disallowed submodule url"),
        "{said}"
    );
}

fn link(at: &Path) {
    symlink("/etc/passwd", at.join("the-link")).unwrap();
}

fn parent(at: &Path) {
    symlink("../../../../../../etc/passwd", at.join("the-link")).unwrap();
}

fn submodule(at: &Path, url: &str) {
    std::fs::write(
        at.join(".gitmodules"),
        format!("[submodule \"lib\"]\n\tpath = lib\n\turl = {url}\n"),
    )
    .unwrap();
}

async fn commit(at: &Path) {
    for words in [
        &["init", "--quiet", "--initial-branch=main"][..],
        &["add", "--all"],
        &[
            "-c",
            "user.name=Test",
            "-c",
            "user.email=test@example.com",
            "commit",
            "--quiet",
            "--message",
            "x",
        ],
    ] {
        let mut git = Command::new("git");
        git.env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null");
        let output = git.args(words).current_dir(at).output().await.unwrap();
        assert!(
            output.status.success(),
            "git {words:?}: {}",
            text(&output.stderr)
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_leads_elsewhere_names_no_repository_behind_the_gateway_either() {
    let up = Up::start().await;
    let app = tempfile::tempdir().unwrap();
    std::fs::write(app.path().join("index.html"), "x").unwrap();
    up.result(&["deploy", app.path().to_str().unwrap(), "--name", "real"])
        .await;
    let (token, account) = admin(&up).await;
    let before = repositories(&up.data_dir.join("git"));
    for name in [
        "..",
        "%2e%2e",
        "%2e%2e%2f%2e%2e%2freal",
        ".",
        "-oProxyCommand=x",
        "--upload-pack=x",
        "a%00b",
        "a%0ab",
        "%ff%fe",
        "..%5creal",
        "real.git%2f..%2freal",
        ".home",
    ] {
        for service in ["git-upload-pack", "git-receive-pack"] {
            let request = format!(
                "GET /git/{account}/{name}.git/info/refs?service={service} HTTP/1.1\r\nhost: localhost\r\n\
                 connection: close\r\nauthorization: Bearer {token}\r\n\r\n"
            );
            let answer = answer_to(&up, request.as_bytes()).await;
            assert!(
                matches!(statuses(&answer).as_slice(), ["400" | "404"]),
                "{name}: {answer}"
            );
        }
        must_answer(&up, name).await;
    }
    assert!(before > 0);
    assert_eq!(
        repositories(&up.data_dir.join("git")),
        before,
        "nothing was made"
    );
}

/// How many repositories there are at any depth.
fn repositories(directory: &Path) -> usize {
    let entries = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let directories = entries.filter(|path| path.is_dir());
    directories
        .map(|path| {
            if path.join("HEAD").is_file() {
                1
            } else {
                repositories(&path)
            }
        })
        .sum()
}

/// The first admin's token as a person, and the account that deploying made.
async fn admin(up: &Up) -> (String, String) {
    let credentials = std::fs::read_to_string(up.data_dir.join("admin-credentials.json")).unwrap();
    let credentials: Value = serde_json::from_str(&credentials).unwrap();
    let request = client()
        .post(format!("{}/auth/euser/emailpass", up.url))
        .json(&credentials);
    let signed_in = testkit::expect(200, request).await;
    let token = signed_in["token"].as_str().unwrap().to_owned();
    let accounts = client()
        .get(format!("{}/v1/accounts", up.url))
        .bearer_auth(&token);
    let accounts = testkit::expect(200, accounts).await;
    (
        token,
        accounts["accounts"][0]["id"].as_str().unwrap().to_owned(),
    )
}
