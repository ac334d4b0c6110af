//! What an app prints: a file that it writes to itself, so that it goes on when Slipway is away.
//!
//! The file is kept small by giving its beginning back to the file system while positions in it
//! stay what they are: nothing printed is lost in between, and a reader's offset stays valid.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FallocateFlags, fallocate};

use crate::driver::OutputSlice;
use crate::process::{Owner, chown};

/// How many of the last lines go into an error.
const LAST_LINES: usize = 20;
/// How much of the end is looked at for them.
const LAST_BYTES: u64 = 16 * 1024;
/// Space is given back in whole blocks.
const BLOCK: u64 = 4096;
/// How often a reader looks for more.
const POLL: Duration = Duration::from_millis(100);
/// How many looks before a reader is told that there is nothing.
const LOOKS: u32 = 10;

/// The output file of one instance.
#[derive(Clone, Debug)]
pub(crate) struct OutputFile {
    path: PathBuf,
}

impl OutputFile {
    pub(crate) fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the file for an app to write to, making it if need be.
    ///
    /// It belongs to the app's user: an app that opens `/dev/stdout` opens this file anew.
    pub(crate) fn for_app(&self, owner: Option<Owner>) -> io::Result<File> {
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&self.path)?;
        if let Some(owner) = owner {
            chown(&self.path, owner)?;
        }
        Ok(file)
    }

    /// Adds a line of Slipway's own.
    pub(crate) fn note(&self, text: &str) {
        let written = OpenOptions::new()
            .append(true)
            .open(&self.path)
            .and_then(|mut file| {
                // One write, so that it can't be mixed with a line of the app's.
                file.write_all(format!("slipway: {text}\n").as_bytes())
            });
        if let Err(error) = written {
            tracing::warn!(error = %error, "a note could not be added to an app's output");
        }
    }

    /// The last lines, for an error.
    pub(crate) fn last_lines(&self) -> Vec<String> {
        let read = || -> io::Result<Vec<String>> {
            let length = fs::metadata(&self.path)?.len();
            let slice = self.read(
                length.saturating_sub(LAST_BYTES),
                usize::try_from(LAST_BYTES).unwrap_or(usize::MAX),
            )?;
            let text = String::from_utf8_lossy(&slice.bytes).into_owned();
            let mut lines: Vec<String> = text
                .lines()
                .map(|line| line.trim_end().to_owned())
                .collect();
            lines.retain(|line| !line.is_empty());
            Ok(lines.split_off(lines.len().saturating_sub(LAST_LINES)))
        };
        read().unwrap_or_default()
    }

    /// What is there from `offset` on.
    pub(crate) fn read(&self, offset: u64, at_most: usize) -> io::Result<OutputSlice> {
        let mut file = File::open(&self.path)?;
        let length = file.metadata()?.len();
        // Shorter than where the reader was: begun anew.
        let wanted = if offset > length { 0 } else { offset };
        let start = first_data(&file, wanted).unwrap_or(length).min(length);
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        file.take(at_most as u64).read_to_end(&mut bytes)?;
        // Inside the first kept block may be a rest of what was given up.
        let blank = if start == wanted && wanted != 0 {
            0
        } else {
            bytes.iter().take_while(|byte| **byte == 0).count()
        };
        bytes.drain(..blank);
        let start = start + blank as u64;
        Ok(OutputSlice {
            start,
            next: start + bytes.len() as u64,
            bytes,
        })
    }

    /// As [`read`](Self::read), but waits a while for something to be there.
    pub(crate) async fn read_or_wait(
        &self,
        offset: u64,
        at_most: usize,
    ) -> io::Result<OutputSlice> {
        for _ in 0..LOOKS {
            let slice = self.read(offset, at_most)?;
            if !slice.bytes.is_empty() {
                return Ok(slice);
            }
            tokio::time::sleep(POLL).await;
        }
        self.read(offset, at_most)
    }

    /// Gives up the oldest output when more than `cap` bytes are kept; half the cap stays.
    pub(crate) fn trim(&self, cap: u64) -> io::Result<()> {
        let about = fs::metadata(&self.path)?;
        // What is given back no longer counts here, though it does in the length.
        if about.blocks() * 512 <= cap {
            return Ok(());
        }
        let file = OpenOptions::new().write(true).open(&self.path)?;
        let length = about.len().saturating_sub(cap / 2) / BLOCK * BLOCK;
        if length == 0 {
            return Ok(());
        }
        match fallocate(
            &file,
            FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE,
            0,
            length,
        ) {
            // A file system that can't: all is given up, which is still better than a full disk.
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => file.set_len(0),
            other => Ok(other?),
        }
    }
}

/// The first byte at or after `offset` that was not given back; `None` at the end.
fn first_data(file: &File, offset: u64) -> Option<u64> {
    match rustix::fs::seek(file, rustix::fs::SeekFrom::Data(offset)) {
        Ok(found) => Some(found),
        Err(rustix::io::Errno::NXIO) => None,
        Err(_) => Some(offset),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output() -> (tempfile::TempDir, OutputFile) {
        let directory = tempfile::tempdir().unwrap();
        let output = OutputFile::at(directory.path().join("output.log"));
        (directory, output)
    }

    #[test]
    fn a_reader_goes_on_where_it_was_after_the_beginning_was_given_up() {
        let (_directory, output) = output();
        let mut app = output.for_app(None).unwrap();
        for number in 0..20_000 {
            writeln!(app, "line {number:06}").unwrap();
        }
        app.sync_all().unwrap();
        let length = fs::metadata(&output.path).unwrap().len();
        output.trim(64 * 1024).unwrap();
        writeln!(app, "the last line").unwrap();
        let tail = output.read(length, 1024).unwrap();
        assert_eq!(String::from_utf8(tail.bytes).unwrap(), "the last line\n");
        let oldest = output.read(0, 1 << 20).unwrap();
        assert!(oldest.start > 0 && !oldest.bytes.contains(&0));
        assert!(oldest.bytes.len() < 64 * 1024);
        assert!(output.last_lines().ends_with(&["the last line".to_owned()]));
    }

    #[test]
    fn a_file_begun_anew_is_read_from_its_beginning() {
        let (_directory, output) = output();
        let mut app = output.for_app(None).unwrap();
        writeln!(app, "new").unwrap();
        assert_eq!(output.read(5_000, 100).unwrap().bytes, b"new\n");
    }
}
