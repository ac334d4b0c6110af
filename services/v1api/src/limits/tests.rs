//! Processes that share quotas, each with a connection to the database of its own.

use std::sync::Arc;

use chassis::db::Database;
use common::time::{Clock, Span, Time};
use diesel::prelude::*;
use testkit::{Backend, eventually, eventually_async, on_both_backends};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::broker::{IDLE, LEASE, Meters};
use super::gate::Gates;
use super::{Limit, Period, store};
use crate::schema::{quota_processes, quota_shares, quota_windows};

const USER: &str = "user_1";

/// A process as far as quotas go.
struct Process {
    meters: Meters,
    gates: Arc<Gates>,
    db: Database,
    running: JoinHandle<()>,
    shutdown: CancellationToken,
}

impl Process {
    async fn start(backend: &Backend, clock: &Clock, limits: &[Limit]) -> Self {
        let migrations = chassis::migrations!(
            "../../migrations/v1api/postgres",
            "../../migrations/v1api/sqlite"
        );
        let db = backend.database("v1api", Some(migrations)).await;
        let (meters, broker) = Meters::new(db.clone(), clock.clone());
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(broker.run(shutdown.clone()));
        let gates = Gates::new(&meters, [(String::new(), USER.to_owned(), limits)]);
        Self {
            meters,
            gates: Arc::new(gates),
            db,
            running,
            shutdown,
        }
    }

    /// One call: whether it was let through, or else which status it got.
    async fn call(&self) -> Result<(), u16> {
        let passed = self.gates.pass(&self.meters).await;
        passed
            .map(drop)
            .map_err(|refused| actix_web::ResponseError::status_code(&refused.error).as_u16())
    }

    async fn calls(&self, number: usize) {
        for _ in 0..number {
            self.call().await.unwrap();
        }
    }

    /// Calls until it is refused, with several callers at once; how often it wasn't.
    async fn exhaust(&self) -> i64 {
        let one = || async {
            let mut passed = 0;
            loop {
                match self.call().await {
                    Ok(()) => passed += 1,
                    Err(429) => return passed,
                    Err(other) => panic!("{other} after {passed} calls"),
                }
            }
        };
        let (a, b, c, d) = tokio::join!(one(), one(), one(), one());
        a + b + c + d
    }

    /// As if the machine had gone: nothing is told or given back.
    async fn kill(self) {
        self.running.abort();
        let _ended = self.running.await;
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.running.await.unwrap();
    }

    async fn execute(&self, sql: &'static str) {
        self.db
            .write(move |db| diesel::sql_query(sql).execute(db).map(drop))
            .await
            .unwrap();
    }

    /// What the database has handed out, and to whom.
    async fn handed_out(&self) -> (i64, Vec<i64>) {
        self.db
            .read(|db| {
                let used = quota_windows::table
                    .select(quota_windows::used)
                    .first(db)
                    .optional()?
                    .unwrap_or(0);
                let held = quota_shares::table.select(quota_shares::held).load(db)?;
                Ok::<_, diesel::result::Error>((used, held))
            })
            .await
            .unwrap()
    }
}

/// Noon, so that no window ends by what these tests wait.
fn noon() -> Clock {
    Clock::manual(Time::from_unix(20_000 * 86_400 + 43_200))
}

fn daily(quota: i64) -> [Limit; 1] {
    [Limit::new(Period::Day, quota)]
}

