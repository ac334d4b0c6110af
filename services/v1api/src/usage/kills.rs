//! Processes that count are killed under load, hundreds of times, and their clients keep their own tally.
//!
//! Such a process is this test program again, told by its environment to count instead of to test: it
//! answers each byte that it is sent with a byte, once it has counted the call.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chassis::db::{Database, Location};
use common::random;
use common::time::Clock;
use secrecy::SecretString;
use testkit::{Backend, eventually};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::flush::{Flusher, Pace};
use super::store::tests::{database, of_users};
use super::{Call, CountFile, Spent, Tallies, Tally};

/// Where a process that counts is told to keep its file, and where its tables are.
const DIRECTORY: &str = "SLIPWAY_TEST_COUNT_IN";
const DATABASE: &str = "SLIPWAY_TEST_COUNT_INTO";

/// How many clients each process has.
const CLIENTS: u8 = 4;
/// How many calls there are at least, and at most, before a process is killed.
const CALLS: std::ops::Range<u64> = 20..400;
/// What a process says before its port.
const LISTENING: &str = "listening on port ";

/// So fast that many die in the middle of a batch, or of taking another's over.
const PACE: Pace = Pace {
    flush: Duration::from_millis(2),
    adopt: Duration::from_millis(20),
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_sqlite() {
    if counts_instead().await {
        return;
    }
    let backend = Backend::sqlite();
    let path = backend.directory().join("v1api.db");
    check(&backend, "on_sqlite", &path.to_string_lossy(), 1, 100).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_replicas_on_postgres() {
    if counts_instead().await {
        return;
    }
    let backend = Backend::distributed().await;
    let url = backend.postgres_url().unwrap();
    check(&backend, "of_two_replicas_on_postgres", &url, 2, 60).await;
}

/// Every answered call is counted once, and besides no more than those whose answer was on its way.
async fn check(backend: &Backend, test: &str, location: &str, replicas: u8, kills: usize) {
    let db = database(backend).await;
    let directory = backend.directory().join("usage");
    std::fs::create_dir(&directory).unwrap();
    let mut all = JoinSet::new();
    for replica in 0..replicas {
        let replica = Replica {
            test: format!("usage::kills::{test}"),
            directory: directory.clone(),
            location: location.to_owned(),
            first_user: replica * CLIENTS,
        };
        all.spawn(replica.live_and_die(kills));
    }
    let seen: Vec<_> = all.join_all().await.into_iter().flatten().collect();
    // Whoever comes next finds what the last ones left.
    let tallies = Tallies::new(CountFile::create(&directory).unwrap());
    let over = CancellationToken::new();
    let last = Flusher::new(db.clone(), Clock::system(), tallies, directory.clone());
    let running = tokio::spawn(last.run(over.clone()));
    eventually("the files of the dead to be gone", || {
        (std::fs::read_dir(&directory).unwrap().count() == 1).then_some(())
    })
    .await;
    over.cancel();
    running.await.unwrap();
    let counted = of_users(&db).await;
    let mut calls = 0;
    for tally in &seen {
        let counted = counted.get(&user(tally.user)).copied().unwrap_or_default();
        let most = tally.answered + tally.unsure;
        assert!(
            (tally.answered..=most).contains(&counted),
            "{counted} counted, {tally:?}"
        );
        assert!(tally.unsure <= kills as u64, "{tally:?}");
        calls += tally.answered;
    }
    println!(
        "{calls} calls answered over {} kills",
        kills * usize::from(replicas)
    );
    assert_eq!(seen.len(), usize::from(replicas * CLIENTS));
}

/// A process that is killed and started again, and its clients.
struct Replica {
    test: String,
    directory: PathBuf,
    location: String,
    first_user: u8,
}

/// What one client knows.
#[derive(Clone, Copy, Debug)]
struct Seen {
    user: u8,
    answered: u64,
    /// Calls that were sent and never answered.
    unsure: u64,
}

impl Replica {
    async fn live_and_die(self, kills: usize) -> Vec<Seen> {
        let (port, answered) = (watch::Sender::new(None), Arc::new(AtomicU64::new(0)));
        let mut clients = JoinSet::new();
        for user in self.first_user..self.first_user + CLIENTS {
            clients.spawn(client(user, port.subscribe(), Arc::clone(&answered)));
        }
        for _ in 0..kills {
            let (mut process, listens) = self.start().await;
            let until = answered.load(Ordering::Relaxed)
                + CALLS.start
                + random::below(CALLS.end - CALLS.start);
            port.send_replace(Some(listens));
            eventually("some calls", || {
                (answered.load(Ordering::Relaxed) >= until).then_some(())
            })
            .await;
            process.kill().await.unwrap();
        }
        drop(port);
        clients.join_all().await
    }

    async fn start(&self) -> (Child, u16) {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", &self.test, "--nocapture", "--test-threads", "1"])
            .env(DIRECTORY, &self.directory)
            .env(DATABASE, &self.location)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        let mut process = command.spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        loop {
            let line = lines.next_line().await.unwrap().expect("it listens");
            if let Some((_, port)) = line.split_once(LISTENING) {
                return (process, port.parse().unwrap());
            }
        }
    }
}

/// Calls whatever process there is, again and again.
async fn client(user: u8, mut port: watch::Receiver<Option<u16>>, all: Arc<AtomicU64>) -> Seen {
    let mut seen = Seen {
        user,
        answered: 0,
        unsure: 0,
    };
    // Ends with the one that starts processes.
    while port.changed().await.is_ok() {
        let listens = port.borrow_and_update().unwrap();
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", listens)).await else {
            continue;
        };
        while stream.write_all(&[user]).await.is_ok() {
            if stream.read_u8().await.is_err() {
                seen.unsure += 1;
                break;
            }
            seen.answered += 1;
            all.fetch_add(1, Ordering::Relaxed);
        }
    }
    seen
}

fn user(number: u8) -> String {
    format!("user_{number}")
}

/// Counts until it is killed, if that is what this process is for.
#[expect(
    clippy::disallowed_methods,
    reason = "the process is told what it is for by the test that starts it"
)]
async fn counts_instead() -> bool {
    let (Ok(directory), Ok(location)) = (std::env::var(DIRECTORY), std::env::var(DATABASE)) else {
        return false;
    };
    let location = if location.starts_with("postgres") {
        Location::Postgres {
            url: SecretString::from(location),
            schema: "v1api".into(),
            pool: 2,
            statement_timeout: Duration::from_secs(20),
        }
    } else {
        Location::Sqlite(location.into())
    };
    let db = Database::new(location, tokio::runtime::Handle::current());
    count_into(db, Path::new(&directory)).await;
    true
}

async fn count_into(db: Database, directory: &Path) {
    let tallies = Tallies::new(CountFile::create(directory).unwrap());
    let flusher = Flusher::new(db, Clock::system(), tallies.clone(), directory.to_owned()).at(PACE);
    tokio::spawn(flusher.run(CancellationToken::new()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{LISTENING}{}", listener.local_addr().unwrap().port());
    let workers = [tallies.add(), tallies.add()];
    for worker in workers.iter().cycle() {
        let (stream, _) = listener.accept().await.unwrap();
        tokio::spawn(answer(stream, Arc::clone(worker)));
    }
}

async fn answer(mut stream: TcpStream, tally: Arc<Tally>) {
    let mut number = 0_u32;
    while let Ok(byte) = stream.read_u8().await {
        number = number.wrapping_add(1);
        let call = Call {
            user: &user(byte),
            key: "",
            service: "shop",
            endpoint: ["/a", "/b", "/c"][number as usize % 3],
            method: "GET",
            status_class: 2,
            hour: i64::from(number / 100 % 2),
        };
        tally.count(&call, &Spent::default());
        if stream.write_u8(byte).await.is_err() {
            return;
        }
    }
}
