//! The caller as an upstream service sees it: a `forward+jwt` of at most a minute, signed with the
//! gateway's own key.

use std::rc::Rc;
use std::sync::Arc;

use chassis::db::{Database, Db};
use chassis::seal::{SealError, Sealer};
use common::id::{AccountId, TokenId, UserId};
use common::names::ServiceName;
use common::scope::{Scope, ScopeSet};
use common::time::{Clock, Time};
use common::token::{
    ActorType, Algorithm, AppMetadata, Claims, InvalidKey, JwkSet, SigningKey, TokenKind, audience,
};
use diesel::prelude::*;

use crate::schema::forward_keys;

/// How long such a token lives, in seconds.
const LIFETIME: i64 = 60;
/// For how long of that it is handed out, in seconds: who gets it has time to read it.
const HANDED_OUT: i64 = 40;

/// Why there is no key to sign with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ForwardKeyError {
    /// The database.
    #[error("the key can't be read or kept")]
    Db(#[from] diesel::result::Error),
    /// The master key doesn't open it.
    #[error("the key can't be unsealed")]
    Seal(#[from] SealError),
    /// It is none.
    #[error("the key can't be used")]
    Key(#[from] InvalidKey),
}

/// Signs what upstreams get.
#[derive(Clone)]
pub(crate) struct ForwardSigner {
    key: Arc<SigningKey>,
    issuer: Arc<str>,
    clock: Clock,
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
    /// The gateway's key, made at the first start; of replicas that start at once one makes it.
    pub(crate) async fn open(
        db: &Database,
        vault: &Sealer,
        clock: &Clock,
        issuer: &str,
    ) -> Result<Self, ForwardKeyError> {
        let algorithm = Algorithm::Es256;
        let fresh = SigningKey::generate(algorithm)?;
        let kid = SigningKey::from_pkcs8(algorithm, &fresh, &[TokenKind::Forward])?
            .public()
            .kid
            .clone();
        let sealed = vault.seal(&fresh, &place(&kid))?;
        let now = clock.now();
        let (kid, sealed) = db
            .write(move |db| find_or_insert(db, kid, sealed, now))
            .await?;
        let key = SigningKey::from_pkcs8(
            algorithm,
            &vault.open(&sealed, &place(&kid))?,
            &[TokenKind::Forward],
        )?;
        Ok(Self {
            key: Arc::new(key),
            issuer: issuer.into(),
            clock: clock.clone(),
        })
    }

    /// The public keys by which upstreams verify.
    pub(crate) fn keys(&self) -> JwkSet {
        JwkSet {
            keys: vec![self.key.public().clone()],
        }
    }

    /// A token for this caller of this service, with this scope, and until when to hand it out, in
    /// seconds since the epoch.
    pub(crate) fn sign(
        &self,
        service: &ServiceName,
        scope: Scope,
        caller: &Caller<'_>,
    ) -> Result<(Rc<str>, i64), InvalidKey> {
        let now = self.clock.now();
        let jti = TokenId::new(now).to_string();
        let aud = audience::upstream(service);
        let mut claims = Claims::new(
            &self.issuer,
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
        let token = self.key.sign(TokenKind::Forward, &claims)?;
        Ok((token.into(), now.unix() + HANDED_OUT))
    }
}

fn place(kid: &str) -> String {
    format!("forward_keys/{kid}")
}

fn find_or_insert(
    db: &mut Db,
    kid: String,
    sealed: Vec<u8>,
    now: Time,
) -> QueryResult<(String, Vec<u8>)> {
    use forward_keys::dsl as k;
    chassis::db::lock(db, "forward_keys")?;
    let newest = k::forward_keys
        .order(k::created_at.desc())
        .select((k::kid, k::sealed))
        .first(db)
        .optional()?;
    if let Some(found) = newest {
        return Ok(found);
    }
    diesel::insert_into(k::forward_keys)
        .values((
            k::kid.eq(&kid),
            k::algorithm.eq(Algorithm::Es256),
            k::sealed.eq(&sealed),
            k::created_at.eq(now),
        ))
        .execute(db)?;
    Ok((kid, sealed))
}
