//! Reading and verifying a token (RFC 7515, RFC 7519, by the rules of RFC 8725).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde::Deserialize;

/// The longest token that is looked at.
const LONGEST: usize = 8 * 1024;
/// How far apart two machines' clocks may be, in seconds.
const LEEWAY: i64 = 30;
/// The longest that such a token lives, in seconds.
const LONGEST_LIFE: i64 = 60;
/// The kind of token that the gateway makes for services.
const TYP: &str = "forward+jwt";
/// The one way in which it signs.
const ALG: &str = "ES256";

/// Why a token doesn't hold. What it says helps, and gives nothing away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// It is none.
    #[error("The token is malformed")]
    Malformed,
    /// It is of another kind, or signed in another way.
    #[error("This kind of token isn't taken here")]
    WrongKind,
    /// The gateway has no such key.
    #[error("The token's key is not known")]
    UnknownKey,
    /// The signature isn't its key's.
    #[error("The token's signature is not valid")]
    BadSignature,
    /// It is for another service, or by another issuer.
    #[error("The token is meant for another place")]
    WrongAudience,
    /// It has ended.
    #[error("The token has expired")]
    Expired,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    #[serde(default)]
    typ: String,
    kid: String,
    /// Extensions that must be understood (RFC 7515, section 4.1.11); there are none.
    crit: Option<serde_json::Value>,
}

/// What a token says.
#[derive(Deserialize)]
pub(crate) struct Claims {
    iss: String,
    aud: String,
    iat: i64,
    exp: i64,
    pub(crate) sub: String,
    #[serde(default)]
    pub(crate) scope: String,
    #[serde(default)]
    pub(crate) app_metadata: AppMetadata,
    pub(crate) actor_type: Option<String>,
    pub(crate) key_id: Option<String>,
    pub(crate) account_id: Option<String>,
}

/// What the platform has written on the caller.
#[derive(Default, Deserialize)]
pub(crate) struct AppMetadata {
    pub(crate) user_id: Option<String>,
}

/// A token whose head has been read, and nothing been believed of.
pub(crate) struct Parts<'a> {
    header: Header,
    signed: &'a str,
    payload: &'a str,
    signature: Vec<u8>,
}

impl<'a> Parts<'a> {
    pub(crate) fn read(token: &'a str) -> Result<Self, Rejection> {
        if token.len() > LONGEST {
            return Err(Rejection::Malformed);
        }
        let malformed = || Rejection::Malformed;
        let (signed, signature) = token.rsplit_once('.').ok_or_else(malformed)?;
        let (header, payload) = signed.split_once('.').ok_or_else(malformed)?;
        let header: Header = serde_json::from_slice(&decoded(header)?)
            .map_err(|_unreadable| Rejection::Malformed)?;
        if header.alg != ALG || header.typ != TYP || header.crit.is_some() {
            return Err(Rejection::WrongKind);
        }
        Ok(Self {
            header,
            signed,
            payload,
            signature: decoded(signature)?,
        })
    }

    pub(crate) fn kid(&self) -> &str {
        &self.header.kid
    }

    /// Checks signature, issuer, audience and time, in that order.
    pub(crate) fn verify(
        &self,
        key: &[u8],
        issuer: &str,
        service: &str,
        now: i64,
    ) -> Result<Claims, Rejection> {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key)
            .verify(self.signed.as_bytes(), &self.signature)
            .map_err(|_unspecified| Rejection::BadSignature)?;
        let claims: Claims = serde_json::from_slice(&decoded(self.payload)?)
            .map_err(|_unreadable| Rejection::Malformed)?;
        if claims.iss != issuer || claims.aud.strip_prefix("service:") != Some(service) {
            return Err(Rejection::WrongAudience);
        }
        let life = claims.exp.saturating_sub(claims.iat);
        if claims.iat > now.saturating_add(LEEWAY) || !(0..=LONGEST_LIFE).contains(&life) {
            return Err(Rejection::Malformed);
        }
        if claims.exp <= now.saturating_sub(LEEWAY) {
            return Err(Rejection::Expired);
        }
        Ok(claims)
    }
}

fn decoded(text: &str) -> Result<Vec<u8>, Rejection> {
    URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_invalid| Rejection::Malformed)
}
