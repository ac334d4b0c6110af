//! Checking out commits from a Git server.

use std::path::Path;
use std::time::Duration;

use common::SecretString;
use slipway_provisioner::build::Operator;
use slipway_provisioner::checkout::{
    CheckoutError, CheckoutJob, CheckoutLimits, CommitInfo, Credential, checkout,
};
use slipway_provisioner::process::Host;
use tokio_util::sync::CancellationToken;

use crate::git_server::GitServer;
use crate::tree::{Tree, git};

const TOKEN: &str = "canary-token-7f3a";

async fn fetch(
    url: &str,
    commit: &str,
    to: &Path,
    limits: &CheckoutLimits,
) -> Result<CommitInfo, CheckoutError> {
    let credential = Credential::Bearer(SecretString::from(TOKEN));
    let id = format!(
        "co-{}",
        to.file_name().unwrap().to_string_lossy().replace('.', "-")
    );
    let job = CheckoutJob {
        id: &id,
        url,
        commit,
        credential: Some(&credential),
        tree: &to.join("tree"),
        scratch: &to.join("scratch"),
        owner: None,
    };
    checkout(
        &Host::new("it"),
        &Operator::of_this_process(),
        &job,
        limits,
        &CancellationToken::new(),
    )
    .await
}

/// A directory served over HTTP, holding the repository `app`.
async fn served(app: &Tree, token: Option<&str>) -> (Tree, GitServer) {
    let root = Tree::new(&[]);
    git(
        root.path(),
        &[
            "clone",
            "-q",
            "--bare",
            app.path().to_str().unwrap(),
            "app.git",
        ],
    );
    let server = GitServer::start(root.path(), token).await;
    (root, server)
}

#[tokio::test]
async fn an_older_commit_is_fetched_exactly_and_the_token_is_left_nowhere() {
    let app = Tree::new(&[("file", "one")]);
    let first = app.commit("The first\n\nwith more to say");
    app.write("file", "two");
    app.commit("The second");
    let (_root, server) = served(&app, Some(TOKEN)).await;
    let to = Tree::new(&[]);

    let info = fetch(
        &server.url("app.git"),
        &first,
        to.path(),
        &CheckoutLimits::default(),
    )
    .await
    .unwrap();

    assert_eq!(
        (
            info.author.as_str(),
            info.subject.as_str(),
            info.files,
            info.bytes
        ),
        ("Ada", "The first", 1, 3)
    );
    assert_eq!(
        std::fs::read_to_string(to.path().join("tree/file")).unwrap(),
        "one"
    );
    assert!(!to.path().join("tree/.git").exists());
    let left = std::process::Command::new("grep")
        .args(["-r", TOKEN, "."])
        .current_dir(to.path())
        .output()
        .unwrap();
    assert!(
        !left.status.success(),
        "{}",
        String::from_utf8_lossy(&left.stdout)
    );
    assert!(
        server.seen().iter().all(|request| request.contains(TOKEN)),
        "{:?}",
        server.seen()
    );
}

#[tokio::test]
async fn a_wrong_token_is_told_without_showing_it_and_without_asking() {
    let app = Tree::new(&[("file", "one")]);
    let commit = app.commit("x");
    let (_root, server) = served(&app, Some("another")).await;
    let to = Tree::new(&[]);
    let error = fetch(
        &server.url("app.git"),
        &commit,
        to.path(),
        &CheckoutLimits::default(),
    )
    .await
    .unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(matches!(error, CheckoutError::Git { .. }), "{text}");
    assert!(!text.contains(TOKEN), "{text}");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let app = Tree::new(&[("file", "one")]);
    let commit = app.commit("x");
    let (_root, server) = served(&app, None).await;
    let to = Tree::new(&[]);
    let error = fetch(
        &server.url("moved.git"),
        &commit,
        to.path(),
        &CheckoutLimits::default(),
    )
    .await
    .unwrap_err();
    assert!(matches!(error, CheckoutError::Git { .. }), "{error}");
    assert!(
        server
            .seen()
            .iter()
            .all(|request| !request.contains("/elsewhere")),
        "{:?}",
        server.seen()
    );
}

#[tokio::test]
async fn an_unknown_commit_and_unfit_addresses_are_refused() {
    let app = Tree::new(&[("file", "one")]);
    app.commit("x");
    let (_root, server) = served(&app, None).await;
    let limits = CheckoutLimits::default();
    let url = server.url("app.git");
    let to = Tree::new(&[]);
    let error = fetch(&url, &"0".repeat(40), to.path(), &limits)
        .await
        .unwrap_err();
    assert!(error.to_string().contains(&"0".repeat(40)), "{error}");
    for commit in ["main", "--upload-pack=x", "", "ABCDEF"] {
        let error = fetch(&url, commit, to.path(), &limits).await.unwrap_err();
        assert!(
            matches!(error, CheckoutError::Commit(_)),
            "{commit}: {error}"
        );
    }
    let some = "a".repeat(40);
    for url in [
        "file:///etc",
        "ssh://-oProxyCommand=x/y",
        "ext::sh -c x",
        "/srv/repo",
        "http://me:secret@host/x",
        "git://host/x",
    ] {
        let error = fetch(url, &some, to.path(), &limits).await.unwrap_err();
        assert!(matches!(error, CheckoutError::Url { .. }), "{url}: {error}");
    }
}

