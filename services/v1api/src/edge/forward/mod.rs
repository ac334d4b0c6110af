//! The caller as an upstream service sees it: a `forward+jwt` of at most a minute, signed with a key
//! of the gateway's own.
//!
//! All replicas have the same keys, out of the database. A new one is made every now and then, or when an
//! admin asks for it. Which of them signs follows from when they were made alone, so that replicas need
//! not agree on anything; see [`keys`].

pub(crate) mod http;
mod keys;
mod store;
#[cfg(test)]
mod tests;

use std::rc::Rc;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use chassis::db::{Database, Db};
use chassis::seal::{SealError, Sealer};
use common::id::{AccountId, TokenId, UserId};
use common::names::ServiceName;
use common::scope::{Scope, ScopeSet};
use common::time::{Clock, Span, Time};
use common::token::{
    ActorType, Algorithm, AppMetadata, Claims, InvalidKey, JwkSet, SigningKey, TokenKind, audience,
};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

use keys::{ForwardKeys, Kept};
use store::KeyRow;

/// How long such a token lives, in seconds.
const LIFETIME: i64 = 60;
/// For how long of that it is handed out, in seconds: who gets it has time to read it.
const HANDED_OUT: i64 = 40;
/// How often is looked for keys that other replicas have made, and whether it is time for another.
const PERIOD: Duration = Duration::from_secs(1);

/// Why there is no key to sign with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ForwardKeyError {
    /// The database.
    #[error("the keys can't be read or kept")]
    Db(#[from] diesel::result::Error),
    /// The master key doesn't open it.
    #[error("a key can't be unsealed")]
    Seal(#[from] SealError),
    /// It is none.
    #[error("a key can't be used")]
    Key(#[from] InvalidKey),
    /// Somebody has taken all of them away.
    #[error("there is no key")]
    None,
}

/// When there are new keys.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rotation {
    /// How old a key becomes before the next is made; none for as old as it likes.
    pub(crate) every: Option<Span>,
    /// For how long a new key is published before it signs.
    pub(crate) notice: Span,
}

struct Shared {
    db: Database,
    sealer: Sealer,
    clock: Clock,
    issuer: Arc<str>,
    rotation: Rotation,
    /// Seldom looked at: a token is signed once per caller, service and most of a minute.
    keys: RwLock<Arc<ForwardKeys>>,
    // Of two that read at once, the one that read less must not write last.
    refreshing: Mutex<()>,
}

/// Signs what upstreams get; cheap to clone.
#[derive(Clone)]
pub(crate) struct ForwardSigner(Arc<Shared>);

/// What is to be noted, in the same transaction, of a key of this name that is made at this time.
pub(crate) type Note = Box<dyn FnOnce(&mut Db, &str, Time) -> diesel::QueryResult<()> + Send>;

/// The key that was made last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Newest {
    pub(crate) kid: String,
    pub(crate) created_at: Time,
    /// From when on it signs.
    pub(crate) signs_from: Time,
}

/// Whom a token speaks of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller<'a> {
    /// The subject: the user, or the identity while there is no user.
    pub(crate) subject: &'a str,
    /// The user.
    pub(crate) user: Option<&'a UserId>,
    /// The key, if one was used.
    pub(crate) key: Option<&'a str>,
    /// What the caller acts as.
    pub(crate) actor: Option<ActorType>,
    /// The account a key is confined to.
    pub(crate) account: Option<&'a AccountId>,
}

impl ForwardSigner {
    /// The gateway's keys, the first of which is made at the first start; of replicas that start at
    /// once one makes it.
    pub(crate) async fn open(
        db: &Database,
        sealer: &Sealer,
        clock: &Clock,
        issuer: &str,
        rotation: Rotation,
    ) -> Result<Self, ForwardKeyError> {
        let signer = Self(Arc::new(Shared {
            db: db.clone(),
            sealer: sealer.clone(),
            clock: clock.clone(),
            issuer: issuer.into(),
            rotation,
            keys: RwLock::new(Arc::new(ForwardKeys::new(Vec::new(), rotation.notice))),
            refreshing: Mutex::default(),
        }));
        signer.refresh().await?;
        if signer.known().newest().is_none() {
            signer.add(<[Time]>::is_empty, None).await?;
        }
        Ok(signer)
    }

    /// The public keys by which upstreams verify.
    pub(crate) fn keys(&self) -> JwkSet {
        self.known().published(self.0.clock.now())
    }

    /// A token for this caller of this service, with this scope, and until when to hand it out, in
    /// seconds since the epoch.
    pub(crate) fn sign(
        &self,
        service: &ServiceName,
        scope: Scope,
        caller: &Caller<'_>,
    ) -> Result<(Rc<str>, i64), ForwardKeyError> {
        let now = self.0.clock.now();
        let jti = TokenId::new(now).to_string();
        let aud = audience::upstream(service);
        let mut claims = Claims::new(
            &self.0.issuer,
            caller.subject,
            aud,
            now.unix(),
            now.unix() + LIFETIME,
            jti,
        );
        claims.scope = ScopeSet::from_iter([scope]);
        claims.app_metadata = AppMetadata::of(caller.user.cloned());
        claims.actor_id = caller.user.map(ToString::to_string).unwrap_or_default();
        claims.actor_type = caller.actor;
        claims.account_id = caller.account.cloned();
        if let Some(key) = caller.key {
            claims.extra.insert("key_id".into(), key.into());
        }
        let keys = self.known();
        let key = keys.signing(now).ok_or(ForwardKeyError::None)?;
        let token = key.sign(TokenKind::Forward, &claims)?;
        Ok((token.into(), now.unix() + HANDED_OUT))
    }

