//! Pushes in, clones and fetches out, and what is told of it.

use std::path::{Path, PathBuf};

use common::ExposeSecret as _;
use common::role::Role;
use testkit::Backend;

use crate::support::{Repository, World, git};

testkit::on_both_backends! {
    async fn a_push_makes_the_repository_and_is_told(backend: Backend) {
        let world = World::start(backend).await;
        let account = world.account();
        let person = world.member(&account, Role::Developer);
        let url = world.repository_url(account.as_str(), "shop");
        let mine = Repository::new("trunk").await;
        let commit = mine.git(&["rev-parse", "HEAD"]).await;
        mine.git_as(&person.token, &["push", "--quiet", &url, "trunk"]).await;

        let (told, version) = world.told_of(1).await.remove(0);
        assert_eq!(told.account_id.as_ref(), Some(&account));
        assert_eq!((told.owner.as_str(), told.repo.as_str(), told.branch.as_str()), (account.as_str(), "shop", "trunk"));
        assert_eq!((told.commit.as_ref(), told.pushed_by.as_ref()), (Some(&commit), Some(&person.user_id)));
        assert_eq!(version, 1);

        // HEAD follows the first push, so that a clone has files in it.
        let clone = Repository::nothing();
        clone.git_as(&person.token, &["clone", "--quiet", &url, "."]).await;
        assert_eq!(clone.git(&["rev-parse", "HEAD"]).await, commit);
        assert!(clone.path().join("app.js").exists());

        let (status, body) = world.get(&format!("/v1/accounts/{account}/github/repositories"), Some(&person.token)).await;
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(status, 200, "{body}");
        assert_eq!(body["repositories"][0]["owner"], account.as_str());
        assert_eq!(body["repositories"][0]["repo"], "shop");
        assert_eq!(body["repositories"][0]["default_branch"], "trunk");
        world_ends(world).await;
    }

    async fn each_branch_is_told_with_its_own_version_and_its_end(backend: Backend) {
        let world = World::start(backend).await;
        let account = world.account();
        let person = world.member(&account, Role::Developer);
        let url = world.repository_url(account.as_str(), "shop");
        let mine = Repository::new("main").await;
        mine.git(&["branch", "next"]).await;
        mine.git_as(&person.token, &["push", "--quiet", &url, "main", "next"]).await;
        let second = mine.commit("more.js", "1").await;
        mine.git_as(&person.token, &["push", "--quiet", &url, "main", ":next"]).await;

        let mut told: Vec<_> =
            world.told_of(4).await.into_iter().map(|(push, version)| (push.branch, version, push.commit)).collect();
        told.sort();
        assert_eq!(told[1], ("main".into(), 2, Some(second)));
        assert_eq!((told[2].0.as_str(), told[2].1), ("next", 1));
        assert_eq!(told[3], ("next".into(), 2, None));
        // A push that changes nothing tells nothing.
        mine.git_as(&person.token, &["push", "--quiet", &url, "main"]).await;
        assert_eq!(world.told().len(), 4);
        world_ends(world).await;
    }

    async fn an_exact_commit_is_fetched_shallowly_by_a_token_for_the_repository(backend: Backend) {
        let world = World::start(backend).await;
        let account = world.account();
        let person = world.member(&account, Role::Developer);
        let url = world.repository_url(account.as_str(), "shop");
        let mine = Repository::new("main").await;
        let first = mine.git(&["rev-parse", "HEAD"]).await;
        mine.commit("more.js", "1").await;
        mine.git_as(&person.token, &["push", "--quiet", &url, "main"]).await;
        mine.git_as(&person.token, &["push", "--quiet", "--force", &url, &format!("{first}:refs/heads/main")]).await;
        mine.git_as(&person.token, &["push", "--quiet", &url, "main"]).await;

        let checkout = world.checkout(&account, account.as_str(), "shop", Some(&first)).await.unwrap();
        assert_eq!((checkout.commit.as_str(), checkout.branch.as_deref()), (first.as_str(), None));
        assert!(!checkout.url.contains(checkout.token.expose_secret()));
        for version in ["0", "1", "2"] {
            let theirs = Repository::nothing();
            theirs.git(&["init", "--quiet"]).await;
            let protocol = format!("protocol.version={version}");
            let fetch = ["-c", &protocol, "fetch", "--quiet", "--depth=1", &checkout.url, &first];
            theirs.git_as(checkout.token.expose_secret(), &fetch).await;
            theirs.git(&["checkout", "--quiet", &first]).await;
            assert_eq!(theirs.git(&["rev-list", "--all", "--count", "HEAD"]).await, "1");
            assert!(!theirs.path().join("more.js").exists());
        }
        world_ends(world).await;
    }

    async fn of_two_pushes_at_once_none_is_lost_and_none_told_twice(backend: Backend) {
        let world = World::start(backend).await;
        let account = world.account();
        let person = world.member(&account, Role::Developer);
        let url = world.repository_url(account.as_str(), "shop");
        let mine = Repository::new("main").await;
        let mut pushes = tokio::task::JoinSet::new();
        for branch in ["a", "b", "c", "d"] {
            mine.git(&["branch", branch]).await;
            let (path, token, url) = (mine.path(), person.token.clone(), url.clone());
            pushes.spawn(async move { git(&path, Some(&token), &["push", "--quiet", &url, branch]).await });
        }
        while let Some(done) = pushes.join_next().await {
            done.unwrap();
        }
        let mut told: Vec<_> = world.told_of(4).await.into_iter().map(|(push, version)| (push.branch, version)).collect();
        told.sort();
        assert_eq!(told, [("a".to_owned(), 1), ("b".into(), 1), ("c".into(), 1), ("d".into(), 1)]);
        git(&world.on_disk(&account, "shop"), None, &["fsck", "--strict"]).await;
        world_ends(world).await;
    }

    async fn what_a_crash_left_untold_is_told_at_the_next_start(backend: Backend) {
        let mut world = World::start(backend).await;
        let account = world.account();
        let person = world.member(&account, Role::Developer);
        let url = world.repository_url(account.as_str(), "shop");
        let mine = Repository::new("main").await;
        mine.git_as(&person.token, &["push", "--quiet", &url, "main"]).await;
        world.told_of(1).await;

        // As if the process had ended after git had stored the push, before anything was told.
        let (owner, user) = (account.clone(), person.user_id.clone());
        let now = world.clock.now();
        world.context("github").db.write(move |db| {
            use diesel::prelude::*;
            use diesel::sql_types::{Text, Timestamp};
            diesel::sql_query(match db {
                chassis::db::Db::Postgres(_) => "INSERT INTO pushes (id, account_id, repository, pushed_by, started_at) VALUES ('p', $1, 'shop', $2, $3)",
                chassis::db::Db::Sqlite(_) => "INSERT INTO pushes (id, account_id, repository, pushed_by, started_at) VALUES ('p', ?, 'shop', ?, ?)",
            })
            .bind::<Text, _>(owner.as_str().to_owned())
            .bind::<Text, _>(user.as_str().to_owned())
            .bind::<Timestamp, _>(now)
            .execute(db)
        }).await.unwrap();
        world.stop().await;
        let disk = world.on_disk(&account, "shop");
        git(&disk, None, &["update-ref", "refs/heads/late", "refs/heads/main"]).await;
        world.clock.advance(common::time::Span::seconds(1));
        world.run().await;

        let (late, version) = world.told_of(2).await.remove(1);
        assert_eq!((late.branch.as_str(), version, late.pushed_by.as_ref()), ("late", 1, Some(&person.user_id)));
        world_ends(world).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shallow_commits_and_deployed_bundles_are_taken() {
    let world = World::start(Backend::sqlite()).await;
    let account = world.account();
    let person = world.member(&account, Role::Developer);
    let mine = Repository::new("main").await;
    mine.commit("more.js", "1").await;
    let shallow = Repository::nothing();
    shallow
        .git(&[
            "clone",
            "--quiet",
            "--depth=1",
            &format!("file://{}", mine.path().display()),
            ".",
        ])
        .await;
    let url = world.repository_url(account.as_str(), "shallow");
    shallow
        .git_as(&person.token, &["push", "--quiet", &url, "main"])
        .await;

    for bundle in fixtures() {
        let name = bundle.file_stem().unwrap().to_str().unwrap().to_owned();
        let url = world.repository_url(account.as_str(), &name);
        let theirs = Repository::nothing();
        theirs.git(&["init", "--quiet", "--bare"]).await;
        theirs
            .git(&[
                "fetch",
                "--quiet",
                bundle.to_str().unwrap(),
                "+refs/heads/*:refs/heads/*",
            ])
            .await;
        theirs
            .git_as(&person.token, &["push", "--quiet", &url, "main"])
            .await;
        let checkout = world
            .checkout(&account, account.as_str(), &name, None)
            .await
            .unwrap();
        assert_eq!(checkout.branch.as_deref(), Some("main"), "{name}");
    }
    world_ends(world).await;
}

/// Repositories of the real world, where they are at hand.
#[expect(
    clippy::disallowed_methods,
    reason = "the environment says where they are"
)]
fn fixtures() -> Vec<PathBuf> {
    let place = std::env::var_os("SLIPWAY_FIXTURES")
        .map_or_else(|| "../../../shared/fixtures".into(), PathBuf::from);
    let Ok(entries) = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(place)) else {
        return Vec::new();
    };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "bundle")
        })
        .collect()
}

pub(crate) async fn world_ends(mut world: World) {
    world.stop().await;
}
