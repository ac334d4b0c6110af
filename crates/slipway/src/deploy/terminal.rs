//! A deployment on a terminal: a line that moves for the phase that goes on, the log above it.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::event::{Event, Phase};
use super::lines::printable;
use super::report::sentence;
use crate::output::{self, Style};

const TICK: Duration = Duration::from_millis(100);

/// The moving line, and what it stands for now.
#[derive(Debug)]
pub(crate) struct Terminal {
    bar: ProgressBar,
    phase: Option<(Phase, Instant)>,
    style: Style,
}

impl Terminal {
    pub(super) fn new() -> Self {
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed:.dim}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(TICK);
        Self {
            bar,
            phase: None,
            style: Style::error(),
        }
    }

    pub(super) fn tell(&mut self, event: &Event<'_>) -> std::io::Result<()> {
        match event {
            Event::Phase { phase } => self.begin(*phase),
            Event::Log(line) => self
                .bar
                .println(self.style.dim(&format!("  {}", printable(&line.text)))),
            Event::Live {
                url, duration_ms, ..
            } => {
                self.complete();
                self.stop();
                let live = self.style.green("Live");
                output::note(format_args!(
                    "{live} after {}",
                    took(Duration::from_millis(*duration_ms))
                ));
                output::line(url)?;
            }
            Event::Failed { lines, .. } => {
                self.phase = None;
                self.stop();
                output::note(format_args!(
                    "{} {}",
                    self.style.red("✗"),
                    sentence(event).unwrap_or_default()
                ));
                for line in lines {
                    output::note(format_args!("  {}", printable(line)));
                }
            }
            Event::Pushed { .. } => {}
            other => {
                if let Some(sentence) = sentence(other) {
                    self.bar.println(format!("  {sentence}"));
                }
            }
        }
        Ok(())
    }

    /// Leaves the terminal to others.
    pub(super) fn stop(&mut self) {
        self.bar.finish_and_clear();
    }

    fn begin(&mut self, phase: Phase) {
        self.complete();
        self.phase = Some((phase, Instant::now()));
        self.bar.reset_elapsed();
        self.bar.set_message(phase.to_string());
    }

    /// Says that the phase is over, and how long it took.
    fn complete(&mut self) {
        if let Some((phase, began)) = self.phase.take() {
            let time = self.style.dim(&took(began.elapsed()));
            self.bar
                .println(format!("{} {} {time}", self.style.green("✓"), phase.done()));
        }
    }
}

/// A time as people say it.
pub(crate) fn took(time: Duration) -> String {
    match time.as_secs() {
        0 if time.as_millis() < 100 => format!("{} ms", time.as_millis()),
        seconds if seconds < 60 => format!("{:.1} s", time.as_secs_f64()),
        seconds => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_as_people_do() {
        let said = |millis| took(Duration::from_millis(millis));
        assert_eq!(said(42), "42 ms");
        assert_eq!(said(1_240), "1.2 s");
        assert_eq!(said(125_000), "2 min 5 s");
    }
}
