//! The public key that an answer is encrypted to: a JWK (RFC 7517, RFC 8037), as an object or
//! as text, or PEM (RFC 7468, RFC 5480, RFC 8410).

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::agreement::{Algorithm, ECDH_P256, X25519};
use serde_json::{Map, Value};

/// The longest text of a key.
const MAX_LENGTH: usize = 4_096;
const MAX_KID: usize = 128;

/// Why a key can't be used; the text goes on from "the key …" and holds nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadKey(pub &'static str);

/// The curves that keys may be on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Curve {
    /// NIST P-256.
    P256,
    /// Curve25519.
    X25519,
}

impl Curve {
    pub(super) fn agreement(self) -> &'static Algorithm {
        match self {
            Self::P256 => &ECDH_P256,
            Self::X25519 => &X25519,
        }
    }
}

/// A public key. Whether it is a point of its curve is found out when it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// Its curve.
    pub curve: Curve,
    /// An uncompressed point (`04 x y`), or the 32 bytes of an X25519 key.
    pub raw: Vec<u8>,
    /// The name that its owner knows it by.
    pub kid: Option<String>,
}

/// What stands before the point in a `SubjectPublicKeyInfo`.
const SPKI: &[(Curve, &[u8], usize)] = &[
    (
        Curve::P256,
        &[
            0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
            0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
        ],
        65,
    ),
    (
        Curve::X25519,
        &[
            0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x6e, 0x03, 0x21, 0x00,
        ],
        32,
    ),
];

impl PublicKey {
    /// Reads a JWK, its text, or PEM.
    pub fn parse(value: &Value) -> Result<Self, BadKey> {
        match value {
            Value::Object(jwk) => Self::from_jwk(jwk),
            Value::String(text) if text.len() > MAX_LENGTH => Err(BadKey("is too long")),
            Value::String(text) if text.trim_start().starts_with('{') => {
                let jwk = serde_json::from_str(text).map_err(|_| BadKey("is not a JWK"))?;
                Self::from_jwk(&jwk)
            }
            Value::String(text) => Self::from_pem(text),
            _ => Err(BadKey("must be a JWK or PEM")),
        }
    }

    fn from_jwk(jwk: &Map<String, Value>) -> Result<Self, BadKey> {
        let text = |member: &str| jwk.get(member).and_then(Value::as_str);
        if jwk.contains_key("d") {
            return Err(BadKey("has a private half, which nobody else may know"));
        }
        if text("use").is_some_and(|usage| usage != "enc") {
            return Err(BadKey("is not meant for encryption"));
        }
        if text("alg").is_some_and(|alg| alg != "ECDH-ES") {
            return Err(BadKey("is not meant for ECDH-ES"));
        }
        let coordinate = |member: &str| {
            let bytes = text(member).and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
            bytes
                .filter(|bytes| bytes.len() == 32)
                .ok_or(BadKey("has a coordinate that is not 32 bytes in base64url"))
        };
        let (curve, raw) = match (text("kty"), text("crv")) {
            (Some("EC"), Some("P-256")) => (
                Curve::P256,
                [vec![4], coordinate("x")?, coordinate("y")?].concat(),
            ),
            (Some("OKP"), Some("X25519")) => (Curve::X25519, coordinate("x")?),
            _ => return Err(BadKey("must be on P-256 or X25519")),
        };
        let kid = text("kid").map(str::to_owned);
        if kid.as_ref().is_some_and(|kid| kid.len() > MAX_KID) {
            return Err(BadKey("has too long a `kid`"));
        }
        Ok(Self { curve, raw, kid })
    }

    fn from_pem(text: &str) -> Result<Self, BadKey> {
        let body = text
            .trim()
            .strip_prefix("-----BEGIN PUBLIC KEY-----")
            .and_then(|rest| rest.strip_suffix("-----END PUBLIC KEY-----"))
            .ok_or(BadKey("must be a JWK or a PEM `PUBLIC KEY`"))?;
        let body: String = body.split_ascii_whitespace().collect();
        let der = STANDARD
            .decode(body)
            .map_err(|_| BadKey("is not base64 inside"))?;
        let found = SPKI.iter().find_map(|(curve, prefix, length)| {
            let raw = der.strip_prefix(*prefix)?;
            (raw.len() == *length).then(|| (*curve, raw.to_vec()))
        });
        let (curve, raw) = found.ok_or(BadKey("must be on P-256 (uncompressed) or X25519"))?;
        Ok(Self {
            curve,
            raw,
            kid: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Bob's key of RFC 7518, appendix C.
    fn bob() -> Value {
        json!({
            "kty": "EC", "crv": "P-256",
            "x": "weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ",
            "y": "e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck",
        })
    }

    #[test]
    fn one_key_is_the_same_in_each_form() {
        let key = PublicKey::parse(&bob()).unwrap();
        assert_eq!((key.curve, key.raw.len()), (Curve::P256, 65));
        assert_eq!(PublicKey::parse(&bob().to_string().into()), Ok(key.clone()));
        for (curve, prefix, length) in SPKI {
            let raw = if *curve == Curve::P256 {
                key.raw.clone()
            } else {
                vec![9; *length]
            };
            let der = STANDARD.encode([*prefix, &raw].concat());
            let pem = format!(
                "-----BEGIN PUBLIC KEY-----\r\n{}\n{}\n-----END PUBLIC KEY-----\n",
                &der[..40],
                &der[40..]
            );
            let read = PublicKey::parse(&pem.into()).unwrap();
            assert_eq!((read.curve, read.raw), (*curve, raw));
        }
    }

    #[test]
    fn what_is_no_public_key_for_encryption_is_refused_without_repeating_it() {
        let with = |member: &str, value: Value| {
            let mut jwk = bob();
            jwk[member] = value;
            jwk
        };
        for wrong in [
            json!(null),
            json!(7),
            json!([]),
            json!({}),
            json!(""),
            json!("the user public key"),
            json!("{"),
            json!("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"),
            json!("-----BEGIN PUBLIC KEY-----\n***\n-----END PUBLIC KEY-----"),
            json!("x".repeat(5_000)),
            with("d", json!("VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqdw")),
            with("use", json!("sig")),
            with("alg", json!("RSA-OAEP")),
            with("crv", json!("P-384")),
            with("x", json!("AAAA")),
            with("y", json!("!")),
            with("kid", json!("k".repeat(200))),
            json!({ "kty": "OKP", "crv": "Ed25519", "x": "weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ" }),
        ] {
            let why = PublicKey::parse(&wrong).unwrap_err().to_string();
            assert!(!why.contains("VEmD") && !why.contains("weNJ"), "{why}");
        }
    }
}
