//! The log of one build: numbered lines with their time, within a budget, without secrets.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use common::time::{Clock, Time};
use serde::{Deserialize, Serialize};

use super::mask::Masker;

/// How many of the last lines are kept for the error of a failed phase.
const TAIL: usize = 30;
/// A longer line goes on in the next one.
const LONGEST_LINE: usize = 16 * 1024;

/// Where a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// A command's standard output.
    Stdout,
    /// A command's standard error.
    Stderr,
    /// Slipway itself.
    Slipway,
}

/// One line of a build's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// Counted from 1 without gaps within a build.
    pub number: u64,
    /// When it was read.
    pub at: Time,
    /// Who wrote it.
    pub stream: Stream,
    /// The phase it belongs to, such as `checkout` or `install`.
    pub phase: String,
    /// The text, without its line end and without secrets.
    pub text: String,
}

/// Where the lines of a build go.
pub trait LogSink: Send + Sync {
    /// Takes a line. It is called in order and mustn't wait: the command that prints is held up meanwhile.
    fn write(&self, line: LogLine);
}

/// A build's log. Clones write to the same one.
#[derive(Clone)]
pub struct BuildLog(Arc<Inner>);

struct Inner {
    sink: Arc<dyn LogSink>,
    clock: Clock,
    masker: Masker,
    budget: u64,
    state: Mutex<State>,
}

struct State {
    written: u64,
    spent: u64,
    dropped: u64,
    tail: VecDeque<String>,
}

impl BuildLog {
    /// A log of at most `budget` bytes of command output, numbered on from `after`.
    pub fn new(
        sink: Arc<dyn LogSink>,
        clock: Clock,
        masker: Masker,
        budget: u64,
        after: u64,
    ) -> Self {
        let state = State {
            written: after,
            spent: 0,
            dropped: 0,
            tail: VecDeque::new(),
        };
        Self(Arc::new(Inner {
            sink,
            clock,
            masker,
            budget,
            state: Mutex::new(state),
        }))
    }

    /// Writes a line of Slipway's own; it is never cut by the budget.
    pub fn note(&self, phase: &str, text: &str) {
        let masked = self.0.masker.mask(text);
        let mut state = self.lock();
        for line in masked.lines() {
            self.emit(&mut state, phase, Stream::Slipway, line.to_owned());
        }
    }

    /// The masker that all lines go through.
    pub fn masker(&self) -> &Masker {
        &self.0.masker
    }

    /// Forgets the last lines: what follows is another phase.
    pub(super) fn begin(&self) {
        self.lock().tail.clear();
    }

    /// The last lines that commands printed, also those that the budget cut.
    pub(super) fn tail(&self) -> Vec<String> {
        self.lock().tail.iter().cloned().collect()
    }

    /// How many bytes of output were dropped because the budget was spent.
    pub fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    /// Something that turns the bytes of one stream of one phase into lines of this log.
    pub(crate) fn lines(&self, phase: &str, stream: Stream) -> Lines {
        Lines {
            log: self.clone(),
            phase: phase.to_owned(),
            stream,
            pending: Vec::new(),
        }
    }

    /// Takes a line of a command's output, masked already.
    fn output(&self, phase: &str, stream: Stream, text: String) {
        let mut state = self.lock();
        let size = u64::try_from(text.len())
            .unwrap_or(u64::MAX)
            .saturating_add(1);
        if state.tail.len() == TAIL {
            state.tail.pop_front();
        }
        state.tail.push_back(text.clone());
        if state.spent.saturating_add(size) > self.0.budget {
            if state.dropped == 0 {
                let notice = format!(
                    "the output is more than {} bytes; the rest is left out",
                    self.0.budget
                );
                self.emit(&mut state, phase, Stream::Slipway, notice);
                // Nothing after the cut, however short: a log with holes would mislead.
                state.spent = self.0.budget;
            }
            state.dropped = state.dropped.saturating_add(size);
            return;
        }
        state.spent += size;
        self.emit(&mut state, phase, stream, text);
    }

