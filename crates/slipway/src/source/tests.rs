//! Real repositories, brought to a bare one on the disk by a real git.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::*;

struct Place {
    room: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self {
            room: tempfile::tempdir().unwrap(),
        };
        git(
            place.room.path(),
            &[
                "init",
                "--quiet",
                "--bare",
                "--initial-branch=main",
                "target.git",
            ],
        );
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.room.path().join(name)
    }

    fn directory(&self, name: &str, files: &[(&str, &str)]) -> PathBuf {
        let directory = self.path(name);
        for (file, content) in files {
            let path = directory.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        directory
    }

    fn repository(&self, name: &str, branch: &str, files: &[(&str, &str)]) -> PathBuf {
        let directory = self.directory(name, files);
        git(
            &directory,
            &["init", "--quiet", &format!("--initial-branch={branch}")],
        );
        git(&directory, &["add", "--all"]);
        git(&directory, &["commit", "--quiet", "--message", "first"]);
        directory
    }

    async fn deploy(&self, source: &Path) -> Result<Pushed, SourceError> {
        let url = self.path("target.git").display().to_string();
        let destination = Destination {
            url,
            token: SecretString::from("secret-token".to_owned()),
        };
        push(
            &Source::parse(&source.display().to_string()).unwrap(),
            &destination,
        )
        .await
    }

    fn files(&self, branch: &str) -> Vec<String> {
        let listed = git(
            &self.path("target.git"),
            &["ls-tree", "-r", "--name-only", branch],
        );
        listed.lines().map(str::to_owned).collect()
    }
}

fn git(directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=Test", "-c", "user.email=test@example.com"])
        .args(arguments)
        .current_dir(directory)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "git {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn a_plain_directory_is_committed_without_what_it_ignores() {
    let place = Place::new();
    let files = [
        ("app.js", "1"),
        (".gitignore", "*.log\n"),
        ("debug.log", "x"),
        ("node_modules/a/index.js", "x"),
        (".slipway/master.key", "x"),
    ];
    let directory = place.directory("my app", &files);
    let pushed = place.deploy(&directory).await.unwrap();
    assert_eq!(pushed.branch, "main");
    assert_eq!(place.files("main"), [".gitignore", "app.js"]);
    assert!(!directory.join(".git").exists());

    // Another time, with other files: the branch follows although nothing connects the commits.
    std::fs::write(directory.join("more.js"), "2").unwrap();
    let again = place.deploy(&directory).await.unwrap();
    assert_ne!(again.commit, pushed.commit);
    assert_eq!(
        git(&place.path("target.git"), &["rev-parse", "main"]),
        again.commit
    );
}

#[tokio::test]
async fn a_directory_inside_another_repository_is_taken_by_itself() {
    let place = Place::new();
    let outer = place.repository(
        "outer",
        "main",
        &[("outer.txt", "x"), ("examples/shop/app.js", "x")],
    );
    place.deploy(&outer.join("examples/shop")).await.unwrap();
    assert_eq!(place.files("main"), ["app.js"]);
}

#[tokio::test]
async fn of_a_repository_head_goes_and_changes_are_warned_of() {
    let place = Place::new();
    let repository = place.repository("shop", "trunk", &[("app.js", "1")]);
    assert_eq!(
        place.deploy(&repository).await.unwrap().warnings,
        Vec::<String>::new()
    );
    std::fs::write(repository.join("app.js"), "2").unwrap();
    std::fs::write(repository.join("new.js"), "2").unwrap();
    let pushed = place.deploy(&repository).await.unwrap();
    assert_eq!(pushed.branch, "trunk");
    assert!(
        pushed.warnings[0].starts_with("2 changes are not committed"),
        "{:?}",
        pushed.warnings
    );
    assert_eq!(place.files("trunk"), ["app.js"]);
    assert!(
        !std::fs::read_to_string(repository.join(".git/config"))
            .unwrap()
            .contains("secret-token")
    );
}

#[tokio::test]
async fn a_bundle_without_a_head_is_taken_by_its_branch() {
    let place = Place::new();
    let repository = place.repository("shop", "main", &[("app.js", "1")]);
    let bundle = place.path("shop.bundle");
    git(
        &repository,
        &[
            "bundle",
            "create",
            bundle.to_str().unwrap(),
            "refs/heads/main",
        ],
    );
    let pushed = place.deploy(&bundle).await.unwrap();
    assert_eq!(
        (pushed.branch.as_str(), pushed.commit),
        ("main", git(&repository, &["rev-parse", "main"]))
    );
    assert_eq!(place.files("main"), ["app.js"]);
}

#[tokio::test]
async fn of_a_url_the_newest_commit_of_its_default_branch_goes() {
    let place = Place::new();
    let repository = place.repository("shop", "develop", &[("app.js", "1")]);
    git(
        &repository,
        &["commit", "--quiet", "--allow-empty", "--message", "second"],
    );
    git(&repository, &["branch", "other"]);
    // A shallow commit may only be pushed where the platform allows it; so here.
    git(
        &place.path("target.git"),
        &["config", "receive.shallowUpdate", "true"],
    );
    let url = format!("file://{}", repository.display());
    let pushed = place.deploy(Path::new(&url)).await.unwrap();
    assert_eq!(
        (pushed.branch.as_str(), pushed.commit),
        ("develop", git(&repository, &["rev-parse", "develop"]))
    );
}

#[tokio::test]
async fn what_cannot_be_deployed_says_why() {
    let place = Place::new();
    let empty = place.directory("empty", &[("node_modules/x", "x")]);
    assert!(matches!(
        place.deploy(&empty).await,
        Err(SourceError::Empty(_))
    ));
    let fresh = place.directory("fresh", &[("app.js", "1")]);
    git(&fresh, &["init", "--quiet"]);
    assert!(matches!(
        place.deploy(&fresh).await,
        Err(SourceError::NoCommits(_))
    ));
    let file = place.directory("files", &[("x.txt", "x")]).join("x.txt");
    for text in [
        file.to_str().unwrap(),
        "nowhere",
        "-oProxyCommand=x",
        "ext::sh -c x",
        "ext::x",
        "ssh://-oProxyCommand=x/y",
        "https://",
    ] {
        assert!(
            matches!(Source::parse(text), Err(SourceError::Unknown(_))),
            "{text}"
        );
    }
}

#[test]
fn a_name_is_made_from_any_source() {
    let name = |source: Source| source.suggested_name();
    assert_eq!(name(Source::Directory("/x/My Shop_1".into())), "my-shop-1");
    assert_eq!(
        name(Source::Bundle("/x/medusa-starter-default.bundle".into())),
        "medusa-starter-default"
    );
    assert_eq!(
        name(Source::Remote("https://github.com/a/Store.git".into())),
        "store"
    );
    assert_eq!(
        name(Source::Remote("git@github.com:shop.git".into())),
        "shop"
    );
    assert_eq!(name(Source::Directory("/".into())), "app");
}
