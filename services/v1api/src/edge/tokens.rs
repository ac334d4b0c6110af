//! Tokens that a worker has verified, so that a signature is checked once and not at each call.
//!
//! A kept token holds until it ends, a key changes or it is revoked. That nothing has been revoked
//! since is one atomic read.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use chassis::auth::{AuthError, Verifier};
use common::id::UserId;
use common::scope::Verb;
use common::time::Clock;
use common::token::{Claims, Rejection, TokenKind, Verified, audience};

use super::guard::Profile;
use crate::table::Service;

/// How many tokens a worker keeps.
const MOST_KEPT: usize = 10_000;

/// How many services a token remembers that it has been let through to.
const MOST_PASSES: usize = 16;

/// That a token has been let through to a service, and as whom the service sees its caller. It is
/// good while the service and all memberships are as they were, and the identity's token lasts.
pub(crate) struct Pass {
    /// The service, as it was then.
    pub(crate) service: Arc<Service>,
    /// What it was called for.
    pub(crate) verb: Verb,
    /// The last change of memberships at that time.
    pub(crate) members: i64,
    /// What the service gets.
    pub(crate) identity: Rc<str>,
    /// Until when to give it that, in seconds since the epoch.
    pub(crate) good_until: i64,
}

/// A token of a person or a key that holds.
pub(crate) struct Known {
    /// What it says.
    pub(crate) verified: Verified,
    /// The user, found by the identity where the token is older than the user.
    user: RefCell<Option<UserId>>,
    passes: RefCell<Vec<Pass>>,
    /// What confines it, as the guard last put it together.
    pub(super) profile: RefCell<Option<Rc<Profile>>>,
}

impl Known {
    /// What a handler has verified.
    pub(crate) fn of(kind: TokenKind, claims: Claims) -> Self {
        Self::verified(Verified {
            kind,
            kid: String::new(),
            claims,
        })
    }

    fn verified(verified: Verified) -> Self {
        Self {
            user: RefCell::new(verified.claims.user_id().cloned()),
            passes: RefCell::default(),
            profile: RefCell::default(),
            verified,
        }
    }

    /// As whom a service sees this caller, if the caller has been let through to it lately.
    pub(crate) fn pass(
        &self,
        service: &Arc<Service>,
        verb: Verb,
        members: i64,
        now: i64,
    ) -> Option<Rc<str>> {
        let passes = self.passes.borrow();
        let pass = passes.iter().find(|pass| {
            Arc::ptr_eq(&pass.service, service) && pass.verb == verb && pass.members == members
        })?;
        (now < pass.good_until).then(|| Rc::clone(&pass.identity))
    }

    /// Remembers that the caller has been let through.
    pub(crate) fn remember(&self, pass: Pass) {
        let mut passes = self.passes.borrow_mut();
        passes.retain(|other| {
            let same = other.service.name == pass.service.name && other.verb == pass.verb;
            !same
        });
        if passes.len() >= MOST_PASSES {
            passes.remove(0);
        }
        passes.push(pass);
    }

    /// What `look` finds in the platform's user, as far as known; else in an empty text.
    pub(crate) fn with_user<T>(&self, look: impl FnOnce(&str) -> T) -> T {
        look(self.user.borrow().as_ref().map_or("", UserId::as_str))
    }

    /// The platform's user of whom it speaks, as far as known.
    pub(crate) fn user(&self) -> Option<UserId> {
        self.user.borrow().clone()
    }

    /// Keeps what was found out.
    pub(crate) fn set_user(&self, user: UserId) {
        *self.user.borrow_mut() = Some(user);
    }

    /// The API key's id, if it is one.
    pub(crate) fn key_id(&self) -> Option<&str> {
        (self.verified.kind == TokenKind::ApiKey).then_some(self.verified.claims.sub.as_str())
    }
}

struct Entry {
    known: Rc<Known>,
    keys: u64,
    revocations: u64,
}

/// One worker's verified tokens.
pub(crate) struct Tokens {
    verifier: Verifier,
    clock: Clock,
    // Only what has been verified gets in, so that nobody can choose what falls together.
    kept: RefCell<HashMap<Box<str>, Entry, foldhash::quality::RandomState>>,
}

impl Tokens {
    /// None yet.
    pub(crate) fn new(verifier: Verifier, clock: Clock) -> Self {
        Self {
            verifier,
            clock,
            kept: RefCell::default(),
        }
    }

    /// Verifies a token as a person's or a key's.
    pub(crate) async fn verify(&self, token: &str) -> Result<Rc<Known>, AuthError> {
        if let Some(known) = self.kept(token)? {
            return Ok(known);
        }
        Box::pin(self.verify_anew(token)).await
    }

    async fn verify_anew(&self, token: &str) -> Result<Rc<Known>, AuthError> {
        // Read before the check: what is revoked while it goes on makes the entry old at once.
        let (keys, revocations) = (
            self.verifier.keys_epoch(),
            self.verifier.revocations_epoch(),
        );
        let kinds = [TokenKind::Access, TokenKind::ApiKey];
        let verified = self
            .verifier
            .verify(token, &kinds, audience::PLATFORM)
            .await?;
        let known = Rc::new(Known::verified(verified));
        let mut kept = self.kept.borrow_mut();
        if kept.len() >= MOST_KEPT {
            let now = self.clock.now().unix();
            kept.retain(|_, entry| entry.known.verified.claims.exp > now);
        }
        if kept.len() >= MOST_KEPT {
            kept.clear();
        }
        kept.insert(
            token.into(),
            Entry {
                known: Rc::clone(&known),
                keys,
                revocations,
            },
        );
        Ok(known)
    }

    fn kept(&self, token: &str) -> Result<Option<Rc<Known>>, AuthError> {
        let mut kept = self.kept.borrow_mut();
        let Some(entry) = kept.get_mut(token) else {
            return Ok(None);
        };
        if entry.known.verified.claims.exp <= self.clock.now().unix()
            || entry.keys != self.verifier.keys_epoch()
        {
            kept.remove(token);
            return Ok(None);
        }
        if !self.verifier.is_fresh() {
            return Err(AuthError::Stale);
        }
        let revocations = self.verifier.revocations_epoch();
        if entry.revocations != revocations {
            if self.verifier.is_revoked(&entry.known.verified) {
                kept.remove(token);
                return Err(Rejection::Revoked.into());
            }
            entry.revocations = revocations;
        }
        Ok(Some(Rc::clone(&entry.known)))
    }
}
