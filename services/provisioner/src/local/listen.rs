//! Which ports a set of processes listens on.

use std::collections::{BTreeSet, HashMap};
use std::fs;

/// The TCP ports that any of the processes listens on. `None` when Slipway may not look into any
/// of them: root in a container without `CAP_SYS_PTRACE` may not.
pub(crate) fn ports_of(pids: &[u32]) -> Option<BTreeSet<u16>> {
    let sockets: Vec<Vec<u64>> = pids.iter().filter_map(|pid| sockets(*pid)).collect();
    if sockets.is_empty() && !pids.is_empty() {
        return None;
    }
    let listening = listening();
    Some(
        sockets
            .into_iter()
            .flatten()
            .filter_map(|inode| listening.get(&inode).copied())
            .collect(),
    )
}

/// Whether anybody listens on the port.
pub(crate) fn is_taken(port: u16) -> bool {
    listening().values().any(|taken| *taken == port)
}

/// Listening sockets by inode. Reads the kernel's tables of both address families.
fn listening() -> HashMap<u64, u16> {
    ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| table.lines().skip(1).filter_map(parse).collect::<Vec<_>>())
        .collect()
}

fn parse(line: &str) -> Option<(u64, u16)> {
    const LISTEN: &str = "0A";
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let (local, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
    let port = u16::from_str_radix(local.rsplit_once(':')?.1, 16).ok()?;
    (*state == LISTEN).then_some((inode.parse().ok()?, port))
}

fn sockets(pid: u32) -> Option<Vec<u64>> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    let inodes = entries
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .filter_map(|target| {
            target
                .to_str()?
                .strip_prefix("socket:[")?
                .strip_suffix(']')?
                .parse()
                .ok()
        })
        .collect();
    Some(inodes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listening_line_gives_inode_and_port_and_a_connected_one_nothing() {
        let line = "   0: 0100007F:1538 00000000:0000 0A 00000000:00000000 00:00000000 00000000   105  0 21407 1 0";
        assert_eq!(parse(line), Some((21407, 5432)));
        assert_eq!(parse(&line.replace(" 0A ", " 01 ")), None);
    }

    #[test]
    fn this_process_is_found_by_what_it_listens_on() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(ports_of(&[std::process::id()]).unwrap().contains(&port));
        assert!(is_taken(port));
    }
}
