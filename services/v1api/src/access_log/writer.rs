//! The thread that writes lines.

use std::io::{self, Stdout, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;

use prometheus_client::metrics::counter::Counter;

use super::Message;
use super::rotation::Rotated;

/// How many bytes go out at once.
const BATCH: usize = 64 * 1024;

/// Where lines are written.
pub(super) enum Target {
    Stdout(Stdout),
    File(Rotated),
}

pub(super) struct Writer {
    target: Target,
    reopen: Arc<AtomicBool>,
    dropped: Counter,
    waiting: Vec<u8>,
    lines: u64,
    failing: bool,
}

impl Writer {
    pub(super) fn new(target: Target, reopen: Arc<AtomicBool>, dropped: Counter) -> Self {
        Self {
            target,
            reopen,
            dropped,
            waiting: Vec::with_capacity(BATCH),
            lines: 0,
            failing: false,
        }
    }

    /// Writes what comes until the end is told, many lines at once where many wait.
    pub(super) fn run(mut self, receiver: &Receiver<Message>) {
        while let Ok(first) = receiver.recv() {
            let mut next = Some(first);
            let mut ended = false;
            while let Some(message) = next {
                match message {
                    Message::Line(line) => self.add(&line),
                    Message::Wake => {}
                    Message::End => ended = true,
                }
                if self.waiting.len() >= BATCH {
                    break;
                }
                next = receiver.try_recv().ok();
            }
            self.write();
            if ended {
                return;
            }
        }
    }

    fn add(&mut self, line: &[u8]) {
        self.waiting.extend_from_slice(line);
        self.lines += 1;
    }

    fn write(&mut self) {
        let written = self.try_write();
        match written {
            Ok(()) => self.failing = false,
            Err(error) => {
                self.dropped.inc_by(self.lines);
                if !self.failing {
                    tracing::warn!(%error, "the access log can't be written: its lines are dropped");
                }
                self.failing = true;
            }
        }
        self.waiting.clear();
        self.lines = 0;
    }

    fn try_write(&mut self) -> io::Result<()> {
        match &mut self.target {
            Target::Stdout(stdout) => {
                stdout.write_all(&self.waiting)?;
                stdout.flush()
            }
            Target::File(file) => {
                if self.reopen.swap(false, Ordering::AcqRel) {
                    file.reopen()?;
                }
                if self.waiting.is_empty() {
                    return Ok(());
                }
                file.make_room(self.waiting.len() as u64)?;
                file.write_all(&self.waiting)
            }
        }
    }
}
