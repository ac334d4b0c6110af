//! The trace context that goes with every piece of work (W3C Trace Context).

#[cfg(test)]
mod fuzz;

use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::sync::Arc;

use actix_web::http::header::{HeaderMap, HeaderName};
use common::id::RequestId;
use common::random;
use common::time::Time;
use tokio::task::futures::TaskLocalFuture;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// `N` lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Hex<const N: usize>([u8; N]);

impl<const N: usize> Hex<N> {
    /// Bytes as digits, two for each.
    fn of_bytes(bytes: &[u8]) -> Self {
        let mut digits = [b'0'; N];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
            pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
        }
        Self(digits)
    }

    /// What a text of that many digits is.
    fn parse(text: &str) -> Option<Self> {
        let digits: [u8; N] = text.as_bytes().try_into().ok()?;
        let hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        digits.iter().all(hex).then_some(Self(digits))
    }
}

const fn digit(value: u8) -> u8 {
    if value < 10 {
        b'0' + value
    } else {
        b'a' + value - 10
    }
}

impl<const N: usize> Deref for Hex<N> {
    type Target = str;

    fn deref(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl<const N: usize> fmt::Display for Hex<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl<const N: usize> fmt::Debug for Hex<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

/// Where a piece of work comes from: the request's id, and its place in a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The request in logs and answers.
    pub request_id: Arc<str>,
    /// The trace.
    pub trace_id: Hex<32>,
    /// This piece of work in it.
    pub span_id: Hex<16>,
}

tokio::task_local! {
    static CURRENT: TraceContext;
}

impl TraceContext {
    /// A new trace's first piece of work.
    #[must_use]
    pub fn new(request_id: impl Into<Arc<str>>) -> Self {
        // Ids, not secrets: sixteen bytes for the one, eight for the other.
        let bytes = random::unique::<24>();
        let (trace, span) = bytes.split_at(16);
        Self {
            request_id: request_id.into(),
            trace_id: Hex::of_bytes(trace),
            span_id: Hex::of_bytes(span),
        }
    }

    /// A piece of work inside the trace that `traceparent` names; a new trace if that can't be read.
    #[must_use]
    pub fn continuing(traceparent: Option<&str>, request_id: impl Into<Arc<str>>) -> Self {
        let mut context = Self::new(request_id);
        if let Some(trace_id) = traceparent.and_then(trace_id_of) {
            context.trace_id = trace_id;
        }
        context
    }

    /// The context of a request: the id and the trace that its headers name, where they can be
    /// read, and new ones where they can't.
    #[must_use]
    pub fn of_request(headers: &HeaderMap, now: Time) -> Self {
        let header = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let request_id = header(REQUEST_ID).filter(|id| {
            let usual = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            (1..=64).contains(&id.len()) && id.bytes().all(usual)
        });
        let request_id: Arc<str> = match request_id {
            Some(id) => id.into(),
            None => RequestId::new(now).as_str().into(),
        };
        Self::continuing(header(TRACEPARENT), request_id)
    }

    /// The value for a `traceparent` header (version 00, sampled).
    #[must_use]
    pub fn traceparent(&self) -> String {
        format!("00-{}-{}-01", self.trace_id, self.span_id)
    }

    /// The context of the work that runs now, if there is one.
    #[must_use]
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Clone::clone).ok()
    }

    /// Runs a future inside this context. A large one is better pinned before: it is moved on the way.
    pub fn scope<F: Future>(self, work: F) -> TaskLocalFuture<Self, F> {
        CURRENT.scope(self, work)
    }

    /// Runs blocking work inside a context, if there is one.
    pub fn sync_scope<T>(context: Option<Self>, work: impl FnOnce() -> T) -> T {
        match context {
            Some(context) => CURRENT.sync_scope(context, work),
            None => work(),
        }
    }
}

/// The trace id of a well-formed `traceparent`. Versions to come may add parts; ours has none.
fn trace_id_of(traceparent: &str) -> Option<Hex<32>> {
    let mut parts = traceparent.split('-');
    let version = Hex::<2>::parse(parts.next()?)?;
    let trace_id = Hex::<32>::parse(parts.next()?)?;
    let parent = Hex::<16>::parse(parts.next()?)?;
    let _flags = Hex::<2>::parse(parts.next()?)?;
    let known = match &*version {
        "00" => parts.next().is_none(),
        version => version != "ff",
    };
    let is_named = |id: &str| id.bytes().any(|byte| byte != b'0');
    (known && is_named(&trace_id) && is_named(&parent)).then_some(trace_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_goes_on_and_a_broken_one_starts_anew() {
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let context = TraceContext::continuing(Some(parent), "req");
        assert_eq!(&*context.trace_id, "0af7651916cd43dd8448eb211c80319c");
        assert_ne!(&*context.span_id, "b7ad6b7169203331");
        for broken in [
            "",
            "00-xyz",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            &parent.to_uppercase(),
            &format!("{parent}-01"),
            parent.strip_suffix("-01").unwrap(),
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        ] {
            assert_ne!(
                TraceContext::continuing(Some(broken), "req").trace_id,
                context.trace_id,
                "{broken}"
            );
        }
    }
}
