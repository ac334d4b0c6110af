//! Brings the counts into the database.

use std::path::PathBuf;
use std::time::Duration;

use chassis::db::Database;
use common::time::Clock;
use diesel::result::Error;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::file::LAST_BATCH;
use super::file::adopt::{self, Orphan};
use super::store::{self, Endpoints};
use super::tally::Sealed;
use super::{Batch, Tallies};
use crate::metrics::Traffic;

/// How often something is done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Batches: a count is in the database within a second.
    pub(crate) flush: Duration,
    /// Looks for files of processes that are gone, besides the one at the start.
    pub(crate) adopt: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            flush: Duration::from_millis(400),
            adopt: Duration::from_secs(10),
        }
    }
}

/// How often it is tried at the end before what is left stays in the file.
const LAST_TRIES: u32 = 3;

/// Empties the tallies into the database.
pub(crate) struct Flusher {
    db: Database,
    clock: Clock,
    tallies: Tallies,
    directory: PathBuf,
    pace: Pace,
    last: i64,
    pending: Option<Pending>,
    endpoints: Endpoints,
    traffic: Traffic,
}

/// A batch that isn't known to be in the database.
struct Pending {
    number: i64,
    rows: Batch,
    sealed: Sealed,
}

impl Flusher {
    /// A flusher of these tallies, whose file is in this directory.
    pub(crate) fn new(db: Database, clock: Clock, tallies: Tallies, directory: PathBuf) -> Self {
        Self {
            db,
            clock,
            tallies,
            directory,
            pace: Pace::default(),
            last: 0,
            pending: None,
            endpoints: Endpoints::default(),
            traffic: Traffic::default(),
        }
    }

    /// One that tells here, too, what each batch comes to.
    pub(crate) fn telling(self, traffic: Traffic) -> Self {
        Self { traffic, ..self }
    }

    /// At another pace.
    #[cfg(test)]
    pub(super) fn at(self, pace: Pace) -> Self {
        Self { pace, ..self }
    }