on_both_backends! {
    async fn processes_together_allow_the_quota_and_not_one_call_more(backend: Backend) {
        for (quota, number) in [(600, 2), (1_000, 3), (7, 3), (1, 2)] {
            let (clock, limits) = (noon(), daily(quota));
            let mut processes = Vec::new();
            for _ in 0..number {
                processes.push(Process::start(&backend, &clock, &limits).await);
            }
            let all = futures_util::future::join_all(processes.iter().map(Process::exhaust));
            assert_eq!(all.await.iter().sum::<i64>(), quota, "{number} processes");
            assert_eq!(processes[0].handed_out().await.0, quota);
            let last = processes.pop().unwrap();
            for process in processes {
                process.stop().await;
            }
            last.execute("DELETE FROM quota_windows").await;
            last.execute("DELETE FROM quota_shares").await;
            last.kill().await;
        }
    }

    async fn a_process_that_dies_costs_no_more_than_its_share(backend: Backend) {
        let (quota, clock) = (1_000, noon());
        let lost = Process::start(&backend, &clock, &daily(quota)).await;
        let (one, two) = (Process::start(&backend, &clock, &daily(quota)).await, Process::start(&backend, &clock, &daily(quota)).await);
        lost.calls(130).await;
        let used_by_it = 130;
        lost.kill().await;
        // While its lease lasts, what it holds is its own.
        let (first, second) = tokio::join!(one.exhaust(), two.exhaust());
        assert!(first + second + used_by_it <= quota, "{first} {second}");
        clock.advance(LEASE + Span::seconds(6));
        let more = eventually_async("its share is taken back", || async {
            let more = one.exhaust().await;
            (more > 0).then_some(more)
        }).await + two.exhaust().await;
        let all = first + second + used_by_it + more;
        // The clock jumped for all three: the leases of the other two are over for whoever looks first, and
        // they hold a call each at this end of the quota.
        assert!((quota..=quota + quota / 10 + 2).contains(&all), "{all}");
        let handed_out = one.handed_out().await.0;
        assert!((quota..=quota + 2).contains(&handed_out), "{handed_out}");
        one.stop().await;
        two.stop().await;
    }

    async fn a_process_whose_lease_is_over_uses_nothing_before_it_has_a_new_one(backend: Backend) {
        let (quota, clock) = (100, noon());
        let process = Process::start(&backend, &clock, &daily(quota)).await;
        process.calls(1).await;
        process.execute("ALTER TABLE quota_processes RENAME TO away").await;
        process.meters.lease().set(0);
        assert_eq!(process.call().await, Err(503));
        process.execute("ALTER TABLE away RENAME TO quota_processes").await;
        clock.advance(LEASE + Span::seconds(6));
        let passed = 1 + process.exhaust().await;
        assert!((quota..=quota + quota / 10).contains(&passed), "{passed}");
        process.stop().await;
    }

    async fn without_the_database_the_share_is_served_and_nothing_more(backend: Backend) {
        let clock = noon();
        let process = Process::start(&backend, &clock, &daily(1_000)).await;
        process.calls(1).await;
        let (_, held) = process.handed_out().await;
        process.execute("ALTER TABLE quota_windows RENAME TO away").await;
        let mut served = 0;
        let refused = loop {
            match process.call().await {
                Ok(()) => served += 1,
                Err(status) => break status,
            }
        };
        assert_eq!(refused, 503);
        assert!(held[0] > 1 && (1..=held[0]).contains(&served), "{served} of {held:?}");
        assert_eq!(process.call().await, Err(503));
        process.execute("ALTER TABLE away RENAME TO quota_windows").await;
        clock.advance(Span::seconds(1));
        process.calls(10).await;
        process.stop().await;
    }

    async fn a_share_that_lies_idle_is_given_back(backend: Backend) {
        let clock = noon();
        let process = Process::start(&backend, &clock, &daily(1_000)).await;
        process.calls(3).await;
        assert!(process.handed_out().await.0 > 3);
        clock.advance(IDLE);
        eventually_async("it is given back", || async {
            (process.handed_out().await == (3, vec![])).then_some(())
        }).await;
        process.calls(2).await;
        process.stop().await;
    }

    async fn a_process_that_stops_gives_everything_back(backend: Backend) {
        let clock = noon();
        let (one, other) = (Process::start(&backend, &clock, &daily(1_000)).await, Process::start(&backend, &clock, &daily(1_000)).await);
        one.calls(5).await;
        one.stop().await;
        assert_eq!(other.handed_out().await, (5, vec![]));
        let processes: i64 = other.db.read(|db| quota_processes::table.count().get_result(db)).await.unwrap();
        assert_eq!(processes, 0);
        assert_eq!(other.exhaust().await, 995);
        other.stop().await;
    }

    async fn a_new_window_is_whole_whatever_was_held_of_the_one_before(backend: Backend) {
        let clock = noon();
        let processes = [Process::start(&backend, &clock, &daily(50)).await, Process::start(&backend, &clock, &daily(50)).await];
        processes[0].calls(1).await;
        assert_eq!(processes[1].exhaust().await + processes[0].exhaust().await, 49);
        processes[0].call().await.unwrap_err();
        clock.advance(Span::days(1));
        assert_eq!(processes[1].exhaust().await + processes[0].exhaust().await, 50);
        clock.advance(Span::days(1));
        processes[0].calls(2).await;
        clock.advance(Span::days(1));
        assert_eq!(processes[0].exhaust().await + processes[1].exhaust().await, 50);
        for process in processes {
            process.stop().await;
        }
    }

    async fn what_one_limit_refuses_is_not_taken_off_another(backend: Backend) {
        let clock = noon();
        let limits = [Limit::new(Period::Day, 100), Limit { period: Period::Second, quota: 1, burst: Some(2) }, Limit::new(Period::Minute, 3)];
        let process = Process::start(&backend, &clock, &limits).await;
        process.calls(2).await;
        assert_eq!(process.call().await, Err(429));
        clock.advance(Span::seconds(1));
        process.calls(1).await;
        clock.advance(Span::seconds(1));
        for _ in 0..5 {
            // The minute's: the bucket has one, and keeps it.
            assert_eq!(process.call().await, Err(429));
        }
        clock.advance(Span::seconds(60));
        process.calls(2).await;
        let meters = process.meters.clone();
        process.stop().await;
        drop(meters);
        let watcher = Process::start(&backend, &clock, &limits).await;
        let used = watcher.db.read(move |db| store::used(db, USER, Period::Day, clock.now())).await.unwrap();
        assert_eq!(used, 5);
        watcher.stop().await;
    }

    async fn refusals_cost_the_database_nothing(backend: Backend) {
        let clock = noon();
        let process = Process::start(&backend, &clock, &daily(1)).await;
        process.calls(1).await;
        assert_eq!(process.call().await, Err(429));
        eventually("all is settled", || Some(())).await;
        let commits = process.db.commits();
        let before = *commits.borrow();
        for _ in 0..2_000 {
            assert_eq!(process.call().await, Err(429));
        }
        let asked = *commits.borrow() - before;
        assert!(asked <= 2, "{asked} transactions");
        process.stop().await;
    }
}

