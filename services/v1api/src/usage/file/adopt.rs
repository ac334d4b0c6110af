//! Files of processes that are gone.

use std::fs::{File, TryLockError};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::super::Batch;
use super::{EXTENSION, HEADER, header, segment};

/// What the name of a file ends with that couldn't be read to its end.
const DAMAGED: &str = "damaged";

/// A file whose process is gone, locked by this one.
#[derive(Debug)]
pub(in crate::usage) struct Orphan {
    // Locked as long as it is open.
    _file: File,
    path: PathBuf,
    epoch: String,
    segments: Vec<(u64, Batch)>,
    damage: Option<String>,
}

/// The files in this directory whose processes are gone.
pub(in crate::usage) fn orphans(directory: &Path) -> io::Result<Vec<Orphan>> {
    let mut orphans = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let is_ours = path
            .extension()
            .is_some_and(|extension| extension == EXTENSION);
        if is_ours && let Some(orphan) = Orphan::take(path)? {
            orphans.push(orphan);
        }
    }
    Ok(orphans)
}

impl Orphan {
    /// Takes a file over, unless somebody has it.
    fn take(path: PathBuf) -> io::Result<Option<Self>> {
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // Another may have taken it over and removed it before the lock was free.
        let is_there = std::fs::metadata(&path)
            .is_ok_and(|there| file.metadata().is_ok_and(|own| own.ino() == there.ino()));
        // One without anything in it is being made.
        if !is_there || file.metadata()?.len() == 0 {
            return Ok(None);
        }
        let epoch = path
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned())
            .unwrap_or_default();
        let mut orphan = Self {
            path,
            epoch,
            segments: Vec::new(),
            damage: None,
            _file: file.try_clone()?,
        };
        orphan.read(&mut file)?;
        Ok(Some(orphan))
    }

    fn read(&mut self, file: &mut File) -> io::Result<()> {
        let mut head = Vec::new();
        file.by_ref().take(HEADER).read_to_end(&mut head)?;
        if head != header(&self.epoch) {
            self.damage = Some("its header is not one".into());
            return Ok(());
        }
        let mut bytes = Vec::with_capacity(segment::BYTES);
        for number in 0.. {
            bytes.clear();
            file.by_ref()
                .take(segment::BYTES as u64)
                .read_to_end(&mut bytes)?;
            if bytes.is_empty() {
                break;
            }
            if bytes.iter().any(|&byte| byte != 0) {
                self.read_segment(number, &bytes);
            }
        }
        Ok(())
    }

    /// What is there is read even where it is damaged, or ends too early.
    fn read_segment(&mut self, place: usize, bytes: &[u8]) {
        let word = |at: usize| {
            let bytes = bytes.get(at * 8..at * 8 + 8)?;
            Some(u64::from_ne_bytes(bytes.try_into().ok()?))
        };
        let Some(number) = segment::number(word) else {
            return;
        };
        let mut entries = Batch::new();
        if segment::read_entries(word, &mut entries).is_err() {
            self.damage = Some(format!("its segment {place} can't be read to its end"));
        }
        self.segments.push((number, entries));
    }

    /// The epoch of what was counted in it.
    pub(in crate::usage) fn epoch(&self) -> &str {
        &self.epoch
    }

    /// What was counted in it and isn't in the database, where `applied` is the last batch that is.
    pub(in crate::usage) fn left(&self, applied: i64) -> Batch {
        let applied = u64::try_from(applied).unwrap_or_default();
        let left = self.segments.iter().filter(|(number, _)| *number > applied);
        left.flat_map(|(_, entries)| entries.iter().cloned())
            .collect()
    }

    /// Is done with: all that could be read is in the database. A damaged file is set aside.
    pub(in crate::usage) fn finish(self) -> io::Result<()> {
        let Some(damage) = &self.damage else {
            return std::fs::remove_file(&self.path);
        };
        let aside = self.path.with_extension(DAMAGED);
        tracing::error!(
            file = %self.path.display(), kept_as = %aside.display(), damage,
            "a file with counts of calls is damaged; what could be read is counted, and the file is set aside"
        );
        std::fs::rename(&self.path, aside)
    }
}
