//! `slipway up`.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use chassis::Signals;
use chassis::settings::{Core, Sources};
use common::time::Clock;

use crate::cli::UpArgs;
use crate::lock::DataLock;
use crate::output::{self, Style};
use crate::platform::{self, Options, Prepared};
use crate::sign_in;

/// Six services share the process; requests are served by threads of their own.
const RUNTIME_THREADS: usize = 2;
/// How long the first start, which makes everything, may take on a slow machine.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long threads that still work on something are waited for at the end.
const LAST_GRACE: Duration = Duration::from_secs(1);

/// Runs the platform until it is told to stop.
pub(crate) fn run(arguments: &UpArgs) -> anyhow::Result<ExitCode> {
    chassis::memory::return_large_pieces();
    let prepared = platform::prepare(Options {
        data_dir: arguments.data_dir.clone(),
        port: arguments.port,
        sources: Sources::of_process(arguments.config.clone()),
    })?;
    let data_dir = prepared.settings.data_dir();
    let _lock = DataLock::take(&data_dir, &prepared.public_url)?;
    let core = Core::read(&prepared.settings)?;
    chassis::telemetry::init(&core.log).map_err(anyhow::Error::msg)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(RUNTIME_THREADS)
        .enable_all()
        .build()?;
    let ended = runtime.block_on(serve(&prepared, &data_dir));
    runtime.shutdown_timeout(LAST_GRACE);
    ended.map(|()| ExitCode::SUCCESS)
}

async fn serve(prepared: &Prepared, data_dir: &Path) -> anyhow::Result<()> {
    let credentials = sign_in::credentials_file(data_dir);
    let had_credentials = credentials.exists();
    let mut signals = Signals::listen()?;
    let running = tokio::select! {
        started = platform::start(prepared, Clock::system()) => started?,
        () = signals.told() => return Ok(()),
    };
    let ready = tokio::select! {
        ready = running.wait_until_ready(PATIENCE) => ready.map(|()| true),
        () = signals.told() => Ok(false),
    };
    if !matches!(ready, Ok(true)) {
        running.stop().await;
        return ready.map(drop);
    }
    warn_of_isolation();
    if !had_credentials && credentials.exists() {
        output::note(format_args!(
            "The first admin's address and password are in {}",
            credentials.display()
        ));
    }
    output::line(format_args!("Slipway is ready at {}", prepared.public_url))?;
    chassis::until_told(running, signals).await
}

/// Says what this machine can't keep apps from.
fn warn_of_isolation() {
    let style = Style::error();
    for warning in slipway_provisioner::process::Capabilities::detect().warnings() {
        output::note(format_args!("{} {warning}", style.yellow("warning:")));
    }
}
