//! Certificates in files: where they are, and what has become of them since.
//!
//! A folder holds pairs: `NAME.crt` with `NAME.key`, as Kubernetes lays them (`tls.crt`, `tls.key`), or
//! `fullchain.pem` with `privkey.pem`, as ACME clients do. Folders in it are looked into as well, one level
//! deep, but for hidden ones.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use common::digest::sha256_hex;
use common::time::Time;

use super::certificate::{Certificate, Unusable};

/// The longest file that is read: longer ones are no certificates, in bytes.
const LONGEST: u64 = 1024 * 1024;

/// Why a file or folder can't be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// It can't be read.
    #[error("{path} can't be read: {source}")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is longer than any certificate.
    #[error("{0} is too long for a certificate")]
    TooLong(PathBuf),
    /// What is in it can't be used.
    #[error("{path}: {why}")]
    Unusable {
        /// Which: the certificate's file.
        path: PathBuf,
        /// Why.
        why: Unusable,
    },
    /// No pair is in it.
    #[error(
        "{0} holds no certificate: expected tls.crt with tls.key, or fullchain.pem with privkey.pem, there or in a folder in it"
    )]
    Empty(PathBuf),
}

/// A certificate's file and its key's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Pair {
    certificate: PathBuf,
    key: PathBuf,
}

struct Loaded {
    digest: String,
    certificate: Certificate,
}

/// The certificates of some folders, as they were last found usable.
#[derive(Default)]
pub(crate) struct Files {
    folders: Vec<PathBuf>,
    loaded: BTreeMap<Pair, Loaded>,
    /// What was found unusable, so that it is said once.
    told: BTreeMap<PathBuf, String>,
}

impl Files {
    /// Reads all of them. Every one must be usable: an operator who has put it there relies on it.
    pub(crate) fn open(folders: Vec<PathBuf>, now: Time) -> Result<Self, FileError> {
        let mut loaded = BTreeMap::new();
        for folder in &folders {
            let pairs = pairs(folder)?;
            if pairs.is_empty() {
                return Err(FileError::Empty(folder.clone()));
            }
            for pair in pairs {
                let (digest, certificate) = read(&pair, None, now)?.ok_or_else(|| {
                    // Nothing was known that it could be equal to.
                    FileError::Empty(folder.clone())
                })?;
                let one = Loaded {
                    digest,
                    certificate,
                };
                loaded.insert(pair, one);
            }
        }
        Ok(Self {
            folders,
            loaded,
            told: BTreeMap::new(),
        })
    }

    /// The certificates, in the order of folders and names.
    pub(crate) fn certificates(&self) -> Vec<Certificate> {
        let in_folder = |folder: &PathBuf| {
            self.loaded
                .iter()
                .filter(move |(pair, _)| pair.certificate.starts_with(folder.clone()))
                .map(|(_, one)| one.certificate.clone())
                .collect::<Vec<_>>()
        };
        self.folders.iter().flat_map(in_folder).collect()
    }

    /// Looks whether something has changed, and takes over what can be used. What can't leaves the
    /// certificate that was there before, and the log says so, once. Tells whether anything is new.
    pub(crate) fn refresh(&mut self, now: Time) -> bool {
        let mut changed = false;
        for folder in self.folders.clone() {
            match pairs(&folder) {
                Ok(found) if found.is_empty() => {
                    self.tell(folder.clone(), &FileError::Empty(folder));
                }
                Ok(found) => changed |= self.refresh_folder(&folder, &found, now),
                Err(error) => self.tell(folder, &error),
            }
        }
        changed
    }

    fn refresh_folder(&mut self, folder: &Path, found: &[Pair], now: Time) -> bool {
        let before = self.loaded.len();
        self.loaded
            .retain(|pair, _| !pair.certificate.starts_with(folder) || found.contains(pair));
        let mut changed = self.loaded.len() != before;
        for pair in found {
            let known = self.loaded.get(pair).map(|one| one.digest.as_str());
            match read(pair, known, now) {
                Ok(None) => {
                    self.told.remove(&pair.certificate);
                }
                Ok(Some((digest, certificate))) => {
                    tracing::info!(
                        certificate.file = %pair.certificate.display(),
                        certificate.names = certificate.names.join(" "),
                        certificate.not_after = %certificate.not_after,
                        "a certificate has been taken over"
                    );
                    self.told.remove(&pair.certificate);
                    let one = Loaded {
                        digest,
                        certificate,
                    };
                    self.loaded.insert(pair.clone(), one);
                    changed = true;
                }
                Err(error) => self.tell(pair.certificate.clone(), &error),
            }
        }
        changed
    }

    fn tell(&mut self, path: PathBuf, error: &FileError) {
        let text = error.to_string();
        if self.told.get(&path) != Some(&text) {
            tracing::error!(
                error = text,
                "a certificate can't be used; what was there before goes on"
            );
            self.told.insert(path, text);
        }
    }
}

/// Reads a pair, unless it is still what this digest is of.
fn read(
    pair: &Pair,
    known: Option<&str>,
    now: Time,
) -> Result<Option<(String, Certificate)>, FileError> {
    let (certificate, key) = (content(&pair.certificate)?, content(&pair.key)?);
    let digest = sha256_hex([sha256_hex(&certificate), sha256_hex(&key)].concat());
    if known == Some(digest.as_str()) {
        return Ok(None);
    }
    match Certificate::parse(&certificate, &key, now) {
        Ok(certificate) => Ok(Some((digest, certificate))),
        Err(why) => Err(FileError::Unusable {
            path: pair.certificate.clone(),
            why,
        }),
    }
}

fn content(path: &Path) -> Result<Vec<u8>, FileError> {
    let unreadable = |source| FileError::Unreadable {
        path: path.to_owned(),
        source,
    };
    if fs::metadata(path).map_err(unreadable)?.len() > LONGEST {
        return Err(FileError::TooLong(path.to_owned()));
    }
    fs::read(path).map_err(unreadable)
}

/// The pairs of a folder and of those in it, sorted by name.
fn pairs(folder: &Path) -> Result<Vec<Pair>, FileError> {
    let mut pairs = Vec::new();
    for path in entries(folder)? {
        if path.is_dir() {
            pairs.extend(entries(&path)?.iter().filter_map(|path| pair(path)));
        } else {
            pairs.extend(pair(&path));
        }
    }
    pairs.sort();
    Ok(pairs)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, FileError> {
    let unreadable = |source| FileError::Unreadable {
        path: folder.to_owned(),
        source,
    };
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        if !entry.file_name().to_string_lossy().starts_with('.') {
            paths.push(entry.path());
        }
    }
    Ok(paths)
}

/// The pair that a certificate's file is part of; none where it is no such file.
fn pair(path: &Path) -> Option<Pair> {
    let key = if path.file_name()? == "fullchain.pem" {
        path.with_file_name("privkey.pem")
    } else if path.extension()? == "crt" {
        path.with_extension("key")
    } else {
        return None;
    };
    Some(Pair {
        certificate: path.to_owned(),
        key,
    })
}
