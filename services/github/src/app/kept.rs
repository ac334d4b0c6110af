//! Answers that are kept with their tag (RFC 9110, section 8.8.3): what hasn't changed is asked for without
//! being sent, and doesn't count against the rate limit.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::Method;
use reqwest::header::{ETAG, HeaderMap, HeaderValue};
use url::Url;

use super::ask::{Answer, Ask};
use super::limits::Bucket;

/// How many bytes of answers are kept.
const MOST: usize = 8 << 20;
/// What an answer takes beside its body, about.
const OVERHEAD: usize = 512;

/// An answer and its tag.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) tag: HeaderValue,
    pub(super) next: Option<Url>,
    pub(super) body: Arc<[u8]>,
}

#[derive(Debug, Default)]
struct Answers {
    by_question: HashMap<(Bucket, Url, &'static str), Kept>,
    bytes: usize,
}

/// The answers that are kept, for each who asks.
#[derive(Debug, Default)]
pub(super) struct KeptAnswers(Mutex<Answers>);

impl KeptAnswers {
    /// What was answered to the same question last.
    pub(super) fn of(&self, ask: &Ask<'_>) -> Option<Kept> {
        if ask.method != Method::GET {
            return None;
        }
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.by_question.get(&question(ask)).cloned()
    }

    /// Keeps an answer that has a tag. What a person was answered is hers, and nobody asks for it again.
    pub(super) fn keep(&self, ask: &Ask<'_>, headers: &HeaderMap, answer: &Answer) {
        let size = answer.body.len() + OVERHEAD;
        let keepable = ask.method == Method::GET
            && answer.status == 200
            && ask.by.bucket() != Bucket::Person
            && size <= MOST / 4;
        let Some(tag) = headers.get(ETAG).filter(|_| keepable) else {
            return;
        };
        let value = Kept {
            tag: tag.clone(),
            next: answer.next.clone(),
            body: Arc::clone(&answer.body),
        };
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.bytes + size > MOST {
            // Which of them go doesn't matter: they are asked for in full once more.
            *kept = Answers::default();
        }
        kept.bytes += size;
        if let Some(before) = kept.by_question.insert(question(ask), value) {
            kept.bytes = kept.bytes.saturating_sub(before.body.len() + OVERHEAD);
        }
    }
}

fn question(ask: &Ask<'_>) -> (Bucket, Url, &'static str) {
    (ask.by.bucket(), ask.url.clone(), ask.accept)
}
