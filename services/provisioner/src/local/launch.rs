//! Starting an app once, and waiting until it answers.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::health::{Probe, probe};
use super::listen;
use super::slot::Slot;
use crate::driver::{InstanceSpec, StartCommand, StartError};
use crate::process::{Confinement, Group, Host, Output, Owner, ProcessSpec, closed_to, toolchains};

/// The first pause between two looks, doubled up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);
/// How long an app that listens elsewhere may still take to listen where it was told to.
const SETTLE: Duration = Duration::from_millis(750);
/// The longest one HTTP request may take.
const PROBE_TIME: Duration = Duration::from_secs(5);
/// Where programs are found when the app's variables don't say.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A started app that answers.
pub(crate) struct Healthy {
    pub(crate) address: SocketAddr,
    /// It listens on a port of its own choice.
    pub(crate) own_port: bool,
}

/// Starts the app's processes.
pub(crate) fn spawn(
    host: &Arc<Host>,
    slot: &Slot,
    port: u16,
    static_server: &[String],
    temporary: impl FnOnce(Option<Owner>) -> io::Result<PathBuf>,
) -> Result<Group, StartError> {
    let spec = &slot.spec;
    let (words, directory) = command(spec, port, static_server);
    if let Some(owner) = spec.owner
        && let Some(closed) = closed_to(directory, owner)
    {
        return Err(StartError::Closed { closed });
    }
    let spawned = || {
        let (program, arguments) = words
            .split_first()
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the command is empty"))?;
        let temporary = temporary(spec.owner)?;
        let environment = variables(spec, port, &temporary);
        let output = slot.output.for_app(spec.owner)?;
        let mut confinement = confinement(spec, program, &environment);
        confinement
            .own
            .extend([temporary, slot.output.path().to_owned()]);
        let process = ProcessSpec {
            id: spec.id.clone(),
            program: program.into(),
            arguments: arguments.iter().map(Into::into).collect(),
            directory: directory.to_path_buf(),
            environment,
            owner: spec.owner,
            confinement: Some(confinement),
            niceness: 0,
            // When the machine runs out of memory an app goes before Slipway does.
            oom_score: Some(200),
            limits: spec.limits,
            output: Output::File(output),
        };
        Group::spawn(host, process)
    };
    spawned().map_err(|source| StartError::Spawn {
        command: spec.command.to_string(),
        source,
    })
}

fn command<'a>(
    spec: &'a InstanceSpec,
    port: u16,
    static_server: &[String],
) -> (Vec<String>, &'a Path) {
    match &spec.command {
        StartCommand::Run(words) => (words.clone(), &spec.directory),
        StartCommand::Static {
            directory,
            single_page,
        } => {
            let mut words = static_server.to_vec();
            words.push(directory.to_string_lossy().into_owned());
            words.extend(["--port".to_owned(), port.to_string()]);
            words.extend(single_page.then(|| "--single-page".to_owned()));
            (words, directory)
        }
    }
}

/// What an app may reach beside what every program of the system needs. Its output is among it: who
/// opens `/dev/stdout` opens that file.
fn confinement(
    spec: &InstanceSpec,
    program: &str,
    environment: &BTreeMap<String, String>,
) -> Confinement {
    let mut confinement = Confinement::default();
    match &spec.command {
        StartCommand::Run(_) => {
            let path = environment.get("PATH").map(String::as_str);
            confinement.own.push(spec.tree.clone());
            confinement.readable = toolchains(path.unwrap_or_default());
        }
        StartCommand::Static { directory, .. } => confinement.readable.push(directory.clone()),
    }
    if program.contains('/') {
        confinement.readable.push(program.into());
    }
    confinement
}

