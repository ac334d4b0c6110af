//! An app that looks for what isn't its own.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use super::places::files_under;
use crate::harness::{Up, client, text};

const FILES: [(&str, &str); 2] = [
    ("slipway.toml", include_str!("prober/slipway.toml")),
    ("probe.py", include_str!("prober/probe.py")),
];

/// One thing that it tried.
#[derive(Debug, Deserialize)]
pub(super) struct Probe {
    pub(super) phase: String,
    pub(super) what: String,
    pub(super) place: String,
    pub(super) got: String,
}

/// A route as a service lists it.
#[derive(Deserialize)]
struct Route {
    method: String,
    path: String,
    private: bool,
}

/// What it shall try.
pub(super) struct Targets(Value);

impl Targets {
    /// Everything of a platform's: its files, its processes, and each route of its listeners.
    pub(super) async fn of(up: &Up) -> Self {
        let pid = up.pid();
        let process = |name: &str| format!("/proc/{pid}/{name}");
        let mut files: Vec<_> = files_under(&up.data_dir)
            .iter()
            .map(|file| file.display().to_string())
            .collect();
        files.extend(["environ", "mem", "maps", "auxv", "fd/2"].map(process));
        files.push(process(&format!(
            "root{}/master.key",
            up.data_dir.display()
        )));
        let mut directories = vec![process("fd"), process("cwd"), process("map_files")];
        directories.push(up.data_dir.display().to_string());
        Self(json!({
            "files": files, "directories": directories, "processes": [pid], "requests": requests(up).await,
        }))
    }
}

/// Each route of each listener but the gateway's own, as method and address: those of the public
/// listeners on all of them, since only the gateway knows which is whose.
async fn requests(up: &Up) -> Vec<(String, String)> {
    let gateway = up.url.rsplit(':').next().unwrap().to_owned();
    let (mut requests, mut public, mut listeners) = (Vec::new(), Vec::new(), Vec::new());
    for port in listening(up.pid()) {
        let base = format!("http://127.0.0.1:{port}");
        let asked = client().get(format!("{base}/internal/routes")).send();
        let Ok(routes) = asked.await.unwrap().json::<Vec<Route>>().await else {
            listeners.extend((port.to_string() != gateway).then_some(base));
            continue;
        };
        for route in routes {
            let path = route.path.replace(['{', '}'], "");
            // Without this it isn't git that asks.
            let path = path.replace("/info/refs", "/info/refs?service=git-upload-pack");
            if route.private {
                requests.push((route.method, format!("{base}{path}")));
            } else {
                public.push((route.method, path));
            }
        }
    }
    for base in listeners {
        let here = |(method, path): &(String, String)| (method.clone(), format!("{base}{path}"));
        requests.extend(public.iter().map(here));
        requests.push(("GET".to_owned(), format!("{base}/internal/routes")));
    }
    requests
}

/// A socket that listens, in the kernel's table.
const LISTEN: &str = "0A";

/// The ports of the loopback addresses on which a process listens.
pub(super) fn listening(pid: u32) -> BTreeSet<u16> {
    let open = fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .filter_map(Result::ok);
    let sockets: BTreeSet<String> = open
        .filter_map(|file| fs::read_link(file.path()).ok())
        .filter_map(|link| {
            Some(
                link.to_str()?
                    .strip_prefix("socket:[")?
                    .trim_end_matches(']')
                    .to_owned(),
            )
        })
        .collect();
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    let lines = table
        .lines()
        .skip(1)
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    lines
        .filter(|words| words[3] == LISTEN && sockets.contains(words[9]))
        .map(|words| u16::from_str_radix(words[1].rsplit_once(':').unwrap().1, 16).unwrap())
        .collect()
}

/// Deploys it; what it tried in its build, in its release and when it ran.
pub(super) async fn deploy(up: &Up, targets: &Targets) -> Vec<Probe> {
    let directory = tempfile::tempdir().unwrap();
    for (name, content) in FILES {
        fs::write(directory.path().join(name), content).unwrap();
    }
    fs::write(directory.path().join("targets.json"), targets.0.to_string()).unwrap();
    up.result(&["deploy", path_of(directory.path()), "--name", "prober"])
        .await;
    let build = up.result(&["logs", "prober", "--build", "last"]).await;
    let app = testkit::eventually_async("the app has tried everything", || async {
        let output = up.run(&["logs", "prober"]).await;
        let log = text(&output.stdout);
        log.contains("\"what\": \"end\"").then_some(log)
    })
    .await;
    let lines = build.lines().chain(app.lines());
    let probes: Vec<Probe> = lines
        .filter_map(|line| line.split_once("PROBE "))
        .map(|(_, probe)| {
            serde_json::from_str(probe).unwrap_or_else(|error| panic!("{error}: {probe}"))
        })
        .collect();
    for phase in ["build", "release", "app"] {
        assert!(
            probes
                .iter()
                .any(|probe| probe.phase == phase && probe.what == "end"),
            "{phase}\n{build}"
        );
    }
    probes
}

fn path_of(directory: &Path) -> &str {
    directory.to_str().unwrap()
}
