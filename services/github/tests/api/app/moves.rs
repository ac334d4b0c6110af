//! Repositories and owners that are called otherwise.

use common::event::{GithubEvent, RepositoryMoved};
use serde_json::json;
use testkit::Backend;
use testkit::github::{Delivery, Repository};

use super::Scene;

impl Scene {
    /// The first move that is told.
    async fn moved(&self) -> RepositoryMoved {
        testkit::eventually("a new name is told", || {
            self.world
                .heard()
                .into_iter()
                .find_map(|event| match event {
                    GithubEvent::RepositoryMoved(moved) => Some(moved),
                    _ => None,
                })
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renamed_or_given_away_repository_is_told_by_the_name_it_has_now() {
    let scene = Scene::start(Backend::sqlite()).await;
    let (account, person, _) = scene.connected().await;
    let directory = scene.source.path().join(".git");
    let called = |owner: &str, name: &str| Repository {
        former: vec!["acme/shop".into(), "acme/store".into()],
        ..Repository::new(1, owner, name, directory.clone())
    };
    scene.github.add_repository(called("acme", "store"));
    let renamed = json!({ "repository": { "name": { "from": "shop" } } });
    let first = scene.github.repository_event("renamed", 1, &renamed);
    // Renamed once more before the first delivery comes.
    scene.github.add_repository(Repository {
        former: vec!["acme/shop".into(), "acme/store".into()],
        ..called("acme", "market")
    });
    scene.deliver(&first).await;
    scene.settled(&account, &person, 1).await;
    let moved = scene.moved().await;
    assert_eq!(
        (moved.from_repo.as_deref(), moved.repo.as_deref()),
        (Some("shop"), Some("market"))
    );
    assert_eq!(moved.account_id, account);
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_another_repository_or_owner_has_by_now_is_not_moved() {
    let scene = Scene::start(Backend::sqlite()).await;
    let (account, person, id) = scene.connected().await;
    let directory = scene.source.path().join(".git");
    scene.github.add_repository(Repository {
        former: vec!["acme/shop".into()],
        ..Repository::new(1, "acme", "market", directory.clone())
    });
    let renamed = json!({ "repository": { "name": { "from": "shop" } } });
    let late = scene.github.repository_event("renamed", 1, &renamed);
    // A new repository takes the old name before the delivery comes.
    scene
        .github
        .add_repository(Repository::new(3, "acme", "shop", directory.clone()));
    scene.deliver(&late).await;
    scene.settled(&account, &person, 1).await;
    // The new name is another's: what was renamed is gone.
    let renamed = json!({ "repository": { "name": { "from": "old" } } });
    let late = scene.github.repository_event("renamed", 1, &renamed);
    scene
        .github
        .add_repository(Repository::new(1, "acme", "elsewhere", directory.clone()));
    scene
        .github
        .add_repository(Repository::new(4, "acme", "market", directory));
    scene.deliver(&late).await;
    scene.settled(&account, &person, 2).await;
    // An owner is called otherwise; the account is connected to another who was called that before,
    // and to one who is called that now.
    scene.connect(&account, &person, "mallory", "mallory").await;
    for from in ["former", "mallory"] {
        let body = json!({
            "action": "renamed", "changes": { "login": { "from": from } },
            "installation": { "id": id }, "target_type": "Organization",
        });
        scene
            .deliver(&Delivery::new("installation_target", &body))
            .await;
    }
    let log = scene.settled(&account, &person, 4).await;
    let states: Vec<_> = log.iter().rev().map(|entry| &entry["state"]).collect();
    assert_eq!(
        states,
        ["nothing", "nothing", "applied", "nothing"],
        "{log:#?}"
    );
    let moved = scene.moved().await;
    assert_eq!(moved.from_owner, "former");
    scene.end().await;
}
