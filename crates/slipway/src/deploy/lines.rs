//! Lines of a build's log, for a person's terminal.

use std::collections::VecDeque;

use common::api::provisioner::LogLine;

/// How many lines of a log are kept for the case that it fails.
const KEPT: usize = 400;
/// How many of the last lines are shown then.
const LAST: usize = 15;
/// How many earlier lines that speak of an error are shown before those.
const TELLING: usize = 5;

/// The last lines of a log.
#[derive(Debug, Default)]
pub(crate) struct Tail(VecDeque<LogLine>);

impl Tail {
    /// Adds a line, and lets go of the oldest where there are too many.
    pub(crate) fn push(&mut self, line: LogLine) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(line);
    }
}

/// The last lines of the phase in which the build ended, and before them those of it that speak of
/// an error: a package manager often goes on for long after it.
pub(super) fn that_matter(tail: &Tail) -> Vec<&str> {
    let Some(phase) = tail.0.back().map(|line| &line.phase) else {
        return Vec::new();
    };
    let of_phase: Vec<_> = tail
        .0
        .iter()
        .filter(|line| line.phase == *phase && !line.text.trim().is_empty())
        .collect();
    let (earlier, last) = of_phase.split_at(of_phase.len().saturating_sub(LAST));
    let telling: Vec<_> = earlier
        .iter()
        .filter(|line| speaks_of_error(&line.text))
        .collect();
    let telling = telling.into_iter().rev().take(TELLING).rev().copied();
    telling
        .chain(last.iter().copied())
        .map(|line| line.text.as_str())
        .collect()
}

fn speaks_of_error(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    [
        "error",
        "err!",
        "fatal",
        "panic",
        "exception",
        "cannot find",
        "not found",
    ]
    .iter()
    .any(|word| text.contains(word))
}

/// A line without what would move the cursor, ring the bell or change the terminal's title.
pub(super) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\u{1b}' => skip_sequence(&mut characters),
            '\t' => out.push('\t'),
            other if other.is_control() => {}
            other => out.push(other),
        }
    }
    out
}

/// Skips what follows an escape character (ECMA-48): a control sequence up to its final byte, a
/// command string up to its terminator, else one character.
fn skip_sequence(characters: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    match characters.next() {
        Some('[') => {
            characters.find(|character| ('\u{40}'..='\u{7e}').contains(character));
        }
        Some(']' | 'P' | '^' | '_' | 'X') => {
            while let Some(character) = characters.next() {
                if character == '\u{7}'
                    || (character == '\u{1b}' && characters.next_if_eq(&'\\').is_some())
                {
                    break;
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tail(lines: &[(&str, &str)]) -> Tail {
        let mut tail = Tail::default();
        for (number, (phase, text)) in (1..).zip(lines) {
            tail.push(LogLine {
                number,
                time: common::time::Time::EPOCH,
                phase: (*phase).into(),
                stream: "stderr".into(),
                text: (*text).into(),
            });
        }
        tail
    }

    #[test]
    fn the_end_of_the_last_phase_matters_and_what_spoke_of_an_error_before() {
        let mut lines = vec![
            ("prepare", "error: of another phase"),
            ("build", "npm ERR! code E404"),
        ];
        lines.extend(std::iter::repeat_n(("build", "added a package"), 30));
        lines.push(("build", "exit code 1"));
        let tail = tail(&lines);
        let shown = that_matter(&tail);
        assert_eq!(shown.len(), LAST + 1);
        assert_eq!(
            (shown[0], shown[LAST]),
            ("npm ERR! code E404", "exit code 1")
        );
    }

    #[test]
    fn a_log_without_lines_has_none_that_matter() {
        assert!(that_matter(&Tail::default()).is_empty());
    }

    #[test]
    fn only_so_many_lines_are_kept() {
        let tail = tail(&[("build", "x"); KEPT + 10]);
        assert_eq!(tail.0.len(), KEPT);
    }

    #[test]
    fn a_log_cannot_play_with_the_terminal() {
        assert_eq!(
            printable("\u{1b}[31mred\u{1b}[0m\tand \u{1b}]0;title\u{7}plain\r\u{8}"),
            "red\tand plain"
        );
        assert_eq!(
            printable("\u{1b}]8;;http://x\u{1b}\\link\u{1b}]8;;\u{1b}\\ größe"),
            "link größe"
        );
        assert_eq!(printable("cut \u{1b}["), "cut ");
    }
}
