//! Calls through a gateway that is killed again and again, and clients that keep their own tally.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::person::Person;
use super::site::{patiently, up_on};
use crate::harness::client;

/// How often the platform is killed.
const KILLS: usize = 10;
/// How many clients there are.
const CLIENTS: usize = 4;
/// How many answers there are at least between two kills.
const ANSWERS: u64 = 150;

/// What a client knows of its calls.
#[derive(Debug, Default)]
struct Seen {
    answered: u64,
    /// Sent perhaps, and never answered.
    unsure: u64,
}

testkit::on_both_backends! {
    async fn every_call_that_was_answered_is_counted_once(backend: Backend) {
        let mut up = up_on(&backend, &[]).await;
        let person = Person::register(&up, "ada@example.com").await;
        let person = person.refreshed(&up).await;
        let url = watch::Sender::new(String::new());
        let answered = Arc::new(AtomicU64::new(0));
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            clients.spawn(call(person.token().to_owned(), url.subscribe(), Arc::clone(&answered)));
        }
        for _ in 0..KILLS {
            let until = answered.load(Ordering::Relaxed) + ANSWERS;
            url.send_replace(up.url.clone());
            patiently("some answers", || {
                std::future::ready((answered.load(Ordering::Relaxed) >= until).then_some(()))
            })
            .await;
            up.kill().await;
            up.restart().await;
        }
        drop(url);
        let seen = clients.join_all().await.into_iter().fold(Seen::default(), |all, one| Seen {
            answered: all.answered + one.answered,
            unsure: all.unsure + one.unsure,
        });
        patiently("the files of the dead to be gone", || {
            let files = std::fs::read_dir(up.data_dir.join("usage")).unwrap().count();
            std::future::ready((files == 1).then_some(()))
        })
        .await;
        let usage = person.get(&up, "/v1/usage").await;
        let rows = usage["usage"].as_array().unwrap().iter();
        let counted: u64 = rows
            .filter(|row| row["endpoint"] == "/v1/users/me" && row["status_class"] == "2xx")
            .map(|row| row["count"].as_u64().unwrap())
            .sum();
        assert!(seen.unsure <= (KILLS * CLIENTS) as u64, "{seen:?}");
        assert!((seen.answered..=seen.answered + seen.unsure).contains(&counted), "{counted} counted, {seen:?}");
        up.stop().await;
        let left = std::fs::read_dir(up.data_dir.join("usage")).unwrap().count();
        assert_eq!(left, 0, "a clean stop leaves no file\n{}", up.log());
    }
}

/// Calls whatever gateway there is, until there are to be no more.
async fn call(token: String, mut url: watch::Receiver<String>, all: Arc<AtomicU64>) -> Seen {
    let mut seen = Seen::default();
    while url.changed().await.is_ok() {
        let address = format!("{}/v1/users/me", *url.borrow_and_update());
        let client = client();
        // What isn't a 200 isn't counted as one.
        while let Ok(answer) = client.get(&address).bearer_auth(&token).send().await {
            if answer.status() == 200 {
                seen.answered += 1;
                all.fetch_add(1, Ordering::Relaxed);
            }
        }
        seen.unsure += 1;
    }
    seen
}
