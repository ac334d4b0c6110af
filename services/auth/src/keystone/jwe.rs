//! A token that only its receiver can read: JWE in compact form (RFC 7516), by ECDH-ES directly
//! (RFC 7518, section 4.6) and A256GCM, to a P-256 or X25519 key (RFC 8037).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::agreement::{EphemeralPrivateKey, UnparsedPublicKey, agree_ephemeral};
use ring::digest::{Context, SHA256};
use ring::rand::SystemRandom;
use serde_json::{Value, json};

use super::public_key::{BadKey, Curve, PublicKey};

/// How the content is encrypted.
const ENC: &str = "A256GCM";

/// The shared key with a receiver; made before there is anything to say, so that a key that can't be
/// used is found out in time. It encrypts once.
pub struct Envelope {
    header: String,
    key: LessSafeKey,
}

impl std::fmt::Debug for Envelope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Envelope(***)")
    }
}

impl Envelope {
    /// Agrees on a key with whoever has the private half of this one. A point that isn't on the
    /// curve, or of small order, is no key.
    pub fn to(receiver: &PublicKey) -> Result<Self, BadKey> {
        let algorithm = receiver.curve.agreement();
        let ours = EphemeralPrivateKey::generate(algorithm, &SystemRandom::new())
            .map_err(|_| BadKey("can't be used"))?;
        let epk = ours
            .compute_public_key()
            .map_err(|_| BadKey("can't be used"))?;
        let theirs = UnparsedPublicKey::new(algorithm, &receiver.raw);
        let key = agree_ephemeral(ours, &theirs, |z| concat_kdf(z, ENC, b"", b"", 256))
            .map_err(|_| BadKey("is not a point of its curve"))?;
        let mut header = json!({
            "alg": "ECDH-ES", "enc": ENC, "cty": "JWT", "epk": members(receiver.curve, epk.as_ref()),
        });
        if let (Some(kid), Some(header)) = (&receiver.kid, header.as_object_mut()) {
            header.insert("kid".to_owned(), kid.as_str().into());
        }
        let key = UnboundKey::new(&AES_256_GCM, &key).map_err(|_| BadKey("can't be used"))?;
        Ok(Self {
            header: URL_SAFE_NO_PAD.encode(header.to_string()),
            key: LessSafeKey::new(key),
        })
    }

    /// Encrypts, once.
    #[must_use]
    pub fn seal(self, content: &str) -> Option<String> {
        let nonce = common::random::bytes::<NONCE_LEN>();
        let mut text = content.as_bytes().to_vec();
        let tag = self
            .key
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(self.header.as_bytes()),
                &mut text,
            )
            .ok()?;
        let [nonce, text, tag] =
            [&nonce[..], &text, tag.as_ref()].map(|part| URL_SAFE_NO_PAD.encode(part));
        // The second part is the encrypted key, of which there is none: it was agreed on directly.
        Some(format!("{}..{nonce}.{text}.{tag}", self.header))
    }
}

/// The members of a JWK that say which key it is.
pub(super) fn members(curve: Curve, raw: &[u8]) -> Value {
    match (
        curve,
        raw.strip_prefix(&[4])
            .and_then(|point| point.split_at_checked(32)),
    ) {
        (Curve::P256, Some((x, y))) => json!({
            "kty": "EC", "crv": "P-256", "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
        }),
        (Curve::P256 | Curve::X25519, _) => {
            json!({ "kty": "OKP", "crv": "X25519", "x": URL_SAFE_NO_PAD.encode(raw) })
        }
    }
}

