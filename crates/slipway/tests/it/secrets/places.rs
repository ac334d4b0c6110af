//! Everything that a platform keeps on the disk.

use std::fs;
use std::path::{Path, PathBuf};

/// All files under a directory. Links are not followed: what they lead to is looked at where it is.
pub(crate) fn files_under(directory: &Path) -> Vec<PathBuf> {
    let mut open = vec![directory.to_owned()];
    let mut files = Vec::new();
    while let Some(path) = open.pop() {
        // What is gone in the meantime is kept no more.
        let Ok(about) = fs::symlink_metadata(&path) else {
            continue;
        };
        if about.is_dir() {
            let entries = fs::read_dir(&path).into_iter().flatten();
            open.extend(entries.filter_map(Result::ok).map(|entry| entry.path()));
        } else if about.is_file() {
            files.push(path);
        }
    }
    files
}

/// A file's bytes as text, so that ASCII in it stays what it is.
pub(super) fn content(file: &Path) -> String {
    fs::read(file).map_or_else(
        |_| String::new(),
        |bytes| String::from_utf8_lossy(&bytes).into_owned(),
    )
}
