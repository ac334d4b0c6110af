//! Signing keys and their public halves (RFC 7517, RFC 8037).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{EncodingKey, Header};
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
};
use serde::{Deserialize, Serialize};

use super::{Claims, TokenKind, crypto};

crate::text_enum! {
    /// How tokens are signed.
    pub enum Algorithm {
        /// ECDSA on P-256 with SHA-256.
        Es256 = "ES256",
        /// Ed25519.
        EdDsa = "EdDSA",
    }
}

impl Algorithm {
    pub(super) fn to_jsonwebtoken(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::Es256 => jsonwebtoken::Algorithm::ES256,
            Self::EdDsa => jsonwebtoken::Algorithm::EdDSA,
        }
    }
}

/// A key that can't be read, made or used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signing key is not a PKCS#8 key of its algorithm")]
pub struct InvalidKey;

/// A public key (RFC 7517), with the kinds of token that it may sign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Jwk {
    /// `EC` or `OKP`.
    pub kty: String,
    /// `P-256` or `Ed25519`.
    pub crv: String,
    /// The first coordinate, or the whole key.
    pub x: String,
    /// The second coordinate of an elliptic curve's point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub y: Option<String>,
    /// `sig`.
    #[serde(rename = "use")]
    pub usage: String,
    /// How it signs.
    pub alg: Algorithm,
    /// Its name: the thumbprint of RFC 7638.
    pub kid: String,
    /// The `typ`s that it may sign. A kind this program doesn't know is passed over.
    #[serde(default)]
    pub typ: Vec<String>,
}

/// A set of public keys (RFC 7517, section 5).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct JwkSet {
    /// The keys.
    pub keys: Vec<Jwk>,
}

/// A key that signs tokens of certain kinds.
#[derive(Clone)]
pub struct SigningKey {
    algorithm: Algorithm,
    public: Jwk,
    secret: EncodingKey,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({}, ***)", self.public.kid)
    }
}

impl SigningKey {
    /// A new key's PKCS#8 document, to be sealed and kept.
    pub fn generate(algorithm: Algorithm) -> Result<Vec<u8>, InvalidKey> {
        let random = SystemRandom::new();
        let document = match algorithm {
            Algorithm::Es256 => {
                EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)
            }
            Algorithm::EdDsa => Ed25519KeyPair::generate_pkcs8(&random),
        };
        Ok(document.map_err(|_| InvalidKey)?.as_ref().to_vec())
    }

    /// Reads a PKCS#8 document.
    pub fn from_pkcs8(
        algorithm: Algorithm,
        document: &[u8],
        kinds: &[TokenKind],
    ) -> Result<Self, InvalidKey> {
        crypto::install();
        let (public, secret) = match algorithm {
            Algorithm::Es256 => {
                let pair = EcdsaKeyPair::from_pkcs8(
                    &ECDSA_P256_SHA256_FIXED_SIGNING,
                    document,
                    &SystemRandom::new(),
                )
                .map_err(|_| InvalidKey)?;
                (
                    pair.public_key().as_ref().to_vec(),
                    EncodingKey::from_ec_der(document),
                )
            }
            Algorithm::EdDsa => {
                let pair = Ed25519KeyPair::from_pkcs8(document).map_err(|_| InvalidKey)?;
                (
                    pair.public_key().as_ref().to_vec(),
                    EncodingKey::from_ed_der(document),
                )
            }
        };
        let public = Jwk::from_public(algorithm, &public, kinds).ok_or(InvalidKey)?;
        Ok(Self {
            algorithm,
            public,
            secret,
        })
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> &Jwk {
        &self.public
    }

    /// Signs claims as a token of this kind.
    pub fn sign(&self, kind: TokenKind, claims: &Claims) -> Result<String, InvalidKey> {
        let mut header = Header::new(self.algorithm.to_jsonwebtoken());
        header.typ = Some(kind.to_string());
        header.kid = Some(self.public.kid.clone());
        jsonwebtoken::encode(&header, claims, &self.secret).map_err(|_| InvalidKey)
    }
}

impl Jwk {
    /// `raw` is an uncompressed point (`04 x y`) or an Ed25519 public key.
    fn from_public(alg: Algorithm, raw: &[u8], kinds: &[TokenKind]) -> Option<Self> {
        let (kty, crv, x, y) = match alg {
            Algorithm::Es256 => {
                let (x, y) = raw.strip_prefix(&[4])?.split_at_checked(32)?;
                (
                    "EC",
                    "P-256",
                    URL_SAFE_NO_PAD.encode(x),
                    Some(URL_SAFE_NO_PAD.encode(y)),
                )
            }
            Algorithm::EdDsa => ("OKP", "Ed25519", URL_SAFE_NO_PAD.encode(raw), None),
        };
        // RFC 7638: the required members, in this order, without white space.
        let members = match &y {
            Some(y) => format!(r#"{{"crv":"{crv}","kty":"{kty}","x":"{x}","y":"{y}"}}"#),
            None => format!(r#"{{"crv":"{crv}","kty":"{kty}","x":"{x}"}}"#),
        };
        Some(Self {
            kid: URL_SAFE_NO_PAD.encode(digest(&SHA256, members.as_bytes())),
            kty: kty.into(),
            crv: crv.into(),
            x,
            y,
            usage: "sig".into(),
            alg,
            typ: kinds.iter().map(ToString::to_string).collect(),
        })
    }
}