/// The app's whole environment: its own variables over a few defaults, and the port over all.
fn variables(spec: &InstanceSpec, port: u16, temporary: &Path) -> BTreeMap<String, String> {
    let temporary = temporary.to_string_lossy();
    let home = spec.directory.to_string_lossy().into_owned();
    let defaults = [
        ("PATH", PATH),
        ("HOME", home.as_str()),
        ("TMPDIR", &temporary),
        ("LANG", "C.UTF-8"),
        ("HOST", "127.0.0.1"),
        ("PORT", ""),
    ];
    let mut variables: BTreeMap<String, String> = defaults
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    variables.extend(spec.variables.clone());
    for name in spec
        .port_variables
        .iter()
        .map(String::as_str)
        .chain(["PORT"])
    {
        variables.insert(name.to_owned(), port.to_string());
    }
    variables
}

/// Waits until the app answers, ends, is asked to stop, or its time is over.
pub(crate) async fn wait_healthy(
    slot: &Slot,
    group: &Group,
    port: u16,
) -> Result<Healthy, StartError> {
    let check = &slot.spec.health;
    let path = check.path.as_deref().unwrap_or("/");
    let started = Instant::now();
    let mut found: Option<Probe> = None;
    let mut elsewhere_since = None;
    let mut pause = FIRST_PAUSE;
    loop {
        for candidate in candidates(group, port, &mut elsewhere_since) {
            let left = check.time_limit.saturating_sub(started.elapsed());
            let answer =
                until_over(slot, group, probe(candidate, path, PROBE_TIME.min(left))).await;
            let Some(answer) = answer else { break };
            if let Some(address) = answer.healthy(check.path.is_some()) {
                return Ok(Healthy {
                    address,
                    own_port: candidate != port,
                });
            }
            found = Some(answer.or_rather(found));
        }
        if slot.is_asked_to_stop() {
            return Err(StartError::Stopped);
        }
        let (command, last_lines) = (slot.spec.command.to_string(), slot.output.last_lines());
        if says_port_in_use(&last_lines) {
            return Err(StartError::PortTaken {
                command,
                holder: None,
                last_lines,
            });
        }
        if let Some(exit) = group.exit() {
            return Err(StartError::Exited {
                command,
                exit,
                last_lines,
            });
        }
        if started.elapsed() >= check.time_limit {
            let found = describe(found.as_ref(), path);
            return Err(StartError::Unhealthy {
                command,
                waited: check.time_limit,
                found,
                last_lines,
            });
        }
        until_over(slot, group, tokio::time::sleep(pause)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn describe(found: Option<&Probe>, path: &str) -> String {
    found.map_or_else(
        || "it listens on no port".to_owned(),
        |probe| probe.describe(path),
    )
}

/// The result of `work`, unless the app ends or is asked to stop before.
async fn until_over<T>(slot: &Slot, group: &Group, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        result = work => Some(result),
        _ = group.wait() => None,
        () = slot.asked_to_stop() => None,
    }
}

/// The ports to try: the one given to the app, or, when it ignores that for a while, its own.
fn candidates(group: &Group, port: u16, elsewhere_since: &mut Option<Instant>) -> Vec<u16> {
    match listen::ports_of(&group.pids()) {
        // Slipway may not look into the app: then it can only trust the port it gave.
        None => Vec::from_iter(listen::is_taken(port).then_some(port)),
        Some(ports) if ports.contains(&port) => vec![port],
        Some(ports) if ports.is_empty() => Vec::new(),
        Some(ports) => {
            let since = *elsewhere_since.get_or_insert_with(Instant::now);
            if since.elapsed() >= SETTLE {
                ports.into_iter().collect()
            } else {
                Vec::new()
            }
        }
    }
}

/// Whether the app complains that somebody else has its port, in the words of the usual runtimes.
fn says_port_in_use(lines: &[String]) -> bool {
    lines.iter().any(|line| {
        let line = line.to_ascii_lowercase();
        [
            "eaddrinuse",
            "address already in use",
            "address in use",
            "port is already in use",
            "port is in use",
        ]
        .iter()
        .any(|words| line.contains(words))
    })
}
