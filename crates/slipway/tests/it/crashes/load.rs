//! Clients of an app's host name, all at once and all the while.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::JoinSet;

use super::site::Site;
use crate::harness::client;

/// What one client does again and again.
#[derive(Clone, Copy)]
enum Habit {
    /// GETs over one connection.
    KeepAlive,
    /// GETs, each over a connection of its own.
    New,
    /// POSTs of a body, which is to come back.
    Post,
}

const CLIENTS: [Habit; 6] = [
    Habit::KeepAlive,
    Habit::KeepAlive,
    Habit::New,
    Habit::New,
    Habit::Post,
    Habit::Post,
];

/// Running clients.
pub(super) struct Load {
    over: Arc<AtomicBool>,
    clients: JoinSet<usize>,
}

impl Load {
    pub(super) fn start(site: &Site) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let mut clients = JoinSet::new();
        for habit in CLIENTS {
            let (over, url, host) = (Arc::clone(&over), site.up.url.clone(), site.host());
            clients.spawn(async move {
                let client = client();
                let mut count = 0;
                while !over.load(Ordering::Relaxed) {
                    once(&client, habit, &url, &host).await;
                    count += 1;
                }
                count
            });
        }
        Self { over, clients }
    }

    /// Ends them; how many requests there were. Any that failed fails the test.
    pub(super) async fn end(self) -> usize {
        self.over.store(true, Ordering::Relaxed);
        self.clients.join_all().await.into_iter().sum()
    }
}

async fn once(client: &reqwest::Client, habit: Habit, url: &str, host: &str) {
    let body = "x".repeat(3_000);
    let request = match habit {
        Habit::KeepAlive => client.get(url),
        Habit::New => client.get(url).header("connection", "close"),
        Habit::Post => client.post(url).body(body.clone()),
    };
    let response = request.header("host", host).send().await.unwrap();
    let status = response.status();
    let text = response.text().await.unwrap();
    assert_eq!(status, 200, "{text}");
    if matches!(habit, Habit::Post) {
        assert!(text.ends_with(&body), "{text}");
    }
}
