//! The machine: room on the disk, and what can be kept from apps.

use std::path::Path;

use slipway_provisioner::process::Capabilities;

use super::Finding;

const GIB: u64 = 1 << 30;
/// Below this the next build may fill the disk.
const TOO_LITTLE: u64 = GIB;
/// Below this it is time to think about it.
const LITTLE: u64 = 5 * GIB;

/// Looks at the disk and at what the kernel offers.
pub(super) fn check(data_dir: &Path) -> Vec<Finding> {
    let mut findings: Vec<_> = disk(data_dir).into_iter().collect();
    let warnings = Capabilities::detect().warnings();
    if warnings.is_empty() {
        findings.push(Finding::fine(
            "isolation",
            "all that is promised can be kept on this machine",
        ));
    }
    let advice = "run Slipway as root on a machine with control groups where apps aren't your own";
    findings.extend(
        warnings
            .into_iter()
            .map(|warning| Finding::warning("isolation", warning, advice)),
    );
    findings
}

fn disk(data_dir: &Path) -> Option<Finding> {
    let absolute = std::path::absolute(data_dir).ok()?;
    let there = absolute.ancestors().find(|path| path.exists())?;
    let disk = rustix::fs::statvfs(there).ok()?;
    Some(judge(disk.f_bavail.saturating_mul(disk.f_frsize)))
}

fn judge(free: u64) -> Finding {
    let finding = format!("{}.{} GiB free", free / GIB, free % GIB * 10 / GIB);
    let advice = "make room: a build of a large app takes several GiB";
    match free {
        free if free < TOO_LITTLE => Finding::wrong("disk", finding, advice),
        free if free < LITTLE => Finding::warning("disk", finding, advice),
        _ => Finding::fine("disk", finding),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[test]
    fn room_on_the_disk_is_judged() {
        assert_eq!(judge(GIB / 2).level, Level::Wrong);
        assert_eq!(
            (judge(3 * GIB / 2).level, judge(3 * GIB / 2).finding),
            (Level::Warning, "1.5 GiB free".into())
        );
        assert_eq!(judge(100 * GIB).level, Level::Fine);
    }

    #[test]
    fn a_directory_that_is_not_there_yet_stands_on_a_disk_all_the_same() {
        assert!(disk(Path::new("/nonexistent/slipway")).is_some());
    }
}