    /// Makes a new key, unless one that was made waits for its time: then it is that one. `note` is part
    /// of the transaction that a key is made in.
    pub(crate) async fn rotate(&self, note: Option<Note>) -> Result<Newest, ForwardKeyError> {
        let (now, notice) = (self.0.clock.now(), self.0.rotation.notice);
        // The first of all signs at once: there is none that could until then.
        let waits = move |made: &[Time]| match made {
            [.., _, newest] => keys::begins(*newest, notice) > now,
            _ => false,
        };
        self.add(move |made| !waits(made), note).await?;
        let known = self.known();
        let newest = known.newest().ok_or(ForwardKeyError::None)?;
        Ok(Newest {
            kid: newest.kid.clone(),
            created_at: newest.created_at,
            signs_from: keys::begins(newest.created_at, notice),
        })
    }

    /// Follows the other replicas, and makes and removes keys in time, until the service stops.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let mut failing = false;
        let mut ticks = tokio::time::interval(PERIOD);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = ticks.tick() => {}
            }
            match self.tick().await {
                Ok(()) => failing = false,
                Err(error) if !failing => {
                    failing = true;
                    let error = anyhow::Error::new(error);
                    tracing::warn!(
                        error = format!("{error:#}"),
                        "the keys for upstreams can't be followed; those known go on"
                    );
                }
                Err(_still) => {}
            }
        }
    }

    /// One look at the keys, and what there is to do.
    async fn tick(&self) -> Result<(), ForwardKeyError> {
        self.refresh().await?;
        let (known, now) = (self.known(), self.0.clock.now());
        let gone = known.gone(now);
        if !gone.is_empty() {
            self.0.db.write(move |db| store::remove(db, &gone)).await?;
            self.refresh().await?;
        }
        let Some(every) = self.0.rotation.every else {
            return Ok(());
        };
        let is_old = move |newest: Option<&Time>| newest.is_none_or(|at| *at + every <= now);
        if is_old(known.newest().map(|newest| &newest.created_at)) {
            self.add(move |made| is_old(made.last()), None).await?;
        }
        Ok(())
    }

    /// Adds a key, if that is due by then, and takes over what there is.
    async fn add(
        &self,
        is_due: impl FnOnce(&[Time]) -> bool + Send + 'static,
        note: Option<Note>,
    ) -> Result<(), ForwardKeyError> {
        let fresh = self.fresh()?;
        let added = self
            .0
            .db
            .write(move |db| {
                let added = store::add(db, &fresh, is_due)?;
                if added && let Some(note) = note {
                    note(db, &fresh.kid, fresh.created_at)?;
                }
                Ok::<_, diesel::result::Error>(added.then_some(fresh.kid))
            })
            .await?;
        if let Some(kid) = added {
            tracing::info!(key.id = %kid, "there is a new key for what upstreams are told");
        }
        self.refresh().await
    }

    fn fresh(&self) -> Result<KeyRow, ForwardKeyError> {
        let algorithm = Algorithm::Es256;
        let fresh = SigningKey::generate(algorithm)?;
        let key = SigningKey::from_pkcs8(algorithm, &fresh, &[TokenKind::Forward])?;
        let kid = key.public().kid.clone();
        Ok(KeyRow {
            sealed: self.0.sealer.seal(&fresh, &place(&kid))?,
            kid,
            algorithm,
            created_at: self.0.clock.now(),
        })
    }

    /// Takes over the keys that the database has.
    async fn refresh(&self) -> Result<(), ForwardKeyError> {
        let _alone = self.0.refreshing.lock().await;
        let rows = self.0.db.read(store::all).await?;
        let known = self.known();
        if known.are(rows.iter().map(|row| &row.kid)) {
            return Ok(());
        }
        let mut kept = Vec::with_capacity(rows.len());
        for row in rows {
            let key = match known.find(&row.kid) {
                Some(known) => Arc::clone(&known.key),
                None => Arc::new(self.unsealed(&row)?),
            };
            kept.push(Kept {
                kid: row.kid,
                key,
                created_at: row.created_at,
            });
        }
        let keys = Arc::new(ForwardKeys::new(kept, self.0.rotation.notice));
        *self.0.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(())
    }

    fn unsealed(&self, row: &KeyRow) -> Result<SigningKey, ForwardKeyError> {
        let document = self.0.sealer.open(&row.sealed, &place(&row.kid))?;
        let kinds = &[TokenKind::Forward];
        Ok(SigningKey::from_pkcs8(row.algorithm, &document, kinds)?)
    }

    fn known(&self) -> Arc<ForwardKeys> {
        Arc::clone(&self.0.keys.read().unwrap_or_else(PoisonError::into_inner))
    }
}

fn place(kid: &str) -> String {
    format!("forward_keys/{kid}")
}
