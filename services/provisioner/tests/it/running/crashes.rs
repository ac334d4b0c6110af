use std::sync::Arc;
use std::time::Duration;

use slipway_provisioner::driver::{Driver as _, InstanceEvent, InstanceState};
use slipway_provisioner::local::{Backoff, Supervisor};
use slipway_provisioner::process::Host;
use tokio::sync::broadcast::Receiver;

use super::support::{Flip, get, open_directory, settings, shell_app, supervisor, unique, web_app};

async fn next(events: &mut Receiver<InstanceEvent>) -> InstanceEvent {
    tokio::time::timeout(Duration::from_secs(30), events.recv())
        .await
        .expect("an event in time")
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_crashes_is_started_again_at_the_same_address() {
    let directory = open_directory();
    let supervisor = supervisor(&Host::new(&unique("node")), &directory.path().join("state"));
    let mut events = supervisor.events();
    let spec = web_app(directory.path());
    let id = spec.id.clone();
    let before = supervisor.start(spec).await.unwrap();
    get(before.address.unwrap(), "/die");

    let InstanceEvent::Crashed {
        exit,
        last_lines,
        restart_in,
        ..
    } = next(&mut events).await
    else {
        panic!()
    };
    assert_eq!(exit.unwrap().code, Some(9));
    assert_eq!(last_lines, ["starting", "about to die"]);
    assert_eq!(restart_in, Some(Duration::from_millis(50)));
    let restarted = next(&mut events).await;
    assert_eq!(
        restarted,
        InstanceEvent::Restarted {
            id: id.clone(),
            address: before.address.unwrap()
        }
    );
    let after = &supervisor.list().await[0];
    assert_eq!((after.state, after.restarts), (InstanceState::Running, 1));
    assert_ne!(after.pid, before.pid);
    assert_eq!(
        get(after.address.unwrap(), "/").unwrap(),
        after.pid.unwrap().to_string()
    );
    let output = supervisor.output(&id, 0, 4096).await.unwrap();
    let output = String::from_utf8(output.bytes).unwrap();
    assert!(
        output.contains("slipway: exit code 9; restart 1 in 0.05 s\nstarting\n"),
        "{output}"
    );
    supervisor.stop(&id).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_crashes_again_and_again_is_a_crash_loop_and_then_given_up() {
    let directory = open_directory();
    let backoff = Backoff {
        first: Duration::from_millis(10),
        loop_after: 2,
        give_up_after: Some(3),
        ..Backoff::default()
    };
    let settings = slipway_provisioner::local::LocalSettings {
        backoff,
        ..settings(&directory.path().join("state"))
    };
    let supervisor =
        Supervisor::new(&Host::new(&unique("node")), settings, Arc::new(Flip)).unwrap();
    let mut events = supervisor.events();
    let mut spec = web_app(directory.path());
    let once = "if [ -e ran ]; then echo broken; exit 5; fi; touch ran; exec python3 app.py";
    spec.command = shell_app(directory.path(), once).command;
    let id = spec.id.clone();
    let instance = supervisor.start(spec).await.unwrap();
    get(instance.address.unwrap(), "/die");

    let mut seen = Vec::new();
    loop {
        match next(&mut events).await {
            InstanceEvent::Crashed { exit, .. } => {
                seen.push(format!("crashed {}", exit.unwrap().code.unwrap()));
            }
            InstanceEvent::CrashLooping { crashes, .. } => seen.push(format!("looping {crashes}")),
            InstanceEvent::GivenUp { .. } => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(seen, ["crashed 9", "crashed 5", "looping 2", "crashed 5"]);
    assert_eq!(supervisor.list().await[0].state, InstanceState::GivenUp);
    supervisor.stop(&id).await.unwrap();
    assert!(supervisor.list().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_can_be_stopped_while_it_waits_for_its_restart() {
    let directory = open_directory();
    let backoff = Backoff {
        first: Duration::from_hours(1),
        longest: Duration::from_hours(1),
        ..Backoff::default()
    };
    let settings = slipway_provisioner::local::LocalSettings {
        backoff,
        ..settings(&directory.path().join("state"))
    };
    let supervisor =
        Supervisor::new(&Host::new(&unique("node")), settings, Arc::new(Flip)).unwrap();
    let mut events = supervisor.events();
    let spec = web_app(directory.path());
    let id = spec.id.clone();
    let instance = supervisor.start(spec).await.unwrap();
    get(instance.address.unwrap(), "/die");
    assert!(matches!(
        next(&mut events).await,
        InstanceEvent::Crashed { .. }
    ));
    assert_eq!(supervisor.list().await[0].state, InstanceState::Restarting);
    supervisor.stop(&id).await.unwrap();
    assert!(supervisor.list().await.is_empty());
}
