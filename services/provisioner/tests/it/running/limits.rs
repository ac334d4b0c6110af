use std::collections::BTreeMap;
use std::time::Duration;

use slipway_provisioner::process::{Group, LimitHit, Limits, ProcessSpec};

use super::support::{both_hosts, unique};

fn shell(command: &str) -> ProcessSpec {
    let path = BTreeMap::from([("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned())]);
    ProcessSpec {
        environment: path,
        ..ProcessSpec::shell(unique("group"), command, "/")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn running_out_of_memory_is_told_as_such() {
    for host in both_hosts() {
        let mut spec =
            shell(r#"exec python3 -c "import time; x = bytearray(300_000_000); time.sleep(30)""#);
        spec.limits.memory_bytes = Some(100_000_000);
        let group = Group::spawn(&host, spec).unwrap();
        let exit = group.wait().await;
        assert_eq!(
            (exit.signal, exit.limit),
            (Some(9), Some(LimitHit::Memory)),
            "{:?}",
            host.capabilities()
        );
        assert!(exit.to_string().contains("out of the memory"));
        group.terminate(Duration::ZERO).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_of_children_counts_and_their_end_is_told() {
    for host in both_hosts() {
        let child = r#"python3 -c "import time; x = bytearray(300_000_000); time.sleep(30)"; echo"#;
        let mut spec = shell(child);
        spec.limits.memory_bytes = Some(100_000_000);
        let group = Group::spawn(&host, spec).unwrap();
        assert_eq!(
            group.wait().await.limit,
            Some(LimitHit::Memory),
            "{:?}",
            host.capabilities()
        );
        group.terminate(Duration::ZERO).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_processes_are_told_as_such() {
    for host in both_hosts() {
        let mut spec = shell("for n in $(seq 1 60); do sleep 20 & done; wait");
        spec.limits = Limits {
            memory_bytes: None,
            processes: Some(20),
        };
        let group = Group::spawn(&host, spec).unwrap();
        let exit = group.wait().await;
        assert_eq!(
            exit.limit,
            Some(LimitHit::Processes),
            "{:?}",
            host.capabilities()
        );
        assert!(!exit.is_success());
        group.terminate(Duration::ZERO).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_group_uses_is_counted_over_all_its_processes() {
    for host in both_hosts() {
        let hold = "import sys, time; x = bytearray(50_000_000); print('held', flush=True); time.sleep(60)";
        let group = Group::spawn(&host, shell(&format!(r#"python3 -c "{hold}"; echo"#))).unwrap();
        let mut output = group.take_stdout().unwrap();
        tokio::io::AsyncReadExt::read_u8(&mut output).await.unwrap();
        let usage = group.usage();
        assert_eq!(usage.processes, 2);
        assert!(
            usage.memory_bytes > 50_000_000 && usage.memory_bytes < 150_000_000,
            "{usage:?}"
        );
        assert!(usage.peak_memory_bytes >= usage.memory_bytes);
        group.terminate(Duration::ZERO).await.unwrap();
    }
}
