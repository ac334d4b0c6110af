use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use slipway_provisioner::process::{Group, Host, ProcessSpec, end_orphans};
use tokio::io::AsyncReadExt as _;

use super::support::{both_hosts, eventually, pids_in, runs, unique};

/// Starts processes in every way that usually gets one out of a group, their pids in `pids`.
const HIDING: &str = r#"
set -m
sleep 1000 & echo $! >> pids
set +m
setsid sh -c 'echo $$ >> pids; exec sleep 1000' &
python3 - <<'PY'
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        with open('pids', 'a') as file: file.write(f'{os.getpid()}\n')
        os.execvp('sleep', ['sleep', '1000'])
    os._exit(0)
os.wait()
PY
(trap '' TERM HUP; echo "$(exec sh -c 'echo $PPID')" >> pids; while :; do sleep 1; done) &
exec sleep 1000
"#;

fn shell(command: &str, directory: &std::path::Path) -> ProcessSpec {
    let path = BTreeMap::from([("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned())]);
    ProcessSpec {
        environment: path,
        ..ProcessSpec::shell(unique("group"), command, directory)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_went_into_the_background_end_with_their_group() {
    for host in both_hosts() {
        let directory = tempfile::tempdir().unwrap();
        let group = Group::spawn(&host, shell(HIDING, directory.path())).unwrap();
        let pids = pids_in(&directory.path().join("pids"), 4).await;
        assert!(pids.iter().all(|pid| runs(*pid)));
        group.terminate(Duration::from_millis(300)).await.unwrap();
        assert_eq!(
            pids.iter().filter(|pid| runs(**pid)).count(),
            0,
            "{:?}",
            host.capabilities()
        );
        assert!(group.pids().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_left_behind_by_a_finished_command_end_as_well() {
    for host in both_hosts() {
        let directory = tempfile::tempdir().unwrap();
        let left = HIDING.replace("exec sleep 1000\n", "exit 4");
        let group = Group::spawn(&host, shell(&left, directory.path())).unwrap();
        let pids = pids_in(&directory.path().join("pids"), 4).await;
        assert_eq!(group.wait().await.code, Some(4));
        group.terminate(Duration::ZERO).await.unwrap();
        assert_eq!(
            pids.iter().filter(|pid| runs(**pid)).count(),
            0,
            "{:?}",
            host.capabilities()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_ignores_the_request_to_end_is_killed() {
    let host = Host::new(&unique("node"));
    let directory = tempfile::tempdir().unwrap();
    let stubborn = "trap '' TERM; echo $$ > pids; while :; do sleep 1; done";
    let group = Group::spawn(&host, shell(stubborn, directory.path())).unwrap();
    pids_in(&directory.path().join("pids"), 1).await;
    group.terminate(Duration::from_millis(200)).await.unwrap();
    assert_eq!(group.wait().await.to_string(), "signal 9 (SIGKILL)");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_gets_the_environment_it_was_given_and_nothing_of_ours() {
    let host = Host::new(&unique("node"));
    let given = BTreeMap::from([("A".to_owned(), "1".to_owned())]);
    let mut spec = ProcessSpec::shell(unique("group"), "", "/");
    spec.program = "/usr/bin/env".into();
    spec.arguments.clear();
    spec.environment = given;
    let id = spec.id.clone();
    let group = Group::spawn(&host, spec).unwrap();
    let mut printed = String::new();
    group
        .take_stdout()
        .unwrap()
        .read_to_string(&mut printed)
        .await
        .unwrap();
    let lines: HashSet<&str> = printed.lines().collect();
    let (instance, node) = (
        format!("SLIPWAY_INSTANCE={id}"),
        format!("SLIPWAY_NODE={}", host.node()),
    );
    assert_eq!(
        lines,
        HashSet::from(["A=1", instance.as_str(), node.as_str()])
    );
    assert!(group.wait().await.is_success());
    group.terminate(Duration::ZERO).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_runs_with_the_niceness_and_privileges_it_was_given() {
    let host = Host::new(&unique("node"));
    let look = "nice; cat /proc/self/oom_score_adj; grep NoNewPrivs /proc/self/status; ls /proc/self/fd | wc -l";
    let mut spec = shell(look, std::path::Path::new("/"));
    spec.niceness = 7;
    spec.oom_score = Some(500);
    let group = Group::spawn(&host, spec).unwrap();
    let mut printed = String::new();
    group
        .take_stdout()
        .unwrap()
        .read_to_string(&mut printed)
        .await
        .unwrap();
    // Descriptors: the standard three and the one that `ls` lists by.
    assert_eq!(
        printed.split_whitespace().collect::<Vec<_>>(),
        ["7", "500", "NoNewPrivs:", "1", "4"]
    );
    group.terminate(Duration::ZERO).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn orphans_are_reaped_and_other_peoples_children_are_not() {
    let host = Host::without_cgroups(&unique("node"));
    let directory = tempfile::tempdir().unwrap();
    for _ in 0..10 {
        let orphans = "for n in 1 2 3; do (sh -c 'echo $$ >> pids; exit 3' &) ; done";
        Group::spawn(&host, shell(orphans, directory.path())).unwrap();
        let status = tokio::process::Command::new("sh")
            .args(["-c", "exit 7"])
            .status()
            .await
            .unwrap();
        assert_eq!(status.code(), Some(7));
    }
    let pids = pids_in(&directory.path().join("pids"), 30).await;
    eventually("no zombie is left", || {
        pids.iter()
            .all(|pid| !std::path::Path::new(&format!("/proc/{pid}")).exists())
            .then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_of_this_node_that_belong_to_nothing_known_are_ended() {
    let host = Host::new(&unique("node"));
    let other = Host::new(&unique("node"));
    let spawn =
        |host| Group::spawn(host, shell("exec sleep 1000", std::path::Path::new("/"))).unwrap();
    let (kept, lost, foreign) = (spawn(&host), spawn(&host), spawn(&other));
    let ended = end_orphans(&host, &HashSet::from([kept.id().to_owned()]))
        .await
        .unwrap();
    assert_eq!(ended, 1);
    assert_eq!(lost.wait().await.signal, Some(9));
    assert!(kept.exit().is_none() && foreign.exit().is_none());
    for group in [kept, foreign, lost] {
        group.terminate(Duration::ZERO).await.unwrap();
    }
}
