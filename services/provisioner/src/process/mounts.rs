//! Where this process's own control group is in the file system.

use std::path::{Path, PathBuf};

/// The directory of the process's version 2 group, from `/proc/self/mountinfo` and `/proc/self/cgroup`.
pub(crate) fn v2(mounts: &str, own: &str) -> Option<PathBuf> {
    let path = own.lines().find_map(|line| line.strip_prefix("0::"))?;
    let mount = mounts
        .lines()
        .filter_map(Mount::parse)
        .find(|mount| mount.kind == "cgroup2")?;
    mount.locate(path)
}

/// The directory of the process's version 1 group for one controller.
pub(crate) fn v1(mounts: &str, own: &str, controller: &str) -> Option<PathBuf> {
    let path = own.lines().find_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        controllers
            .split(',')
            .any(|name| name == controller)
            .then_some(path)
    })?;
    let is_ours = |mount: &Mount<'_>| {
        mount.kind == "cgroup" && mount.options.split(',').any(|option| option == controller)
    };
    mounts
        .lines()
        .filter_map(Mount::parse)
        .find(is_ours)?
        .locate(path)
}

struct Mount<'a> {
    /// What of the hierarchy is mounted: `/` or, in a container, a part of it.
    root: &'a str,
    point: &'a str,
    kind: &'a str,
    options: &'a str,
}

impl<'a> Mount<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (left, right) = line.split_once(" - ")?;
        let mut left = left.split(' ').skip(3);
        let mut right = right.split(' ');
        let (root, point) = (left.next()?, left.next()?);
        let kind = right.next()?;
        Some(Self {
            root,
            point,
            kind,
            options: right.nth(1)?,
        })
    }

    fn locate(&self, path: &str) -> Option<PathBuf> {
        let below = Path::new(path)
            .strip_prefix(self.root)
            .or_else(|_| Path::new(path).strip_prefix("/"))
            .ok()?;
        let directory = Path::new(self.point).join(below);
        // In a namespace of its own the path may point outside of what is mounted.
        Some(if directory.is_dir() {
            directory
        } else {
            PathBuf::from(self.point)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
35 31 0:32 /box /tmp rw,relatime - cgroup cgroup rw,memory
39 31 0:36 / /proc rw,relatime shared:5 - cgroup cgroup rw,pids
41 31 0:38 / /sys rw,relatime - cgroup2 cgroup2 rw";

    #[test]
    fn the_own_group_is_found_below_its_mount() {
        let own = "8:pids:/sys\n4:memory:/box\n0::/kernel";
        assert_eq!(v2(MOUNTS, own), Some(PathBuf::from("/sys/kernel")));
        assert_eq!(v1(MOUNTS, own, "pids"), Some(PathBuf::from("/proc/sys")));
        assert_eq!(v1(MOUNTS, own, "memory"), Some(PathBuf::from("/tmp")));
    }

    #[test]
    fn a_group_outside_of_the_mount_is_the_mount_itself() {
        assert_eq!(
            v2(MOUNTS, "0::/../../elsewhere"),
            Some(PathBuf::from("/sys"))
        );
    }
}
