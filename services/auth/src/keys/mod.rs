//! The keys that tokens are signed with.
//!
//! There is one `active` key. The `next` one is published beside it well before it signs, and
//! those `retiring` stay published until their last token has ended: so keys change without a
//! rejected token. Private halves are sealed under the master key.
//!
//! Keys take their turns by schedule, or when an operator asks for it. A key that has fallen into
//! other hands is revoked: it is gone at once, with every token that it signed.

pub mod http;
mod store;
mod turns;

use std::sync::{Arc, PoisonError, RwLock};

use chassis::audit::{self, Entry};
use chassis::db::Database;
use chassis::events::Signals;
use chassis::http::ClientAddress;
use chassis::seal::{SealError, Sealer};
use common::event::TokensRevoked;
use common::time::{Clock, Span, Time};
use common::token::{Algorithm, Claims, InvalidKey, Jwk, JwkSet, SigningKey, TokenKind};

use crate::revocation::{self, LONGEST_LIFE};
use store::Row;
use turns::{take_all, turns};

/// What the hint is about that tells the other replicas of new keys.
pub const SIGNAL: &str = "signing-keys";

/// How many new keys one round of turns may need.
const SPARE: usize = 3;

/// What auth signs: everything but what the gateway says to upstream services with a key of its own.
const KINDS: &[TokenKind] = &[
    TokenKind::Access,
    TokenKind::ApiKey,
    TokenKind::Invite,
    TokenKind::Reset,
    TokenKind::Service,
    TokenKind::Realm,
    TokenKind::Mfa,
    TokenKind::Repository,
];

common::text_enum! {
    /// Where a key stands.
    pub enum KeyState {
        /// It is published, and will sign.
        Next = "next",
        /// It signs.
        Active = "active",
        /// It signs no more, but tokens that it signed live on.
        Retiring = "retiring",
    }
}

/// Why there is no key to sign with.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The database failed.
    #[error("the signing keys could not be read or kept")]
    Db(#[from] diesel::result::Error),
    /// A private half can't be opened.
    #[error("a signing key could not be opened")]
    Seal(#[from] SealError),
    /// A key can't be made or used.
    #[error("a signing key could not be used")]
    Key(#[from] InvalidKey),
    /// A public half can't be read.
    #[error("a public key could not be read")]
    Json(#[from] serde_json::Error),
    /// There is none.
    #[error("there is no active signing key")]
    None,
}

/// The keys at one moment.
#[derive(Debug)]
pub struct Keys {
    /// The public halves of all that count.
    pub public: JwkSet,
    active: SigningKey,
}

impl Keys {
    /// The key that signs.
    #[must_use]
    pub fn active(&self) -> &SigningKey {
        &self.active
    }
}

/// The keys in the database, with a copy in memory that [`KeyStore::refresh`] keeps up to date.
#[derive(Debug)]
pub struct KeyStore {
    place: Place,
    rules: Rules,
    current: RwLock<Arc<Keys>>,
}

/// Where keys are kept, and how.
#[derive(Clone, Debug)]
pub struct Place {
    /// The database.
    pub db: Database,
    /// What private halves are sealed with.
    pub sealer: Sealer,
    /// The time.
    pub clock: Clock,
    /// How other replicas are told.
    pub signals: Signals,
}

/// What keys should be like.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// How they sign.
    pub algorithm: Algorithm,
    /// How long one signs.
    pub lifetime: Span,
    /// How long one is published before it signs: longer than anybody keeps the set.
    pub overlap: Span,
}

/// A key as operators see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyInfo {
    /// Its name.
    pub kid: String,
    /// How it signs.
    pub algorithm: Algorithm,
    /// Where it stands.
    pub state: KeyState,
    /// When it was made, and published.
    pub created_at: Time,
    /// When its state became what it is.
    pub changed_at: Time,
}

/// What an operator's wish for a new key has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// The next key signs now.
    Done,
    /// It will, once it has been published for long enough.
    At(Time),
}

impl KeyStore {
    /// Reads the keys; at the first start they are made.
    pub async fn open(place: Place, rules: Rules) -> Result<Self, KeyError> {
        let keys = bring_up_to_date(&place, rules).await?;
        Ok(Self {
            place,
            rules,
            current: RwLock::new(Arc::new(keys)),
        })
    }

    /// The keys as they were last read.
    #[must_use]
    pub fn current(&self) -> Arc<Keys> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets keys take their turns where it is time, and reads them again: another replica may
    /// have done so. Answers whether the public set is another than before.
    pub async fn refresh(&self) -> Result<bool, KeyError> {
        let keys = bring_up_to_date(&self.place, self.rules).await?;
        Ok(self.keep(keys))
    }

    fn keep(&self, keys: Keys) -> bool {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let changed = current.public != keys.public;
        *current = Arc::new(keys);
        changed
    }

    /// All keys, oldest first.
    pub async fn list(&self) -> Result<Vec<KeyInfo>, KeyError> {
        let rows = self.place.db.read(store::all).await?;
        Ok(rows.into_iter().map(KeyInfo::from).collect())
    }

