//! Running plans: real commands, bounded, logged, ended.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::time::Clock;
use slipway_provisioner::build::{
    BuildError, BuildJob, BuildLimits, BuildLog, Builder, LogLine, LogSink, Operator, PhaseEnd,
    PhaseFailure, Stream, write_reasons,
};
use slipway_provisioner::detect::{Context, Plan, detect};
use slipway_provisioner::process::{Host, Limits};
use tokio_util::sync::CancellationToken;

use crate::tree::Tree;

#[derive(Default)]
struct Kept(Mutex<Vec<LogLine>>);

impl LogSink for Kept {
    fn write(&self, line: LogLine) {
        self.0.lock().unwrap().push(line);
    }
}

impl Kept {
    fn text(&self) -> String {
        let lines = self.0.lock().unwrap();
        lines.iter().fold(String::new(), |text, line| {
            text + &format!(
                "{:?} {} {}
",
                line.stream, line.phase, line.text
            )
        })
    }
}

/// A repository whose build is one shell text.
struct Site {
    tree: Tree,
    work: Tree,
    plan: Plan,
    variables: BTreeMap<String, String>,
    limits: BuildLimits,
    budget: u64,
    kept: Arc<Kept>,
    cancel: CancellationToken,
}

impl Site {
    fn new(build: &str) -> Self {
        let settings = format!(
            "[build]\ncommand = {}\n[build.env]\nPLAN = \"plan\"\nBOTH = \"plan\"\n",
            toml::Value::from(build)
        );
        let tree = Tree::new(&[("index.html", ""), ("slipway.toml", &settings)]);
        let plan = detect(tree.path(), &Context::default()).unwrap();
        Self {
            tree,
            work: Tree::new(&[]),
            plan,
            variables: BTreeMap::new(),
            limits: BuildLimits::default(),
            budget: 1 << 20,
            kept: Arc::default(),
            cancel: CancellationToken::new(),
        }
    }

    fn set(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    async fn build(&self) -> Result<(), BuildError> {
        let builder = Builder::new(
            Host::new("it"),
            Operator::of_this_process(),
            self.limits.clone(),
        );
        let masker = builder.masker(self.variables.values().map(String::as_str));
        let log = BuildLog::new(self.kept.clone(), Clock::system(), masker, self.budget, 0);
        write_reasons(&self.plan, &log);
        let id = format!(
            "b-{}",
            self.work
                .path()
                .file_name()
                .unwrap()
                .to_string_lossy()
                .replace('.', "")
        );
        let (home, cache) = (
            self.work.path().join("home"),
            self.work.path().join("cache"),
        );
        let job = BuildJob {
            id: &id,
            plan: &self.plan,
            checkout: self.tree.path(),
            home: &home,
            cache: &cache,
            variables: &self.variables,
            commit: "0123",
            owner: None,
        };
        builder.build(&job, &log, &self.cancel).await
    }

    async fn failure(&self) -> PhaseFailure {
        match self.build().await {
            Err(BuildError::Phase(failure)) => *failure,
            other => panic!("{other:?}\n{}", self.kept.text()),
        }
    }
}

#[tokio::test]
async fn a_build_sees_the_listed_variables_and_nothing_else() {
    let site = Site::new("env; echo to-err >&2")
        .set("BOTH", "own")
        .set("HOME", "/elsewhere");
    site.build().await.unwrap();
    let text = site.kept.text();
    let lines: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("Stdout build "))
        .collect();
    let home = format!("HOME={}", site.work.path().join("home").display());
    for wanted in [
        "CI=true",
        "PLAN=plan",
        "BOTH=own",
        "SOURCE_VERSION=0123",
        &home,
    ] {
        assert!(lines.contains(&wanted), "{wanted} is missing in {text}");
    }
    for (name, _) in std::env::vars() {
        if name.starts_with("CARGO_PKG") || name.starts_with("SLIPWAY") {
            assert!(
                !lines
                    .iter()
                    .any(|line| line.starts_with(&format!("{name}="))),
                "{name} got in"
            );
        }
    }
    assert!(text.contains("Stderr build to-err"), "{text}");
    assert!(
        text.starts_with("Slipway detect slipway.toml: found"),
        "{text}"
    );
}

#[tokio::test]
async fn a_failed_phase_is_named_with_command_exit_code_and_last_lines() {
    let site = Site::new("echo first; echo the reason >&2; exit 3");
    let failure = site.failure().await;
    assert_eq!(failure.phase, "build");
    // Two pipes have no order between them.
    let lines: BTreeSet<&str> = failure.last_lines.iter().map(String::as_str).collect();
    assert_eq!(lines, BTreeSet::from(["first", "the reason"]));
    let text = failure.to_string();
    assert!(
        text.contains("phase `build`") && text.contains("exit 3`") && text.ends_with("exit code 3"),
        "{text}"
    );
    assert!(site.kept.text().contains("ended with exit code 3"));
}

#[tokio::test]
async fn a_missing_program_is_said_to_be_missing() {
    let mut site = Site::new("x");
    site.plan.phases[0].command =
        slipway_provisioner::detect::Command::argv(["no-such-program-here"]);
    let failure = site.failure().await;
    assert!(
        matches!(failure.ended, PhaseEnd::NotStarted(_)),
        "{failure:?}"
    );
}

