use std::os::unix::fs::PermissionsExt as _;

use slipway_provisioner::driver::{Driver as _, StartError};
use slipway_provisioner::process::{Host, Owner, UidRange, chown_tree};

use super::support::{get, open_directory, supervisor, unique, web_app};

#[tokio::test(flavor = "multi_thread")]
async fn an_app_with_its_own_user_reads_neither_slipways_files_nor_its_environment() {
    let host = Host::new(&unique("node"));
    if !host.capabilities().own_users {
        assert!(
            host.capabilities()
                .warnings()
                .iter()
                .any(|warning| warning.contains("root"))
        );
        return;
    }
    let directory = open_directory();
    let state = directory.path().join("state");
    std::fs::create_dir(&state).unwrap();
    std::fs::set_permissions(&state, std::fs::Permissions::from_mode(0o700)).unwrap();
    let secret = state.join("master.key");
    std::fs::write(&secret, "canary").unwrap();
    let release = directory.path().join("release");
    std::fs::create_dir(&release).unwrap();
    let owner = UidRange::default().owner(77).unwrap();

    let supervisor = supervisor(&host, &state);
    let mut spec = web_app(&release);
    chown_tree(&release, owner).unwrap();
    spec.owner = Some(owner);
    spec.variables.insert("MINE".to_owned(), "yes".to_owned());
    let id = spec.id.clone();
    let address = supervisor.start(spec).await.unwrap().address.unwrap();
    assert_eq!(get(address, "/env/MINE").unwrap(), "yes");
    assert!(
        get(address, "/read/proc/self/status")
            .unwrap()
            .contains("Uid:\t200077\t200077\t200077\t200077")
    );
    assert!(
        get(address, "/read/proc/self/status")
            .unwrap()
            .contains("Groups:\t \n")
    );
    let read = |path: &str| get(address, &format!("/read{path}")).unwrap();
    assert_eq!(read(secret.to_str().unwrap()), "PermissionError");
    assert_eq!(
        read(&format!("/proc/{}/environ", std::process::id())),
        "PermissionError"
    );
    assert_eq!(
        read(
            state
                .join(format!("instances/{id}/record.json"))
                .to_str()
                .unwrap()
        ),
        "PermissionError"
    );
    supervisor.stop(&id).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_the_apps_user_cant_reach_is_named() {
    let host = Host::new(&unique("node"));
    if !host.capabilities().own_users {
        return;
    }
    let closed = tempfile::tempdir().unwrap();
    std::fs::set_permissions(closed.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let release = closed.path().join("release");
    std::fs::create_dir(&release).unwrap();
    let state = tempfile::tempdir().unwrap();
    let supervisor = supervisor(&host, state.path());
    let mut spec = web_app(&release);
    spec.owner = Some(Owner {
        uid: 200_001,
        gid: 200_001,
    });
    let error = supervisor.start(spec).await.unwrap_err();
    assert!(
        matches!(&error, StartError::Closed { closed: found } if found == closed.path()),
        "{error}"
    );
}
