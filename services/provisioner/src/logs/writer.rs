//! The way of a build's lines into the database: gathered for a moment, then written together.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chassis::db::Database;
use chassis::jobs::{self, Job};
use common::id::BuildId;
use common::time::Clock;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Line, store};
use crate::build::{LogLine, LogSink, Stream};

/// How long lines are gathered.
const GATHER: Duration = Duration::from_millis(200);

/// Keeps the lines of one run of a build, as long as the run holds its job.
pub(crate) struct LogWriter {
    shared: Arc<Shared>,
    _stop: DropGuard,
}

struct Shared {
    db: Database,
    clock: Clock,
    job: Job,
    stream: String,
    waiting: Mutex<Vec<Line>>,
    /// One writes at a time, so that lines stay in order.
    writing: tokio::sync::Mutex<()>,
}

impl LogWriter {
    /// A writer that writes by itself every moment, until it is dropped.
    pub(crate) fn start(db: Database, clock: Clock, job: Job, build: &BuildId) -> Self {
        let shared = Arc::new(Shared {
            db,
            clock,
            job,
            stream: build.to_string(),
            waiting: Mutex::default(),
            writing: tokio::sync::Mutex::default(),
        });
        let stop = CancellationToken::new();
        tokio::spawn(Arc::clone(&shared).write_now_and_then(stop.clone()));
        Self {
            shared,
            _stop: stop.drop_guard(),
        }
    }

    /// Where lines go in.
    pub(crate) fn sink(&self) -> Arc<dyn LogSink> {
        Arc::clone(&self.shared) as Arc<dyn LogSink>
    }

    /// Writes what waits.
    pub(crate) async fn flush(&self) -> Result<(), diesel::result::Error> {
        self.shared.flush().await
    }
}

impl Shared {
    async fn write_now_and_then(self: Arc<Self>, stop: CancellationToken) {
        while tokio::time::timeout(GATHER, stop.cancelled())
            .await
            .is_err()
        {
            if let Err(error) = self.flush().await {
                tracing::warn!(build.id = %self.stream, error = %error, "a build's log can't be written yet");
            }
        }
    }

    async fn flush(&self) -> Result<(), diesel::result::Error> {
        let _one_at_a_time = self.writing.lock().await;
        let lines = std::mem::take(&mut *self.waiting());
        if lines.is_empty() {
            return Ok(());
        }
        let (job, stream, now, kept) = (
            self.job.clone(),
            self.stream.clone(),
            self.clock.now(),
            lines.clone(),
        );
        let written = self.db.write(move |db| {
            // A run whose job was taken over has nothing more to say.
            if jobs::still_held(db, &job, now)? {
                store::append(db, &stream, &kept)
            } else {
                Ok(())
            }
        });
        let written = written.await;
        if written.is_err() {
            self.waiting().splice(0..0, lines);
        }
        written
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Vec<Line>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LogSink for Shared {
    fn write(&self, line: LogLine) {
        let stream = match line.stream {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
            Stream::Slipway => "slipway",
        };
        let line = Line {
            time: line.at,
            phase: line.phase,
            stream: stream.to_owned(),
            text: line.text,
        };
        self.waiting().push(line);
    }
}
