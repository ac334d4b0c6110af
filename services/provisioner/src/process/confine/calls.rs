//! System calls that no web app needs and that open the kernel's most attacked doors, refused by
//! seccomp: namespaces of users' own, mounts, eBPF, keyrings, `io_uring`, performance counters, page
//! faults in user space. Container engines refuse the same ones by default.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

/// Refused whatever they are called with.
const REFUSED: [libc::c_long; 24] = [
    libc::SYS_add_key,
    libc::SYS_bpf,
    libc::SYS_delete_module,
    libc::SYS_finit_module,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_init_module,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_perf_event_open,
    libc::SYS_pivot_root,
    libc::SYS_request_key,
    libc::SYS_setns,
    libc::SYS_userfaultfd,
];

/// Refused if they make a user namespace.
const NAMESPACE_MAKERS: [libc::c_long; 2] = [libc::SYS_clone, libc::SYS_unshare];

/// The bit by which x86-64 numbers the same calls a second time (the x32 ABI).
#[cfg(target_arch = "x86_64")]
const AGAIN: &[libc::c_long] = &[0, 0x4000_0000];
#[cfg(not(target_arch = "x86_64"))]
const AGAIN: &[libc::c_long] = &[0];

/// Whether this kernel refuses calls for us.
pub(crate) fn kept() -> bool {
    let known = std::fs::read_to_string("/proc/sys/kernel/seccomp/actions_avail");
    known.is_ok_and(|actions| actions.split_whitespace().any(|action| action == "errno"))
        && !FILTERS.is_empty()
}

/// The filters; none where there can be none.
pub(super) fn filters() -> Vec<BpfProgram> {
    if kept() { FILTERS.clone() } else { Vec::new() }
}

static FILTERS: LazyLock<Vec<BpfProgram>> = LazyLock::new(|| {
    let built = (|| Ok::<_, seccompiler::BackendError>(vec![refusing()?, unknowing()?]))();
    built.unwrap_or_else(|error| {
        tracing::warn!(error = %error, "system calls of apps can't be filtered");
        Vec::new()
    })
});

/// What is refused with `EPERM`.
fn refusing() -> Result<BpfProgram, seccompiler::BackendError> {
    let mut rules = BTreeMap::new();
    for call in REFUSED {
        rules.extend(AGAIN.iter().map(|bit| (call | bit, Vec::new())));
    }
    let flag = u64::from(libc::CLONE_NEWUSER.unsigned_abs());
    for call in NAMESPACE_MAKERS {
        for bit in AGAIN {
            let makes_one = SeccompCondition::new(
                0,
                SeccompCmpArgLen::Qword,
                SeccompCmpOp::MaskedEq(flag),
                flag,
            )?;
            rules.insert(call | bit, vec![SeccompRule::new(vec![makes_one])?]);
        }
    }
    program(rules, libc::EPERM)
}

/// `clone3` has its flags in memory, where no filter sees them. Without it C libraries use `clone`.
fn unknowing() -> Result<BpfProgram, seccompiler::BackendError> {
    let clone3 = |bit| (libc::SYS_clone3 | bit, Vec::new());
    program(AGAIN.iter().map(clone3).collect(), libc::ENOSYS)
}

fn program(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    error: libc::c_int,
) -> Result<BpfProgram, seccompiler::BackendError> {
    let architecture: TargetArch = std::env::consts::ARCH.try_into()?;
    let refuse = SeccompAction::Errno(error.unsigned_abs());
    SeccompFilter::new(rules, SeccompAction::Allow, refuse, architecture)?.try_into()
}
