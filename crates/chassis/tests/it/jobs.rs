//! Durable jobs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chassis::db::Database;
use chassis::jobs::{
    self, CancelReason, Cancelling, Enqueued, Job, JobContext, JobError, JobResult, JobState,
    NewJob, Timing, Workers,
};
use common::time::{Clock, Span};
use diesel::prelude::*;
use serde_json::json;
use testkit::{eventually, eventually_async};
use tokio::sync::mpsc;

use crate::support::{Running, TELLER, database, names, now, soon};

const KIND: &str = "build";

fn new(key: &str, group: Option<&str>, clock: &Clock) -> NewJob {
    let group = group.map(str::to_owned);
    NewJob {
        kind: KIND,
        key: key.into(),
        group,
        payload: json!({ "n": 1 }),
        run_at: clock.now(),
        supersede: false,
    }
}

async fn enqueue(db: &Database, job: NewJob, clock: &Clock) -> Enqueued {
    let now = clock.now();
    db.write(move |db| jobs::enqueue(db, &job, now))
        .await
        .unwrap()
}

async fn state(db: &Database, key: &str) -> Option<JobState> {
    let key = key.to_owned();
    db.read(move |db| jobs::state(db, KIND, &key))
        .await
        .unwrap()
}

async fn comes_to(db: &Database, key: &str, wanted: JobState) {
    let what = format!("{key} is {wanted}");
    eventually_async(&what, || async {
        (state(db, key).await == Some(wanted)).then_some(())
    })
    .await;
}

async fn cancel(db: &Database, key: &'static str) -> Cancelling {
    db.write(move |db| jobs::request_cancel(db, KIND, key, now()))
        .await
        .unwrap()
}

/// Quick looks, and a lease that only a moved clock ends.
fn timing() -> Timing {
    Timing {
        look: Duration::from_millis(30),
        poll: Duration::from_millis(30),
        grace: Duration::from_millis(50),
        ..Timing::default()
    }
}

/// A worker that tells of each run, then does this.
fn worker<F, R>(
    concurrency: usize,
    attempts: u32,
    run: F,
) -> (Workers, mpsc::UnboundedReceiver<Job>)
where
    F: Fn(Job, JobContext) -> R + Send + Sync + 'static,
    R: Future<Output = JobResult> + Send + 'static,
{
    let (begun, runs) = mpsc::unbounded_channel();
    let workers =
        Workers::new()
            .with_timing(timing())
            .worker(KIND, concurrency, attempts, move |job, cx| {
                // The test may have heard enough.
                let _ = begun.send(job.clone());
                run(job, cx)
            });
    (workers, runs)
}

async fn until_cancelled(_job: Job, cx: JobContext) -> JobResult {
    cx.cancel.cancelled().await;
    Err(JobError::Cancelled)
}

