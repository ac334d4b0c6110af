//! What is said to callers of gRPC in its own words.

use std::fmt::Write as _;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::body::{BoxBody, MessageBody as _, None as NoBody};
use actix_web::dev::ServiceResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use chassis::http::RefusedAs;
use h2::Reason;
use serde_json::Value;

/// The field that says how a call ended.
pub(super) const STATUS: &str = "grpc-status";
const MESSAGE: &str = "grpc-message";

/// How a call ended, of what gRPC knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Cancelled = 1,
    Unknown = 2,
    DeadlineExceeded = 4,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    Unauthenticated = 16,
}

impl Status {
    /// What a status of HTTP is in gRPC: by its table for those who meet one, but that a limit, here, is the
    /// caller's own, and that what took too long isn't just away.
    fn of_http(status: StatusCode) -> Self {
        match status.as_u16() {
            400 | 421 => Self::Internal,
            401 => Self::Unauthenticated,
            403 => Self::PermissionDenied,
            404 | 405 => Self::Unimplemented,
            408 | 504 => Self::DeadlineExceeded,
            413 | 429 | 431 => Self::ResourceExhausted,
            502 | 503 => Self::Unavailable,
            _ => Self::Unknown,
        }
    }

    /// What the reason of a stream's reset is in gRPC.
    pub(super) fn of_reset(reason: Reason) -> Self {
        match reason {
            Reason::REFUSED_STREAM => Self::Unavailable,
            Reason::CANCEL => Self::Cancelled,
            Reason::ENHANCE_YOUR_CALM => Self::ResourceExhausted,
            Reason::INADEQUATE_SECURITY => Self::PermissionDenied,
            _ => Self::Internal,
        }
    }

    fn value(self) -> HeaderValue {
        HeaderValue::from(self as u16)
    }
}

/// The end of an answer that the gateway writes itself.
pub(super) fn trailers(status: Status, message: &str) -> http::HeaderMap {
    let mut fields = http::HeaderMap::new();
    fields.insert(STATUS, http::HeaderValue::from(status as u16));
    if let Ok(message) = http::HeaderValue::try_from(escaped(message)) {
        fields.insert(MESSAGE, message);
    }
    fields
}

/// The status of HTTP that a call is counted by, among the extensions of an answer that says it in another way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CountedAs(pub(crate) StatusCode);

/// A refusal of the gateway's as one of gRPC: a head alone, which says all. Other answers stay as they are.
pub(crate) fn refuse(response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
    let status = response.status();
    let code = {
        let extensions = response.response().extensions();
        extensions
            .get::<RefusedAs>()
            .map(|refused| refused.0.clone())
    };
    let Some(code) = code else {
        return response;
    };
    let (request, refused) = response.into_parts();
    ServiceResponse::new(request, refusal(refused, status, &code))
}

fn refusal(refused: HttpResponse, status: StatusCode, code: &str) -> HttpResponse {
    let (mut response, body) = refused.into_parts();
    let problem = body.try_into_bytes().ok();
    let problem: Option<Value> = problem.and_then(|body| serde_json::from_slice(&body).ok());
    let detail = problem
        .as_ref()
        .and_then(|problem| problem["detail"].as_str());
    let message = detail.map_or_else(|| code.to_owned(), |detail| format!("{code}: {detail}"));
    *response.status_mut() = StatusCode::OK;
    let fields = response.headers_mut();
    fields.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/grpc"),
    );
    fields.insert(
        HeaderName::from_static(STATUS),
        Status::of_http(status).value(),
    );
    if let Ok(message) = HeaderValue::try_from(escaped(&message)) {
        fields.insert(HeaderName::from_static(MESSAGE), message);
    }
    response.extensions_mut().insert(CountedAs(status));
    response.set_body(BoxBody::new(NoBody::new()))
}

/// A text as `grpc-message` carries it: what isn't plain ASCII as `%` and two digits.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if matches!(byte, b' '..=b'~') && byte != b'%' {
            escaped.push(byte.into());
        } else {
            let _infallible = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

/// How long a caller gives a call: at most eight digits, and a unit. None where it can't be read.
pub(super) fn timeout(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(match unit {
        b'H' => Duration::from_secs(number * 60 * 60),
        b'M' => Duration::from_secs(number * 60),
        b'S' => Duration::from_secs(number),
        b'm' => Duration::from_millis(number),
        b'u' => Duration::from_micros(number),
        b'n' => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_in_grpc_what_it_is_in_http() {
        for (status, expected) in [
            (400, 13),
            (401, 16),
            (403, 7),
            (404, 12),
            (405, 12),
            (408, 4),
            (413, 8),
            (418, 2),
            (421, 13),
            (429, 8),
            (500, 2),
            (502, 14),
            (503, 14),
            (504, 4),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(Status::of_http(status) as u16, expected, "{status}");
        }
    }

    #[test]
    fn a_deadline_is_eight_digits_at_most_and_a_unit() {
        let seconds = |text: &str| timeout(text.as_bytes()).map(|time| time.as_secs_f64());
        for (text, expected) in [("1H", 3600.0), ("2M", 120.0), ("3S", 3.0), ("4m", 0.004)] {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
        assert_eq!(timeout(b"5u"), Some(Duration::from_micros(5)));
        assert_eq!(
            timeout(b"99999999n"),
            Some(Duration::from_nanos(99_999_999))
        );
        for text in ["", "S", "1", "1s", "-1S", "123456789S", "1 S", "1.5S"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    #[test]
    fn a_message_is_plain_ascii() {
        assert_eq!(escaped("100 % of\nthis: é"), "100 %25 of%0Athis: %C3%A9");
    }
}
