//! Verification of tokens with keys and revocations that arrive over time.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, RwLock};
use std::time::{Duration, Instant};

use common::event::TokensRevoked;
use common::id::SessionId;
use common::problem::Problem;
use common::time::{Clock, Time};
use common::token::{JwkSet, KeyRing, Rejection, TokenKind, Verified};

use crate::calls::{CallError, Calls};
use crate::feed::Freshness;
use crate::http::ApiError;

/// How long must pass between two attempts to learn an unknown key, so that made-up key names
/// don't become a flood of requests. Who comes in between waits for the next one: her key may be
/// newer than the last.
const REFRESH_PAUSE: Duration = Duration::from_millis(500);

/// Why a token isn't taken.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// There is none.
    #[error("no token was sent")]
    Missing,
    /// It doesn't hold.
    #[error("the token was refused")]
    Rejected(#[from] Rejection),
    /// What has been revoked isn't known well enough to say.
    #[error("revocations or keys are not known at the moment")]
    Stale,
}

impl From<AuthError> for ApiError {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Missing => Problem::unauthorized().into(),
            AuthError::Rejected(why) => Problem::invalid_token(&why.to_string()).into(),
            AuthError::Stale => {
                let detail = "Tokens can't be checked at the moment";
                Self::caused(Problem::unavailable("auth_unavailable", detail), error)
            }
        }
    }
}

/// Reads the keys anew where they are kept; none where that fails.
type Reload = Box<dyn Fn() -> Pin<Box<dyn Future<Output = Option<JwkSet>> + Send>> + Send + Sync>;

/// Where public keys come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeySource {
    /// From the auth service.
    Remote,
    /// The service has them itself: it is auth.
    Own,
}

/// The keys that are trusted.
struct Known {
    set: JwkSet,
    ring: Arc<KeyRing>,
}

#[derive(Default)]
struct Revocations {
    tokens: HashMap<String, Time>,
    generations: HashMap<String, (i64, Time)>,
    sessions: HashMap<SessionId, Time>,
    /// Like these, of identities whose API keys ended with their tokens.
    makers: HashMap<String, (i64, Time)>,
    keys: HashMap<String, Time>,
}

struct Shared {
    issuer: String,
    clock: Clock,
    source: KeySource,
    calls: Calls,
    reload: OnceLock<Reload>,
    ring: RwLock<Known>,
    revoked: RwLock<Revocations>,
    freshness: RwLock<Option<Freshness>>,
    /// When the last attempt to learn the keys began; held while one goes on.
    refreshing: tokio::sync::Mutex<Option<Instant>>,
    keys_epoch: AtomicU64,
    revocations_epoch: AtomicU64,
}

/// Verifies tokens; cheap to clone.
#[derive(Clone)]
pub struct Verifier(Arc<Shared>);

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Verifier")
    }
}

