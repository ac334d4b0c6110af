//! Secrets at rest: AES-256-GCM under the master key.
//!
//! A sealed value is `1 | key id (4) | nonce (12) | ciphertext and tag`. The key's id lets
//! the master key be rotated; the associated data ties a value to the row it belongs to,
//! so that one can't be put in another's place.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use common::random;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::digest::{SHA256, digest};
use secrecy::SecretString;

use crate::settings::SecretsSettings;

const VERSION: u8 = 1;
const ID_LEN: usize = 4;
const KEY_LEN: usize = 32;

/// Why a value can't be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// It isn't a sealed value, was changed, or belongs to another place.
    #[error("the sealed value is damaged or belongs elsewhere")]
    Damaged,
    /// Its master key isn't among those configured.
    #[error("the sealed value needs a master key that is not configured (key id {0})")]
    UnknownKey(String),
    /// It isn't text, where text was expected.
    #[error("the sealed value is not text")]
    NotText,
    /// The master key can't be read or kept.
    #[error("the master key: {0}")]
    Key(String),
}

struct MasterKey {
    id: [u8; ID_LEN],
    key: LessSafeKey,
}

/// Seals and opens secrets; cheap to clone.
#[derive(Clone)]
pub struct Sealer(Arc<Vec<MasterKey>>);

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer(***)")
    }
}

impl Sealer {
    /// The configured master key, else the one of the data directory, which is made at the first start.
    pub fn open_or_create(settings: &SecretsSettings, data_dir: &Path) -> Result<Self, SealError> {
        let first = match &settings.master_key {
            Some(key) => key.expose().to_owned(),
            None => read_or_create(&data_dir.join("master.key"))?,
        };
        let previous = settings
            .previous_keys
            .iter()
            .map(|key| key.expose().to_owned());
        let keys = std::iter::once(first)
            .chain(previous)
            .map(|text| decode(&text))
            .collect::<Result<_, _>>()?;
        Ok(Self(Arc::new(keys)))
    }

    /// Seals a value for one place, which `place` names (a table and row, say).
    pub fn seal(&self, value: &[u8], place: &str) -> Result<Vec<u8>, SealError> {
        let master = self
            .0
            .first()
            .ok_or_else(|| SealError::Key("none is configured".into()))?;
        let nonce = random::bytes::<NONCE_LEN>();
        let mut sealed = value.to_vec();
        master
            .key
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(place.as_bytes()),
                &mut sealed,
            )
            .map_err(|_| SealError::Damaged)?;
        Ok([&[VERSION][..], &master.id, &nonce, &sealed].concat())
    }

    /// Opens a value that was sealed for this place.
    pub fn open(&self, sealed: &[u8], place: &str) -> Result<Vec<u8>, SealError> {
        let rest = sealed.strip_prefix(&[VERSION]).ok_or(SealError::Damaged)?;
        let (id, rest) = rest
            .split_first_chunk::<ID_LEN>()
            .ok_or(SealError::Damaged)?;
        let (nonce, body) = rest
            .split_first_chunk::<NONCE_LEN>()
            .ok_or(SealError::Damaged)?;
        let master = self
            .0
            .iter()
            .find(|key| key.id == *id)
            .ok_or_else(|| SealError::UnknownKey(hex::encode(id)))?;
        let mut body = body.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let plain = master
            .key
            .open_in_place(nonce, Aad::from(place.as_bytes()), &mut body)
            .map_err(|_| SealError::Damaged)?;
        Ok(plain.to_vec())
    }

    /// Opens a value that is text.
    pub fn open_text(&self, sealed: &[u8], place: &str) -> Result<SecretString, SealError> {
        String::from_utf8(self.open(sealed, place)?)
            .map(SecretString::from)
            .map_err(|_| SealError::NotText)
    }
}

fn decode(text: &str) -> Result<MasterKey, SealError> {
    let bytes = STANDARD
        .decode(text.trim())
        .map_err(|_| SealError::Key("it is not base64".into()))?;
    if bytes.len() != KEY_LEN {
        return Err(SealError::Key(format!(
            "it has {} bytes instead of {KEY_LEN}",
            bytes.len()
        )));
    }
    let key = UnboundKey::new(&AES_256_GCM, &bytes)
        .map_err(|_| SealError::Key("it can't be used".into()))?;
    let id = digest(&SHA256, &bytes)
        .as_ref()
        .first_chunk::<ID_LEN>()
        .copied()
        .unwrap_or_default();
    Ok(MasterKey {
        id,
        key: LessSafeKey::new(key),
    })
}

/// Reads the key's file; makes it if it isn't there. Of several services that start at once one
/// makes it, the others read that one.
fn read_or_create(path: &Path) -> Result<String, SealError> {
    let failed = |doing: &str, error: std::io::Error| {
        SealError::Key(format!("{doing} {}: {error}", path.display()))
    };
    match fs::read_to_string(path) {
        Ok(text) => return Ok(text),
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(failed("cannot read", error));
        }
        Err(_missing) => {}
    }
    let text = STANDARD.encode(random::bytes::<KEY_LEN>());
    let fresh = path.with_extension(format!("key.{}", hex::encode(random::bytes::<4>())));
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&fresh)
        .map_err(|e| failed("cannot make", e))?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(|e| failed("cannot write", e))?;
    // A link fails where the name is taken, so that nobody's key is ever overwritten.
    let linked = fs::hard_link(&fresh, path);
    fs::remove_file(&fresh).map_err(|e| failed("cannot clean up beside", e))?;
    match linked {
        Ok(()) => Ok(text),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            fs::read_to_string(path).map_err(|e| failed("cannot read", e))
        }
        Err(error) => Err(failed("cannot make", error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Secret;

    fn key() -> Secret {
        Secret::new(STANDARD.encode(random::bytes::<KEY_LEN>()))
    }

    fn sealer(master: &Secret, previous: &[Secret]) -> Sealer {
        let settings = SecretsSettings {
            master_key: Some(master.clone()),
            previous_keys: previous.to_vec(),
        };
        Sealer::open_or_create(&settings, Path::new("/nowhere")).unwrap()
    }

    #[test]
    fn a_value_opens_at_its_own_place_only() {
        let sealer = sealer(&key(), &[]);
        let sealed = sealer.seal(b"hunter2", "variables/1").unwrap();
        assert_eq!(sealer.open(&sealed, "variables/1").unwrap(), b"hunter2");
        assert!(matches!(
            sealer.open(&sealed, "variables/2"),
            Err(SealError::Damaged)
        ));
        assert!(!sealed.windows(7).any(|window| window == b"hunter2"));
    }

    #[test]
    fn a_value_of_an_earlier_master_key_opens_and_one_of_a_lost_key_says_so() {
        let (old, new) = (key(), key());
        let sealed = sealer(&old, &[]).seal(b"x", "p").unwrap();
        assert_eq!(sealer(&new, &[old]).open(&sealed, "p").unwrap(), b"x");
        assert!(matches!(
            sealer(&new, &[]).open(&sealed, "p"),
            Err(SealError::UnknownKey(_))
        ));
    }

    #[test]
    fn a_changed_value_is_refused() {
        let sealer = sealer(&key(), &[]);
        let sealed = sealer.seal(b"hunter2", "p").unwrap();
        for place in [0, 6, sealed.len() - 1] {
            let mut changed = sealed.clone();
            changed[place] ^= 1;
            assert!(sealer.open(&changed, "p").is_err(), "byte {place}");
        }
        assert!(sealer.open(&[], "p").is_err());
    }
}
