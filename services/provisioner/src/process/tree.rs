//! Which processes belong to a group, however they hide.

use std::collections::HashSet;

use super::cgroup::Leaf;
use super::identity::ProcessId;
use super::proc::{self, Stat};
use super::spec::{MARKER, NODE_MARKER};

/// What is known about a group, by which its processes are recognised.
pub(crate) struct Traces<'a> {
    pub(crate) id: &'a str,
    pub(crate) node: &'a str,
    pub(crate) leader: &'a ProcessId,
    pub(crate) leaf: &'a Leaf,
    pub(crate) seen: &'a HashSet<ProcessId>,
}

/// How carefully to look.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// Control group, session, ancestry, and who was seen before.
    Quick,
    /// Also the environment of every process, which finds those that left all of these.
    Thorough,
}

impl Traces<'_> {
    /// The group's running processes among `all`.
    pub(crate) fn members(&self, all: &[Stat], look: Look) -> Vec<ProcessId> {
        let own = std::process::id();
        let in_leaf: HashSet<u32> = self.leaf.processes().into_iter().collect();
        // While a session has members its number is given to nobody else.
        let session_is_ours = !self.leader.is_replaced();
        let leader = self.leader.pid();
        let belongs = |stat: &Stat| {
            in_leaf.contains(&stat.pid)
                || session_is_ours && (stat.session == leader || stat.group == leader)
                || self.seen.contains(&ProcessId::from_stat(stat))
                || look == Look::Thorough && is_marked(stat.pid, self.node, self.id)
        };
        let mut members: HashSet<u32> = all
            .iter()
            .filter(|stat| stat.pid != own && belongs(stat))
            .map(|stat| stat.pid)
            .collect();
        loop {
            let more: Vec<u32> = all
                .iter()
                .filter(|stat| {
                    members.contains(&stat.parent)
                        && !members.contains(&stat.pid)
                        && stat.pid != own
                })
                .map(|stat| stat.pid)
                .collect();
            if more.is_empty() {
                break;
            }
            members.extend(more);
        }
        all.iter()
            .filter(|stat| members.contains(&stat.pid) && !stat.zombie)
            .map(ProcessId::from_stat)
            .collect()
    }
}

fn is_marked(pid: u32, node: &str, id: &str) -> bool {
    proc::has_in_environment(pid, &format!("{MARKER}={id}"))
        && proc::has_in_environment(pid, &format!("{NODE_MARKER}={node}"))
}

/// All processes marked as this node's, with the group each says it is of.
pub(crate) fn marked(node: &str) -> Vec<(ProcessId, String)> {
    let of_this_node = format!("{NODE_MARKER}={node}");
    let own = std::process::id();
    proc::all()
        .iter()
        .filter(|stat| {
            stat.pid != own && !stat.zombie && proc::has_in_environment(stat.pid, &of_this_node)
        })
        .filter_map(|stat| {
            Some((
                ProcessId::from_stat(stat),
                proc::environment_value(stat.pid, MARKER)?,
            ))
        })
        .collect()
}
