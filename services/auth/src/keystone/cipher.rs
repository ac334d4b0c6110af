//! The service's own public key for those who encrypt to it: one P-256 key, the same for all
//! replicas and after each restart. Its private half is kept under the master key.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chassis::db::{Database, Db};
use chassis::seal::{SealError, Sealer};
use common::time::Time;
use diesel::prelude::*;
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::Value;

use super::jwe::members;
use super::public_key::Curve;
use crate::schema::cipher_keys::{self as table, dsl as k};

/// The one row.
const NAME: &str = "keystone";

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum CipherError {
    /// The database failed.
    #[error("the key for encryption could not be read or kept")]
    Db(#[from] diesel::result::Error),
    /// The private half can't be sealed or opened.
    #[error("the key for encryption could not be sealed or opened")]
    Seal(#[from] SealError),
    /// The key can't be made or read.
    #[error("the key for encryption can't be made or read")]
    Key,
}

/// The key's public half.
#[derive(Clone, Debug)]
pub struct CipherKey {
    /// The JWK, `use` `enc`.
    pub public: Value,
}

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = table)]
struct Row {
    name: String,
    public_jwk: String,
    sealed_key: Vec<u8>,
    created_at: Time,
}

impl CipherKey {
    /// Reads the key; at the first start it is made, by one of those that start at once.
    pub async fn open(db: &Database, sealer: &Sealer, now: Time) -> Result<Self, CipherError> {
        let row = if let Some(row) = db.read(find).await? {
            row
        } else {
            let fresh = fresh(sealer, now)?;
            db.write(|db| keep(db, fresh)).await?
        };
        // One that can't be opened would have people encrypt what nobody can read.
        let document = sealer.open(&row.sealed_key, &place())?;
        let public: Value = serde_json::from_str(&row.public_jwk).map_err(|_| CipherError::Key)?;
        if jwk(&document)? != public {
            return Err(CipherError::Key);
        }
        Ok(Self { public })
    }
}

fn find(db: &mut Db) -> QueryResult<Option<Row>> {
    k::cipher_keys
        .find(NAME)
        .select(Row::as_select())
        .first(db)
        .optional()
}

fn keep(db: &mut Db, fresh: Row) -> QueryResult<Row> {
    chassis::db::lock(db, "cipher-key")?;
    if let Some(known) = find(db)? {
        return Ok(known);
    }
    diesel::insert_into(k::cipher_keys)
        .values(&fresh)
        .execute(db)?;
    Ok(fresh)
}

fn fresh(sealer: &Sealer, now: Time) -> Result<Row, CipherError> {
    // A P-256 key pair is the same thing whether it signs or agrees on keys; this one never signs.
    let random = SystemRandom::new();
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)
        .map_err(|_| CipherError::Key)?;
    Ok(Row {
        name: NAME.to_owned(),
        public_jwk: jwk(document.as_ref())?.to_string(),
        sealed_key: sealer.seal(document.as_ref(), &place())?,
        created_at: now,
    })
}

fn jwk(document: &[u8]) -> Result<Value, CipherError> {
    let random = SystemRandom::new();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document, &random)
        .map_err(|_| CipherError::Key)?;
    let mut jwk = members(Curve::P256, pair.public_key().as_ref());
    // RFC 7638: the required members in the order of their names, without white space.
    let required: BTreeMap<&str, &Value> = ["crv", "kty", "x", "y"]
        .iter()
        .filter_map(|name| Some((*name, jwk.get(*name)?)))
        .collect();
    let required = serde_json::to_string(&required).map_err(|_| CipherError::Key)?;
    let kid = URL_SAFE_NO_PAD.encode(digest(&SHA256, required.as_bytes()));
    let more = [("use", "enc"), ("alg", "ECDH-ES"), ("kid", kid.as_str())];
    if let Some(jwk) = jwk.as_object_mut() {
        jwk.extend(more.map(|(name, value)| (name.to_owned(), value.into())));
    }
    Ok(jwk)
}

/// What ties the sealed key to its row.
fn place() -> String {
    format!("cipher_keys/{NAME}")
}
