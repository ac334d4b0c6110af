//! Services for tests: one that tells account events, one that keeps their names.

use std::future::Future;

use chassis::db::{Database, Db};
use chassis::events::{Bus, Consumer, HandlerError, Handlers, InboxWorker, Relay, emit};
use chassis::on_backend;
use common::event::{AccountEvent, AccountState, Envelope};
use common::id::AccountId;
use common::time::{Clock, Time};
use diesel::prelude::*;
use secrecy::SecretString;
use testkit::Backend;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

diesel::table! {
    names (subject) {
        subject -> Text,
        name -> Text,
        changes -> BigInt,
    }
}

/// The service that tells, and the one that listens.
pub(crate) const TELLER: &str = "account";
pub(crate) const LISTENER: &str = "project";

/// A service's database with the table of names.
pub(crate) async fn database(backend: &Backend, service: &str) -> Database {
    let migrations =
        chassis::migrations!("tests/it/migrations/postgres", "tests/it/migrations/sqlite");
    backend.database(service, Some(migrations)).await
}

/// A bus of its own, as another process would have. Buses in process don't reach one another.
pub(crate) fn bus(backend: &Backend) -> Bus {
    match backend.amqp() {
        None => Bus::in_process(),
        Some((url, prefix)) => bus_at(backend, &url, prefix),
    }
}

/// A bus to the broker at this URL.
pub(crate) fn bus_at(backend: &Backend, url: &str, prefix: String) -> Bus {
    backend.clean_up_queues_of(&[TELLER, LISTENER]);
    let services = vec![TELLER.to_owned(), LISTENER.to_owned()];
    let options = chassis::events::AmqpOptions {
        url: SecretString::from(url),
        prefix,
        services,
    };
    Bus::amqp(options).unwrap()
}

/// What runs until it is stopped, or dies.
pub(crate) struct Running {
    shutdown: CancellationToken,
    tasks: JoinSet<()>,
}

impl Running {
    pub(crate) fn new() -> Self {
        Self {
            shutdown: CancellationToken::new(),
            tasks: JoinSet::new(),
        }
    }

    pub(crate) fn spawn<F>(&mut self, run: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.tasks.spawn(run(self.shutdown.clone()));
    }

    /// Stops it as a process stops that was asked to.
    pub(crate) async fn stop(mut self) {
        self.shutdown.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
    }

    /// Ends it in the midst of things.
    pub(crate) async fn kill(mut self) {
        self.tasks.shutdown().await;
    }
}

/// The listening service with these handlers, the telling one's relay, and the bus between them.
pub(crate) fn run_all(
    bus: &Bus,
    teller: &Database,
    listener: &Database,
    handlers: Handlers,
    worker: InboxWorker,
) -> Running {
    let mut running = Running::new();
    bus.subscribe(Consumer::new(
        LISTENER,
        listener.clone(),
        handlers,
        Clock::system(),
    ));
    running.spawn(|shutdown| worker.run(shutdown));
    running
        .spawn(|shutdown| Relay::new(teller.clone(), bus.clone(), Clock::system()).run(shutdown));
    running.spawn(|shutdown| bus.clone().run(shutdown));
    running
}

/// A worker of the listener's inbox with the usual schedule.
pub(crate) fn worker(listener: &Database, handlers: &Handlers) -> InboxWorker {
    InboxWorker::new(listener.clone(), handlers.clone(), Clock::system())
}

/// The handler that keeps names, and counts how often each has changed.
pub(crate) fn keep_names() -> Handlers {
    Handlers::new().on("names", |db, envelope: &Envelope<AccountEvent>, _now| {
        Ok(keep_name(db, envelope)?)
    })
}

/// Adds a handler that does its work, then fails unless `works` says that it doesn't.
pub(crate) fn keep_names_under(
    handlers: Handlers,
    name: &'static str,
    fails: impl Fn() -> bool + Send + Sync + 'static,
) -> Handlers {
    handlers.on(name, move |db, envelope: &Envelope<AccountEvent>, _now| {
        keep(db, &format!("{name}/{}", envelope.subject), "kept")?;
        if fails() {
            Err(HandlerError::retry("it always fails"))
        } else {
            Ok(())
        }
    })
}

fn keep_name(db: &mut Db, envelope: &Envelope<AccountEvent>) -> QueryResult<()> {
    match &envelope.event {
        AccountEvent::AccountUpdated(state) => keep(db, &envelope.subject, &state.name),
        _ => Ok(()),
    }
}

fn keep(db: &mut Db, subject: &str, name: &str) -> QueryResult<()> {
    let row = (
        names::subject.eq(subject),
        names::name.eq(name),
        names::changes.eq(1),
    );
    on_backend!(db, conn => diesel::insert_into(names::table)
        .values(row)
        .on_conflict(names::subject)
        .do_update()
        .set((names::name.eq(name), names::changes.eq(names::changes + 1)))
        .execute(conn))
    .map(drop)
}

/// All names that are kept, and how often each has changed.
pub(crate) async fn kept(db: &Database) -> Vec<(String, String, i64)> {
    db.read(|db| names::table.order(names::subject).load(db))
        .await
        .unwrap()
}

/// How many names are kept of which the subject begins so.
pub(crate) async fn count_kept(db: &Database, prefix: &str) -> usize {
    kept(db)
        .await
        .iter()
        .filter(|(subject, ..)| subject.starts_with(prefix))
        .count()
}

/// Awaits what comes soon, if everything is right.
pub(crate) async fn soon<F: Future>(what: F) -> F::Output {
    tokio::time::timeout(std::time::Duration::from_secs(30), what)
        .await
        .expect("it comes within 30 s")
}

pub(crate) fn now() -> Time {
    Clock::system().now()
}

pub(crate) fn account() -> AccountId {
    AccountId::new(now())
}

pub(crate) fn renamed(account: &AccountId, name: &str) -> AccountEvent {
    AccountEvent::AccountUpdated(AccountState {
        account_id: account.clone(),
        name: name.into(),
        deleted: false,
    })
}

/// Tells that so many accounts have been renamed, each in a transaction of its own.
pub(crate) async fn tell(db: &Database, count: usize) {
    for _ in 0..count {
        db.write(|db| emit(db, renamed(&account(), "told"), 1, now()))
            .await
            .unwrap();
    }
}

/// How many rows the outbox holds.
pub(crate) async fn waiting(db: &Database) -> i64 {
    diesel::table! { outbox (position) { position -> BigInt, } }
    db.read(|db| outbox::table.count().get_result(db))
        .await
        .unwrap()
}
