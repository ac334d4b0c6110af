use std::os::unix::fs::PermissionsExt as _;

use slipway_provisioner::driver::{Driver as _, StartError};
use slipway_provisioner::process::{
    Confinement, Group, Host, Owner, ProcessSpec, UidRange, chown_tree,
};

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

/// Tries what a confined process must not do, and what it must be able to, and reports each that worked.
const TRIES: &str = r#"
try() { name="$1"; shift; if sh -c "$*" >/dev/null 2>&1; then echo "$name" >> report; fi; }
try own 'echo 1 > mine && cat mine'
try temporary 'echo 1 > "$TMPDIR/file"'
try shared 'cat "$SHARED/file"'
try system 'cat /etc/passwd && ls /usr/bin'
try child 'sleep 1000 & kill $!'
try other-file 'cat "$OTHER/file"'
try other-list 'ls "$OTHER"'
try other-new 'echo 1 > "$OTHER/new"'
try shared-new 'echo 1 > "$SHARED/new"'
try common-temporary 'echo 1 > "/tmp/$NAME"'
try look-into 'readlink "/proc/$SLIPWAY/cwd"'
try signal 'kill -0 "$SLIPWAY"'
try namespace 'unshare --user true'
echo over >> report
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_confined_process_has_its_own_files_and_processes_and_no_others() {
    let [own, other, shared] = [(); 3].map(|()| open_directory());
    let temporary = own.path().join("temporary");
    std::fs::create_dir(&temporary).unwrap();
    for directory in [&other, &shared] {
        std::fs::write(directory.path().join("file"), "canary").unwrap();
    }
    let operators = Confinement {
        readable: vec![shared.path().to_owned()],
        ..Confinement::default()
    };
    let host = Host::sharing(&unique("node"), operators);
    let text = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    let environment = [
        ("PATH", "/usr/bin:/bin".to_owned()),
        ("TMPDIR", text(&temporary)),
        ("OTHER", text(other.path())),
        ("SHARED", text(shared.path())),
        ("NAME", unique("slipway-test")),
        ("SLIPWAY", std::process::id().to_string()),
    ];
    let spec = |confinement| ProcessSpec {
        environment: environment
            .clone()
            .map(|(name, value)| (name.to_owned(), value))
            .into(),
        confinement,
        ..ProcessSpec::shell(unique("group"), TRIES, own.path())
    };
    let report = || std::fs::read_to_string(own.path().join("report")).unwrap();

    // Without it each try works, so that none fails for another reason.
    let free = Group::spawn(&host, spec(None)).unwrap();
    free.wait().await;
    for name in ["other-file", "other-new", "look-into", "signal"] {
        assert!(report().contains(name), "{}", report());
    }
    std::fs::remove_file(own.path().join("report")).unwrap();

    let confinement = Confinement {
        own: vec![own.path().to_owned()],
        readable: Vec::new(),
    };
    let confined = Group::spawn(&host, spec(Some(confinement))).unwrap();
    confined.wait().await;
    let capabilities = host.capabilities();
    let warnings = capabilities.warnings().join(" ");
    let mut allowed = vec!["own", "temporary", "shared", "system", "child"];
    if !capabilities.own_files {
        assert!(warnings.contains("Landlock"), "{warnings}");
        allowed.extend(["other-file", "other-list", "other-new", "shared-new"]);
        allowed.extend(["common-temporary", "look-into"]);
    }
    if !capabilities.own_signals {
        allowed.push("signal");
    }
    if !capabilities.fewer_calls {
        assert!(warnings.contains("seccomp"), "{warnings}");
        allowed.push("namespace");
    }
    allowed.push("over");
    assert_eq!(report().lines().collect::<Vec<_>>(), allowed);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_reads_its_own_release_and_no_other_apps() {
    let directory = open_directory();
    let [release, neighbour] = ["release", "neighbour"].map(|name| directory.path().join(name));
    for path in [&release, &neighbour] {
        std::fs::create_dir(path).unwrap();
        std::fs::write(path.join("file"), "canary").unwrap();
    }
    let host = Host::new(&unique("node"));
    let supervisor = supervisor(&host, &directory.path().join("state"));
    let spec = web_app(&release);
    let id = spec.id.clone();
    let address = supervisor.start(spec).await.unwrap().address.unwrap();
    let read = |path: &std::path::Path| get(address, &format!("/read{}", path.display())).unwrap();
    assert_eq!(read(&release.join("file")), "canary");
    let temporary = std::path::PathBuf::from(get(address, "/env/TMPDIR").unwrap());
    assert!(temporary.is_dir(), "{}", temporary.display());
    if host.capabilities().own_files {
        assert_eq!(read(&neighbour.join("file")), "PermissionError");
    }
    supervisor.stop(&id).await.unwrap();
    assert!(!temporary.exists());
}
