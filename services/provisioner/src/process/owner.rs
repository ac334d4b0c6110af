//! The users that apps run as, and where their files lie so that they can reach them.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Gid, Uid, chownat};
use serde::{Deserialize, Serialize};

/// The user and group that a process runs as and that its files belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// Numeric user id; it needs no entry in `/etc/passwd`.
    pub uid: u32,
    /// Numeric group id.
    pub gid: u32,
}

/// The range that accounts' own user ids are taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UidRange {
    /// The first user id.
    pub first: u32,
    /// How many there are.
    pub count: u32,
}

impl Default for UidRange {
    fn default() -> Self {
        Self {
            first: 200_000,
            count: 100_000,
        }
    }
}

impl UidRange {
    /// The owner for the `number`th account; `None` when the range is used up.
    ///
    /// Which account has which number is the caller's to keep: a number is never given twice.
    pub fn owner(&self, number: u32) -> Option<Owner> {
        let id = self
            .first
            .checked_add((number < self.count).then_some(number)?)?;
        Some(Owner { uid: id, gid: id })
    }
}

/// Gives a directory and all in it to `owner`, without following links out of it.
pub fn chown_tree(root: &Path, owner: Owner) -> io::Result<()> {
    let mut open = vec![root.to_path_buf()];
    while let Some(path) = open.pop() {
        let about = fs::symlink_metadata(&path)?;
        if about.uid() != owner.uid || about.gid() != owner.gid {
            chown(&path, owner)?;
        }
        if about.is_dir() {
            for entry in fs::read_dir(&path)? {
                open.push(entry?.path());
            }
        }
    }
    Ok(())
}

/// Gives one file, directory or link (not what it points to) to `owner`.
pub fn chown(path: &Path, owner: Owner) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(owner.uid), Gid::from_raw(owner.gid));
    Ok(chownat(
        CWD,
        path,
        Some(uid),
        Some(gid),
        AtFlags::SYMLINK_NOFOLLOW,
    )?)
}

/// Where the directories of builds and releases go for a data directory.
///
/// An ordinary user has them inside it. As root the data directory is closed to the users that
/// apps run as, so they lie outside, named by the data directory's path; apps can pass through
/// but not list it.
pub fn apps_directory(data_directory: &Path, as_root: bool) -> io::Result<PathBuf> {
    let data_directory = std::path::absolute(data_directory)?;
    let directory = if as_root {
        let digest = ring::digest::digest(
            &ring::digest::SHA256,
            data_directory.as_os_str().as_encoded_bytes(),
        );
        let name = digest
            .as_ref()
            .iter()
            .take(8)
            .fold(String::new(), |name, byte| name + &format!("{byte:02x}"));
        Path::new("/var/lib/slipway/apps").join(name)
    } else {
        data_directory.join("apps")
    };
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&directory)?;
    if as_root {
        // By hand, because the umask may have taken bits away.
        for above in directory.ancestors().take(3) {
            fs::set_permissions(above, fs::Permissions::from_mode(0o711))?;
        }
    }
    Ok(directory)
}

/// The first directory on the way to `path` that `owner` can't pass through, if there is one.
pub fn closed_to(path: &Path, owner: Owner) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    let mut above: Vec<&Path> = path.ancestors().collect();
    above.reverse();
    above
        .into_iter()
        .find(|directory| !may_pass(directory, owner))
        .map(Path::to_path_buf)
}

fn may_pass(directory: &Path, owner: Owner) -> bool {
    let Ok(about) = fs::metadata(directory) else {
        return false;
    };
    let shift = match (about.uid() == owner.uid, about.gid() == owner.gid) {
        (true, _) => 6,
        (false, true) => 3,
        (false, false) => 0,
    };
    about.mode() >> shift & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_outside_the_range_has_no_owner() {
        let range = UidRange {
            first: 10,
            count: 2,
        };
        assert_eq!(range.owner(1), Some(Owner { uid: 11, gid: 11 }));
        assert_eq!(range.owner(2), None);
    }
}
