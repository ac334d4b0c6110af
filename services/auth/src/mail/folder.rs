//! Mails that are kept in a folder, where no mail server is set.
//!
//! `<data>/mail/<id>.eml` is the mail; `<id>.json` beside it is what `slipway mail` lists. Each
//! comes into its place whole.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use common::time::{Span, Time};
use serde::{Deserialize, Serialize};

use super::message::Mail;

/// A mail that is kept, as it is listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Its id.
    pub id: String,
    /// To whom it is.
    pub to: String,
    /// What it is about.
    pub subject: String,
    /// When it was written.
    pub at: Time,
    /// The links in it.
    pub links: Vec<String>,
    /// The mail itself.
    #[serde(default)]
    pub file: PathBuf,
}

/// Where mails are kept under a data directory.
#[must_use]
pub fn folder(data_dir: &Path) -> PathBuf {
    data_dir.join("mail")
}

/// The mails that are kept, the newest first; none where there is no folder.
///
/// # Errors
/// When the folder can't be read. A file that isn't whole is passed over.
pub fn kept(data_dir: &Path) -> io::Result<Vec<Kept>> {
    let folder = folder(data_dir);
    let entries = match fs::read_dir(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut mails = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
            && let Ok(text) = fs::read_to_string(&path)
            && let Ok(mail) = serde_json::from_str::<Kept>(&text)
        {
            let file = path.with_extension("eml");
            mails.push(Kept { file, ..mail });
        }
    }
    mails.sort_by(|one, other| (other.at, &other.id).cmp(&(one.at, &one.id)));
    Ok(mails)
}

/// Keeps a mail; keeping it again changes nothing.
pub(super) fn keep(folder: &Path, mail: &Mail) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let listed = Kept {
        id: mail.id.to_string(),
        to: mail.to.clone(),
        subject: mail.subject.clone(),
        at: mail.at,
        links: mail.links.clone(),
        file: PathBuf::new(),
    };
    put(folder, &format!("{}.eml", mail.id), &mail.bytes())?;
    put(
        folder,
        &format!("{}.json", mail.id),
        &serde_json::to_vec(&listed)?,
    )
}

/// Writes a file whole or not at all, for its owner only.
fn put(folder: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    let fresh = folder.join(format!(".{name}"));
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&fresh)?;
    file.write_all(content)?;
    fs::rename(fresh, folder.join(name))
}

/// Removes what has been kept for longer.
pub(super) fn clean_up(folder: &Path, kept_for: Span, now: Time) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    let before = u64::try_from((now - kept_for).unix_millis()).unwrap_or_default();
    let before = SystemTime::UNIX_EPOCH + Duration::from_millis(before);
    for entry in entries {
        let entry = entry?;
        if entry.metadata()?.modified()? < before {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_kept_where_there_is_no_folder() {
        assert_eq!(kept(Path::new("/nowhere/at/all")).unwrap(), []);
        clean_up(Path::new("/nowhere/at/all"), Span::days(1), Time::EPOCH).unwrap();
    }
}
