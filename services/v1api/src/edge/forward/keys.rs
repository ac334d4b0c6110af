//! Which key signs, and which are published.

use std::sync::Arc;

use common::time::{Span, Time};
use common::token::{JwkSet, SigningKey};

use super::LIFETIME;

/// How far the clocks of gateways and services may be apart.
const SKEW: Span = Span::seconds(60);

/// A key, and since when there is it.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) kid: String,
    pub(super) key: Arc<SigningKey>,
    pub(super) created_at: Time,
}

/// All keys, the oldest first. Each is published for a while before it signs, so that whoever keeps a
/// copy of the published ones has it by then; and for as long after the next one has begun as there may
/// be tokens that it has signed.
#[derive(Clone, Debug)]
pub(super) struct ForwardKeys {
    kept: Vec<Kept>,
    notice: Span,
}

impl ForwardKeys {
    /// These keys, the oldest first, of which a new one is published for so long before it signs.
    pub(super) fn new(kept: Vec<Kept>, notice: Span) -> Self {
        Self { kept, notice }
    }

    /// The key that signs now.
    pub(super) fn signing(&self, now: Time) -> Option<&Arc<SigningKey>> {
        let begun = self.kept.iter().rev();
        let mut begun = begun.filter(|kept| begins(kept.created_at, self.notice) <= now);
        // The first of all has none before it that could sign until then.
        let signing = begun.next().or_else(|| self.kept.first())?;
        Some(&signing.key)
    }

    /// The keys by which tokens are verified now.
    pub(super) fn published(&self, now: Time) -> JwkSet {
        let gone = self.gone(now).len();
        let kept = self.kept.iter().skip(gone);
        JwkSet {
            keys: kept.map(|kept| kept.key.public().clone()).collect(),
        }
    }

    /// The names of the keys that nobody needs any more: every token that they have signed has ended.
    pub(super) fn gone(&self, now: Time) -> Vec<String> {
        let outlived = |next: &Kept| {
            let begins = begins(next.created_at, self.notice);
            begins + Span::seconds(LIFETIME) + SKEW + SKEW < now
        };
        let followed = self.kept.iter().zip(self.kept.iter().skip(1));
        followed
            .take_while(|(_, next)| outlived(next))
            .map(|(kept, _)| kept.kid.clone())
            .collect()
    }

    /// The key that was made last.
    pub(super) fn newest(&self) -> Option<&Kept> {
        self.kept.last()
    }

    /// The key of this name.
    pub(super) fn find(&self, kid: &str) -> Option<&Kept> {
        self.kept.iter().find(|kept| kept.kid == kid)
    }

    /// Whether these are the very same.
    pub(super) fn are<'a>(&self, kids: impl Iterator<Item = &'a String>) -> bool {
        self.kept.iter().map(|kept| &kept.kid).eq(kids)
    }
}

/// From when on a key signs that was made then, where there was another before it.
pub(super) fn begins(created_at: Time, notice: Span) -> Time {
    created_at + notice
}
