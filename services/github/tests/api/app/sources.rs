//! Repositories and commits at GitHub.

use common::ExposeSecret as _;
use common::role::Role;
use reqwest::Method;
use serde_json::json;
use testkit::github::{Fault, Repository};

use super::Scene;
use crate::support;

testkit::on_both_backends! {
    async fn a_checkouts_token_opens_one_repository_to_read_and_no_other(backend: Backend) {
        let scene = Scene::start(backend).await;
        let (account, person, _) = scene.connected().await;
        let found = scene.resolve(&account, ("acme", "shop"), Some(&person)).await.unwrap();
        assert_eq!((found.provider.as_str(), found.default_branch.as_deref()), ("github", Some("main")));

        let checkout = scene.world.checkout(&account, "acme", "shop", None).await.unwrap();
        let commit = scene.source.git(&["rev-parse", "HEAD"]).await;
        assert_eq!((&checkout.commit, checkout.branch.as_deref()), (&commit, Some("main")));
        assert!(!checkout.url.contains('@'), "{}", checkout.url);
        let token = checkout.token.expose_secret();
        let user = checkout.user.clone().unwrap();
        let theirs = support::Repository::nothing();
        theirs.git(&["init", "--quiet"]).await;
        let fetch = ["fetch", "--quiet", "--depth=1", &checkout.url, &commit];
        theirs.git_basic((&user, token), &fetch).await;
        assert_eq!(theirs.git(&["rev-parse", "FETCH_HEAD"]).await, commit);
        let blog = checkout.url.replace("shop", "blog");
        assert!(theirs.fails_basic((&user, token), &["ls-remote", &blog]).await);
        assert!(theirs.fails_basic((&user, token), &["push", &checkout.url, "FETCH_HEAD:refs/heads/x"]).await);
        scene.end().await;
    }

    async fn another_accounts_repository_looks_like_one_that_is_not_there(backend: Backend) {
        let scene = Scene::start(backend).await;
        scene.connected().await;
        let other = scene.world.account();
        let stranger = scene.world.member(&other, Role::Owner);
        // With an installation of her own, so that GitHub is asked for her, too.
        let (status, body) = scene.connect(&other, &stranger, "mallory", "mallory").await;
        assert_eq!(status, 201, "{body}");
        let theirs = scene.resolve(&other, ("acme", "shop"), Some(&stranger)).await.unwrap_err();
        let nothing = scene.resolve(&other, ("acme", "nothing"), Some(&stranger)).await.unwrap_err();
        for refused in [&theirs, &nothing] {
            assert_eq!((refused.status, refused.code.as_ref()), (422, "github_app_not_installed"));
        }
        assert_eq!(theirs.detail, nothing.detail);
        let body = theirs.body("req");
        let link = body["install_url"].as_str().unwrap();
        assert!(link.contains("/apps/") && link.contains("state="), "{body}");
        let refused = scene.world.checkout(&other, "acme", "shop", None).await.unwrap_err();
        assert_eq!(refused.code, "github_app_not_installed");
        let path = format!("/v1/accounts/{other}/github/repositories");
        let (_, list) = scene.world.ask(Method::GET, &path, Some(&stranger.token), None).await;
        assert_eq!(list["repositories"], json!([]), "{list}");
        scene.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn branches_tags_and_commits_are_found_as_they_are_here() {
    let scene = Scene::start(testkit::Backend::sqlite()).await;
    let (account, _, _) = scene.connected().await;
    let first = scene.source.git(&["rev-parse", "HEAD"]).await;
    scene.source.git(&["tag", "v1.0"]).await;
    scene.source.git(&["branch", "feature/x"]).await;
    let second = scene.source.commit("more.js", "1").await;
    for (name, commit, branch) in [
        (None, &second, Some("main")),
        (Some("main"), &second, Some("main")),
        (Some("refs/heads/main"), &second, Some("main")),
        (Some("feature/x"), &first, Some("feature/x")),
        (Some("v1.0"), &first, Some("v1.0")),
        (Some(first.as_str()), &first, None),
        (Some(&first[..9]), &first, None),
    ] {
        let found = scene
            .world
            .checkout(&account, "acme", "shop", name)
            .await
            .unwrap();
        assert_eq!(
            (&found.commit, found.branch.as_deref()),
            (commit, branch),
            "{name:?}"
        );
    }
    for name in ["gone", "abcdef0", &"0".repeat(40)] {
        let refused = scene
            .world
            .checkout(&account, "acme", "shop", Some(name))
            .await
            .unwrap_err();
        assert_eq!(
            (refused.status, refused.code.as_ref()),
            (422, "ref_not_found"),
            "{name}"
        );
    }
    let empty = support::Repository::nothing();
    empty.git(&["init", "--quiet", "--bare", "."]).await;
    scene
        .github
        .add_repository(Repository::new(3, "acme", "empty", empty.path()));
    let refused = scene
        .world
        .checkout(&account, "acme", "empty", None)
        .await
        .unwrap_err();
    assert_eq!(refused.code, "repository_empty");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_list_has_every_page_of_githubs_among_what_is_here_and_asks_by_tag_the_second_time() {
    let scene = Scene::start(testkit::Backend::sqlite()).await;
    let (account, person, _) = scene.connected().await;
    scene.github.set_longest_page(2);
    for id in 3..=7 {
        let directory = scene.source.path().join(".git");
        scene
            .github
            .add_repository(Repository::new(id, "acme", &format!("r{id}"), directory));
    }
    let laid = scene.world.backend.directory().join("repos/zebra/laid.git");
    std::fs::create_dir_all(&laid).unwrap();
    support::git(&laid, None, &["init", "--quiet", "--bare", "."]).await;
    let url = scene.world.repository_url(account.as_str(), "own");
    scene
        .source
        .git_as(&person.token, &["push", "--quiet", &url, "main"])
        .await;
    let all = async || {
        let (mut names, mut after) = (Vec::new(), String::new());
        loop {
            let path = format!("/v1/accounts/{account}/github/repositories?limit=3{after}");
            let (status, body) = scene
                .world
                .ask(Method::GET, &path, Some(&person.token), None)
                .await;
            assert_eq!(status, 200, "{body}");
            for repository in body["repositories"].as_array().unwrap() {
                names.push(repository["repo"].as_str().unwrap().to_owned());
            }
            match body["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => return names,
            }
        }
    };
    let expected = ["own", "blog", "r3", "r4", "r5", "r6", "r7", "shop", "laid"];
    assert_eq!(all().await, expected);
    let full = scene.asked("/installation/repositories", 200);
    assert_eq!(full, 4, "each of four pages is sent once");
    assert_eq!(all().await, expected);
    assert_eq!(scene.asked("/installation/repositories", 200), full);
    assert!(scene.asked("/installation/repositories", 304) >= 4);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renamed_repository_is_found_by_its_old_name_and_fetched_by_its_new_one() {
    let scene = Scene::start(testkit::Backend::sqlite()).await;
    let (account, _, _) = scene.connected().await;
    let directory = scene.source.path().join(".git");
    scene.github.add_repository(Repository {
        former: vec!["acme/shop".into()],
        ..Repository::new(1, "acme", "store", directory.clone())
    });
    let found = scene
        .resolve(&account, ("acme", "shop"), None)
        .await
        .unwrap();
    assert_eq!(
        (found.owner.as_str(), found.repo.as_str()),
        ("acme", "store")
    );
    let checkout = scene
        .world
        .checkout(&account, "acme", "shop", None)
        .await
        .unwrap();
    assert!(
        checkout.url.ends_with("/acme/store.git"),
        "{}",
        checkout.url
    );
    // Given away to somebody whose installation isn't the account's, it is gone.
    scene.github.add_repository(Repository {
        former: vec!["acme/shop".into(), "acme/store".into()],
        ..Repository::new(1, "mallory", "store", directory)
    });
    let refused = scene
        .resolve(&account, ("acme", "shop"), None)
        .await
        .unwrap_err();
    assert_eq!(refused.code, "github_app_not_installed");
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_suspended_or_ended_installation_gives_nothing_and_says_why() {
    let scene = Scene::start(testkit::Backend::sqlite()).await;
    let (account, person, id) = scene.connected().await;
    scene
        .world
        .checkout(&account, "acme", "shop", None)
        .await
        .unwrap();
    scene.installation(id, true);
    let refused = scene
        .world
        .checkout(&account, "acme", "shop", None)
        .await
        .unwrap_err();
    assert_eq!(
        (refused.status, refused.code.as_ref()),
        (422, "github_app_suspended")
    );
    scene.installation(id, false);
    scene
        .world
        .checkout(&account, "acme", "shop", None)
        .await
        .unwrap();
    scene.github.uninstall(id.try_into().unwrap());
    let refused = scene
        .world
        .checkout(&account, "acme", "shop", None)
        .await
        .unwrap_err();
    assert_eq!(refused.code, "github_app_not_installed");
    scene.github.fail_next("/access_tokens", Fault::Status(404));
    let path = format!("/v1/accounts/{account}/github/repositories");
    let (status, body) = scene
        .world
        .ask(Method::GET, &path, Some(&person.token), None)
        .await;
    assert_eq!((status, &body["repositories"]), (200, &json!([])), "{body}");
    scene.end().await;
}
