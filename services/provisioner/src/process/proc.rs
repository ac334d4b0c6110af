//! Reading what the kernel says about processes in `/proc`.
//!
//! A process may end between two reads, so every function answers "nothing" rather than an error.

use std::fs;

/// What `/proc/<pid>/stat` says about one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) pid: u32,
    pub(crate) parent: u32,
    pub(crate) group: u32,
    /// 0 when the session was begun outside of the container (the pid namespace) that we are in.
    pub(crate) session: u32,
    /// Clock ticks between the machine's start and the process's: with the pid, its identity.
    pub(crate) start_ticks: u64,
    pub(crate) threads: u32,
    /// Ended, waiting to be reaped.
    pub(crate) zombie: bool,
}

impl Stat {
    /// Reads the process's line; `None` when there is no such process.
    pub(crate) fn read(pid: u32) -> Option<Self> {
        Self::parse(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The name in brackets may hold anything, brackets and spaces too: fields count from the last one.
    fn parse(pid: u32, line: &str) -> Option<Self> {
        let fields: Vec<&str> = line.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
        let small = |index: usize| u32::try_from(number(index)?).ok();
        Some(Self {
            pid,
            parent: small(1)?,
            group: small(2)?,
            session: small(3)?,
            threads: small(17)?,
            start_ticks: number(19)?,
            zombie: matches!(*fields.first()?, "Z" | "X" | "x"),
        })
    }
}

/// All processes that can be seen.
pub(crate) fn all() -> Vec<Stat> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(Stat::read)
        .collect()
}

/// Whether the process was started with this `NAME=value` in its environment.
pub(crate) fn has_in_environment(pid: u32, entry: &str) -> bool {
    fs::read(format!("/proc/{pid}/environ")).is_ok_and(|bytes| {
        bytes
            .split(|byte| *byte == 0)
            .any(|item| item == entry.as_bytes())
    })
}

/// The value of a variable that the process was started with.
pub(crate) fn environment_value(pid: u32, name: &str) -> Option<String> {
    let bytes = fs::read(format!("/proc/{pid}/environ")).ok()?;
    bytes.split(|byte| *byte == 0).find_map(|item| {
        let text = std::str::from_utf8(item).ok()?;
        let (key, value) = text.split_once('=')?;
        (key == name).then(|| value.to_owned())
    })
}

/// Bytes of memory that are the process's own: not shared with a file.
pub(crate) fn own_memory(pid: u32) -> u64 {
    let Ok(text) = fs::read_to_string(format!("/proc/{pid}/statm")) else {
        return 0;
    };
    let mut pages = text
        .split_ascii_whitespace()
        .skip(1)
        .map(|field| field.parse::<u64>().unwrap_or(0));
    let resident = pages.next().unwrap_or(0);
    let shared = pages.next().unwrap_or(0);
    resident.saturating_sub(shared) * rustix::param::page_size() as u64
}

/// Bytes of memory with what is shared between processes divided among them; slower to find out.
pub(crate) fn proportional_memory(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| {
        line.strip_prefix("Pss_Anon:")
            .or_else(|| line.strip_prefix("Pss:"))
    })?;
    let kibibytes: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1024)
}

/// The identity of this start of the machine.
pub(crate) fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces_does_not_shift_the_fields() {
        let line = "42 (a) b (c)) S 7 40 39 0 -1 4194304 1 0 0 0 3 4 0 0 20 0 5 0 98765 1000 20";
        let stat = Stat::parse(42, line);
        assert_eq!(
            stat,
            Some(Stat {
                pid: 42,
                parent: 7,
                group: 40,
                session: 39,
                start_ticks: 98765,
                threads: 5,
                zombie: false
            })
        );
    }

    #[test]
    fn a_session_begun_outside_of_our_container_is_read_too() {
        let line = "2 (a) S 1 2 0 0 -1 4194304 1 0 0 0 3 4 0 0 20 0 5 0 98765 1000 20";
        assert_eq!(Stat::parse(2, line).map(|stat| stat.session), Some(0));
    }

    #[test]
    fn this_process_is_among_all() {
        assert!(all().iter().any(|stat| stat.pid == std::process::id()));
    }
}