/// A lock whose holder panicked still guards whole values: each is replaced at once.
fn read<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Verifier {
    pub(crate) fn new(issuer: String, clock: Clock, source: KeySource, calls: Calls) -> Self {
        let set = JwkSet::default();
        let ring = Arc::new(KeyRing::new(&issuer, &set));
        Self(Arc::new(Shared {
            ring: RwLock::new(Known { set, ring }),
            issuer,
            clock,
            source,
            calls,
            reload: OnceLock::new(),
            revoked: RwLock::new(Revocations::default()),
            freshness: RwLock::new(None),
            refreshing: tokio::sync::Mutex::new(None),
            keys_epoch: AtomicU64::new(0),
            revocations_epoch: AtomicU64::new(0),
        }))
    }

    /// Takes these keys and no others.
    pub fn set_keys(&self, set: &JwkSet) {
        let mut known = write(&self.0.ring);
        // The same again is no news: what was verified by them needn't be verified anew.
        if known.set != *set {
            *known = Known {
                set: set.clone(),
                ring: Arc::new(KeyRing::new(&self.0.issuer, set)),
            };
            self.0.keys_epoch.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// For auth itself: how an unknown key is looked for, since another replica may have made it.
    pub fn set_reload<F, R>(&self, reload: F)
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Option<JwkSet>> + Send + 'static,
    {
        // Whoever sets it twice keeps the first.
        let _set_already = self.0.reload.set(Box::new(move || Box::pin(reload())));
    }

    /// Another number whenever the keys are others: what was verified before is then to be verified again.
    #[must_use]
    pub fn keys_epoch(&self) -> u64 {
        self.0.keys_epoch.load(Ordering::Acquire)
    }

    /// Another number whenever something has been revoked: what was verified before may be
    /// [revoked](Self::is_revoked) since.
    #[must_use]
    pub fn revocations_epoch(&self) -> u64 {
        self.0.revocations_epoch.load(Ordering::Acquire)
    }

    /// Whether any key is known.
    #[must_use]
    pub fn has_keys(&self) -> bool {
        !read(&self.0.ring).ring.is_empty()
    }

    /// From now on tokens are refused while this says that revocations are stale.
    pub(crate) fn set_freshness(&self, freshness: Freshness) {
        *write(&self.0.freshness) = Some(freshness);
    }

    /// Takes note of a revocation.
    pub fn revoke(&self, entry: TokensRevoked) {
        let now = self.0.clock.now();
        let mut revoked = write(&self.0.revoked);
        match entry {
            TokensRevoked::Token { jti, until } => {
                revoked.tokens.insert(jti, until);
                revoked.tokens.retain(|_, until| *until > now);
            }
            TokensRevoked::Generation {
                sub,
                generation,
                until,
            } => {
                note_generation(&mut revoked.generations, sub, (generation, until), now);
            }
            TokensRevoked::Identity {
                identity_id,
                generation,
                until,
            } => {
                let (sub, first) = (identity_id.to_string(), (generation, until));
                note_generation(&mut revoked.generations, sub.clone(), first, now);
                note_generation(&mut revoked.makers, sub, first, now);
            }
            TokensRevoked::Session { sid, until } => {
                revoked.sessions.insert(sid, until);
                revoked.sessions.retain(|_, until| *until > now);
            }
            TokensRevoked::Key { kid, until } => {
                if revoked.keys.insert(kid, until).is_none() {
                    // Our own tokens may be of that key.
                    self.0.calls.forget_tokens();
                }
                revoked.keys.retain(|_, until| *until > now);
            }
        }
        drop(revoked);
        self.0.revocations_epoch.fetch_add(1, Ordering::AcqRel);
    }

    /// Whether a token that holds otherwise has been revoked.
    #[must_use]
    pub fn is_revoked(&self, token: &Verified) -> bool {
        let revoked = read(&self.0.revoked);
        revoked.tokens.contains_key(&token.claims.jti)
            || revoked.keys.contains_key(&token.kid)
            || token
                .claims
                .session_id()
                .is_some_and(|sid| revoked.sessions.contains_key(&sid))
            || revoked
                .generations
                .get(&token.claims.sub)
                .is_some_and(|(first, _)| token.claims.generation < *first)
            || token
                .claims
                .auth_identity_id
                .as_ref()
                .and_then(|identity| revoked.generations.get(identity.as_str()))
                .is_some_and(|(first, _)| {
                    token.kind != TokenKind::ApiKey && token.claims.generation < *first
                })
            || token
                .claims
                .auth_identity_id
                .as_ref()
                .and_then(|identity| revoked.makers.get(identity.as_str()))
                .is_some_and(|(first, _)| token.claims.generation < *first)
    }

    /// Whether what has been revoked is known up to a moment ago.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        read(&self.0.freshness)
            .as_ref()
            .is_none_or(Freshness::is_fresh)
    }

    /// Verifies a token of one of these kinds for this audience. An unknown key is asked for once.
    pub async fn verify(
        &self,
        token: &str,
        kinds: &[TokenKind],
        audience: &str,
    ) -> Result<Verified, AuthError> {
        let now = self.0.clock.now();
        let ring = self.ring();
        let verified = match ring.verify(token, kinds, audience, now) {
            Err(Rejection::UnknownKey) => {
                self.refresh().await?;
                self.ring().verify(token, kinds, audience, now)?
            }
            other => other?,
        };
        // Service tokens live for five minutes and are needed to learn of revocations at all.
        if verified.kind != TokenKind::Service && !self.is_fresh() {
            return Err(AuthError::Stale);
        }
        if self.is_revoked(&verified) {
            return Err(Rejection::Revoked.into());
        }
        Ok(verified)
    }

    fn ring(&self) -> Arc<KeyRing> {
        Arc::clone(&read(&self.0.ring).ring)
    }

    /// Learns the keys as they are after this moment, but not more often than every
    /// [`REFRESH_PAUSE`]: an attempt that began later than this call serves all who wait.
    pub(crate) async fn refresh(&self) -> Result<(), AuthError> {
        // Not the service's clock, which a test may have stopped.
        let called = Instant::now();
        let mut last = self.0.refreshing.lock().await;
        if let Some(began) = *last {
            if began >= called {
                return Ok(());
            }
            tokio::time::sleep_until((began + REFRESH_PAUSE).into()).await;
        }
        *last = Some(Instant::now());
        match self.learn().await {
            // A set without any key is a mistake of who gave it, and no reason to refuse everybody.
            Some(set) if !set.keys.is_empty() => self.set_keys(&set),
            _ if self.has_keys() => {}
            _ => {
                // Nobody can be served before there are keys: no reason to wait with the next try.
                *last = None;
                return Err(AuthError::Stale);
            }
        }
        Ok(())
    }

    async fn learn(&self) -> Option<JwkSet> {
        match self.0.source {
            KeySource::Own => match self.0.reload.get() {
                Some(reload) => reload().await,
                None => None,
            },
            KeySource::Remote => {
                let fetched: Result<JwkSet, CallError> =
                    self.0.calls.get_open("auth", "/internal/jwks").await;
                fetched
                    .inspect_err(|error| {
                        tracing::warn!(error = %error, "the signing keys could not be learnt");
                    })
                    .ok()
            }
        }
    }
}

fn note_generation(
    known: &mut HashMap<String, (i64, Time)>,
    sub: String,
    (generation, until): (i64, Time),
    now: Time,
) {
    let newest = known.entry(sub).or_insert((generation, until));
    *newest = (newest.0.max(generation), newest.1.max(until));
    known.retain(|_, (_, until)| *until > now);
}
