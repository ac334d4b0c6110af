//! Whether the data directory is closed to others.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use super::Finding;
use crate::lock;
use crate::sign_in::credentials_file;

const SUBJECT: &str = "data directory";

/// Looks at the directory and at the files in it that hold secrets.
pub(super) fn check(data_dir: &Path) -> Vec<Finding> {
    let shown = data_dir.display();
    let about = match std::fs::metadata(data_dir) {
        Ok(about) => about,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return vec![Finding::fine(
                SUBJECT,
                format!("{shown} is not there yet; `slipway up` makes it"),
            )];
        }
        Err(error) => {
            let advice = "see whose it is, or name another with --data-dir";
            return vec![Finding::wrong(
                SUBJECT,
                format!("{shown} can't be read: {error}"),
                advice,
            )];
        }
    };
    let mut findings = Vec::new();
    let open_to_others = about.permissions().mode() & 0o077;
    if open_to_others == 0 {
        let held = lock::holder(data_dir).map_or_else(String::new, |holder| {
            format!(", used by process {}", holder.pid)
        });
        findings.push(Finding::fine(
            SUBJECT,
            format!("{shown} is closed to others{held}"),
        ));
    } else {
        let mode = about.permissions().mode() & 0o777;
        findings.push(Finding::wrong(
            SUBJECT,
            format!("{shown} is open to others (mode {mode:o})"),
            format!("chmod 700 {shown}"),
        ));
    }
    let me = rustix::process::geteuid().as_raw();
    if about.uid() != me {
        let finding = format!("{shown} belongs to user {}, you are {me}", about.uid());
        findings.push(Finding::warning(
            SUBJECT,
            finding,
            "run Slipway as the user whose data it is",
        ));
    }
    findings.extend(
        [credentials_file(data_dir), data_dir.join("master.key")]
            .iter()
            .filter_map(|file| check_secret(file)),
    );
    findings
}

/// A file with a secret that others can read.
fn check_secret(file: &Path) -> Option<Finding> {
    let mode = std::fs::metadata(file).ok()?.permissions().mode() & 0o777;
    let shown = file.display();
    (mode & 0o077 != 0).then(|| {
        Finding::wrong(
            SUBJECT,
            format!("{shown} is open to others (mode {mode:o})"),
            format!("chmod 600 {shown}"),
        )
    })
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, set_permissions};

    use super::super::Level;
    use super::*;

    fn worst(dir: &Path) -> Level {
        check(dir)
            .iter()
            .map(|finding| finding.level)
            .max()
            .unwrap()
    }

    #[test]
    fn a_directory_or_secret_that_others_can_read_is_wrong() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path();
        set_permissions(data, Permissions::from_mode(0o700)).unwrap();
        assert_eq!(worst(data), Level::Fine);
        std::fs::write(credentials_file(data), "{}").unwrap();
        set_permissions(credentials_file(data), Permissions::from_mode(0o644)).unwrap();
        assert_eq!(worst(data), Level::Wrong);
        set_permissions(credentials_file(data), Permissions::from_mode(0o600)).unwrap();
        assert_eq!(worst(data), Level::Fine);
        set_permissions(data, Permissions::from_mode(0o755)).unwrap();
        assert_eq!(worst(data), Level::Wrong);
    }

    #[test]
    fn a_directory_that_is_not_there_yet_is_fine() {
        assert_eq!(worst(Path::new("/nonexistent/slipway")), Level::Fine);
    }
}
