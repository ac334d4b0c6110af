//! Processes of its own that a test needs: this test binary again, told by a variable what to be.

use std::collections::BTreeMap;
use std::path::PathBuf;

use slipway_provisioner::driver::Driver as _;
use slipway_provisioner::local::static_site;
use slipway_provisioner::process::{Group, Host, Limits, ProcessSpec};

use super::support::{shell_app, supervisor, web_app};

/// The variable that says which role.
pub(crate) const ROLE: &str = "SLIPWAY_TEST_ROLE";

/// The command that plays a role; what follows it are the role's arguments.
pub(crate) fn command() -> Vec<String> {
    [
        "/proc/self/exe",
        "running::roles::plays_a_role_when_told_to",
        "--exact",
        "--nocapture",
        "--",
    ]
    .map(str::to_owned)
    .to_vec()
}

/// The variables for a role.
pub(crate) fn variables(role: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(ROLE.to_owned(), role.to_owned())])
}

#[test]
fn plays_a_role_when_told_to() {
    let words = || std::env::args().skip_while(|word| word != "--").skip(1);
    match std::env::var(ROLE).as_deref() {
        Ok("static") => static_site::serve_arguments(words()).unwrap(),
        Ok("supervisor") => supervise(words().collect()),
        _ => {}
    }
}

/// A Slipway with two apps and a build, until it is killed. Arguments: node, directory.
#[tokio::main]
async fn supervise(words: Vec<String>) {
    let [node, directory] = words.try_into().unwrap();
    let directory = PathBuf::from(directory);
    let host = Host::new(&node);
    let supervisor = supervisor(&host, &directory.join("state"));
    for name in ["one", "two"] {
        let mut spec = web_app(&directory);
        spec.id = name.to_owned();
        spec.variables
            .insert("CANARY".to_owned(), format!("secret-of-{name}"));
        supervisor.start(spec).await.unwrap();
    }
    // Neither on record: a build, and an instance that has not become healthy yet.
    let build = ProcessSpec {
        limits: Limits::default(),
        ..ProcessSpec::shell("build", "exec sleep 1000", "/")
    };
    let build = Group::spawn(&host, build).unwrap();
    let slow = shell_app(&directory, "echo $$ > slow.pid; exec sleep 1000");
    let starting = supervisor.start(slow);
    std::fs::write(
        directory.join("build.pid"),
        format!("{}\n", build.record().leader.pid()),
    )
    .unwrap();
    starting.await.unwrap_err();
}
