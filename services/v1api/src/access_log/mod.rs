//! The access log: one line of JSON for each call that the gateway has answered, where an operator wants it.
//!
//! A worker makes the line and puts it into a bounded queue; a thread of its own writes it. If the thread
//! can't keep up, lines are dropped and counted (`access_log_lines_dropped`), and no call waits. What is in
//! a line is in [`mod@line`]: neither paths nor queries, in which secrets travel, but the endpoint.

mod line;
mod rotation;
pub(crate) mod settings;
mod writer;

use std::cell::Cell;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use actix_web::http::StatusCode;
use chassis::Metrics;
use prometheus_client::metrics::counter::Counter;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) use line::{Line, Note};
pub(crate) use settings::AccessLogSettings;
use settings::Output;

/// What goes to the thread that writes.
enum Message {
    Line(Vec<u8>),
    /// Look whether there is something else to do.
    Wake,
    End,
}

struct Shared {
    sender: SyncSender<Message>,
    reopen: Arc<AtomicBool>,
    dropped: Counter,
    sample: f64,
    slow: Duration,
}

/// The access log of this process; cheap to clone.
#[derive(Clone)]
pub(crate) struct AccessLog(Option<Arc<Shared>>);

/// What keeps the log going.
pub(crate) struct Keeper(Option<Running>);

struct Running {
    shared: Arc<Shared>,
    writing: JoinHandle<()>,
    /// Tells to open the file anew.
    hangup: Option<Signal>,
}

impl AccessLog {
    /// Opens the log, if there is to be one.
    pub(crate) fn open(
        settings: &AccessLogSettings,
        metrics: &Metrics,
    ) -> std::io::Result<(Self, Keeper)> {
        let target = match settings.output() {
            Output::Off => return Ok((Self(None), Keeper(None))),
            Output::Stdout => writer::Target::Stdout(std::io::stdout()),
            Output::File(path) => {
                let path: PathBuf = path.into();
                let (max_size, keep) = (settings.max_size, settings.keep);
                writer::Target::File(rotation::Rotated::open(path, max_size, keep)?)
            }
        };
        // From now on the signal ends the process no more.
        let hangup = matches!(target, writer::Target::File(_))
            .then(|| signal(SignalKind::hangup()))
            .transpose()?;
        let dropped = Counter::default();
        metrics.register(
            "access_log_lines_dropped",
            "Lines of the access log that could not be written",
            dropped.clone(),
        );
        let (sender, receiver) = sync_channel(settings.queue);
        let reopen = Arc::new(AtomicBool::new(false));
        let writer = writer::Writer::new(target, Arc::clone(&reopen), dropped.clone());
        let shared = Arc::new(Shared {
            sender,
            reopen,
            dropped,
            sample: settings.sample,
            slow: settings.slow.0,
        });
        let keeper = Keeper(Some(Running {
            shared: Arc::clone(&shared),
            writing: tokio::task::spawn_blocking(move || writer.run(&receiver)),
            hangup,
        }));
        Ok((Self(Some(shared)), keeper))
    }

    /// One worker's part of it.
    pub(crate) fn of_worker(&self) -> Option<Rc<Log>> {
        let shared = Arc::clone(self.0.as_ref()?);
        let log = Log {
            shared,
            due: Cell::new(0.0),
        };
        Some(Rc::new(log))
    }
}

/// One worker's part of the log.
pub(crate) struct Log {
    shared: Arc<Shared>,
    /// How many lines are due, by the share of calls that is told.
    due: Cell<f64>,
}

impl Log {
    /// Tells of a call, if it is one of those that are told: each that failed or took long, and a share
    /// of the others.
    pub(crate) fn tell(&self, line: &Line<'_>) {
        let is_special =
            line.status >= StatusCode::BAD_REQUEST || line.duration >= self.shared.slow;
        if !is_special && !self.is_due() {
            return;
        }
        let sent = self.shared.sender.try_send(Message::Line(line.to_json()));
        if sent.is_err() {
            self.shared.dropped.inc();
        }
    }

    /// Evenly: of a share of a tenth it is every tenth.
    fn is_due(&self) -> bool {
        let due = self.due.get() + self.shared.sample;
        let is_due = due >= 1.0;
        self.due.set(if is_due { due - 1.0 } else { due });
        is_due
    }
}

impl Keeper {
    /// Goes on until the service stops, and ends with the last line written.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let Some(mut running) = self.0 else {
            return;
        };
        loop {
            let told = async {
                match &mut running.hangup {
                    Some(hangup) => hangup.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => break,
                _ = told => {}
            }
            running.shared.reopen.store(true, Ordering::Release);
            // A queue that is full has a thread that is awake.
            let _awake = running.shared.sender.try_send(Message::Wake);
        }
        let shared = running.shared;
        let ending = tokio::task::spawn_blocking(move || shared.sender.send(Message::End));
        // If the thread is gone there is nothing left to write.
        let _ended = ending.await;
        let _written = running.writing.await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(sample: f64) -> (Log, std::sync::mpsc::Receiver<Message>) {
        let (sender, receiver) = sync_channel(5);
        let shared = Shared {
            sender,
            reopen: Arc::default(),
            dropped: Counter::default(),
            sample,
            slow: Duration::from_secs(1),
        };
        let (shared, due) = (Arc::new(shared), Cell::new(0.0));
        (Log { shared, due }, receiver)
    }

    #[test]
    fn a_share_is_told_evenly_and_what_failed_or_took_long_always() {
        let (log, receiver) = log(0.25);
        let told = |status: u16, duration| {
            let status = StatusCode::from_u16(status).unwrap();
            log.tell(&Line::example(status, Duration::from_millis(duration)));
            receiver.try_iter().count() == 1
        };
        let usual: Vec<_> = (0..9).map(|_| told(200, 1)).collect();
        let every_fourth = [false, false, false, true, false, false, false, true, false];
        assert_eq!(usual, every_fourth);
        assert!(told(404, 1) && told(500, 1) && told(200, 1_000));
        let (log, receiver) = self::log(0.0);
        for _ in 0..9 {
            log.tell(&Line::example(StatusCode::OK, Duration::ZERO));
        }
        assert_eq!(receiver.try_iter().count(), 0, "none of the usual ones");
    }

    #[test]
    fn a_full_queue_holds_nobody_up_and_what_is_lost_is_counted() {
        let (log, receiver) = log(1.0);
        for _ in 0..8 {
            log.tell(&Line::example(StatusCode::OK, Duration::ZERO));
        }
        assert_eq!(log.shared.dropped.get(), 3);
        assert_eq!(receiver.try_iter().count(), 5);
    }
}