testkit::on_both_backends! {
    async fn a_job_of_a_dead_worker_is_taken_over(backend: Backend) {
        let clock = Clock::manual(now());
        let (one, other) = (database(&backend, TELLER).await, database(&backend, TELLER).await);
        enqueue(&one, new("a", None, &clock), &clock).await;
        let (hanging, mut runs) = worker(1, 3, |_, _| std::future::pending());
        let mut dying = Running::new();
        dying.spawn(|shutdown| hanging.run(one.clone(), clock.clone(), shutdown));
        assert_eq!(soon(runs.recv()).await.unwrap().attempt, 1);
        dying.kill().await;

        let (able, mut runs) = worker(1, 3, |_, _| async { Ok(()) });
        let mut running = Running::new();
        running.spawn(|shutdown| able.run(other.clone(), clock.clone(), shutdown));
        enqueue(&other, new("b", None, &clock), &clock).await;
        comes_to(&other, "b", JobState::Done).await;
        assert_eq!(state(&other, "a").await, Some(JobState::Running), "its lease has not ended");
        clock.advance(Span::seconds(31));
        comes_to(&other, "a", JobState::Done).await;
        assert_eq!(soon(runs.recv()).await.unwrap().key, "b");
        assert_eq!(soon(runs.recv()).await.unwrap().attempt, 2);
        running.stop().await;
    }

    async fn a_worker_that_lost_its_job_is_told_and_changes_nothing(backend: Backend) {
        let clock = Clock::manual(now());
        let (one, other) = (database(&backend, TELLER).await, database(&backend, TELLER).await);
        enqueue(&one, new("a", None, &clock), &clock).await;
        let (told, mut reasons) = mpsc::unbounded_channel();
        let (slow, mut runs) = worker(1, 3, move |job: Job, cx: JobContext| {
            let told = told.clone();
            async move {
                cx.cancel.cancelled().await;
                let held = cx.db.write(move |db| jobs::still_held(db, &job, now())).await;
                told.send((cx.cancel_reason(), held.unwrap())).unwrap();
                Err(JobError::permanent("too late to matter"))
            }
        });
        let mut first = Running::new();
        // It looks at its job now and then, but was too slow to renew its lease.
        first.spawn(|shutdown| slow.run(one.clone(), clock.clone(), shutdown));
        soon(runs.recv()).await.unwrap();
        let (able, mut runs) = worker(1, 3, |_, cx: JobContext| async move {
            cx.shutdown.cancelled().await;
            Ok(())
        });
        let mut second = Running::new();
        second.spawn(|shutdown| able.run(other.clone(), clock.clone(), shutdown));
        clock.advance(Span::seconds(31));
        let taken = tokio::select! {
            taken = runs.recv() => Some(taken.unwrap()),
            // The first may be the quicker to take it again.
            told = reasons.recv() => { assert_eq!(told, Some((Some(CancelReason::Lost), false))); None }
        };
        if let Some(job) = taken {
            assert_eq!(job.attempt, 2);
            assert_eq!(soon(reasons.recv()).await, Some((Some(CancelReason::Lost), false)));
        }
        assert_eq!(state(&other, "a").await, Some(JobState::Running), "the first one's failure is not noted");
        first.stop().await;
        second.stop().await;
    }

    async fn a_cancelled_job_stops(backend: Backend) {
        let clock = Clock::system();
        let (db, elsewhere) = (database(&backend, TELLER).await, database(&backend, TELLER).await);
        let (workers, mut runs) = worker(1, 3, until_cancelled);
        let mut running = Running::new();
        running.spawn(|shutdown| workers.run(db.clone(), clock.clone(), shutdown));
        enqueue(&db, new("runs", None, &clock), &clock).await;
        enqueue(&db, new("waits", None, &clock), &clock).await;
        assert_eq!(soon(runs.recv()).await.unwrap().key, "runs");

        assert_eq!(cancel(&db, "waits").await, Cancelling::Cancelled);
        assert_eq!(state(&db, "waits").await, Some(JobState::Cancelled));
        // Another process asks, so that no commit of its own wakes the worker's.
        assert_eq!(cancel(&elsewhere, "runs").await, Cancelling::Requested);
        comes_to(&db, "runs", JobState::Cancelled).await;
        assert_eq!(cancel(&db, "runs").await, Cancelling::Over(JobState::Cancelled));
        assert_eq!(cancel(&db, "never was").await, Cancelling::Unknown);
        assert!(runs.try_recv().is_err(), "the one that waited never ran");
        running.stop().await;
    }

    async fn one_job_of_a_group_runs_at_a_time(backend: Backend) {
        let clock = Clock::system();
        let (one, other) = (database(&backend, TELLER).await, database(&backend, TELLER).await);
        let now_running: Arc<[AtomicUsize; 2]> = Arc::default();
        let most: Arc<[AtomicUsize; 2]> = Arc::default();
        let mut running = Running::new();
        for db in [&one, &other] {
            let (now_running, most) = (Arc::clone(&now_running), Arc::clone(&most));
            let (workers, _) = worker(4, 3, move |job: Job, _| {
                let (now_running, most) = (Arc::clone(&now_running), Arc::clone(&most));
                let group = usize::from(job.group.as_deref() == Some("g1"));
                async move {
                    let count = now_running[group].fetch_add(1, Ordering::SeqCst) + 1;
                    most[group].fetch_max(count, Ordering::SeqCst);
                    for _ in 0..20 {
                        tokio::task::yield_now().await;
                    }
                    now_running[group].fetch_sub(1, Ordering::SeqCst);
                    Ok(())
                }
            });
            let (db, clock) = (db.clone(), clock.clone());
            running.spawn(|shutdown| workers.run(db, clock, shutdown));
        }
        for n in 0..16 {
            let db = if n % 3 == 0 { &one } else { &other };
            enqueue(db, new(&format!("{n}"), Some(&format!("g{}", n % 2)), &clock), &clock).await;
        }
        for n in 0..16 {
            comes_to(&one, &format!("{n}"), JobState::Done).await;
        }
        assert_eq!(most.each_ref().map(|most| most.load(Ordering::SeqCst)), [1, 1]);
        running.stop().await;
    }

    async fn of_jobs_that_supersede_one_another_at_once_one_is_left(backend: Backend) {
        let clock = Clock::system();
        let (one, other) = (database(&backend, TELLER).await, database(&backend, TELLER).await);
        enqueue(&one, new("elsewhere", Some("other"), &clock), &clock).await;
        let enqueuing = (0..8).map(|n| {
            let job = NewJob { supersede: true, ..new(&format!("{n}"), Some("g"), &clock) };
            let (db, clock) = (if n % 2 == 0 { one.clone() } else { other.clone() }, clock.clone());
            async move { enqueue(&db, job, &clock).await.superseded }
        });
        let mut superseded = futures_util::future::join_all(enqueuing).await.concat();
        superseded.sort();
        superseded.dedup();
        assert_eq!(superseded.len(), 7, "each by one other: {superseded:?}");
        let mut queued = Vec::new();
        for n in 0..8 {
            let key = format!("{n}");
            match state(&one, &key).await {
                Some(JobState::Queued) => queued.push(key),
                state => assert_eq!(state, Some(JobState::Superseded)),
            }
        }
        assert_eq!(queued.len(), 1);
        assert_eq!(state(&one, "elsewhere").await, Some(JobState::Queued));
        assert_eq!(enqueue(&one, new(&queued[0], Some("g"), &clock), &clock).await.id, None, "keys are unique");
    }

    async fn a_running_job_is_not_superseded(backend: Backend) {
        let clock = Clock::system();
        let db = database(&backend, TELLER).await;
        let (workers, mut runs) = worker(2, 3, until_cancelled);
        let mut running = Running::new();
        running.spawn(|shutdown| workers.run(db.clone(), clock.clone(), shutdown));
        enqueue(&db, new("first", Some("g"), &clock), &clock).await;
        assert_eq!(soon(runs.recv()).await.unwrap().key, "first");
        let next = |key| NewJob { supersede: true, ..new(key, Some("g"), &clock) };
        assert_eq!(enqueue(&db, next("second"), &clock).await.superseded, [""; 0]);
        assert_eq!(enqueue(&db, next("third"), &clock).await.superseded, ["second"]);
        cancel(&db, "first").await;
        assert_eq!(soon(runs.recv()).await.unwrap().key, "third");
        running.stop().await;
    }

    async fn a_job_that_fails_too_often_fails_for_good_and_its_owner_hears_of_it(backend: Backend) {
        let clock = Clock::manual(now());
        let db = database(&backend, TELLER).await;
        let (workers, mut runs) = worker(1, 2, |job: Job, _| async move {
            assert_ne!(job.attempt, 2, "its own mistake");
            Err(JobError::retry(format!("attempt {} failed", job.attempt)))
        });
        let workers = workers.on_failed(KIND, |db, job, error, _now| {
            let row = (names::subject.eq(job.key.clone()), names::name.eq(error.to_owned()), names::changes.eq(1));
            diesel::insert_into(names::table).values(row).execute(db).map(drop)
        });
        let mut running = Running::new();
        running.spawn(|shutdown| workers.run(db.clone(), clock.clone(), shutdown));
        enqueue(&db, new("a", None, &clock), &clock).await;
        soon(runs.recv()).await.unwrap();
        comes_to(&db, "a", JobState::Queued).await;
        clock.advance(Span::seconds(2));
        let second = soon(runs.recv()).await.unwrap();
        assert_eq!((second.attempt, second.last_error.as_deref()), (2, Some("attempt 1 failed")));
        comes_to(&db, "a", JobState::Failed).await;
        let told = crate::support::kept(&db).await;
        assert_eq!(told, [("a".to_owned(), "the job panicked".to_owned(), 1)]);
        running.stop().await;
    }

    async fn a_job_is_given_back_when_the_process_stops(backend: Backend) {
        let clock = Clock::system();
        let db = database(&backend, TELLER).await;
        enqueue(&db, new("stubborn", None, &clock), &clock).await;
        enqueue(&db, new("heedful", None, &clock), &clock).await;
        let (workers, mut runs) = worker(2, 3, |job: Job, cx: JobContext| async move {
            if job.key == "stubborn" {
                std::future::pending::<()>().await;
            }
            cx.shutdown.cancelled().await;
            Err(JobError::Interrupted)
        });
        let mut running = Running::new();
        running.spawn(|shutdown| workers.run(db.clone(), clock.clone(), shutdown));
        soon(runs.recv()).await.unwrap();
        soon(runs.recv()).await.unwrap();
        running.stop().await;
        assert_eq!(state(&db, "stubborn").await, Some(JobState::Queued));
        assert_eq!(state(&db, "heedful").await, Some(JobState::Queued));

        let (workers, mut runs) = worker(2, 3, |_, _| async { Ok(()) });
        let mut running = Running::new();
        running.spawn(|shutdown| workers.run(db.clone(), clock.clone(), shutdown));
        comes_to(&db, "stubborn", JobState::Done).await;
        comes_to(&db, "heedful", JobState::Done).await;
        assert_eq!(soon(runs.recv()).await.unwrap().attempt, 1, "the run that was cut off doesn't count");
        running.stop().await;
    }

    async fn the_only_process_needn_t_wait_for_the_leases_of_the_one_before(backend: Backend) {
        let clock = Clock::manual(now());
        let db = database(&backend, TELLER).await;
        enqueue(&db, new("a", None, &clock), &clock).await;
        let (hanging, mut runs) = worker(1, 3, |_, _| std::future::pending());
        let mut dying = Running::new();
        dying.spawn(|shutdown| hanging.run(db.clone(), clock.clone(), shutdown));
        soon(runs.recv()).await.unwrap();
        dying.kill().await;
        let at = clock.now();
        assert_eq!(db.write(move |db| jobs::end_leases(db, at)).await.unwrap(), 1);
        let (able, _runs) = worker(1, 3, |_, _| async { Ok(()) });
        let mut running = Running::new();
        running.spawn(|shutdown| able.run(db.clone(), clock.clone(), shutdown));
        comes_to(&db, "a", JobState::Done).await;
        running.stop().await;
    }

    async fn a_job_that_kills_its_workers_fails_in_the_end(backend: Backend) {
        let clock = Clock::manual(now());
        let db = database(&backend, TELLER).await;
        enqueue(&db, new("a", None, &clock), &clock).await;
        for _ in 0..2 {
            let (workers, mut runs) = worker(1, 2, |_, _| std::future::pending());
            let mut dying = Running::new();
            dying.spawn(|shutdown| workers.run(db.clone(), clock.clone(), shutdown));
            soon(runs.recv()).await.unwrap();
            dying.kill().await;
            clock.advance(Span::seconds(31));
        }
        let (workers, mut runs) = worker(1, 2, |_, _| async { Ok(()) });
        let mut running = Running::new();
        running.spawn(|shutdown| workers.run(db.clone(), clock.clone(), shutdown));
        comes_to(&db, "a", JobState::Failed).await;
        eventually("it did not run", || runs.try_recv().is_err().then_some(())).await;
        running.stop().await;
    }
}