    /// Has the next key sign from now on, or from when everybody can know it. With `now` that isn't
    /// waited for: our own services learn an unknown key at once, others may refuse its tokens as
    /// long as they keep the set.
    pub async fn rotate(&self, now: bool, by: &By) -> Result<Rotation, KeyError> {
        let (rules, at) = (self.rules, self.place.clock.now());
        let hasty = Rules {
            overlap: if now { Span::zero() } else { rules.overlap },
            ..rules
        };
        let (spare, by) = (self.spare(at)?, by.clone());
        let (before, rows) = self
            .place
            .db
            .write(move |db| {
                chassis::db::lock(db, "signing-keys")?;
                let before = store::all(db)?;
                if let Some(active) = active(&before) {
                    store::ask_rotation(db, &active.kid, at)?;
                    let entry =
                        Entry::by(&by.claims, "signing_key.rotated", &active.kid, by.address);
                    audit::record(db, &entry, at)?;
                }
                let rows = take_all(db, spare, hasty, at)?;
                Ok::<_, diesel::result::Error>((before, rows))
            })
            .await?;
        self.changed(&rows)?;
        let kid = |rows: &[Row]| active(rows).map(|row| row.kid.clone());
        if kid(&before) != kid(&rows) {
            return Ok(Rotation::Done);
        }
        let next = rows.iter().find(|row| row.state == KeyState::Next);
        Ok(Rotation::At(
            next.map_or(at, |next| next.changed_at + rules.overlap),
        ))
    }

    /// Ends a key and every token that it signed. If it is the one that signs, the next takes its
    /// place. None if there is no such key.
    pub async fn revoke(&self, kid: &str, by: &By) -> Result<Option<TokensRevoked>, KeyError> {
        let (rules, at, kid) = (self.rules, self.place.clock.now(), kid.to_owned());
        let (spare, by) = (self.spare(at)?, by.clone());
        let revoked = self
            .place
            .db
            .write(move |db| {
                chassis::db::lock(db, "signing-keys")?;
                if !store::all(db)?.iter().any(|row| row.kid == kid) {
                    return Ok(None);
                }
                tracing::warn!(key.id = %kid, "a signing key is revoked, with all its tokens");
                store::remove(db, &kid)?;
                let entry = TokensRevoked::Key {
                    kid: kid.clone(),
                    until: at + LONGEST_LIFE,
                };
                revocation::revoke(db, entry.clone(), 1, at)?;
                let audited = Entry::by(&by.claims, "signing_key.revoked", &kid, by.address);
                audit::record(db, &audited, at)?;
                let rows = take_all(db, spare, rules, at)?;
                Ok::<_, diesel::result::Error>(Some((entry, rows)))
            })
            .await?;
        let Some((entry, rows)) = revoked else {
            return Ok(None);
        };
        self.changed(&rows)?;
        Ok(Some(entry))
    }

    /// Takes note of changed keys, here and in the other replicas.
    fn changed(&self, rows: &[Row]) -> Result<(), KeyError> {
        self.keep(read(rows, &self.place.sealer)?);
        self.place.signals.send(SIGNAL);
        Ok(())
    }

    fn spare(&self, now: Time) -> Result<Vec<Row>, KeyError> {
        spare(&self.place.sealer, self.rules.algorithm, now)
    }
}

/// Who asks for something to be done with keys, and from where.
#[derive(Clone, Debug)]
pub struct By {
    /// The operator's token.
    pub claims: Claims,
    /// The address.
    pub address: ClientAddress,
}

impl From<Row> for KeyInfo {
    fn from(row: Row) -> Self {
        Self {
            kid: row.kid,
            algorithm: row.algorithm,
            state: row.state,
            created_at: row.created_at,
            changed_at: row.changed_at,
        }
    }
}

fn active(rows: &[Row]) -> Option<&Row> {
    rows.iter().find(|row| row.state == KeyState::Active)
}

async fn bring_up_to_date(place: &Place, rules: Rules) -> Result<Keys, KeyError> {
    let now = place.clock.now();
    let rows = place.db.read(store::all).await?;
    if turns(&rows, rules, now).is_empty() {
        return read(&rows, &place.sealer);
    }
    // Made beforehand: a transaction is no place for that.
    let spare = spare(&place.sealer, rules.algorithm, now)?;
    let rows = place
        .db
        .write(move |db| {
            chassis::db::lock(db, "signing-keys")?;
            take_all(db, spare, rules, now)
        })
        .await?;
    place.signals.send(SIGNAL);
    read(&rows, &place.sealer)
}

fn spare(sealer: &Sealer, algorithm: Algorithm, now: Time) -> Result<Vec<Row>, KeyError> {
    (0..SPARE).map(|_| fresh(sealer, algorithm, now)).collect()
}

fn fresh(sealer: &Sealer, algorithm: Algorithm, now: Time) -> Result<Row, KeyError> {
    let document = SigningKey::generate(algorithm)?;
    let public = SigningKey::from_pkcs8(algorithm, &document, KINDS)?
        .public()
        .clone();
    Ok(Row {
        algorithm,
        state: KeyState::Next,
        kinds: public.typ.join(" "),
        public_jwk: serde_json::to_string(&public)?,
        sealed_key: sealer.seal(&document, &place(&public.kid))?,
        kid: public.kid,
        created_at: now,
        changed_at: now,
        rotation_asked_at: None,
    })
}

fn read(rows: &[Row], sealer: &Sealer) -> Result<Keys, KeyError> {
    let public: Result<Vec<Jwk>, _> = rows
        .iter()
        .map(|row| serde_json::from_str(&row.public_jwk))
        .collect();
    let active = active(rows).ok_or(KeyError::None)?;
    let kinds: Vec<_> = active
        .kinds
        .split(' ')
        .filter_map(|kind| kind.parse().ok())
        .collect();
    let document = sealer.open(&active.sealed_key, &place(&active.kid))?;
    let active = SigningKey::from_pkcs8(active.algorithm, &document, &kinds)?;
    Ok(Keys {
        public: JwkSet { keys: public? },
        active,
    })
}

/// What ties a sealed key to its row.
fn place(kid: &str) -> String {
    format!("signing_keys/{kid}")
}

#[cfg(test)]
mod tests;