    /// Flushes again and again; once more when the service stops, after its last request.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        let mut ticks = tokio::time::interval(self.pace.flush);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut adopt_at = Instant::now();
        while !shutdown.is_cancelled() {
            tokio::select! {
                () = shutdown.cancelled() => {}
                _ = ticks.tick() => {}
            }
            if Instant::now() >= adopt_at {
                self.adopt().await;
                adopt_at = Instant::now() + self.pace.adopt;
            }
            self.flush().await;
        }
        self.end().await;
    }

    /// Stores what is left. The file goes if nobody can need it any more.
    async fn end(mut self) {
        for _ in 0..LAST_TRIES {
            // Twice: there may have been a batch that was kept.
            if !(self.flush().await && self.flush().await) {
                continue;
            }
            if !self.tallies.are_in_use()
                && let Err(error) = self.close().await
            {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "the file in which calls are counted is left behind, empty"
                );
            }
            return;
        }
        tracing::error!(
            "counts of calls could not be stored before the end; they are in {}, and counted when the gateway starts there again",
            self.directory.display()
        );
    }

    async fn close(&self) -> anyhow::Result<()> {
        let file = self.tallies.file();
        file.remove()?;
        let epoch = file.epoch().to_owned();
        self.db.write(move |db| store::forget(db, &epoch)).await?;
        Ok(())
    }

    /// One batch; whether the database has all that was counted before. What can't be stored is kept
    /// for the next time.
    pub(super) async fn flush(&mut self) -> bool {
        if self.pending.is_none() {
            self.pending = self.seal().await;
        }
        let Some(pending) = self.pending.take() else {
            return true;
        };
        let epoch = self.tallies.file().epoch().to_owned();
        match self
            .apply(epoch, pending.number, pending.rows.clone())
            .await
        {
            Ok(()) => {
                let file = self.tallies.file();
                for segment in pending.sealed.segments {
                    file.give_back(segment);
                }
                true
            }
            Err(error) => {
                tracing::warn!(error = %error, "counts of calls could not be stored; they are kept");
                self.pending = Some(pending);
                false
            }
        }
    }

    /// Makes the next batch, and brings it to the disk, so that not even a power cut can have the
    /// database know a batch that the file doesn't.
    async fn seal(&mut self) -> Option<Pending> {
        let number = self.last + 1;
        let sealed = self.tallies.seal(number.unsigned_abs());
        if sealed.is_empty() {
            return None;
        }
        self.last = number;
        let reading = tokio::task::spawn_blocking(move || {
            for segment in &sealed.segments {
                if let Err(error) = segment.sync() {
                    tracing::warn!(error = %error, "counts of calls could not be brought to the disk");
                }
            }
            Pending {
                number,
                rows: sealed.sums(),
                sealed,
            }
        });
        // It fails only where the process is ending; the batch is in the file.
        let pending = reading.await.ok()?;
        self.traffic.add(&pending.rows);
        Some(pending)
    }

    /// Has the database have a batch, whether it did before or not.
    async fn apply(&mut self, epoch: String, number: i64, rows: Batch) -> Result<(), Error> {
        let now = self.clock.now();
        let mut endpoints = std::mem::take(&mut self.endpoints);
        self.endpoints = self
            .db
            .write(move |db| {
                store::apply(db, &epoch, number, &rows, &mut endpoints, now)?;
                Ok::<_, Error>(endpoints)
            })
            .await?;
        Ok(())
    }

    /// Takes over what processes that are gone have left.
    pub(super) async fn adopt(&mut self) {
        let directory = self.directory.clone();
        let found = tokio::task::spawn_blocking(move || adopt::orphans(&directory)).await;
        let orphans = match found {
            Ok(Ok(orphans)) => orphans,
            Ok(Err(error)) => {
                tracing::warn!(error = %error, directory = %self.directory.display(), "counts of earlier processes can't be looked for");
                return;
            }
            Err(_ending) => return,
        };
        for orphan in orphans {
            if let Err(error) = self.adopt_one(orphan).await {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "counts of an earlier process could not be taken over; they are kept"
                );
            }
        }
    }

    async fn adopt_one(&mut self, orphan: Orphan) -> anyhow::Result<()> {
        let epoch = orphan.epoch().to_owned();
        let of = epoch.clone();
        let applied = self.db.read(move |db| store::applied(db, &of)).await?;
        let left = orphan.left(applied);
        tracing::info!(
            entries = left.len(),
            epoch,
            "took over the counts of an earlier process"
        );
        self.apply(epoch.clone(), LAST_BATCH, left).await?;
        orphan.finish()?;
        self.db.write(move |db| store::forget(db, &epoch)).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use testkit::on_both_backends;

    use super::super::file::CountFile;
    use super::super::store::tests::{calls, database};
    use super::super::tests::{NOTHING, call};
    use super::*;

    /// A process that counts here.
    fn process(db: &Database, directory: &Path) -> Flusher {
        let file = CountFile::create(directory).unwrap();
        let clock = Clock::system();
        Flusher::new(db.clone(), clock, Tallies::new(file), directory.to_owned())
    }

    fn files(directory: &Path) -> usize {
        std::fs::read_dir(directory).unwrap().count()
    }

    on_both_backends! {
        async fn what_a_dead_process_has_counted_is_taken_over_once(backend: Backend) {
            let db = database(&backend).await;
            let directory = backend.directory().join("usage");
            let mut dead = process(&db, &directory);
            let tally = dead.tallies.add();
            tally.count(&call("/a"), &NOTHING);
            assert!(dead.flush().await);
            tally.count(&call("/a"), &NOTHING);
            tally.count(&call("/b"), &NOTHING);
            let mut next = process(&db, &directory);
            next.adopt().await;
            assert_eq!(calls(&db).await, [("/a".to_owned(), 1)], "it isn't dead yet");
            drop((dead, tally));
            next.adopt().await;
            next.adopt().await;
            assert_eq!(calls(&db).await, [("/a".to_owned(), 2), ("/b".to_owned(), 1)]);
            assert_eq!(files(&directory), 1, "its own");
        }

        async fn a_crash_between_commit_and_noting_it_changes_nothing(backend: Backend) {
            let db = database(&backend).await;
            let directory = backend.directory().join("usage");
            let mut dead = process(&db, &directory);
            let tally = dead.tallies.add();
            tally.count(&call("/a"), &NOTHING);
            let pending = dead.seal().await.unwrap();
            // Counted while the batch is on its way, and in no batch when the process dies.
            tally.count(&call("/a"), &NOTHING);
            let epoch = dead.tallies.file().epoch().to_owned();
            dead.apply(epoch.clone(), pending.number, pending.rows.clone()).await.unwrap();
            // The commit may have happened without the process hearing of it.
            dead.apply(epoch, pending.number, pending.rows.clone()).await.unwrap();
            assert_eq!(calls(&db).await, [("/a".to_owned(), 1)]);
            drop((dead, tally, pending));
            let mut second = process(&db, &directory);
            let orphan = adopt::orphans(&directory).unwrap().remove(0);
            let (epoch, left) = (orphan.epoch().to_owned(), orphan.left(1));
            second.apply(epoch, LAST_BATCH, left).await.unwrap();
            // And whoever takes it over may die before the file is gone.
            drop((second, orphan));
            process(&db, &directory).adopt().await;
            assert_eq!(calls(&db).await, [("/a".to_owned(), 2)]);
        }

        async fn counts_wait_in_the_file_while_the_database_is_away(backend: Backend) {
            let db = database(&backend).await;
            let directory = backend.directory().join("usage");
            let mut process = process(&db, &directory);
            let tally = process.tallies.add();
            tally.count(&call("/a"), &NOTHING);
            db.write(|db| store::tests::rename(db, "usage_batches", "away")).await.unwrap();
            assert!(!process.flush().await);
            tally.count(&call("/a"), &NOTHING);
            assert!(!process.flush().await);
            db.write(|db| store::tests::rename(db, "away", "usage_batches")).await.unwrap();
            assert!(process.flush().await);
            assert_eq!(calls(&db).await, [("/a".to_owned(), 1)]);
            assert!(process.flush().await);
            assert_eq!(calls(&db).await, [("/a".to_owned(), 2)]);
        }

        async fn a_damaged_file_is_set_aside_after_what_can_be_read(backend: Backend) {
            let db = database(&backend).await;
            let directory = backend.directory().join("usage");
            let dead = process(&db, &directory);
            let tally = dead.tallies.add();
            tally.count(&call("/a"), &NOTHING);
            let (path, junk) = (dead.tallies.file().path().to_owned(), directory.join("0.usage"));
            drop((dead, tally));
            let whole = std::fs::metadata(&path).unwrap().len();
            std::fs::File::options().write(true).open(&path).unwrap().set_len(whole - 9).unwrap();
            std::fs::write(&junk, "not counts").unwrap();
            let mut next = process(&db, &directory);
            next.adopt().await;
            next.adopt().await;
            assert_eq!(calls(&db).await, [("/a".to_owned(), 1)]);
            assert!(junk.with_extension("damaged").exists());
            assert!(!path.exists() && !junk.exists());
        }

        async fn a_clean_stop_leaves_neither_file_nor_trace(backend: Backend) {
            let db = database(&backend).await;
            let directory = backend.directory().join("usage");
            let process = process(&db, &directory);
            process.tallies.add().count(&call("/a"), &NOTHING);
            let over = CancellationToken::new();
            over.cancel();
            process.run(over).await;
            assert_eq!(calls(&db).await, [("/a".to_owned(), 1)]);
            assert_eq!(files(&directory), 0);
            assert_eq!(db.read(store::tests::batches).await.unwrap(), 0);
        }
    }
}
