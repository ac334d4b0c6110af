//! The App's private key, and the token by which it says who it is ("Generating a JSON Web Token
//! for a GitHub App").

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chassis::settings::Secret;
use common::SecretString;
use common::time::Time;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;

/// How far back a token is dated, in seconds: GitHub refuses one of a time that it hasn't reached.
const BACKDATED: i64 = 60;
/// How long a token is good for, in seconds; GitHub takes ten minutes at most.
const LIFETIME: i64 = 9 * 60;

/// Why the key can't be used. None says what stands in it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    /// It is neither PEM nor a file that can be read.
    #[error("it is neither a key in PEM nor the path of a file that can be read")]
    Unreadable(#[source] std::io::Error),
    /// It isn't PEM.
    #[error("it is no private key in PEM")]
    Malformed,
    /// It is another kind of key.
    #[error("it is no RSA key of 2048 to 4096 bits")]
    Unsuitable,
}

/// The App's number and key.
pub(crate) struct AppKey {
    id: u64,
    pair: RsaKeyPair,
}

impl std::fmt::Debug for AppKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "AppKey(of app {})", self.id)
    }
}

impl AppKey {
    /// Reads the key: PEM as it is or with its line ends written `\n`, or a file of it.
    pub(crate) fn load(id: u64, setting: &Secret) -> Result<Self, KeyError> {
        let text = setting.expose().trim();
        let pem = if text.starts_with("-----BEGIN") {
            SecretString::from(text.replace("\\n", "\n"))
        } else {
            let file = std::fs::read_to_string(Path::new(text)).map_err(KeyError::Unreadable)?;
            SecretString::from(file)
        };
        let pem = common::ExposeSecret::expose_secret(&pem);
        let der = PrivateKeyDer::from_pem_slice(pem.as_bytes())
            .map_err(|_unreadable| KeyError::Malformed)?;
        let pair = match &der {
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()),
            PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()),
            _ => return Err(KeyError::Unsuitable),
        };
        let pair = pair.map_err(|_rejected| KeyError::Unsuitable)?;
        Ok(Self { id, pair })
    }

    /// A token that says, for some minutes from this time of GitHub's on, that we are the App.
    pub(crate) fn token(&self, now: Time) -> Option<SecretString> {
        let header = URL_SAFE_NO_PAD.encode(br#"{"alg":"RS256","typ":"JWT"}"#);
        let claims = serde_json::json!({
            "iat": now.unix() - BACKDATED, "exp": now.unix() + LIFETIME, "iss": self.id,
        });
        let claims = URL_SAFE_NO_PAD.encode(claims.to_string());
        let signed = format!("{header}.{claims}");
        let mut signature = vec![0; self.pair.public().modulus_len()];
        self.pair
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                signed.as_bytes(),
                &mut signature,
            )
            .ok()?;
        let signature = URL_SAFE_NO_PAD.encode(signature);
        Some(SecretString::from(format!("{signed}.{signature}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use testkit::github::PRIVATE_KEY;

    fn load(text: &str) -> Result<AppKey, KeyError> {
        AppKey::load(1, &Secret::new(text))
    }

    #[test]
    fn a_key_is_pem_or_pem_on_one_line_or_a_file_of_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), PRIVATE_KEY).unwrap();
        let path = file.path().to_str().unwrap();
        for text in [PRIVATE_KEY, &PRIVATE_KEY.replace('\n', "\\n"), path] {
            assert!(load(text).unwrap().token(Time::EPOCH).is_some());
        }
    }

    #[test]
    fn what_is_no_key_is_not_shown() {
        let elliptic =
            common::token::SigningKey::generate(common::token::Algorithm::Es256).unwrap();
        let elliptic = base64::engine::general_purpose::STANDARD.encode(elliptic);
        let elliptic =
            format!("-----BEGIN PRIVATE KEY-----\n{elliptic}\n-----END PRIVATE KEY-----\n");
        for text in ["hunter2", "-----BEGIN hunter2", elliptic.as_str()] {
            let error = load(text).unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("hunter2"), "{shown}");
        }
        assert!(matches!(load(&elliptic), Err(KeyError::Unsuitable)));
    }
}
