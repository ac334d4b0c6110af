use std::path::Path;
use std::process::{Child, Command, Stdio};

use slipway_provisioner::driver::{Driver as _, InstanceState};
use slipway_provisioner::local::Supervisor;
use slipway_provisioner::process::Host;

use super::roles;
use super::support::{eventually, get, open_directory, pids_in, runs, supervisor, unique};

/// A Slipway that runs two apps, a build and a start, in a process of its own.
async fn slipway(node: &str, directory: &Path) -> Child {
    let words = roles::command();
    let slipway = Command::new(std::env::current_exe().unwrap())
        .args(&words[1..])
        .args([node, directory.to_str().unwrap()])
        .env(roles::ROLE, "supervisor")
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    pids_in(&directory.join("slow.pid"), 1).await;
    slipway
}

async fn stop_all(supervisor: &Supervisor) {
    for instance in supervisor.list().await {
        supervisor.stop(&instance.id).await.unwrap();
        assert!(!instance.pid.is_some_and(runs));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn apps_outlive_a_killed_slipway_and_are_taken_up_by_the_next() {
    let directory = open_directory();
    let node = unique("node");
    let mut killed = slipway(&node, directory.path()).await;
    let build = pids_in(&directory.path().join("build.pid"), 1).await[0];
    let slow = pids_in(&directory.path().join("slow.pid"), 1).await[0];
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert!(runs(build) && runs(slow));

    let supervisor = supervisor(&Host::new(&node), &directory.path().join("state"));
    let adopted = supervisor.adopt_all().await.unwrap();
    assert_eq!(
        (adopted.adopted.len(), adopted.restarting.len()),
        (2, 0),
        "{adopted:?}"
    );
    // The start under way may have come to its record or not.
    assert_eq!(adopted.ended.len() + adopted.orphans, 2, "{adopted:?}");
    assert!(!runs(build) && !runs(slow));
    for instance in &adopted.adopted {
        assert_eq!(instance.state, InstanceState::Running);
        // The very process: not started anew, not doubled.
        assert_eq!(
            get(instance.address.unwrap(), "/").unwrap(),
            instance.pid.unwrap().to_string()
        );
    }
    stop_all(&supervisor).await;
    assert!(
        adopted
            .adopted
            .iter()
            .all(|instance| get(instance.address.unwrap(), "/").is_none())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adopted_app_that_crashes_is_started_again_with_its_variables() {
    let directory = open_directory();
    let node = unique("node");
    let mut killed = slipway(&node, directory.path()).await;
    killed.kill().unwrap();
    killed.wait().unwrap();

    let supervisor = supervisor(&Host::new(&node), &directory.path().join("state"));
    let adopted = supervisor.adopt_all().await.unwrap();
    let before = adopted
        .adopted
        .iter()
        .find(|instance| instance.id == "one")
        .unwrap();
    get(before.address.unwrap(), "/die");
    let pid = eventually("the app is there again", || {
        get(before.address.unwrap(), "/")
    })
    .await;
    assert_ne!(pid, before.pid.unwrap().to_string());
    assert_eq!(
        get(before.address.unwrap(), "/env/CANARY").unwrap(),
        "secret-of-one"
    );
    stop_all(&supervisor).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_ended_while_slipway_was_away_is_started_again() {
    let directory = open_directory();
    let node = unique("node");
    let mut killed = slipway(&node, directory.path()).await;
    killed.kill().unwrap();
    killed.wait().unwrap();
    let record =
        std::fs::read_to_string(directory.path().join("state/instances/two/record.json")).unwrap();
    assert!(!record.contains("secret-of-two"), "{record}");
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    let address = record["address"].as_str().unwrap().parse().unwrap();
    get(address, "/die");
    let pid = record["group"]["leader"]["pid"].as_u64().unwrap();
    let pid = u32::try_from(pid).unwrap();
    eventually("the app has ended", || (!runs(pid)).then_some(())).await;

    let supervisor = supervisor(&Host::new(&node), &directory.path().join("state"));
    let adopted = supervisor.adopt_all().await.unwrap();
    assert_eq!(adopted.restarting, ["two"]);
    eventually("the app is there again", || get(address, "/")).await;
    stop_all(&supervisor).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_with_a_broken_record_is_ended() {
    let directory = open_directory();
    let node = unique("node");
    let mut killed = slipway(&node, directory.path()).await;
    killed.kill().unwrap();
    killed.wait().unwrap();
    let file = directory.path().join("state/instances/one/record.json");
    let record: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    let address = record["address"].as_str().unwrap().parse().unwrap();
    std::fs::write(&file, "{").unwrap();

    let supervisor = supervisor(&Host::new(&node), &directory.path().join("state"));
    let adopted = supervisor.adopt_all().await.unwrap();
    assert!(adopted.ended.contains(&"one".to_owned()), "{adopted:?}");
    assert_eq!(get(address, "/"), None);
    stop_all(&supervisor).await;
}