/// The key derivation of RFC 7518, section 4.6.2 (NIST SP 800-56A, section 5.8.1), for keys of
/// at most 256 bits, which one round of SHA-256 gives.
fn concat_kdf(z: &[u8], algorithm: &str, apu: &[u8], apv: &[u8], bits: u32) -> [u8; 32] {
    let mut hash = Context::new(&SHA256);
    hash.update(&1_u32.to_be_bytes());
    hash.update(z);
    for part in [algorithm.as_bytes(), apu, apv] {
        let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
        hash.update(&length.to_be_bytes());
        hash.update(part);
    }
    hash.update(&bits.to_be_bytes());
    let mut key = [0; 32];
    key.copy_from_slice(hash.finish().as_ref());
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7518, appendix C: what Alice and Bob share, and the key they make of it.
    #[test]
    fn the_key_is_derived_as_in_the_standards_example() {
        let z = [
            158, 86, 217, 29, 129, 113, 53, 211, 114, 131, 66, 131, 191, 132, 38, 156, 251, 49,
            110, 163, 218, 128, 106, 72, 246, 218, 167, 121, 140, 254, 144, 196,
        ];
        let key = concat_kdf(&z, "A128GCM", b"Alice", b"Bob", 128);
        assert_eq!(URL_SAFE_NO_PAD.encode(&key[..16]), "VqqN6vgjbSBcIijNcacQGg");
    }

    fn part(jwe: &str, place: usize) -> Vec<u8> {
        URL_SAFE_NO_PAD
            .decode(jwe.split('.').nth(place).unwrap())
            .unwrap()
    }

    /// Reads as the receiver does, who knows the private half.
    fn opened(jwe: &str, private: EphemeralPrivateKey, curve: Curve) -> Option<Vec<u8>> {
        let header: Value = serde_json::from_slice(&part(jwe, 0)).unwrap();
        let epk = PublicKey::parse(&header["epk"]).unwrap();
        let theirs = UnparsedPublicKey::new(curve.agreement(), epk.raw);
        let key = agree_ephemeral(private, &theirs, |z| {
            concat_kdf(z, "A256GCM", b"", b"", 256)
        })
        .unwrap();
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key).unwrap());
        let nonce = Nonce::try_assume_unique_for_key(&part(jwe, 2)).unwrap();
        let mut sealed = [part(jwe, 3), part(jwe, 4)].concat();
        let aad = Aad::from(jwe.split('.').next().unwrap());
        Some(key.open_in_place(nonce, aad, &mut sealed).ok()?.to_vec())
    }

    #[test]
    fn only_the_receiver_reads_it_and_only_as_it_was_sent() {
        for curve in [Curve::P256, Curve::X25519] {
            let private =
                || EphemeralPrivateKey::generate(curve.agreement(), &SystemRandom::new()).unwrap();
            let send = |private: &EphemeralPrivateKey| {
                let public = private.compute_public_key().unwrap();
                let mut jwk = members(curve, public.as_ref());
                jwk["kid"] = "mine".into();
                Envelope::to(&PublicKey::parse(&jwk).unwrap())
                    .unwrap()
                    .seal("a.b.c")
                    .unwrap()
            };
            let receiver = private();
            let jwe = send(&receiver);
            let header: Value = serde_json::from_slice(&part(&jwe, 0)).unwrap();
            assert_eq!(
                (&header["alg"], &header["enc"], &header["kid"]),
                (&json!("ECDH-ES"), &json!("A256GCM"), &json!("mine"))
            );
            assert!(part(&jwe, 1).is_empty() && jwe.split('.').count() == 5);
            assert_eq!(opened(&jwe, receiver, curve).unwrap(), b"a.b.c");

            let receiver = private();
            let jwe = send(&receiver);
            let mut parts: Vec<_> = jwe.split('.').map(str::to_owned).collect();
            parts[3] = URL_SAFE_NO_PAD.encode("x.b.c");
            assert_eq!(opened(&parts.join("."), receiver, curve), None, "changed");
            assert_eq!(opened(&jwe, private(), curve), None, "somebody else's key");
        }
    }

    #[test]
    fn what_is_no_point_of_its_curve_is_refused() {
        let off = PublicKey {
            curve: Curve::P256,
            raw: [&[4][..], &[1; 64]].concat(),
            kid: None,
        };
        let small = PublicKey {
            curve: Curve::X25519,
            raw: vec![0; 32],
            kid: None,
        };
        for key in [off, small] {
            assert!(Envelope::to(&key).is_err(), "{key:?}");
        }
    }
}
