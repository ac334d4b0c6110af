//! Starting and stopping the platform.

use std::process::Stdio;

use crate::harness::{InProcess, Up, client, slipway, text};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn six_services_in_one_process_are_ready_behind_one_port() {
    let platform = InProcess::start().await;
    let response = client()
        .get(format!("{}/readyz", platform.url))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200, "{}", response.text().await.unwrap());
    for (name, address) in platform.platform.directory().iter() {
        let ready = client()
            .get(format!("{}/readyz", address.private))
            .send()
            .await
            .unwrap();
        assert_eq!(
            ready.status(),
            200,
            "{name}: {}",
            ready.text().await.unwrap()
        );
    }
    platform.platform.stop().await;
    client()
        .get(format!("{}/readyz", platform.url))
        .send()
        .await
        .unwrap_err();
}

#[tokio::test]
async fn a_platform_prints_one_line_and_stops_when_asked() {
    use tokio::io::AsyncReadExt as _;
    let mut up = Up::start().await;
    assert!(up.log().contains("admin-credentials.json"), "{}", up.log());
    let mut rest = String::new();
    let output = up.take_output();
    let status = up.stop().await;
    tokio::io::BufReader::new(output)
        .read_to_string(&mut rest)
        .await
        .unwrap();
    assert!(status.success(), "{status}\n{}", up.log());
    assert_eq!(rest, "");
}

#[tokio::test]
async fn a_platform_that_is_told_to_stop_while_it_starts_ends_in_order() {
    use rustix::process::{Pid, Signal, kill_process};
    use tokio::io::{AsyncBufReadExt as _, BufReader};
    let data = tempfile::tempdir().unwrap();
    let mut command = slipway(&["up", "--port", "0", "--data-dir", "data"]);
    let command = command.current_dir(data.path()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    loop {
        let line = log.next_line().await.unwrap().expect("it starts");
        if line.contains("a signing key was made") {
            break;
        }
    }
    let pid = Pid::from_raw(child.id().unwrap().try_into().unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    // Its log is read to the end, so that it never waits for somebody to read it.
    while let Ok(Some(_)) = log.next_line().await {}
    let status = child.wait().await.unwrap();
    assert!(status.success(), "{status}");
}

#[tokio::test]
async fn a_second_platform_on_the_same_data_is_told_who_has_it() {
    let up = Up::start().await;
    let data_dir = up.data_dir.to_str().unwrap();
    let second = slipway(&["up", "--port", "0", "--data-dir", data_dir])
        .output()
        .await
        .unwrap();
    let said = text(&second.stderr);
    assert!(!second.status.success());
    assert!(
        said.contains(&up.pid().to_string()) && said.contains(&up.url),
        "{said}"
    );
}
