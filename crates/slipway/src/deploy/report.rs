//! How a deployment is told: on a terminal, as plain lines, or as JSON.

use super::event::Event;
use super::lines::printable;
use super::terminal::Terminal;
use crate::output::{self, Style};

/// Tells a person or a program what happens.
#[derive(Debug)]
pub(crate) enum Reporter {
    /// A line that moves, on a terminal.
    Terminal(Terminal),
    /// Plain lines, for logs of other programs.
    Plain,
    /// One JSON event a line, on standard output.
    Json,
    /// Nothing: somebody else tells.
    Silent,
}

impl Reporter {
    /// As fits where the output goes.
    pub(crate) fn new(json: bool) -> Self {
        if json {
            Self::Json
        } else if output::is_watched() {
            Self::Terminal(Terminal::new())
        } else {
            Self::Plain
        }
    }

    /// Tells one event.
    pub(crate) fn tell(&mut self, event: &Event<'_>) -> anyhow::Result<()> {
        match self {
            Self::Terminal(terminal) => terminal.tell(event)?,
            Self::Plain => tell_plainly(event)?,
            Self::Json => output::json(event)?,
            Self::Silent => {}
        }
        Ok(())
    }

    /// Leaves the terminal to others.
    pub(crate) fn stop(&mut self) {
        if let Self::Terminal(terminal) = self {
            terminal.stop();
        }
    }
}

fn tell_plainly(event: &Event<'_>) -> std::io::Result<()> {
    match event {
        Event::Log(line) => output::note(format_args!("    {}", printable(&line.text))),
        Event::Live { url, .. } => output::line(url)?,
        Event::Failed { lines, .. } => {
            if let Some(sentence) = sentence(event) {
                output::note(sentence);
            }
            for line in lines {
                output::note(format_args!("    {}", printable(line)));
            }
        }
        other => {
            if let Some(sentence) = sentence(other) {
                output::note(format_args!("==> {sentence}"));
            }
        }
    }
    Ok(())
}

/// An event in one sentence, where it deserves one.
pub(super) fn sentence(event: &Event<'_>) -> Option<String> {
    match event {
        Event::Phase { phase } => Some(phase.to_string()),
        Event::Account {
            name,
            id,
            created: true,
        } => Some(format!("Made the account {name} ({id})")),
        Event::Pushed { repository, commit } => {
            Some(format!("Pushed {} to {repository}", short(commit)))
        }
        Event::Target {
            app,
            environment,
            created: true,
            ..
        } => Some(format!("Made the app {app} ({environment})")),
        Event::Warning { message } => {
            Some(format!("{} {message}", Style::error().yellow("warning:")))
        }
        Event::Failed {
            app,
            environment,
            state,
            reason,
            build_id,
            ..
        } => {
            let why = reason
                .map(|reason| format!(": {}", printable(reason)))
                .unwrap_or_default();
            let ended = Style::error().red(state);
            Some(format!(
                "The build of {app} for {environment} {ended}{why} ({build_id})"
            ))
        }
        Event::Error { message } => Some(message.clone()),
        Event::Account { .. }
        | Event::Target { .. }
        | Event::Build { .. }
        | Event::Log(_)
        | Event::Live { .. } => None,
    }
}

/// A commit as people write it.
fn short(commit: &str) -> &str {
    commit.get(..10).unwrap_or(commit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_with_its_reason() {
        let event = Event::Failed {
            app: "store",
            environment: "production",
            build_id: "build_1",
            state: "failed",
            reason: Some("build: `npm ci` ended with exit code 1"),
            lines: vec![],
        };
        let text = sentence(&event).unwrap();
        assert!(
            text.contains("store") && text.contains("exit code 1") && text.contains("build_1"),
            "{text}"
        );
    }

    #[test]
    fn a_commit_is_cut_as_people_write_it() {
        assert_eq!(short("0123456789abcdef"), "0123456789");
        assert_eq!(short("abc"), "abc");
    }
}
