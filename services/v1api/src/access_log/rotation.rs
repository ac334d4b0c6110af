//! A file that is followed by the next when it is full.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Who calls whom, and from where, is for the operator alone to read.
const MODE: u32 = 0o600;

/// An open file, `path`, and those that were full before: `path.1` is the one before, and so on.
pub(super) struct Rotated {
    path: PathBuf,
    file: File,
    size: u64,
    max_size: u64,
    keep: u32,
}

impl Rotated {
    /// Opens a file to write on at its end. Zero for `max_size` is no bound.
    pub(super) fn open(path: PathBuf, max_size: u64, keep: u32) -> io::Result<Self> {
        let file = append(&path)?;
        let size = file.metadata()?.len();
        Ok(Self {
            path,
            file,
            size,
            max_size,
            keep,
        })
    }

    /// Opens the path anew: somebody may have put the file elsewhere.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        self.file = append(&self.path)?;
        self.size = self.file.metadata()?.len();
        Ok(())
    }

    /// Begins the next file if so much doesn't fit into this one any more.
    pub(super) fn make_room(&mut self, length: u64) -> io::Result<()> {
        let fits = self.size.saturating_add(length) <= self.max_size;
        if self.max_size == 0 || self.size == 0 || fits {
            return Ok(());
        }
        // Somebody may have put the file elsewhere without a word: then there is nothing to put away.
        if self.path.try_exists()? {
            self.put_away()?;
        }
        self.reopen()
    }

    fn put_away(&self) -> io::Result<()> {
        if self.keep == 0 {
            return unless_gone(fs::remove_file(&self.path));
        }
        for number in (1..self.keep).rev() {
            unless_gone(fs::rename(self.numbered(number), self.numbered(number + 1)))?;
        }
        unless_gone(fs::rename(&self.path, self.numbered(1)))
    }

    fn numbered(&self, number: u32) -> PathBuf {
        let mut name: OsString = self.path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        name.into()
    }
}

impl Write for Rotated {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.size = self.size.saturating_add(written as u64);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// What isn't there needn't be put away.
fn unless_gone(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

fn append(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true).mode(MODE).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_file_is_followed_by_the_next_and_the_oldest_goes() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("access.log");
        let mut file = Rotated::open(path.clone(), 10, 2).unwrap();
        for line in ["one..\n", "two..\n", "three\n", "four.\n"] {
            file.make_room(line.len() as u64).unwrap();
            file.write_all(line.as_bytes()).unwrap();
        }
        let read = |name: &str| fs::read_to_string(directory.path().join(name));
        assert_eq!(read("access.log").unwrap(), "four.\n");
        assert_eq!(read("access.log.1").unwrap(), "three\n");
        assert_eq!(read("access.log.2").unwrap(), "two..\n");
        assert!(read("access.log.3").is_err());
        // What was there goes on, and counts.
        let mut file = Rotated::open(path, 10, 0).unwrap();
        file.make_room(5).unwrap();
        file.write_all(b"five\n").unwrap();
        assert_eq!(read("access.log").unwrap(), "five\n");
    }

    #[test]
    fn a_file_that_somebody_took_away_is_followed_by_a_new_one() {
        for keep in [0, 2] {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("access.log");
            let mut file = Rotated::open(path.clone(), 10, keep).unwrap();
            let mut put = |line: &str| {
                file.make_room(line.len() as u64)?;
                file.write_all(line.as_bytes())
            };
            let read = |name: &str| fs::read_to_string(directory.path().join(name)).ok();
            put("one..\n").unwrap();
            put("two..\n").unwrap();
            let before = read("access.log.1");
            fs::remove_file(&path).unwrap();
            put("three\n").unwrap();
            assert_eq!(read("access.log").as_deref(), Some("three\n"));
            assert_eq!(
                read("access.log.1"),
                before,
                "nothing is moved on for nothing"
            );
            // What can't be opened is tried again.
            fs::remove_dir_all(directory.path()).unwrap();
            put("four.\n").unwrap_err();
            fs::create_dir(directory.path()).unwrap();
            put("five.\n").unwrap();
            assert_eq!(read("access.log").as_deref(), Some("five.\n"));
        }
    }

    #[test]
    fn only_the_operator_reads_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("access.log");
        let _file = Rotated::open(path.clone(), 0, 0).unwrap();
        assert_eq!(
            fs::metadata(path).unwrap().permissions().mode() & 0o777,
            MODE
        );
    }
}
