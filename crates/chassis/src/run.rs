//! The `main` of a service's own program.

use std::path::PathBuf;
use std::process::ExitCode;

use common::time::Clock;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::memory;
use crate::platform::{self, Launch, Platform};
use crate::service::Service;
use crate::settings::{Core, Settings, Sources};
use crate::telemetry;

/// Runs one service until it is told to stop: `[--config FILE]` is all it takes.
pub fn run(service: Service) -> ExitCode {
    match try_run(service) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "the service ended");
            complain(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "the log may not be set up yet")]
fn complain(error: &str) {
    eprintln!("error: {error}");
}

fn try_run(service: Service) -> anyhow::Result<()> {
    memory::return_large_pieces();
    let settings = Settings::load(Sources::of_process(config_file()?))?;
    let core = Core::read(&settings)?;
    telemetry::init(&core.log).map_err(anyhow::Error::msg)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let name = service.name();
        let launch = Launch {
            services: vec![service],
            settings,
            clock: Clock::system(),
            embedded: false,
        };
        let mut signals = Signals::listen()?;
        let platform = tokio::select! {
            started = platform::start(launch) => started?,
            () = signals.told() => return Ok(()),
        };
        tracing::info!(service = name, "started");
        until_told(platform, signals).await
    })
}

fn config_file() -> anyhow::Result<Option<PathBuf>> {
    let mut arguments = std::env::args_os().skip(1);
    match arguments.next() {
        None => Ok(None),
        Some(flag) if flag == "--config" => match arguments.next() {
            Some(file) => Ok(Some(PathBuf::from(file))),
            None => anyhow::bail!("--config needs a file"),
        },
        Some(other) => anyhow::bail!(
            "unknown argument `{}` (only --config FILE is taken)",
            other.to_string_lossy()
        ),
    }
}

/// SIGTERM and SIGINT. From the moment it is made they end the process no more by themselves: so it
/// is made before anybody can know of the process and tell it to stop.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Listens from now on.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next one.
    pub async fn told(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Serves until a signal comes, then stops cleanly; a second one stops at once.
pub async fn until_told(platform: Platform, mut signals: Signals) -> anyhow::Result<()> {
    signals.told().await;
    tracing::info!("stopping");
    tokio::select! {
        () = platform.stop() => Ok(()),
        () = signals.told() => anyhow::bail!("stopped at once by a second signal"),
    }
}
