//! The demo's platform: this very program, started as a person would start it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{self, Command};

use crate::api::Api;
use crate::environment;

/// How long the first start may take; it makes keys and tables.
const START: Duration = Duration::from_mins(1);
/// How long a clean stop may take.
const STOP: Duration = Duration::from_secs(30);
const LINES_SHOWN: usize = 20;
/// Settings that hold for the demo, too; the others are of another platform.
const KEPT_SETTINGS: [&str; 3] = ["SLIPWAY_APPS__", "SLIPWAY_BUILDS__", "SLIPWAY_LOG__"];

/// The running platform.
#[derive(Debug)]
pub(super) struct Child(process::Child);

impl Child {
    /// Starts it into `slot`, so that it is known even if this doesn't get to its end.
    pub(super) async fn start(
        slot: &mut Option<Self>,
        directory: &Path,
        port: u16,
    ) -> anyhow::Result<Api> {
        let program = std::env::current_exe().context("finding this program")?;
        let log = File::create(log_file(directory)).context("making the platform's log")?;
        // An empty file, so that a slipway.toml of the working directory isn't read.
        let config = directory.join("slipway.toml");
        File::create(&config).context("making the platform's settings")?;
        let mut command = Command::new(program);
        command.arg("up").arg("--port").arg(port.to_string());
        command
            .arg("--data-dir")
            .arg(data_dir(directory))
            .arg("--config")
            .arg(config);
        for name in environment::names().filter(|name| name.starts_with("SLIPWAY_")) {
            if !KEPT_SETTINGS.iter().any(|kept| name.starts_with(kept)) {
                command.env_remove(name);
            }
        }
        // In a group of its own: Ctrl-C is for us, who end the apps before the platform.
        command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log);
        let child = slot.insert(Self(command.spawn().context("starting the platform")?));
        let url = tokio::time::timeout(START, child.ready())
            .await
            .context("the platform isn't ready in time")??;
        Api::new(url.parse()?)
    }

    /// Waits for the line that says where the platform is.
    async fn ready(&mut self) -> anyhow::Result<String> {
        let output = self
            .0
            .stdout
            .as_mut()
            .context("the platform's output was taken already")?;
        let mut line = String::new();
        BufReader::new(output)
            .read_line(&mut line)
            .await
            .context("reading the platform's output")?;
        let url = line
            .split_whitespace()
            .last()
            .filter(|word| word.starts_with("http"));
        url.map(str::to_owned)
            .context("the platform ended before it was ready")
    }

    /// Asks it to end, and waits until it has.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        let pid = self
            .0
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw);
        if let Some(pid) = pid {
            kill_process(pid, Signal::TERM).context("asking the platform to end")?;
        }
        if let Ok(ended) = tokio::time::timeout(STOP, self.0.wait()).await {
            let status = ended.context("waiting for the platform to end")?;
            anyhow::ensure!(status.success(), "the platform ended with {status}");
            return Ok(());
        }
        self.0.kill().await.context("ending the platform")?;
        anyhow::bail!("the platform didn't end within {STOP:?} and was killed")
    }
}

/// Where the platform keeps its data.
pub(super) fn data_dir(directory: &Path) -> PathBuf {
    directory.join("data")
}

fn log_file(directory: &Path) -> PathBuf {
    directory.join("platform.log")
}

/// The end of what the platform wrote.
pub(super) fn last_words(directory: &Path) -> String {
    let text = std::fs::read(log_file(directory)).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().collect();
    let skipped = lines.len().saturating_sub(LINES_SHOWN);
    lines
        .into_iter()
        .skip(skipped)
        .collect::<Vec<_>>()
        .join("\n")
}
