//! Keeping a repository small, and freeing it from what a crash has left.

use std::fs::DirEntry;
use std::path::Path;
use std::time::Duration;

use super::command::{Git, GitError};
use crate::storage::GitDir;

/// How long one cleaning may take.
const LIMIT: Duration = Duration::from_mins(10);

impl Git {
    /// Packs what pushes have left loose, if it is much.
    pub(crate) async fn tidy(&self, repository: &GitDir) -> Result<(), GitError> {
        let arguments = ["-c", "gc.autoDetach=false", "gc", "--auto", "--quiet"];
        self.ask_within(LIMIT, repository, &arguments, Vec::new())
            .await
            .map(drop)
    }

    /// Removes what only a git that was killed leaves, if it is older than `age`, longer than any
    /// command of ours runs: lock files, which would refuse every later push, and objects that
    /// were never accepted.
    pub(crate) async fn remove_leftovers(
        &self,
        repository: &GitDir,
        age: Duration,
    ) -> Result<(), GitError> {
        let top = repository.path().to_owned();
        let work = move || {
            remove_locks(&top, age, false)?;
            remove_locks(&top.join("refs"), age, true)?;
            remove_quarantines(&top.join("objects"), age)
        };
        tokio::task::spawn_blocking(work)
            .await
            .map_err(std::io::Error::other)??;
        Ok(())
    }
}

fn remove_locks(directory: &Path, age: Duration, deep: bool) -> std::io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        if kind.is_dir() && deep {
            remove_locks(&entry.path(), age, true)?;
        } else if kind.is_file()
            && entry.path().extension().is_some_and(|e| e == "lock")
            && is_old(&entry, age)?
        {
            tracing::warn!(git.lock = %entry.path().display(), "removing a lock that a crash has left");
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn remove_quarantines(objects: &Path, age: Duration) -> std::io::Result<()> {
    for entry in std::fs::read_dir(objects)? {
        let entry = entry?;
        let quarantine = entry
            .file_name()
            .to_string_lossy()
            .starts_with("tmp_objdir-");
        if quarantine && entry.file_type()?.is_dir() && is_old(&entry, age)? {
            std::fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

fn is_old(entry: &DirEntry, age: Duration) -> std::io::Result<bool> {
    Ok(entry
        .metadata()?
        .modified()?
        .elapsed()
        .is_ok_and(|since| since > age))
}