#[test]
fn windows_are_those_of_the_calendar() {
    let time = |text: &str| text.parse::<Time>().unwrap();
    for (period, starts, ends) in [
        (
            Period::Minute,
            "2024-02-29T23:59:00Z",
            "2024-03-01T00:00:00Z",
        ),
        (Period::Hour, "2024-02-29T23:00:00Z", "2024-03-01T00:00:00Z"),
        (Period::Day, "2024-02-29T00:00:00Z", "2024-03-01T00:00:00Z"),
        (
            Period::Month,
            "2024-02-01T00:00:00Z",
            "2024-03-01T00:00:00Z",
        ),
    ] {
        let window = period.window(time("2024-02-29T23:59:30Z"));
        assert_eq!(
            window,
            (time(starts).unix(), time(ends).unix()),
            "{period:?}"
        );
    }
}

#[test]
fn limits_that_cannot_be_are_refused_with_why() {
    let limit = |period, quota, burst| Limit {
        period,
        quota,
        burst,
    };
    assert!(
        super::check(&[
            limit(Period::Second, 10, Some(20)),
            limit(Period::Month, 10_000, None)
        ])
        .is_ok()
    );
    for wrong in [
        vec![limit(Period::Day, 0, None)],
        vec![limit(Period::Second, 2_000_000, None)],
        vec![limit(Period::Minute, 10, Some(5))],
        vec![limit(Period::Second, 10, Some(0))],
        vec![limit(Period::Day, 1, None), limit(Period::Day, 2, None)],
    ] {
        assert!(super::check(&wrong).is_err(), "{wrong:?}");
    }
}
