//! `slipway demo`: the main job from the first registration to the usage count, each step through
//! the gateway's REST API, as every other client would take it.

mod child;
mod cleanup;
mod person;
mod steps;
mod story;

use std::net::TcpListener;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;

use crate::cli::DemoArgs;
use crate::environment;
use crate::output::{self, Style};
use child::Child;
use steps::Steps;
use story::Story;

/// The app that is deployed, as seen from the repository's root.
const APP: &str = "examples/storefront";
const FIRST_PORT: u16 = 8080;
const LAST_PORT: u16 = 8179;

/// How the story went.
enum Outcome {
    Told,
    Failed(anyhow::Error),
    Interrupted,
}

/// Tells the story, stays up until Ctrl-C unless told otherwise, and leaves nothing behind.
pub(crate) async fn run(arguments: DemoArgs) -> anyhow::Result<ExitCode> {
    let app = Path::new(APP);
    anyhow::ensure!(
        app.is_dir(),
        "{APP} is not here: run the demo in the directory of Slipway's source"
    );
    let port = free_port()?;
    let directory = tempfile::Builder::new()
        .prefix("slipway-demo-")
        .tempdir()
        .context("making a directory")?;
    let mut steps = Steps::default();
    let mut story = Story::new(
        app,
        environment::text("SLIPWAY_APPS__POSTGRES_URL").is_some(),
    );
    let mut child = None;

    let outcome = tokio::select! {
        told = tell(&mut child, &mut story, &mut steps, directory.path(), port) => match told {
            Ok(()) => Outcome::Told,
            Err(error) => Outcome::Failed(error),
        },
        _ = tokio::signal::ctrl_c() => Outcome::Interrupted,
    };
    let succeeded = conclude(&outcome, &steps, directory.path())?;
    if succeeded && !arguments.once {
        stay_up(&story).await?;
    }
    let clean = cleanup::all(child, &story, directory).await;
    if let Err(error) = &clean {
        output::complain(error);
    }
    Ok(if succeeded && clean.is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn tell(
    child: &mut Option<Child>,
    story: &mut Story<'_>,
    steps: &mut Steps,
    directory: &Path,
    port: u16,
) -> anyhow::Result<()> {
    let platform = steps
        .step(
            "Start the platform",
            format!("slipway up --port {port}"),
            "All six services in one process, on SQLite; one public port.",
            Child::start(child, directory, port),
        )
        .await?;
    story.tell(&platform, directory, steps).await
}

/// Shows the table, and what went wrong if something did.
fn conclude(outcome: &Outcome, steps: &Steps, directory: &Path) -> anyhow::Result<bool> {
    output::line("")?;
    for line in steps.table() {
        output::line(line)?;
    }
    match outcome {
        Outcome::Told => return Ok(true),
        Outcome::Interrupted => output::note("\nInterrupted."),
        Outcome::Failed(error) => {
            output::note("");
            output::complain(error);
            let log = child::last_words(directory);
            if !log.is_empty() {
                output::note("\nThe last that the platform wrote:");
                output::note(log);
            }
        }
    }
    Ok(false)
}

async fn stay_up(story: &Story<'_>) -> anyhow::Result<()> {
    let style = Style::result();
    output::line("")?;
    if let Some(url) = story.app_url() {
        output::line(format_args!(
            "The store stays up at {}products",
            style.bold(url)
        ))?;
    }
    output::line("Ctrl-C ends it and removes everything.")?;
    tokio::signal::ctrl_c().await.context("waiting for Ctrl-C")
}

/// The usual port, or the next that is free.
fn free_port() -> anyhow::Result<u16> {
    (FIRST_PORT..=LAST_PORT)
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .with_context(|| format!("no port from {FIRST_PORT} to {LAST_PORT} is free"))
}
