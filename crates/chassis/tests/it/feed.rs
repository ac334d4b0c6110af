//! Feeds and their followers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chassis::db::Database;
use chassis::events::{Relay, Signals};
use chassis::feed::{self, Follower, Freshness};
use common::api::feed::FeedPage;
use common::time::{Clock, Span};
use testkit::{eventually, eventually_async};

use crate::support::{Running, TELLER, bus, database, now};

/// Longer than a follower waits between two looks.
const MAX_STALENESS: Duration = Duration::from_secs(4);

const FEED: &str = "revocations";

/// A follower of the feed in this database, what it has heard, and a switch that cuts it off.
struct Copy {
    heard: Arc<Mutex<Vec<String>>>,
    cut: Arc<AtomicBool>,
    freshness: Freshness,
}

impl Copy {
    fn follow(running: &mut Running, db: &Database, signals: Signals) -> Self {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let cut = Arc::new(AtomicBool::new(false));
        let fetch = {
            let (db, cut) = (db.clone(), Arc::clone(&cut));
            move |since: i64| {
                let (db, cut) = (db.clone(), Arc::clone(&cut));
                async move {
                    anyhow::ensure!(!cut.load(Ordering::SeqCst), "cut off");
                    // Small pages, so that there are several.
                    let page = db
                        .read(move |db| feed::page(db, FEED, since, 3, now()))
                        .await?;
                    let entries = page
                        .entries
                        .into_iter()
                        .map(serde_json::from_value)
                        .collect::<Result<_, _>>()?;
                    Ok(FeedPage::<String> {
                        entries,
                        position: page.position,
                        more: page.more,
                    })
                }
            }
        };
        let apply = {
            let heard = Arc::clone(&heard);
            move |entry| heard.lock().unwrap().push(entry)
        };
        let follower = Follower::new(FEED, signals, MAX_STALENESS, fetch, apply);
        let freshness = follower.freshness();
        running.spawn(|shutdown| follower.run(shutdown));
        Self {
            heard,
            cut,
            freshness,
        }
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

async fn append(db: &Database, entry: &str) {
    let entry = entry.to_owned();
    db.write(move |db| feed::append(db, FEED, &entry, None, now()))
        .await
        .unwrap();
}

testkit::on_both_backends! {
    async fn a_follower_catches_up_without_signals_and_says_when_it_is_stale(backend: Backend) {
        let db = database(&backend, TELLER).await;
        for entry in ["1", "2", "3", "4", "5"] {
            append(&db, entry).await;
        }
        let mut running = Running::new();
        // Nobody sends on these.
        let copy = Copy::follow(&mut running, &db, Signals::default());
        eventually("the snapshot is there", || (copy.heard().len() == 5).then_some(())).await;
        eventually("it is fresh", || copy.freshness.is_fresh().then_some(())).await;
        append(&db, "6").await;
        eventually("it looks by itself", || (copy.heard().len() == 6).then_some(())).await;

        copy.cut.store(true, Ordering::SeqCst);
        append(&db, "7").await;
        eventually("it is stale", || (!copy.freshness.is_fresh()).then_some(())).await;
        assert!(copy.freshness.ready(), "it was complete once");

        copy.cut.store(false, Ordering::SeqCst);
        eventually("it is fresh again", || copy.freshness.is_fresh().then_some(())).await;
        assert_eq!(copy.heard(), ["1", "2", "3", "4", "5", "6", "7"]);
        running.stop().await;
    }

    async fn a_follower_that_never_reached_its_producer_is_neither_ready_nor_fresh(backend: Backend) {
        let db = database(&backend, TELLER).await;
        let mut running = Running::new();
        let follower = Follower::new(
            FEED, Signals::default(), MAX_STALENESS,
            |_since| async { anyhow::bail!("nobody there") }, |_entry: String| {},
        );
        let freshness = follower.freshness();
        running.spawn(|shutdown| follower.run(shutdown));
        append(&db, "1").await;
        assert!(!freshness.ready() && !freshness.is_fresh());
        running.stop().await;
    }

    async fn a_committed_entry_is_signalled_to_other_processes(backend: Backend) {
        let db = database(&backend, TELLER).await;
        let here = bus(&backend);
        let there = if backend.is_distributed() { bus(&backend) } else { here.clone() };
        let mut running = Running::new();
        running.spawn(|shutdown| Relay::new(db.clone(), here.clone(), Clock::system()).run(shutdown));
        running.spawn(|shutdown| here.clone().run(shutdown));
        if backend.is_distributed() {
            running.spawn(|shutdown| there.clone().run(shutdown));
        }
        eventually("both are ready", || (here.ready() && there.ready()).then_some(())).await;
        let mut signals = there.signals().subscribe();
        append(&db, "1").await;
        tokio::time::timeout(Duration::from_secs(20), signals.about(FEED)).await.expect("a signal comes");
        running.stop().await;
    }

    async fn entries_that_are_appended_at_once_are_all_seen(backend: Backend) {
        let db = database(&backend, TELLER).await;
        let signals = Signals::default();
        let mut running = Running::new();
        let copy = Copy::follow(&mut running, &db, signals.clone());
        let appending = (0..6).map(|writer| {
            let (db, signals) = (db.clone(), signals.clone());
            async move {
                for entry in 0..10 {
                    append(&db, &format!("{writer}/{entry}")).await;
                    signals.send(FEED);
                }
            }
        });
        futures_util::future::join_all(appending).await;
        eventually("all are there", || (copy.heard().len() == 60).then_some(())).await;
        running.stop().await;
    }

    async fn an_expired_entry_is_not_in_the_snapshot_and_goes_in_the_end(backend: Backend) {
        let db = database(&backend, TELLER).await;
        let start = now();
        db.write(move |db| {
            feed::append(db, FEED, &"short", Some(start + Span::seconds(5)), start)?;
            feed::append(db, FEED, &"long", Some(start + Span::seconds(50)), start)
        }).await.unwrap();
        let page = db.read(move |db| feed::page(db, FEED, 0, 10, start + Span::seconds(6))).await.unwrap();
        assert_eq!(page.entries, ["long"]);
        let removed = db.write(move |db| feed::remove_expired(db, start + Span::seconds(6))).await.unwrap();
        assert_eq!(removed, 1);
        let left = eventually_async("one is left", || async {
            let page = db.read(move |db| feed::page(db, FEED, 0, 10, start)).await.unwrap();
            Some(page.entries.len())
        }).await;
        assert_eq!(left, 1);
    }
}
