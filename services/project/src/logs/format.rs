//! How a log looks on the wire: plain text, or Server-Sent Events.

use std::fmt::Write as _;

use bytes::Bytes;
use common::api::provisioner::LogLine;

/// Asks a reader who was cut off to come back after a second.
const OPENING: &str = "retry: 1000\n\n";

/// A comment, by which both sides notice that the other is gone.
const KEEP_ALIVE: &str = ": waiting\n\n";

/// One of the two forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// The lines' texts.
    Text,
    /// Events `line`, whose ids are the lines' numbers, and `end` at last.
    Events,
}

impl Format {
    /// The one that an `Accept` header asks for.
    pub(super) fn wanted(accept: Option<&str>) -> Self {
        let types = accept
            .unwrap_or_default()
            .split(',')
            .map(|range| range.split(';').next().unwrap_or_default());
        if types
            .into_iter()
            .any(|essence| essence.trim().eq_ignore_ascii_case("text/event-stream"))
        {
            Self::Events
        } else {
            Self::Text
        }
    }

    /// The media type.
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; charset=utf-8",
            Self::Events => "text/event-stream",
        }
    }

    /// What comes before the first line.
    pub(super) fn opening(self) -> &'static str {
        match self {
            Self::Text => "",
            Self::Events => OPENING,
        }
    }

    /// What is sent while there is nothing to say; a text has nothing of the kind.
    pub(super) fn keep_alive(self) -> Option<Bytes> {
        match self {
            Self::Text => None,
            Self::Events => Some(Bytes::from_static(KEEP_ALIVE.as_bytes())),
        }
    }

    /// Some lines.
    pub(super) fn lines(self, out: &mut String, lines: &[LogLine]) {
        for line in lines {
            match self {
                Self::Text => {
                    out.push_str(&line.text);
                    out.push('\n');
                }
                Self::Events => event(out, line),
            }
        }
    }

    /// What comes after the last line, with where the build or environment stands.
    pub(super) fn end(self, out: &mut String, state: Option<&str>) {
        if self == Self::Events {
            let data = serde_json::json!({ "state": state });
            // Writing to a string doesn't fail.
            let _infallible = write!(out, "event: end\ndata: {data}\n\n");
        }
    }
}

/// One line as an event. JSON has no line breaks, so that it is one `data` field whatever the text holds.
fn event(out: &mut String, line: &LogLine) {
    let data = serde_json::json!(line);
    let _infallible = write!(out, "id: {}\nevent: line\ndata: {data}\n\n", line.number);
}

#[cfg(test)]
mod tests {
    use super::*;
    use common::time::Time;

    fn line(number: i64, text: &str) -> LogLine {
        LogLine {
            number,
            time: Time::EPOCH,
            phase: "build".into(),
            stream: "stdout".into(),
            text: text.into(),
        }
    }

    #[test]
    fn an_event_is_one_data_field_whatever_the_text_holds() {
        let mut out = String::new();
        Format::Events.lines(&mut out, &[line(7, "a\n\nevent: end\r\nid: 9")]);
        let fields: Vec<_> = out.lines().collect();
        assert_eq!(fields[..2], ["id: 7", "event: line"]);
        assert!(
            fields[2].starts_with("data: {") && fields[2].contains(r"a\n\nevent: end\r\nid: 9"),
            "{out}"
        );
        assert_eq!(fields[3..], [""]);
    }

    #[test]
    fn text_has_the_lines_and_nothing_else() {
        let mut out = String::new();
        Format::Text.lines(&mut out, &[line(1, "one"), line(2, "two")]);
        Format::Text.end(&mut out, Some("live"));
        assert_eq!(out, "one\ntwo\n");
    }

    #[test]
    fn events_come_only_to_who_asks_for_them() {
        for accept in ["text/event-stream", "text/html, Text/Event-Stream;q=0.9"] {
            assert_eq!(Format::wanted(Some(accept)), Format::Events, "{accept}");
        }
        for accept in [None, Some("*/*"), Some("text/plain")] {
            assert_eq!(Format::wanted(accept), Format::Text, "{accept:?}");
        }
    }
}