    fn emit(&self, state: &mut State, phase: &str, stream: Stream, text: String) {
        state.written += 1;
        let at = self.0.clock.now();
        self.0.sink.write(LogLine {
            number: state.written,
            at,
            stream,
            phase: phase.to_owned(),
            text,
        });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Cuts a stream of bytes into masked lines.
pub(crate) struct Lines {
    log: BuildLog,
    phase: String,
    stream: Stream,
    pending: Vec<u8>,
}

impl Lines {
    /// Takes what was read, in whatever pieces it came.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.pending.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                self.flush();
            } else if self.pending.len() > LONGEST_LINE + self.log.masker().longest() {
                self.shorten();
            }
        }
    }

    /// Writes what is left when the stream has ended.
    pub(crate) fn finish(mut self) {
        if !self.pending.is_empty() {
            self.flush();
        }
    }

    fn flush(&mut self) {
        let masked = self
            .log
            .masker()
            .mask_bytes(&std::mem::take(&mut self.pending));
        self.write(&masked);
    }

    /// Writes all of a very long line but its end, in which a secret may have begun.
    fn shorten(&mut self) {
        let mut masked = self.log.masker().mask_bytes(&self.pending);
        let keep = self
            .log
            .masker()
            .longest()
            .saturating_sub(1)
            .min(masked.len());
        self.pending = masked.split_off(masked.len() - keep);
        self.write(&masked);
    }

    fn write(&self, masked: &[u8]) {
        let text = String::from_utf8_lossy(masked);
        let text = text.trim_end_matches(['\n', '\r']);
        // A progress bar draws over itself; its last state is what a person would have seen.
        let text = text.rsplit('\r').next().unwrap_or(text);
        let text = plain(text);
        self.log.output(&self.phase, self.stream, text);
    }
}

/// The text without colours and control characters, which belong to a terminal and could play tricks on one.
pub(crate) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            if chars.next_if_eq(&'[').is_some() {
                // Parameters, up to the letter that ends them.
                while chars
                    .next()
                    .is_some_and(|c| !('\u{40}'..='\u{7e}').contains(&c))
                {}
            }
        } else if !c.is_control() || c == '\t' {
            plain.push(c);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Kept(Mutex<Vec<LogLine>>);

    impl LogSink for Kept {
        fn write(&self, line: LogLine) {
            self.0.lock().unwrap().push(line);
        }
    }

    fn log(secrets: &[&str], budget: u64) -> (BuildLog, Arc<Kept>) {
        let kept = Arc::new(Kept::default());
        let clock = Clock::manual(Time::from_unix(1_000));
        (
            BuildLog::new(
                kept.clone(),
                clock,
                Masker::new(secrets.iter().copied()),
                budget,
                0,
            ),
            kept,
        )
    }

    fn texts(kept: &Kept) -> Vec<String> {
        kept.0
            .lock()
            .unwrap()
            .iter()
            .map(|line| line.text.clone())
            .collect()
    }

    #[test]
    fn a_secret_split_over_two_writes_is_hidden() {
        let (log, kept) = log(&["canary-secret"], 1_000);
        let mut lines = log.lines("build", Stream::Stdout);
        lines.push(b"it is canary-");
        lines.push(b"secret, really\nnext");
        lines.finish();
        assert_eq!(texts(&kept), ["it is ***, really", "next"]);
    }

    #[test]
    fn a_secret_at_the_edge_of_a_very_long_line_is_hidden() {
        let secret = "canary-secret-of-some-length";
        for before in LONGEST_LINE - 40..LONGEST_LINE + 80 {
            let (log, kept) = log(&[secret], 1_000_000);
            let mut lines = log.lines("build", Stream::Stdout);
            for piece in format!("{}{secret}{}", "x".repeat(before), "y".repeat(100))
                .as_bytes()
                .chunks(7)
            {
                lines.push(piece);
            }
            lines.finish();
            let whole = texts(&kept).concat();
            assert!(whole.contains("x***y"), "after {before} bytes");
        }
    }

    #[test]
    fn output_past_the_budget_is_cut_with_a_notice_and_the_end_is_kept() {
        let (log, kept) = log(&[], 20);
        let mut lines = log.lines("build", Stream::Stderr);
        for number in 0..100 {
            lines.push(format!("line {number}\n").as_bytes());
        }
        log.note("build", "failed");
        assert_eq!(
            texts(&kept),
            [
                "line 0",
                "line 1",
                "the output is more than 20 bytes; the rest is left out",
                "failed"
            ]
        );
        assert_eq!(log.tail().last().unwrap(), "line 99");
        let numbers: Vec<u64> = kept
            .0
            .lock()
            .unwrap()
            .iter()
            .map(|line| line.number)
            .collect();
        assert_eq!(numbers, [1, 2, 3, 4]);
        assert_eq!(kept.0.lock().unwrap()[0].stream, Stream::Stderr);
    }

    #[test]
    fn progress_bars_and_control_characters_leave_one_readable_line() {
        let (log, kept) = log(&[], 1_000);
        let mut lines = log.lines("build", Stream::Stdout);
        lines.push(b"10%\r50%\r100%\r\nbell\x07 \xff\n\x1b[1;32mgreen\x1b[39m\x1b\n");
        assert_eq!(texts(&kept), ["100%", "bell \u{fffd}", "green"]);
    }
}
