//! An event as it travels: the envelope's text, and what must be known to pass it on.

use common::id::EventId;
use serde::Deserialize;

/// One event on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The event's id.
    pub event_id: String,
    /// Its type, which is also its routing key.
    pub kind: String,
    /// The id of its aggregate.
    pub subject: String,
    /// Its aggregate's version.
    pub version: i64,
    /// The whole envelope as JSON.
    pub envelope: String,
}

/// Why bytes are not an event.
#[derive(Debug, thiserror::Error)]
pub enum NotAnEvent {
    /// They are not UTF-8.
    #[error("it is not text")]
    Text(#[from] std::str::Utf8Error),
    /// The members that every envelope has are missing or wrong.
    #[error("it is no envelope: {0}")]
    Envelope(#[from] serde_json::Error),
}

#[derive(Deserialize)]
struct Head {
    id: EventId,
    #[serde(rename = "type")]
    kind: String,
    subject: String,
    aggregateversion: i64,
}

impl Message {
    /// Reads an envelope, of which only the head is looked at.
    pub fn parse(bytes: &[u8]) -> Result<Self, NotAnEvent> {
        let envelope = std::str::from_utf8(bytes)?;
        let head: Head = serde_json::from_str(envelope)?;
        Ok(Self {
            event_id: head.id.to_string(),
            kind: head.kind,
            subject: head.subject,
            version: head.aggregateversion,
            envelope: envelope.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_envelope_is_refused() {
        for bytes in [
            &b"\xff"[..],
            b"",
            b"{}",
            b"[]",
            br#"{"id":"x","type":"t","subject":"s","aggregateversion":1}"#,
        ] {
            assert!(Message::parse(bytes).is_err());
        }
        let whole = br#"{"id":"evt_01h455vb4pex5vsknk084sn02q","type":"t","subject":"s","aggregateversion":7,"more":1}"#;
        assert_eq!(Message::parse(whole).unwrap().version, 7);
    }
}