#[tokio::test]
async fn a_link_out_of_the_tree_is_refused_by_name() {
    for (target, fine) in [
        ("inside", true),
        ("../../../../etc/passwd", false),
        ("/etc/passwd", false),
    ] {
        let app = Tree::new(&[("inside", "x")]);
        app.link("the-link", target);
        let commit = app.commit("x");
        let (_root, server) = served(&app, None).await;
        let to = Tree::new(&[]);
        match fetch(
            &server.url("app.git"),
            &commit,
            to.path(),
            &CheckoutLimits::default(),
        )
        .await
        {
            Ok(_) => assert!(fine, "{target}"),
            Err(error) => {
                assert!(!fine, "{target}: {error}");
                assert!(error.to_string().contains("`the-link`"), "{error}");
            }
        }
    }
}

#[tokio::test]
async fn submodules_with_file_addresses_or_on_other_hosts_are_refused() {
    for url in [
        "file:///etc/repo.git",
        "/etc/repo.git",
        "http://10.0.0.1/x.git",
        "-oProxyCommand=touch /tmp/x",
    ] {
        let app = Tree::new(&[(
            ".gitmodules",
            &format!("[submodule \"lib\"]\n\tpath = lib\n\turl = {url}\n"),
        )]);
        let commit = app.commit("x");
        let (_root, server) = served(&app, None).await;
        let to = Tree::new(&[]);
        let error = fetch(
            &server.url("app.git"),
            &commit,
            to.path(),
            &CheckoutLimits::default(),
        )
        .await
        .unwrap_err();
        assert!(
            matches!(&error, CheckoutError::Submodule { path, .. } if path == "lib"),
            "{url}: {error}"
        );
    }
}

#[tokio::test]
async fn a_submodule_beside_the_repository_is_fetched_without_the_token() {
    let library = Tree::new(&[("lib.txt", "library")]);
    let wanted = library.commit("library");
    let app = Tree::new(&[(
        ".gitmodules",
        "[submodule \"lib\"]\n\tpath = vendor/lib\n\turl = ../lib.git\n",
    )]);
    app.git(&["init", "-q", "-b", "main"]);
    app.git(&[
        "update-index",
        "--add",
        "--cacheinfo",
        &format!("160000,{wanted},vendor/lib"),
    ]);
    app.git(&["add", ".gitmodules"]);
    app.git(&[
        "-c",
        "user.name=A",
        "-c",
        "user.email=a@b.example",
        "commit",
        "-q",
        "-m",
        "x",
    ]);
    let commit = app.git(&["rev-parse", "HEAD"]);
    let (root, server) = served(&app, None).await;
    git(
        root.path(),
        &[
            "clone",
            "-q",
            "--bare",
            library.path().to_str().unwrap(),
            "lib.git",
        ],
    );
    let to = Tree::new(&[]);
    fetch(
        &server.url("app.git"),
        &commit,
        to.path(),
        &CheckoutLimits::default(),
    )
    .await
    .unwrap();
    assert_eq!(
        std::fs::read_to_string(to.path().join("tree/vendor/lib/lib.txt")).unwrap(),
        "library"
    );
    let leaked: Vec<_> = server
        .seen()
        .into_iter()
        .filter(|line| line.contains("lib.git") && line.contains(TOKEN))
        .collect();
    assert!(leaked.is_empty(), "{leaked:?}");
}

#[tokio::test]
async fn limits_on_size_files_and_time_are_kept() {
    let app = Tree::new(&[("a", &"text ".repeat(50_000)), ("b", "x"), ("c", "y")]);
    let commit = app.commit("x");
    let (_root, server) = served(&app, None).await;
    let limits = CheckoutLimits::default();
    for (limits, wanted) in [
        (
            CheckoutLimits {
                tree_bytes: 100_000,
                ..limits.clone()
            },
            "the size of all files",
        ),
        (
            CheckoutLimits {
                fetched_bytes: 100,
                ..limits.clone()
            },
            "what is fetched",
        ),
        (
            CheckoutLimits {
                files: 2,
                ..limits.clone()
            },
            "3 files",
        ),
        (
            CheckoutLimits {
                time: Duration::ZERO,
                ..limits.clone()
            },
            "0 s",
        ),
    ] {
        let to = Tree::new(&[]);
        let error = fetch(&server.url("app.git"), &commit, to.path(), &limits)
            .await
            .unwrap_err();
        assert!(error.to_string().contains(wanted), "{error}");
        assert!(!to.path().join("tree/a").exists(), "{wanted}");
    }
}
