//! The step from a specification to a running process.

use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use rustix::fs::{Mode, OFlags};
use rustix::process::{Resource, Rlimit};
use tokio::process::Child;

use super::cgroup::Leaf;
use super::confine::Barrier;
use super::host::{Host, with_leaders};
use super::owner::Owner;
use super::spec::{MARKER, NODE_MARKER, Output, ProcessSpec};

/// Starts the process, in its control group and a session of its own before its first instruction.
pub(crate) fn spawn(host: &Host, spec: ProcessSpec, leaf: &Leaf) -> io::Result<Child> {
    let mut command = command(host, &spec);
    match spec.output {
        Output::Pipes => command.stdout(Stdio::piped()).stderr(Stdio::piped()),
        Output::File(file) => command.stdout(file.try_clone()?).stderr(file),
    };
    let confinement = spec.confinement.map(|own| own.and(host.shared()));
    let barrier = confinement.as_ref().map(Barrier::new);
    let prepare = Preparation {
        entrances: leaf.entrances()?,
        niceness: spec.niceness,
        autogroup: spec.niceness.to_string().into_bytes(),
        oom_score: spec.oom_score.map(|score| score.to_string().into_bytes()),
        owner: spec.owner,
        barrier: barrier.transpose()?,
    };
    #[expect(
        unsafe_code,
        reason = "the steps between fork and exec: system calls only, no allocation, no lock"
    )]
    // SAFETY: `run` makes system calls on values made before the fork; it neither allocates nor locks.
    unsafe {
        command.pre_exec(move || prepare.run());
    }
    with_leaders(|leaders| {
        let child = tokio::process::Command::from(command).spawn()?;
        leaders.extend(child.id());
        Ok(child)
    })
}

fn command(host: &Host, spec: &ProcessSpec) -> Command {
    let mut command = Command::new(&spec.program);
    command
        .args(&spec.arguments)
        .current_dir(&spec.directory)
        .env_clear()
        .envs(&spec.environment)
        .env(MARKER, &spec.id)
        .env(NODE_MARKER, host.node())
        .stdin(Stdio::null());
    command
}

/// What the child does to itself between fork and exec.
struct Preparation {
    entrances: Vec<std::fs::File>,
    niceness: i32,
    autogroup: Vec<u8>,
    oom_score: Option<Vec<u8>>,
    owner: Option<Owner>,
    barrier: Option<Barrier>,
}

impl Preparation {
    fn run(&self) -> io::Result<()> {
        for entrance in &self.entrances {
            rustix::io::write(entrance.as_fd(), b"0")?;
        }
        rustix::process::setsid()?;
        rustix::process::umask(Mode::WGRP | Mode::WOTH);
        rustix::process::setrlimit(
            Resource::Core,
            Rlimit {
                current: Some(0),
                maximum: Some(0),
            },
        )?;
        if self.niceness != 0 {
            rustix::process::setpriority_process(None, self.niceness)?;
            // With autogroups the kernel weighs sessions, and niceness counts only inside of one.
            let _ = write(c"/proc/self/autogroup", &self.autogroup);
        }
        if let Some(score) = &self.oom_score {
            write(c"/proc/self/oom_score_adj", score)?;
        }
        if let Some(owner) = self.owner {
            rustix::thread::set_thread_groups(&[])?;
            rustix::thread::set_thread_gid(rustix::fs::Gid::from_raw(owner.gid))?;
            rustix::thread::set_thread_uid(rustix::fs::Uid::from_raw(owner.uid))?;
        }
        rustix::thread::set_no_new_privs(true)?;
        if let Some(barrier) = &self.barrier {
            barrier.close()?;
        }
        close_the_rest();
        Ok(())
    }
}

fn write(file: &std::ffi::CStr, bytes: &[u8]) -> io::Result<()> {
    let file = rustix::fs::open(file, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::write(&file, bytes)?;
    Ok(())
}

/// Marks all but the standard three descriptors to be closed by exec. Ours are already; a library's
/// may not be. Kernels before 5.11 can't, which is no reason not to run.
fn close_the_rest() {
    #[expect(unsafe_code, reason = "no safe wrapper for close_range")]
    // SAFETY: the flag only marks descriptors, and the process image ends with the exec that follows.
    unsafe {
        libc::syscall(
            libc::SYS_close_range,
            3_u32,
            u32::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        );
    }
}