#[tokio::test]
async fn a_phase_that_takes_too_long_is_ended_with_all_its_processes() {
    let mut site = Site::new("echo $$ > pid; setsid sleep 300 & echo $! > child; sleep 300");
    site.limits.phase_time = Duration::from_millis(700);
    let failure = site.failure().await;
    assert!(
        matches!(failure.ended, PhaseEnd::TimedOut(_)),
        "{failure:?}"
    );
    for file in ["pid", "child"] {
        let pid = std::fs::read_to_string(site.tree.path().join(file)).unwrap();
        assert!(
            !std::path::Path::new("/proc")
                .join(pid.trim())
                .join("exe")
                .exists(),
            "{file} still runs"
        );
    }
}

#[tokio::test]
async fn what_a_phase_leaves_in_the_background_does_not_outlive_it() {
    let site = Site::new("setsid sleep 300 & echo $! > child; echo done");
    site.build().await.unwrap();
    let pid = std::fs::read_to_string(site.tree.path().join("child")).unwrap();
    assert!(
        !std::path::Path::new("/proc")
            .join(pid.trim())
            .join("exe")
            .exists()
    );
}

#[tokio::test]
async fn a_cancelled_build_ends_at_once() {
    let site = Arc::new(Site::new("echo started; sleep 300"));
    let running = Arc::clone(&site);
    let build = tokio::spawn(async move { running.build().await });
    let until = tokio::time::Instant::now() + Duration::from_secs(20);
    while !site.kept.text().contains("Stdout build started") {
        assert!(tokio::time::Instant::now() < until, "{}", site.kept.text());
        tokio::task::yield_now().await;
    }
    site.cancel.cancel();
    let ended = tokio::time::timeout(Duration::from_secs(20), build)
        .await
        .unwrap()
        .unwrap();
    assert!(matches!(ended, Err(BuildError::Cancelled)), "{ended:?}");
}

#[tokio::test]
async fn a_build_that_takes_too_much_memory_is_told_so() {
    let mut site = Site::new("python3 -c \"x = b'x' * (600 << 20); import time; time.sleep(60)\"");
    site.limits.group = Limits {
        memory_bytes: Some(100 << 20),
        processes: Some(100),
    };
    let failure = site.failure().await;
    assert!(failure.out_of_memory(), "{failure:?}");
}

#[tokio::test]
async fn a_flood_of_output_is_cut_and_the_build_goes_on() {
    let mut site = Site::new("yes 0123456789 | head -c 50000000; echo the end");
    site.budget = 10_000;
    site.build().await.unwrap();
    let lines = site.kept.0.lock().unwrap().clone();
    let bytes: usize = lines
        .iter()
        .filter(|line| line.stream == Stream::Stdout)
        .map(|line| line.text.len() + 1)
        .sum();
    assert!(bytes <= 10_000, "{bytes}");
    assert!(
        lines
            .iter()
            .any(|line| line.text.contains("more than 10000 bytes"))
    );
    assert!(
        lines.last().unwrap().text.starts_with("done in"),
        "{:?}",
        lines.last()
    );
    assert!(
        lines
            .iter()
            .enumerate()
            .all(|(index, line)| line.number == index as u64 + 1)
    );
}

#[tokio::test]
async fn secrets_are_hidden_in_output_errors_and_commands() {
    let site = Site::new(
        "echo plain $CANARY; printf '%s' \"$CANARY\" | base64; printf 'a:%s' \"$CANARY\" | base64; \
         printf '%s' \"$CANARY\" | head -c 3; sleep 0.1; printf '%s\\n' \"$CANARY\" | tail -c +4; exit 1",
    )
    .set("CANARY", "canary-s3cret/value");
    let failure = site.failure().await;
    let all = format!("{}{failure}{:?}", site.kept.text(), failure.last_lines);
    for hidden in [
        "s3cret",
        "Y2FuYXJ5LXMzY3JldC92YWx1Z",
        "canary-s3cret%2Fvalue",
        "YTpjYW5hcnktczNjcmV0L3ZhbHVl",
    ] {
        assert!(!all.contains(hidden), "{hidden} in {all}");
    }
    assert!(all.contains("plain ***"), "{all}");
}

#[tokio::test]
async fn only_as_many_builds_run_at_once_as_allowed() {
    let site = Site::new("mkdir lock && sleep 0.3 && rmdir lock");
    let builder = Builder::new(
        Host::new("it"),
        Operator::of_this_process(),
        BuildLimits {
            at_once: 1,
            ..BuildLimits::default()
        },
    );
    let cancel = CancellationToken::new();
    let builds = [1, 2, 3].map(|number| {
        let (builder, site, cancel) = (builder.clone(), &site, &cancel);
        async move {
            let log = BuildLog::new(
                site.kept.clone(),
                Clock::system(),
                builder.masker([]),
                1 << 20,
                0,
            );
            let (home, cache) = (
                site.work.path().join(format!("home{number}")),
                site.work.path().join("cache"),
            );
            let id = format!("slots-{number}-{}", std::process::id());
            let variables = BTreeMap::new();
            let job = BuildJob {
                id: &id,
                plan: &site.plan,
                checkout: site.tree.path(),
                home: &home,
                cache: &cache,
                variables: &variables,
                commit: "0",
                owner: None,
            };
            builder.build(&job, &log, cancel).await
        }
    });
    for ended in futures_util::future::join_all(builds).await {
        ended.unwrap();
    }
    assert!(site.kept.text().contains("waits for its turn"));
}
