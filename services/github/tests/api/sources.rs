//! Names and the commits they stand for; what the operator laid.

use std::os::unix::fs::symlink;

use common::ExposeSecret as _;
use common::api::github::{Repository as Resolved, ResolveRepository};
use common::id::AccountId;
use common::role::Role;
use testkit::Backend;

use crate::pushing::world_ends;
use crate::support::{Repository, World, git};

async fn resolve(
    world: &World,
    account: &AccountId,
    owner: &str,
    repo: &str,
) -> Result<Resolved, (u16, String)> {
    let request = ResolveRepository {
        account_id: account.clone(),
        owner: owner.into(),
        repo: repo.into(),
        requested_by: None,
    };
    let calls = &world.context("project").calls;
    calls
        .post("github", "/internal/repositories/resolve", &request)
        .await
        .map_err(|error| {
            let problem = error.problem().unwrap();
            (problem.status, problem.code.to_string())
        })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn branches_tags_and_commits_are_found_and_what_is_not_there_says_so() {
    let world = World::start(Backend::sqlite()).await;
    let account = world.account();
    let person = world.member(&account, Role::Developer);
    let url = world.repository_url(account.as_str(), "shop");
    let mine = Repository::new("main").await;
    let first = mine.git(&["rev-parse", "HEAD"]).await;
    mine.git(&["tag", "--annotate", "--message", "one", "v1.0"])
        .await;
    mine.git(&["branch", "feature/x"]).await;
    let second = mine.commit("more.js", "1").await;
    mine.git_as(
        &person.token,
        &["push", "--quiet", "--tags", &url, "main", "feature/x"],
    )
    .await;

    let abbreviated = &first[..9];
    for (name, commit, branch) in [
        (None, &second, Some("main")),
        (Some("HEAD"), &second, Some("main")),
        (Some("main"), &second, Some("main")),
        (Some("refs/heads/main"), &second, Some("main")),
        (Some("feature/x"), &first, Some("feature/x")),
        (Some("v1.0"), &first, Some("v1.0")),
        (Some(first.as_str()), &first, None),
        (Some(abbreviated), &first, None),
    ] {
        let found = world
            .checkout(&account, account.as_str(), "shop", name)
            .await
            .unwrap();
        assert_eq!(
            (&found.commit, found.branch.as_deref()),
            (commit, branch),
            "{name:?}"
        );
    }
    let missing = "0".repeat(40);
    for name in ["gone", missing.as_str(), "abcdef0", "main:app.js"] {
        let problem = world
            .checkout(&account, account.as_str(), "shop", Some(name))
            .await
            .unwrap_err();
        let expected = if name.contains(':') {
            "invalid_data"
        } else {
            "ref_not_found"
        };
        assert_eq!(
            (problem.status, problem.code.as_ref()),
            (422, expected),
            "{name}"
        );
    }
    for name in ["--upload-pack=x", "main\nrefs/heads/next", "a..b"] {
        let problem = world
            .checkout(&account, account.as_str(), "shop", Some(name))
            .await
            .unwrap_err();
        assert_eq!(problem.code, "invalid_data", "{name:?}");
    }
    world_ends(world).await;
}

#[expect(clippy::too_many_lines, reason = "one story")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_operator_laid_is_open_to_all_accounts_by_a_repositorys_token_only() {
    let world = World::start(Backend::sqlite()).await;
    let account = world.account();
    let person = world.member(&account, Role::Owner);
    let repos = world.backend.directory().join("repos/acme");
    std::fs::create_dir_all(&repos).unwrap();
    let mine = Repository::new("main").await;
    let commit = mine.git(&["rev-parse", "HEAD"]).await;
    let from = mine.path().display().to_string();
    git(&repos, None, &["clone", "--quiet", &from, "plain"]).await;
    git(
        &repos,
        None,
        &["clone", "--quiet", "--bare", &from, "bare.git"],
    )
    .await;
    git(
        &repos,
        None,
        &["clone", "--quiet", "--bare", &from, "short"],
    )
    .await;
    git(&repos, None, &["init", "--quiet", "--bare", "empty.git"]).await;
    // No HEAD that leads anywhere, one branch.
    git(&repos, None, &["init", "--quiet", "--bare", "headless.git"]).await;
    git(
        &repos.join("headless.git"),
        None,
        &["fetch", "--quiet", &from, "main:trunk"],
    )
    .await;
    git(
        &repos.join("headless.git"),
        None,
        &["symbolic-ref", "HEAD", "refs/heads/nowhere"],
    )
    .await;

    for (name, branch) in [
        ("plain", "main"),
        ("bare", "main"),
        ("short", "main"),
        ("headless", "trunk"),
    ] {
        let resolved = resolve(&world, &account, "acme", name).await.unwrap();
        assert_eq!(resolved.default_branch.as_deref(), Some(branch), "{name}");
        let checkout = world.checkout(&account, "acme", name, None).await.unwrap();
        assert_eq!(checkout.commit, commit);
        let theirs = Repository::nothing();
        theirs.git(&["init", "--quiet"]).await;
        theirs
            .git_as(
                checkout.token.expose_secret(),
                &["fetch", "--quiet", "--depth=1", &checkout.url, &commit],
            )
            .await;
        let url = world.repository_url("acme", name);
        assert!(
            theirs
                .fails_as(Some(&person.token), &["ls-remote", &url])
                .await
                .contains("no such repository")
        );
        assert!(
            mine.fails_as(Some(&person.token), &["push", &url, "main"])
                .await
                .contains("no such repository")
        );
    }
    assert_eq!(
        resolve(&world, &account, "acme", "empty")
            .await
            .unwrap()
            .default_branch,
        None
    );
    assert_eq!(
        world
            .checkout(&account, "acme", "empty", None)
            .await
            .unwrap_err()
            .code,
        "repository_empty"
    );
    assert_eq!(
        world
            .checkout(&account, "acme", "empty", Some("x"))
            .await
            .unwrap_err()
            .code,
        "repository_empty"
    );
    let problem = world
        .checkout(&account, "acme", "none", None)
        .await
        .unwrap_err();
    assert!(problem.detail.contains("/git/<account id>"), "{problem}");

    // The list, in pages: the account's own among the operator's.
    mine.git_as(
        &person.token,
        &[
            "push",
            "--quiet",
            &world.repository_url(account.as_str(), "own"),
            "main",
        ],
    )
    .await;
    let mut names = Vec::new();
    let mut after = String::new();
    loop {
        let path = format!("/v1/accounts/{account}/github/repositories?limit=2{after}");
        let (status, body) = world.get(&path, Some(&person.token)).await;
        assert_eq!(status, 200, "{body}");
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        let page = body["repositories"].as_array().unwrap();
        assert!(page.len() <= 2);
        names.extend(
            page.iter()
                .map(|repository| repository["repo"].as_str().unwrap().to_owned()),
        );
        match body["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(
        names,
        ["own", "bare", "empty", "headless", "plain", "short"]
    );
    world_ends(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_link_leads_out_of_the_trees() {
    let world = World::start(Backend::sqlite()).await;
    let account = world.account();
    let data = world.backend.directory();
    let outside = Repository::new("main").await;
    let repos = data.join("repos/acme");
    std::fs::create_dir_all(&repos).unwrap();
    // The repository itself, its owner, its Git directory, a part of it, and a file that names one.
    symlink(outside.path(), repos.join("linked")).unwrap();
    symlink(outside.path(), data.join("repos/out")).unwrap();
    std::fs::create_dir(repos.join("inner")).unwrap();
    symlink(outside.path().join(".git"), repos.join("inner/.git")).unwrap();
    git(&repos, None, &["init", "--quiet", "--bare", "parts.git"]).await;
    std::fs::remove_dir_all(repos.join("parts.git/objects")).unwrap();
    symlink(
        outside.path().join(".git/objects"),
        repos.join("parts.git/objects"),
    )
    .unwrap();
    std::fs::create_dir(repos.join("filed")).unwrap();
    std::fs::write(
        repos.join("filed/.git"),
        format!("gitdir: {}/.git\n", outside.path().display()),
    )
    .unwrap();
    symlink(repos.join("loop"), repos.join("loop")).unwrap();
    let pushed = data.join("git").join(account.as_str());
    std::fs::create_dir_all(&pushed).unwrap();
    symlink(outside.path().join(".git"), pushed.join("shop.git")).unwrap();

    for (owner, name) in [
        ("acme", "linked"),
        ("out", ".git"),
        ("acme", "inner"),
        ("acme", "parts"),
        ("acme", "filed"),
        ("acme", "loop"),
        (account.as_str(), "shop"),
    ] {
        let refused = resolve(&world, &account, owner, name).await.unwrap_err();
        let expected = if name.starts_with('.') {
            (422, "invalid_data")
        } else {
            (404, "repository_not_found")
        };
        assert_eq!((refused.0, refused.1.as_str()), expected, "{owner}/{name}");
    }
    // One that stays inside is fine.
    git(
        &repos,
        None,
        &[
            "clone",
            "--quiet",
            "--bare",
            &outside.path().display().to_string(),
            "real.git",
        ],
    )
    .await;
    symlink(repos.join("real.git"), repos.join("alias.git")).unwrap();
    resolve(&world, &account, "acme", "alias").await.unwrap();
    world_ends(world).await;
}
