//! What `slipway login` keeps: refresh tokens by platform, for their owner's eyes only.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize, Serializer};
use url::Url;

use crate::environment;

/// As what somebody is signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Actor {
    /// An external user.
    Euser,
    /// An operator.
    Admin,
}

impl Actor {
    /// As the platform names it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Euser => "euser",
            Self::Admin => "admin",
        }
    }
}

/// The tokens of one sign-in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Stored {
    /// Good once, for the next two.
    #[serde(serialize_with = "expose")]
    pub(crate) refresh_token: SecretString,
    /// What calls are made with.
    #[serde(serialize_with = "expose")]
    pub(crate) access_token: SecretString,
    /// When that one ends, in seconds since the epoch.
    pub(crate) expires_at: i64,
}

fn expose<S: Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose_secret())
}

/// The file: by address and actor.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Content {
    #[serde(default)]
    platforms: BTreeMap<String, BTreeMap<Actor, Stored>>,
}

/// The file with what is kept.
#[derive(Clone, Debug)]
pub(crate) struct Store(PathBuf);

impl Store {
    /// `$XDG_CONFIG_HOME/slipway/credentials.json`, or below `~/.config`; none without a home.
    pub(crate) fn open() -> Option<Self> {
        let config = environment::text("XDG_CONFIG_HOME")
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
            .or_else(|| environment::text("HOME").map(|home| Path::new(&home).join(".config")))?;
        Some(Self(config.join("slipway/credentials.json")))
    }

    /// What is kept for a platform.
    pub(crate) fn get(&self, url: &Url, actor: Actor) -> anyhow::Result<Option<Stored>> {
        let mut content = self.read()?;
        let of_platform = content.platforms.get_mut(&key(url));
        Ok(of_platform.and_then(|actors| actors.remove(&actor)))
    }

    /// Keeps a sign-in, in the place of the one before.
    pub(crate) fn put(&self, url: &Url, actor: Actor, stored: Stored) -> anyhow::Result<()> {
        let mut content = self.read()?;
        let of_platform = content.platforms.entry(key(url)).or_default();
        of_platform.insert(actor, stored);
        self.write(&content)
    }

    /// Forgets a platform; what was kept for it.
    pub(crate) fn remove(&self, url: &Url) -> anyhow::Result<Vec<Stored>> {
        let mut content = self.read()?;
        let Some(removed) = content.platforms.remove(&key(url)) else {
            return Ok(Vec::new());
        };
        if content.platforms.is_empty() {
            std::fs::remove_file(&self.0)
                .with_context(|| format!("{} can't be removed", self.0.display()))?;
        } else {
            self.write(&content)?;
        }
        Ok(removed.into_values().collect())
    }

    fn read(&self) -> anyhow::Result<Content> {
        let text = match std::fs::read(&self.0) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Content::default());
            }
            Err(error) => {
                return Err(error).with_context(|| format!("{} can't be read", self.0.display()));
            }
        };
        let mode = std::fs::metadata(&self.0)?.permissions().mode();
        anyhow::ensure!(
            mode.trailing_zeros() >= 6,
            "others can read {}: `chmod 600` it, and `slipway logout` if somebody may have",
            self.0.display()
        );
        serde_json::from_slice(&text).with_context(|| {
            format!(
                "{} is damaged; remove it and sign in again",
                self.0.display()
            )
        })
    }

    /// Writes all of it or nothing: another command may read at the same time.
    fn write(&self, content: &Content) -> anyhow::Result<()> {
        let write = || -> anyhow::Result<()> {
            let directory = self.0.parent().unwrap_or(Path::new("."));
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(directory)?;
            // Made for its owner alone (0600).
            let mut file = tempfile::NamedTempFile::new_in(directory)?;
            file.write_all(serde_json::to_string_pretty(content)?.as_bytes())?;
            file.as_file().sync_all()?;
            file.persist(&self.0)?;
            Ok(())
        };
        write().with_context(|| format!("{} can't be written", self.0.display()))
    }
}

fn key(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(token: &str) -> Stored {
        Stored {
            refresh_token: SecretString::from(token),
            access_token: SecretString::from("a.b.c"),
            expires_at: 1,
        }
    }

    #[test]
    fn each_platform_and_actor_has_its_own_and_only_the_owner_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store(dir.path().join("slipway/credentials.json"));
        let (here, there): (Url, Url) = (
            "http://localhost:8080".parse().unwrap(),
            "https://slipway.example/".parse().unwrap(),
        );
        assert!(store.get(&here, Actor::Euser).unwrap().is_none());
        store.put(&here, Actor::Euser, stored("one")).unwrap();
        store.put(&there, Actor::Euser, stored("two")).unwrap();
        store.put(&here, Actor::Admin, stored("three")).unwrap();
        store.put(&here, Actor::Euser, stored("four")).unwrap();
        let kept = |url, actor| store.get(url, actor).unwrap().unwrap();
        assert_eq!(
            kept(&here, Actor::Euser).refresh_token.expose_secret(),
            "four"
        );
        assert_eq!(
            kept(&there, Actor::Euser).refresh_token.expose_secret(),
            "two"
        );
        let mode = std::fs::metadata(&store.0).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!format!("{:?}", kept(&here, Actor::Euser)).contains("four"));

        assert_eq!(store.remove(&here).unwrap().len(), 2);
        assert!(store.get(&here, Actor::Admin).unwrap().is_none());
        store.remove(&there).unwrap();
        assert!(!store.0.exists());
    }

    #[test]
    fn a_file_that_others_can_read_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store(dir.path().join("credentials.json"));
        let here: Url = "http://localhost:8080".parse().unwrap();
        store.put(&here, Actor::Euser, stored("one")).unwrap();
        std::fs::set_permissions(&store.0, std::fs::Permissions::from_mode(0o644)).unwrap();
        let error = store.get(&here, Actor::Euser).unwrap_err().to_string();
        assert!(error.contains("chmod 600"), "{error}");
    }
}
