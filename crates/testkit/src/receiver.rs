//! The receiver of an encrypted token (RFC 7516), as a program of its own would be one.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test can't go on without"
)]

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::agreement::{ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey, X25519, agree_ephemeral};
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use serde_json::{Value, json};

/// A program's key, with which one answer can be read.
#[derive(Debug)]
pub struct Receiver {
    private: EphemeralPrivateKey,
    x25519: bool,
}

impl Receiver {
    /// A key on X25519, or on P-256.
    ///
    /// # Panics
    /// When none can be made.
    #[must_use]
    pub fn new(x25519: bool) -> Self {
        let algorithm = if x25519 { &X25519 } else { &ECDH_P256 };
        let private = EphemeralPrivateKey::generate(algorithm, &SystemRandom::new()).unwrap();
        Self { private, x25519 }
    }

    /// The public half as it is.
    ///
    /// # Panics
    /// When it can't be computed.
    #[must_use]
    pub fn raw(&self) -> Vec<u8> {
        self.private.compute_public_key().unwrap().as_ref().to_vec()
    }

    /// The public half as a JWK.
    #[must_use]
    pub fn jwk(&self) -> Value {
        let raw = self.raw();
        if self.x25519 {
            return json!({ "kty": "OKP", "crv": "X25519", "x": URL_SAFE_NO_PAD.encode(raw) });
        }
        let (x, y) = raw[1..].split_at(32);
        json!({ "kty": "EC", "crv": "P-256", "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y) })
    }

    /// Reads a JWE as RFC 7516 and RFC 7518 say, with nothing of ours.
    ///
    /// # Panics
    /// When it isn't one to this key.
    #[must_use]
    pub fn read(self, jwe: &str) -> String {
        let parts: Vec<_> = jwe.split('.').collect();
        assert_eq!((parts.len(), parts[1]), (5, ""));
        let decode = |place: usize| URL_SAFE_NO_PAD.decode(parts[place]).unwrap();
        let header: Value = serde_json::from_slice(&decode(0)).unwrap();
        assert_eq!(
            (&header["alg"], &header["enc"]),
            (&json!("ECDH-ES"), &json!("A256GCM"))
        );
        let of = |name: &str| {
            URL_SAFE_NO_PAD
                .decode(header["epk"][name].as_str().unwrap())
                .unwrap()
        };
        let (algorithm, epk) = if self.x25519 {
            (&X25519, of("x"))
        } else {
            (&ECDH_P256, [vec![4], of("x"), of("y")].concat())
        };
        let key = agree_ephemeral(self.private, &UnparsedPublicKey::new(algorithm, epk), |z| {
            let info = [
                &[0, 0, 0, 1],
                z,
                &[0, 0, 0, 7],
                b"A256GCM",
                &[0; 8],
                &[0, 0, 1, 0],
            ]
            .concat();
            digest(&SHA256, &info)
        })
        .unwrap();
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.as_ref()).unwrap());
        let mut sealed = [decode(3), decode(4)].concat();
        let nonce = Nonce::try_assume_unique_for_key(&decode(2)).unwrap();
        let plain = key
            .open_in_place(nonce, Aad::from(parts[0].as_bytes()), &mut sealed)
            .unwrap();
        String::from_utf8(plain.to_vec()).unwrap()
    }
}
