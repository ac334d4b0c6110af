//! What a group of processes may reach of this machine, kept by the kernel: files and processes by
//! Landlock, system calls by seccomp. A process can't undo it, and all that come of it are bound by it.

mod calls;
mod files;

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::PathBuf;

use seccompiler::BpfProgram;

pub(crate) use calls::kept as calls_are_kept;
pub use files::toolchains;
pub(crate) use files::{kept as files_are_kept, signals_are_kept};

/// What processes may reach of this machine's files, beside the system's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Confinement {
    /// Files and directories that are theirs: they read, write and run what is in there.
    pub own: Vec<PathBuf>,
    /// Files and directories that they read and run.
    pub readable: Vec<PathBuf>,
}

impl Confinement {
    /// Both together.
    #[must_use]
    pub fn and(mut self, other: &Self) -> Self {
        self.own.extend_from_slice(&other.own);
        self.readable.extend_from_slice(&other.readable);
        self
    }
}

/// A confinement as the kernel wants it, made before the fork.
#[derive(Debug)]
pub(super) struct Barrier {
    /// None where the kernel has no Landlock.
    files: Option<OwnedFd>,
    calls: Vec<BpfProgram>,
}

impl Barrier {
    /// As much of it as this kernel keeps.
    pub(super) fn new(confinement: &Confinement) -> io::Result<Self> {
        Ok(Self {
            files: files::rules(confinement).map_err(io::Error::other)?,
            calls: calls::filters(),
        })
    }

    /// Puts the calling process behind it, for good. It must have given up new privileges.
    ///
    /// Only system calls on what is there already: it is called between fork and exec.
    pub(super) fn close(&self) -> io::Result<()> {
        if let Some(rules) = &self.files {
            #[expect(
                unsafe_code,
                reason = "the crate's own way needs what made the rules, and may allocate"
            )]
            // SAFETY: the descriptor is open, and the call reads no memory of ours.
            let result = unsafe {
                libc::syscall(libc::SYS_landlock_restrict_self, rules.as_raw_fd(), 0_u32)
            };
            if result != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        for filter in &self.calls {
            // Its error may allocate, but then no exec follows.
            seccompiler::apply_filter(filter)
                .map_err(|_refused| io::Error::from_raw_os_error(libc::EINVAL))?;
        }
        Ok(())
    }
}
