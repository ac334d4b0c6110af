//! Server-Sent Events, as they come off the wire (WHATWG HTML, section 9.2).

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SseEvent {
    /// Its type; `message` where the stream names none.
    pub(crate) event: String,
    /// Its data, lines joined by line feeds.
    pub(crate) data: String,
    /// The last id that the stream has given, up to and including this event.
    pub(crate) id: Option<String>,
}

/// Turns bytes, cut anywhere, into events.
#[derive(Debug, Default)]
pub(crate) struct SseParser {
    line: Vec<u8>,
    after_carriage_return: bool,
    event: String,
    data: Option<String>,
    id: Option<String>,
}

impl SseParser {
    /// Takes the next bytes and gives the events that they complete.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<SseEvent> {
        let mut events = Vec::new();
        for &byte in bytes {
            let after_carriage_return =
                std::mem::replace(&mut self.after_carriage_return, byte == b'\r');
            match byte {
                b'\n' if after_carriage_return => {}
                b'\n' | b'\r' => events.extend(self.end_line()),
                other => self.line.push(other),
            }
        }
        events
    }

    fn end_line(&mut self) -> Option<SseEvent> {
        let line = String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned();
        let line = line.strip_prefix('\u{feff}').unwrap_or(&line);
        if line.is_empty() {
            return self.dispatch();
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event),
            "data" => match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            },
            "id" if !value.contains('\0') => self.id = Some(value.to_owned()),
            // `retry`, comments (an empty name) and what the standard doesn't know.
            _ => {}
        }
        None
    }

    fn dispatch(&mut self) -> Option<SseEvent> {
        let event = std::mem::take(&mut self.event);
        let data = self.data.take()?;
        let event = if event.is_empty() {
            "message".to_owned()
        } else {
            event
        };
        Some(SseEvent {
            event,
            data,
            id: self.id.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pieces: &[&[u8]]) -> Vec<SseEvent> {
        let mut parser = SseParser::default();
        pieces.iter().flat_map(|piece| parser.push(piece)).collect()
    }

    fn event(event: &str, data: &str, id: Option<&str>) -> SseEvent {
        SseEvent {
            event: event.into(),
            data: data.into(),
            id: id.map(str::to_owned),
        }
    }

    #[test]
    fn events_have_a_type_data_of_several_lines_and_the_last_id() {
        let text = b": hello\n\nid: 7\nevent: log\ndata: a\ndata:b\n\ndata: c\n\n";
        assert_eq!(
            parse(&[text]),
            [
                event("log", "a\nb", Some("7")),
                event("message", "c", Some("7"))
            ]
        );
    }

    #[test]
    fn bytes_may_be_cut_anywhere_and_lines_end_in_any_way() {
        let text = "id: 1\r\ndata: größe\r\n\r\ndata: x\r\r".as_bytes();
        let whole = parse(&[text]);
        assert_eq!(
            whole,
            [
                event("message", "größe", Some("1")),
                event("message", "x", Some("1"))
            ]
        );
        let pieces: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(parse(&pieces), whole);
    }

    #[test]
    fn an_event_without_data_or_its_end_is_none() {
        assert_eq!(parse(&[b"event: end\n\n"]), []);
        assert_eq!(parse(&[b"data: unfinished\n"]), []);
    }

    #[test]
    fn an_id_with_a_zero_byte_is_ignored() {
        assert_eq!(
            parse(&[b"id: 1\ndata: a\n\nid: 2\0\ndata: b\n\n"])
                .last()
                .unwrap()
                .id
                .as_deref(),
            Some("1")
        );
    }
}
