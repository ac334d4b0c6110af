//! The file in which a process counts: mapped, so that what was counted is there when the process
//! is gone, and locked, so that whoever gets the lock knows that it is.
//!
//! A header names the file's epoch; segments follow. A segment is counted into, then sealed as part
//! of a batch with a number, and free again once the database has that batch. A batch is applied
//! in one transaction with its epoch and number, and never a second time: so at each instant one
//! can tell what of a dead process's file is in the database and what is not.
//!
//! Killing a process leaves the pages that it wrote. A power cut doesn't: what was counted after
//! the last batch was sealed may be lost then. It is never counted twice: a batch is on the disk
//! before the database has it, and an entry names the use of its segment that it belongs to.

pub(super) mod adopt;
#[cfg(test)]
mod fuzz;
mod segment;
#[cfg(test)]
mod tests;

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use common::random;

pub(crate) use segment::Segment;

/// What a file begins with: the format, and in which order this machine keeps the bytes of a word.
const MAGIC: u64 = u64::from_be_bytes(*b"slipuse1");
/// How long the header is, in bytes.
const HEADER: u64 = 4096;
/// How a file's name ends.
const EXTENSION: &str = "usage";
/// How large a file becomes at most, in segments: 256 MiB.
const MOST_SEGMENTS: u64 = 1024;

/// The number of the batch that a file ends with: whoever takes it over adds what is left.
pub(super) const LAST_BATCH: i64 = i64::MAX;

/// This process's file.
#[derive(Debug)]
pub(crate) struct CountFile {
    file: File,
    path: PathBuf,
    epoch: String,
    room: Mutex<Room>,
    full: AtomicBool,
}

#[derive(Debug)]
struct Room {
    free: Vec<Segment>,
    segments: u64,
    most: u64,
}

impl CountFile {
    /// A new file in this directory, which is made if it isn't there.
    pub(crate) fn create(directory: &Path) -> io::Result<Arc<Self>> {
        Self::with_room(directory, MOST_SEGMENTS)
    }

    pub(super) fn with_room(directory: &Path, most: u64) -> io::Result<Arc<Self>> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)?;
        let id = random::bytes::<16>();
        let epoch = format!("{:032x}", u128::from_le_bytes(id));
        let path = directory.join(format!("{epoch}.{EXTENSION}"));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        // Somebody who looks for files of dead processes may hold the lock for a moment.
        file.lock()?;
        file.write_all_at(&header(&epoch), 0)?;
        let room = Room {
            free: Vec::new(),
            segments: 0,
            most,
        };
        let made = Self {
            file,
            path,
            epoch,
            room: Mutex::new(room),
            full: AtomicBool::new(false),
        };
        // So that a disk without any room is known before anything is to be counted.
        let first = made.grow(&mut made.room())?;
        made.room().free.push(first);
        Ok(Arc::new(made))
    }

    /// The epoch of what is counted in it.
    pub(super) fn epoch(&self) -> &str {
        &self.epoch
    }

    /// Where it is.
    #[cfg(test)]
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A segment to count into. `None` while the file can't become larger.
    pub(super) fn segment(&self) -> Option<Segment> {
        let mut room = self.room();
        let segment = match room.free.pop() {
            Some(segment) => Ok(segment),
            None => self.grow(&mut room),
        };
        match segment {
            Ok(segment) => {
                segment.open();
                Some(segment)
            }
            Err(error) => {
                if !self.full.swap(true, Ordering::Relaxed) {
                    tracing::error!(
                        error = %error, file = %self.path.display(),
                        "there is no room to count calls in; new kinds of calls are counted in memory alone, and lost if the process is killed"
                    );
                }
                None
            }
        }
    }

    /// Takes back a segment whose batch is in the database.
    pub(super) fn give_back(&self, segment: Segment) {
        segment.free();
        self.room().free.push(segment);
        if self.full.swap(false, Ordering::Relaxed) {
            tracing::info!(file = %self.path.display(), "there is room again to count calls in");
        }
    }

    /// Removes the file: all that was counted in it is in the database.
    pub(super) fn remove(&self) -> io::Result<()> {
        std::fs::remove_file(&self.path)
    }

    /// Makes the file longer by a segment. Its bytes are written, since a page of a hole for which
    /// the disk has no room would end the process when it is first touched.
    fn grow(&self, room: &mut Room) -> io::Result<Segment> {
        if room.segments >= room.most {
            return Err(io::Error::new(
                io::ErrorKind::StorageFull,
                format!(
                    "the file is as large as it may become, {} segments",
                    room.most
                ),
            ));
        }
        let offset = HEADER + room.segments * segment::BYTES as u64;
        self.file.write_all_at(&vec![0; segment::BYTES], offset)?;
        let segment = Segment::map(&self.file, offset)?;
        room.segments += 1;
        Ok(segment)
    }

    fn room(&self) -> std::sync::MutexGuard<'_, Room> {
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn header(epoch: &str) -> Vec<u8> {
    let mut header = MAGIC.to_ne_bytes().to_vec();
    header.extend((segment::BYTES as u64).to_ne_bytes());
    header.extend(epoch.as_bytes());
    header.resize(usize::try_from(HEADER).unwrap_or_default(), 0);
    header
}
