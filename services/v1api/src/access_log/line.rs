//! One line of the log. Names are those of OpenTelemetry's semantic conventions, where there is one.

use std::borrow::Cow;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use actix_web::http::StatusCode;
use chassis::telemetry::TraceContext;
use common::time::Time;
use serde::Serialize;

use crate::proxy::Trip;
use crate::usage::Call;

/// Room for a usual line, so that it is written without growing.
const USUAL: usize = 768;
/// The longest host that is told, in bytes: no name is longer (RFC 1035, section 2.3.4), and who sends one
/// gets a refusal.
const LONGEST_HOST: usize = 255;

/// What is known of a call when it comes.
pub(crate) struct Note {
    /// When it came.
    pub(crate) time: Time,
    /// Its ids.
    pub(crate) trace: TraceContext,
    /// The host that it names, as it was sent.
    pub(crate) host: String,
    /// Where it comes from.
    pub(crate) client: Option<IpAddr>,
    /// Where it went.
    pub(crate) trip: Rc<Trip>,
}

/// What there is to tell of a call that has been answered.
pub(crate) struct Line<'a> {
    pub(crate) note: &'a Note,
    pub(crate) call: Call<'a>,
    pub(crate) status: StatusCode,
    /// The code of the problem that the gateway has answered with.
    pub(crate) refused: Option<&'a Cow<'static, str>>,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    /// Until the end of the answer.
    pub(crate) duration: Duration,
}

#[derive(Serialize)]
struct Fields<'a> {
    timestamp: Time,
    request_id: &'a str,
    trace_id: &'a str,
    span_id: &'a str,
    #[serde(rename = "client.address", skip_serializing_if = "Option::is_none")]
    client: Option<IpAddr>,
    #[serde(rename = "server.address")]
    host: &'a str,
    #[serde(rename = "http.request.method")]
    method: &'a str,
    service: &'a str,
    #[serde(rename = "http.route")]
    route: &'a str,
    #[serde(rename = "http.response.status_code")]
    status: u16,
    #[serde(rename = "error.type", skip_serializing_if = "Option::is_none")]
    refused: Option<&'a str>,
    #[serde(rename = "http.request.body.size")]
    bytes_in: u64,
    #[serde(rename = "http.response.body.size")]
    bytes_out: u64,
    duration_ms: f64,
    #[serde(rename = "upstream.address", skip_serializing_if = "Option::is_none")]
    upstream: Option<&'a str>,
    #[serde(
        rename = "upstream.duration_ms",
        skip_serializing_if = "Option::is_none"
    )]
    upstream_took: Option<f64>,
    #[serde(rename = "user.id", skip_serializing_if = "str::is_empty")]
    user: &'a str,
    #[serde(rename = "api_key.id", skip_serializing_if = "str::is_empty")]
    key: &'a str,
}

impl Line<'_> {
    /// The line, with its end.
    pub(super) fn to_json(&self) -> Vec<u8> {
        let Note {
            time,
            trace,
            host,
            client,
            trip,
        } = self.note;
        let upstream = trip.upstream();
        let fields = Fields {
            timestamp: *time,
            request_id: &trace.request_id,
            trace_id: &trace.trace_id,
            span_id: &trace.span_id,
            client: *client,
            host: host
                .get(..host.floor_char_boundary(LONGEST_HOST))
                .unwrap_or_default(),
            method: self.call.method,
            service: self.call.service,
            route: self.call.endpoint,
            status: self.status.as_u16(),
            refused: self.refused.map(|code| &**code),
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
            duration_ms: milliseconds(self.duration),
            upstream: upstream.as_deref(),
            upstream_took: trip.took().map(milliseconds),
            user: self.call.user,
            key: self.call.key,
        };
        let mut bytes = Vec::with_capacity(USUAL);
        // Nothing in it can't be written.
        let _written = serde_json::to_writer(&mut bytes, &fields);
        bytes.push(b'\n');
        bytes
    }
}

/// To a thousandth.
fn milliseconds(duration: Duration) -> f64 {
    let micros = u32::try_from(duration.as_micros()).unwrap_or(u32::MAX);
    f64::from(micros) / 1_000.0
}

#[cfg(test)]
impl Line<'static> {
    /// A line for tests.
    pub(super) fn example(status: StatusCode, duration: Duration) -> Self {
        let note = Note {
            time: Time::EPOCH,
            trace: TraceContext::new("req_1"),
            host: "a\"b\n".into(),
            client: Some(IpAddr::from([192, 0, 2, 1])),
            trip: Rc::default(),
        };
        Self {
            note: Box::leak(Box::new(note)),
            call: Call {
                user: "",
                key: "",
                service: "-",
                endpoint: "other",
                method: "GET",
                status_class: 2,
                hour: 0,
            },
            status,
            refused: None,
            bytes_in: 1,
            bytes_out: 2,
            duration,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line_whatever_was_sent() {
        let line = Line::example(StatusCode::OK, Duration::from_micros(1_500)).to_json();
        let text = String::from_utf8(line).unwrap();
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["server.address"], "a\"b\n");
        assert_eq!(line["duration_ms"], 1.5);
        for absent in ["user.id", "api_key.id", "error.type", "upstream.address"] {
            assert!(line.get(absent).is_none(), "{absent}");
        }
    }
}
