//! The lock of a data directory: one platform at a time.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

const FILE: &str = "slipway.lock";

/// Who holds a data directory, as its lock file says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Holder {
    /// The process.
    pub(crate) pid: u32,
    /// Where it answers.
    pub(crate) url: String,
}

/// Why a data directory can't be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LockError {
    /// Another process has it.
    #[error("the data directory {} is in use {}", dir.display(), by(holder.as_ref()))]
    Held {
        /// The directory.
        dir: PathBuf,
        /// Who has it, where its file could be read.
        holder: Option<Holder>,
    },
    /// The directory or its lock file can't be used.
    #[error("the data directory {} can't be used", dir.display())]
    Unusable {
        /// The directory.
        dir: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

fn by(holder: Option<&Holder>) -> String {
    match holder {
        Some(Holder { pid, url }) => format!(
            "by a running Slipway: process {pid}, at {url}. Use that one, stop it (kill {pid}), or \
             give this one a directory of its own with --data-dir"
        ),
        None => {
            "by another process that is just starting. Wait for it, or use another with --data-dir"
                .to_owned()
        }
    }
}

/// A data directory that is ours until this is dropped or the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct DataLock {
    _file: File,
}

impl DataLock {
    /// Makes the directory, closed to others, if it isn't there, and takes it.
    pub(crate) fn take(dir: &Path, url: &str) -> Result<Self, LockError> {
        let unusable = |source| LockError::Unusable {
            dir: dir.to_owned(),
            source,
        };
        make_private(dir).map_err(unusable)?;
        let mut file = open(dir, true).map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LockError::Held {
                    dir: dir.to_owned(),
                    holder: read(&mut file),
                });
            }
            Err(TryLockError::Error(source)) => return Err(unusable(source)),
        }
        write(
            &mut file,
            &Holder {
                pid: std::process::id(),
                url: url.to_owned(),
            },
        )
        .map_err(unusable)?;
        Ok(Self { _file: file })
    }
}

/// Who runs on a data directory now, if somebody does.
pub(crate) fn holder(dir: &Path) -> Option<Holder> {
    let mut file = open(dir, false).ok()?;
    // A lock that can be had is held by nobody; it is let go again when the file is closed.
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => read(&mut file),
        Ok(()) | Err(TryLockError::Error(_)) => None,
    }
}

fn make_private(dir: &Path) -> std::io::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)?;
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700))
}

fn open(dir: &Path, writing: bool) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(writing)
        .create(writing)
        .truncate(false)
        .mode(0o600);
    options.open(dir.join(FILE))
}

fn read(file: &mut File) -> Option<Holder> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

fn write(file: &mut File, holder: &Holder) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(serde_json::to_string(holder)?.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_one_is_told_who_holds_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let lock = DataLock::take(&data, "http://localhost:8080").unwrap();
        let error = DataLock::take(&data, "http://localhost:9090")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(&std::process::id().to_string())
                && error.contains("http://localhost:8080"),
            "{error}"
        );
        assert_eq!(holder(&data).unwrap().url, "http://localhost:8080");
        drop(lock);
        assert_eq!(holder(&data), None);
        DataLock::take(&data, "http://localhost:9090").unwrap();
    }

    #[test]
    fn the_directory_is_closed_to_others() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("deep/data");
        let _lock = DataLock::take(&data, "x").unwrap();
        assert_eq!(
            std::fs::metadata(&data).unwrap().permissions().mode() & 0o777,
            0o700
        );
    }

    #[test]
    fn nobody_holds_a_directory_that_is_not_there() {
        assert_eq!(holder(Path::new("/nonexistent/slipway")), None);
    }
}
