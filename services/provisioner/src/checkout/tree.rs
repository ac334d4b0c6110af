//! What a commit holds, and whether its symbolic links stay inside.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use super::error::CheckoutError;

/// How many links may follow one another, as in the kernel.
const MOST_HOPS: usize = 40;

/// The entries of a commit's tree that decide something.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Listing {
    /// How many files there are.
    pub(super) files: usize,
    /// Their sizes together.
    pub(super) bytes: u64,
    /// The symbolic links.
    pub(super) links: Vec<PathBuf>,
    /// The submodules: path and commit.
    pub(super) submodules: Vec<(String, String)>,
}

impl Listing {
    /// Reads what `git ls-tree -r -l -z` prints.
    pub(super) fn parse(answer: &[u8]) -> Self {
        let mut listing = Self::default();
        for entry in answer.split(|byte| *byte == 0) {
            let mut halves = entry.splitn(2, |byte| *byte == b'\t');
            let (Some(about), Some(path)) = (halves.next(), halves.next()) else {
                continue;
            };
            let about = String::from_utf8_lossy(about);
            let mut about = about.split_whitespace();
            let (mode, _, id, size) = (about.next(), about.next(), about.next(), about.next());
            match mode {
                Some("160000") => {
                    let path = String::from_utf8_lossy(path).into_owned();
                    listing
                        .submodules
                        .push((path, id.unwrap_or_default().to_owned()));
                }
                Some("120000") => listing.links.push(path_of(path)),
                _ => {}
            }
            listing.files += 1;
            listing.bytes = listing
                .bytes
                .saturating_add(size.and_then(|size| size.parse().ok()).unwrap_or(0));
        }
        listing
    }
}

fn path_of(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt as _;
    PathBuf::from(std::ffi::OsStr::from_bytes(bytes))
}

/// Refuses the first of `links` that leads out of `tree`, by itself or through others.
pub(super) fn check_links(tree: &Path, links: &[PathBuf]) -> Result<(), CheckoutError> {
    for link in links {
        if !stays(tree, link)? {
            let target = fs::read_link(tree.join(link)).unwrap_or_default();
            return Err(CheckoutError::Link {
                path: link.display().to_string(),
                target: target.display().to_string(),
            });
        }
    }
    Ok(())
}

/// Walks a path as the kernel would, with `tree` as the ceiling: a link is followed where it
/// stands, so that `link/..` is the parent of its target.
fn stays(tree: &Path, link: &Path) -> io::Result<bool> {
    let mut here = PathBuf::new();
    let mut ahead: Vec<PathBuf> = parts(link);
    let mut hops = 0;
    while let Some(part) = ahead.pop() {
        if part == Path::new("..") {
            if !here.pop() {
                return Ok(false);
            }
            continue;
        }
        here.push(&part);
        let Ok(about) = fs::symlink_metadata(tree.join(&here)) else {
            continue;
        };
        if !about.is_symlink() {
            continue;
        }
        hops += 1;
        let target = fs::read_link(tree.join(&here))?;
        if target.is_absolute() {
            return Ok(false);
        }
        if hops > MOST_HOPS {
            // A circle leads nowhere, and so not out.
            return Ok(true);
        }
        here.pop();
        ahead.extend(parts(&target));
    }
    Ok(true)
}

/// The parts of a relative path, the first one last.
fn parts(path: &Path) -> Vec<PathBuf> {
    let kept = path
        .components()
        .filter(|part| !matches!(part, Component::CurDir));
    let mut parts: Vec<PathBuf> = kept.map(|part| PathBuf::from(part.as_os_str())).collect();
    parts.reverse();
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_listing_is_counted() {
        let answer = b"100644 blob aa      12\ta.txt\x00120000 blob bb       5\tl\nink\x00160000 commit cc       -\tsub\x00";
        let listing = Listing::parse(answer);
        assert_eq!((listing.files, listing.bytes), (3, 17));
        assert_eq!(listing.links, [PathBuf::from("l\nink")]);
        assert_eq!(listing.submodules, [("sub".to_owned(), "cc".to_owned())]);
    }

    #[test]
    fn links_that_lead_out_are_found_whatever_way_they_take() {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path();
        fs::create_dir_all(tree.join("a/b")).unwrap();
        symlink(".", tree.join("a/b/same")).unwrap();
        symlink("loop", tree.join("loop")).unwrap();
        for (target, inside) in [
            ("file", true),
            ("../a/missing", true),
            ("..", true),
            ("../..", false),
            ("/etc/passwd", false),
            ("b/../../../x", false),
            ("b/same/..", true),
            ("b/same/../../..", false),
            ("../loop", true),
        ] {
            let link = tree.join("a/link");
            symlink(target, &link).unwrap();
            assert_eq!(
                stays(tree, Path::new("a/link")).unwrap(),
                inside,
                "{target}"
            );
            fs::remove_file(link).unwrap();
        }
    }
}
