//! Where things lie on this machine.
//!
//! Records and output of instances are in the data directory, closed to all but Slipway. What the
//! apps' own users must reach (checkouts, caches) is in the machine's directory for apps; they can pass
//! through it to what is theirs, but not list it.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use common::id::{BuildId, EnvironmentId};

use crate::process::Host;

/// The directories of one provisioner.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    apps: PathBuf,
    state: PathBuf,
}

impl Places {
    /// Makes what isn't there.
    pub(crate) fn open(host: &Host, data_dir: &Path) -> io::Result<Self> {
        let state = data_dir.join("provisioner");
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&state)?;
        let places = Self {
            apps: host.apps_directory(data_dir)?,
            state: std::path::absolute(state)?,
        };
        for shared in [places.releases(), places.work(), places.caches()] {
            fs::DirBuilder::new().recursive(true).create(&shared)?;
            fs::set_permissions(&shared, fs::Permissions::from_mode(0o711))?;
        }
        Ok(places)
    }

    /// Records and output of instances.
    pub(crate) fn state(&self) -> &Path {
        &self.state
    }

    /// All releases.
    pub(crate) fn releases(&self) -> PathBuf {
        self.apps.join("releases")
    }

    /// The tree of one attempt at a build; it becomes the release.
    pub(crate) fn tree(&self, build: &BuildId, attempt: u32) -> PathBuf {
        self.releases().join(format!("{build}-{attempt}"))
    }

    /// What builds need only while they run.
    pub(crate) fn work(&self) -> PathBuf {
        self.apps.join("work")
    }

    /// What instances need only while they run.
    pub(crate) fn temporary(&self) -> PathBuf {
        self.apps.join("tmp")
    }

    /// What package managers have fetched, by environment.
    pub(crate) fn caches(&self) -> PathBuf {
        self.apps.join("caches")
    }

    /// What package managers have fetched for an environment.
    pub(crate) fn cache(&self, environment: &EnvironmentId) -> PathBuf {
        self.caches().join(environment.as_str())
    }

    /// Removes all that earlier attempts at a build have left.
    pub(crate) fn clean_up_build(&self, build: &BuildId) -> io::Result<()> {
        remove_tree(&self.work().join(build.as_str()))?;
        for entry in fs::read_dir(self.releases())? {
            let entry = entry?;
            if belongs_to(&entry.file_name().to_string_lossy(), build) {
                remove_tree(&entry.path())?;
            }
        }
        Ok(())
    }
}

fn belongs_to(name: &str, build: &BuildId) -> bool {
    name.strip_prefix(build.as_str())
        .is_some_and(|rest| rest.starts_with('-'))
}

/// Removes a directory with all that is in it, if it is there.
pub(crate) fn remove_tree(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // A tool may have left directories that even their owner can't write to.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            open_up(path)?;
            fs::remove_dir_all(path)
        }
        other => other,
    }
}

fn open_up(directory: &Path) -> io::Result<()> {
    fs::set_permissions(directory, fs::Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            open_up(&entry.path())?;
        }
    }
    Ok(())
}

/// This machine's name among provisioners that share a database. Made at the first start, kept in the data directory.
pub(crate) fn node(data_dir: &Path) -> io::Result<String> {
    let directory = data_dir.join("provisioner");
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&directory)?;
    let file = directory.join("node");
    match fs::read_to_string(&file) {
        Ok(name) if !name.trim().is_empty() => return Ok(name.trim().to_owned()),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let random: String = common::random::bytes::<8>()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let name = format!("node-{random}");
    let mut out = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&file)?;
    out.write_all(name.as_bytes())?;
    out.sync_all()?;
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use common::time::Time;

    #[test]
    fn a_build_owns_its_attempts_and_no_other_builds() {
        let (one, other) = (BuildId::new(Time::EPOCH), BuildId::new(Time::EPOCH));
        assert!(belongs_to(&format!("{one}-2"), &one));
        assert!(!belongs_to(&format!("{one}-2"), &other));
        assert!(!belongs_to(one.as_str(), &one));
    }

    #[test]
    fn a_node_keeps_its_name() {
        let data = tempfile::tempdir().unwrap();
        assert_eq!(node(data.path()).unwrap(), node(data.path()).unwrap());
    }
}
