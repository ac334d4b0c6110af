//! Reading a checked-out tree: bounded, never outside of it.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::DetectError;
use super::plan::RelPath;

/// No file that decides how to build is larger than this; what is, isn't read.
const LARGEST_FILE: u64 = 4 << 20;
/// How many entries [`Source::walk`] looks at before it stops.
const MOST_ENTRIES: usize = 5_000;

/// The app's directory in a checkout.
pub(super) struct Source {
    dir: PathBuf,
}

impl Source {
    /// Opens the directory `root` of `checkout`, refusing one that leads out of it.
    pub(super) fn open(checkout: &Path, root: &RelPath) -> Result<Self, DetectError> {
        let outside = |_| DetectError::NoDirectory {
            path: root.to_string(),
        };
        let top = fs::canonicalize(checkout).map_err(outside)?;
        let dir = fs::canonicalize(root.under(&top)).map_err(outside)?;
        if !dir.starts_with(&top) || !dir.is_dir() {
            return Err(DetectError::NoDirectory {
                path: root.to_string(),
            });
        }
        Ok(Self { dir })
    }

    /// Whether `path` is a file inside the tree.
    pub(super) fn has(&self, path: &str) -> bool {
        self.inside(path).is_some_and(|path| path.is_file())
    }

    /// Whether `path` is a directory inside the tree.
    pub(super) fn has_dir(&self, path: &str) -> bool {
        self.inside(path).is_some_and(|path| path.is_dir())
    }

    /// The text of a file; `None` if there is none, it is too large, or it isn't a file of this tree.
    /// Bytes that aren't UTF-8 become replacement characters.
    pub(super) fn text(&self, path: &str) -> Option<String> {
        let path = self.inside(path).filter(|path| path.is_file())?;
        let mut bytes = Vec::new();
        let file = fs::File::open(path).ok()?;
        file.take(LARGEST_FILE + 1).read_to_end(&mut bytes).ok()?;
        let small = u64::try_from(bytes.len()).is_ok_and(|len| len <= LARGEST_FILE);
        small.then(|| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The names in one directory, sorted; empty if there is no such directory.
    pub(super) fn names(&self, dir: &str) -> Vec<String> {
        let Some(entries) = self.inside(dir).and_then(|dir| fs::read_dir(dir).ok()) else {
            return Vec::new();
        };
        let mut names: Vec<_> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .take(MOST_ENTRIES)
            .collect();
        names.sort();
        names
    }

    /// The files with extension `ext` at most `depth` directories down, shallow ones first, without
    /// hidden directories and those named in `skip`.
    pub(super) fn walk(&self, ext: &str, depth: usize, skip: &[&str]) -> Vec<String> {
        let mut found = Vec::new();
        let mut level = vec![String::new()];
        let mut seen = 0;
        for _ in 0..=depth {
            let mut below = Vec::new();
            for dir in level {
                for name in self.names(if dir.is_empty() { "." } else { &dir }) {
                    seen += 1;
                    if seen > MOST_ENTRIES || name.starts_with('.') {
                        continue;
                    }
                    let path = if dir.is_empty() {
                        name.clone()
                    } else {
                        format!("{dir}/{name}")
                    };
                    if Path::new(&name)
                        .extension()
                        .is_some_and(|found| found == ext)
                        && self.has(&path)
                    {
                        found.push(path);
                    } else if !skip.contains(&name.as_str()) && self.has_dir(&path) {
                        below.push(path);
                    }
                }
            }
            level = below;
        }
        found
    }

    fn inside(&self, path: &str) -> Option<PathBuf> {
        let path = fs::canonicalize(self.dir.join(path)).ok()?;
        path.starts_with(&self.dir).then_some(path)
    }
}
