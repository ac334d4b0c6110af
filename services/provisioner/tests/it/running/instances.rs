use std::time::Duration;

use slipway_provisioner::driver::{
    Driver as _, HealthCheck, InstanceState, StartCommand, StartError,
};
use slipway_provisioner::process::Host;

use super::roles;
use super::support::{
    eventually, free_port, get, open_directory, pids_in, runs, shell_app, supervisor, unique,
    web_app,
};

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_listens_on_its_port_becomes_healthy_and_is_stopped_again() {
    let directory = open_directory();
    let supervisor = supervisor(&Host::new(&unique("node")), &directory.path().join("state"));
    let mut spec = web_app(directory.path());
    spec.variables
        .insert("GREETING".to_owned(), "hello there".to_owned());
    spec.port_variables = vec!["MY_PORT".to_owned()];
    let id = spec.id.clone();
    let instance = supervisor.start(spec).await.unwrap();
    let address = instance.address.unwrap();
    assert_eq!(
        (instance.state, instance.own_port),
        (InstanceState::Running, false)
    );
    assert_eq!(get(address, "/env/GREETING").unwrap(), "hello there");
    assert_eq!(
        get(address, "/env/MY_PORT").unwrap(),
        address.port().to_string()
    );
    assert_eq!(supervisor.list().await, std::slice::from_ref(&instance));
    assert!(supervisor.usage(&id).unwrap().memory_bytes > 0);

    supervisor.stop(&id).await.unwrap();
    assert!(!runs(instance.pid.unwrap()));
    assert!(supervisor.list().await.is_empty());
    let output = supervisor.output(&id, 0, 1024).await.unwrap();
    assert_eq!(output.bytes, b"starting\n");
    supervisor.forget(&id).await.unwrap();
    supervisor.output(&id, 0, 1024).await.unwrap_err();
    supervisor.stop(&id).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_ignores_its_port_is_found_and_the_next_release_is_told_who_has_it() {
    let directory = open_directory();
    let supervisor = supervisor(&Host::new(&unique("node")), &directory.path().join("state"));
    let port = free_port();
    let mut old = web_app(directory.path());
    old.variables.insert("FIXED".to_owned(), port.to_string());
    let mut new = old.clone();
    new.id = unique("inst");
    let old_id = old.id.clone();
    let running = supervisor.start(old).await.unwrap();
    assert_eq!(
        (running.address.unwrap().port(), running.own_port),
        (port, true)
    );

    let error = supervisor.start(new.clone()).await.unwrap_err();
    assert!(
        matches!(&error, StartError::PortTaken { holder: Some(holder), .. } if *holder == old_id),
        "{error:?}"
    );
    assert!(
        error
            .last_lines()
            .iter()
            .any(|line| line.contains("Address already in use"))
    );
    assert_eq!(
        get(running.address.unwrap(), "/").unwrap(),
        running.pid.unwrap().to_string()
    );

    supervisor.stop(&old_id).await.unwrap();
    let id = new.id.clone();
    let running = supervisor.start(new).await.unwrap();
    assert_eq!(running.address.unwrap().port(), port);
    supervisor.stop(&id).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_never_listens_fails_with_its_last_lines_and_leaves_nothing_behind() {
    let directory = open_directory();
    let supervisor = supervisor(&Host::new(&unique("node")), &directory.path().join("state"));
    let mut spec = shell_app(
        directory.path(),
        "echo $$ > pids; echo waiting for godot; sleep 1000; echo",
    );
    spec.health.time_limit = Duration::from_millis(400);
    let error = supervisor.start(spec).await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("was not healthy within 1 s: it listens on no port"),
        "{error}"
    );
    assert_eq!(error.last_lines(), ["waiting for godot"]);
    assert!(!runs(pids_in(&directory.path().join("pids"), 1).await[0]));
    assert!(supervisor.list().await.is_empty());
    assert_eq!(
        std::fs::read_dir(directory.path().join("state/instances"))
            .unwrap()
            .count(),
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_ends_at_once_fails_with_its_code_and_last_lines() {
    let directory = open_directory();
    let supervisor = supervisor(&Host::new(&unique("node")), &directory.path().join("state"));
    let spec = shell_app(directory.path(), "echo no such table >&2; exit 3");
    let error = supervisor.start(spec).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "start: `echo no such table >&2; exit 3` ended before it was healthy: exit code 3"
    );
    assert_eq!(error.last_lines(), ["no such table"]);
    let missing = shell_app(directory.path(), "");
    let spec = slipway_provisioner::driver::InstanceSpec {
        command: StartCommand::Run(vec!["no-such-program".to_owned()]),
        ..missing
    };
    let error = supervisor.start(spec).await.unwrap_err();
    assert!(matches!(error, StartError::Spawn { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_health_path_must_answer_well_and_what_it_answered_is_told() {
    let directory = open_directory();
    let supervisor = supervisor(&Host::new(&unique("node")), &directory.path().join("state"));
    let mut spec = web_app(directory.path());
    spec.health = HealthCheck {
        path: Some("/broken".to_owned()),
        time_limit: Duration::from_secs(3),
    };
    let error = supervisor.start(spec).await.unwrap_err();
    assert!(
        error.to_string().contains("status 503 for /broken"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_can_be_stopped_while_it_starts() {
    let directory = open_directory();
    let supervisor = supervisor(&Host::new(&unique("node")), &directory.path().join("state"));
    let spec = shell_app(directory.path(), "echo $$ > pids; exec sleep 1000");
    let id = spec.id.clone();
    let starter = supervisor.clone();
    let starting = tokio::spawn(async move { starter.start(spec).await });
    let pids = pids_in(&directory.path().join("pids"), 1).await;
    supervisor.stop(&id).await.unwrap();
    assert!(matches!(starting.await.unwrap(), Err(StartError::Stopped)));
    assert!(!runs(pids[0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_ignores_the_request_to_end_is_killed_after_its_grace() {
    let directory = open_directory();
    let supervisor = supervisor(&Host::new(&unique("node")), &directory.path().join("state"));
    let mut spec = web_app(directory.path());
    spec.command = StartCommand::Run(
        [
            "/bin/sh",
            "-c",
            "trap '' TERM; python3 app.py & while :; do sleep 1; done",
        ]
        .map(str::to_owned)
        .to_vec(),
    );
    spec.grace = Duration::from_millis(200);
    let id = spec.id.clone();
    let instance = supervisor.start(spec).await.unwrap();
    supervisor.stop(&id).await.unwrap();
    assert!(!runs(instance.pid.unwrap()));
    assert_eq!(get(instance.address.unwrap(), "/"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_instances_with_one_id_and_bad_ids_are_refused() {
    let directory = open_directory();
    let supervisor = supervisor(&Host::new(&unique("node")), &directory.path().join("state"));
    let spec = web_app(directory.path());
    let id = spec.id.clone();
    supervisor.start(spec.clone()).await.unwrap();
    assert!(matches!(
        supervisor.start(spec.clone()).await,
        Err(StartError::Duplicate { .. })
    ));
    for bad in ["", "../escape", "a/b", "a b"] {
        let spec = slipway_provisioner::driver::InstanceSpec {
            id: bad.to_owned(),
            ..spec.clone()
        };
        assert!(matches!(
            supervisor.start(spec).await,
            Err(StartError::BadId { .. })
        ));
    }
    supervisor.stop(&id).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_static_site_runs_as_an_instance() {
    let directory = open_directory();
    let site = directory.path().join("site");
    std::fs::create_dir(&site).unwrap();
    std::fs::write(site.join("index.html"), "<h1>hello</h1>").unwrap();
    let supervisor = supervisor(&Host::new(&unique("node")), &directory.path().join("state"));
    let mut spec = shell_app(directory.path(), "");
    spec.command = StartCommand::Static {
        directory: site,
        single_page: false,
    };
    spec.variables = roles::variables("static");
    let id = spec.id.clone();
    let instance = supervisor.start(spec).await.unwrap();
    assert_eq!(
        get(instance.address.unwrap(), "/").unwrap(),
        "<h1>hello</h1>"
    );
    supervisor.stop(&id).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn output_is_followed_from_where_the_reader_was() {
    let directory = open_directory();
    let supervisor = supervisor(&Host::new(&unique("node")), &directory.path().join("state"));
    let mut spec = web_app(directory.path());
    spec.command = StartCommand::Run(
        [
            "/bin/sh",
            "-c",
            "python3 app.py & while [ ! -e go ]; do sleep 0.05; done; echo went; wait",
        ]
        .map(str::to_owned)
        .to_vec(),
    );
    let id = spec.id.clone();
    supervisor.start(spec).await.unwrap();
    let first = supervisor.output(&id, 0, 1024).await.unwrap();
    assert_eq!(first.bytes, b"starting\n");
    std::fs::write(directory.path().join("go"), "").unwrap();
    let next = supervisor.output(&id, first.next, 1024).await.unwrap();
    assert_eq!(
        (next.start, next.bytes.as_slice()),
        (first.next, b"went\n".as_slice())
    );
    supervisor.stop(&id).await.unwrap();
    eventually("the port is free again", || {
        supervisor.usage(&id).is_none().then_some(())
    })
    .await;
}
