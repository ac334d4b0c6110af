//! GitHub's rate limits ("Best practices for using the REST API"): whoever goes on asking after
//! being told to wait is shut out for longer, so nothing is asked before the time is over.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use common::time::{Span, Time};
use reqwest::header::HeaderMap;

/// How long to wait where GitHub doesn't say: "at least one minute".
const UNTOLD: Span = Span::minutes(1);
/// The longest wait that is believed.
const LONGEST: Span = Span::hours(2);

/// Whose requests are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Bucket {
    /// The App's own.
    App,
    /// An installation's.
    Installation(u64),
    /// A person's: not held back, as each is asked once.
    Person,
}

/// Until when nothing is asked, by bucket.
#[derive(Debug, Default)]
pub(super) struct Limits(Mutex<HashMap<Bucket, Time>>);

impl Limits {
    /// Until when nothing may be asked, if that is so.
    pub(super) fn held_until(&self, bucket: Bucket, now: Time) -> Option<Time> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|_, until| *until > now);
        held.get(&bucket).copied()
    }

    /// Notes what an answer says of the limits; until when to wait, if it was refused by one.
    pub(super) fn note(
        &self,
        bucket: Bucket,
        (status, headers, body): (u16, &HeaderMap, &[u8]),
        now: Time,
    ) -> Option<Time> {
        let number = |name: &str| {
            let value = headers.get(name)?.to_str().ok()?;
            value.trim().parse::<i64>().ok()
        };
        let used_up = number("x-ratelimit-remaining") == Some(0);
        let told =
            number("retry-after").map(|seconds| now + Span::seconds(seconds.clamp(1, 86_400)));
        let refused = matches!(status, 403 | 429)
            && (used_up || told.is_some() || status == 429 || names_a_limit(body));
        if !refused && !used_up {
            return None;
        }
        let reset = number("x-ratelimit-reset")
            .filter(|_| used_up)
            .map(Time::from_unix);
        let until = told
            .or(reset)
            .filter(|until| *until > now)
            .unwrap_or(now + UNTOLD)
            .min(now + LONGEST);
        if bucket != Bucket::Person {
            let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            held.insert(bucket, until);
        }
        refused.then_some(until)
    }
}

/// The secondary limit is told by its message alone, where no header says how long to wait.
fn names_a_limit(body: &[u8]) -> bool {
    String::from_utf8_lossy(body).contains("rate limit")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, String)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (
                    reqwest::header::HeaderName::from_static(name),
                    value.parse().unwrap(),
                )
            })
            .collect()
    }

    #[test]
    fn each_way_to_say_wait_is_understood_and_holds_one_bucket_alone() {
        let now = Time::from_unix(1_000_000);
        let one = Bucket::Installation(1);
        let cases = [
            (403, headers(&[("retry-after", "7".into())]), &b""[..], 7),
            (
                403,
                headers(&[
                    ("x-ratelimit-remaining", "0".into()),
                    ("x-ratelimit-reset", (now.unix() + 90).to_string()),
                ]),
                b"",
                90,
            ),
            (429, headers(&[]), b"", 60),
            (
                403,
                headers(&[]),
                b"You have exceeded a secondary rate limit",
                60,
            ),
            (
                403,
                headers(&[("retry-after", "99999999".into())]),
                b"",
                7_200,
            ),
        ];
        for (status, headers, body, seconds) in cases {
            let limits = Limits::default();
            let until = now + Span::seconds(seconds);
            assert_eq!(limits.note(one, (status, &headers, body), now), Some(until));
            assert_eq!(limits.held_until(one, now), Some(until));
            assert_eq!(limits.held_until(one, until), None);
            assert_eq!(limits.held_until(Bucket::Installation(2), now), None);
        }
    }

    #[test]
    fn a_refusal_for_another_reason_holds_nobody_and_the_last_good_answer_does() {
        let now = Time::from_unix(1_000_000);
        let limits = Limits::default();
        let denied = b"Resource not accessible by integration";
        assert_eq!(
            limits.note(Bucket::App, (403, &headers(&[]), denied), now),
            None
        );
        assert_eq!(limits.held_until(Bucket::App, now), None);
        let last = headers(&[
            ("x-ratelimit-remaining", "0".into()),
            ("x-ratelimit-reset", (now.unix() + 30).to_string()),
        ]);
        assert_eq!(limits.note(Bucket::App, (200, &last, b""), now), None);
        assert_eq!(
            limits.held_until(Bucket::App, now),
            Some(now + Span::seconds(30))
        );
    }
}
