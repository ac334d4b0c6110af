//! What becomes of a deleted account's repositories.

use common::event::{AccountEvent, AccountState};
use common::role::Role;
use common::time::Span;

use crate::pushing::world_ends;
use crate::support::{Repository, World};

testkit::on_both_backends! {
    async fn a_deleted_accounts_repositories_are_hidden_then_removed(backend: Backend) {
        let mut world = World::start(backend).await;
        let account = world.account();
        let person = world.member(&account, Role::Owner);
        let url = world.repository_url(account.as_str(), "shop");
        let mine = Repository::new("main").await;
        mine.git_as(&person.token, &["push", "--quiet", &url, "main"]).await;
        world.told_of(1).await;

        let tell = async |world: &World, deleted: bool, version: i64| {
            let state = AccountState { account_id: account.clone(), name: "Shop".into(), deleted };
            let event = if deleted { AccountEvent::AccountDeleted(state) } else { AccountEvent::AccountUpdated(state) };
            let now = world.clock.now();
            let db = &world.context("account").db;
            db.write(move |db| chassis::events::emit(db, event, version, now)).await.unwrap();
        };
        tell(&world, true, 2).await;
        testkit::eventually_async("the repository is hidden", async || {
            world.checkout(&account, account.as_str(), "shop", None).await.err().map(|problem| assert_eq!(problem.status, 404))
        }).await;
        mine.fails_as(Some(&person.token), &["ls-remote", &url]).await;
        assert!(mine.fails_as(Some(&person.token), &["push", &url, "main"]).await.contains("no such repository"));

        // It comes back with its account.
        tell(&world, false, 3).await;
        testkit::eventually_async("the repository is back", async || {
            world.checkout(&account, account.as_str(), "shop", None).await.ok()
        }).await;

        tell(&world, true, 4).await;
        testkit::eventually_async("the repository is hidden again", async || {
            world.checkout(&account, account.as_str(), "shop", None).await.err()
        }).await;
        let disk = world.on_disk(&account, "shop");
        assert!(disk.exists());
        world.stop().await;
        world.clock.advance(Span::days(8));
        world.run().await;
        testkit::eventually("the repository is removed", || (!disk.exists()).then_some(())).await;
        world_ends(world).await;
    }
}
