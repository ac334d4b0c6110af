//! Logs, and the trace context that goes with every piece of work (W3C Trace Context).

mod trace;

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::settings::{LogFormat, LogSettings};

pub use trace::{Hex, TraceContext};

/// What tells of every socket and thread at its start, which is no news; a level can ask for it again.
const QUIET: &str = "actix_server=warn";

/// Sets up the process's log on standard error. A second call changes nothing.
///
/// # Errors
/// When the level is neither a level nor a list of directives.
pub fn init(settings: &LogSettings) -> Result<(), String> {
    let filter = EnvFilter::try_new(format!("{QUIET},{}", settings.level))
        .map_err(|error| format!("in section [log]: `level` can't be read: {error}"))?;
    let registry = tracing_subscriber::registry().with(filter);
    let writer = std::io::stderr;
    // Colours are for people who watch, not for files. https://no-color.org
    let colours = std::io::stderr().is_terminal() && !no_colour();
    // Whoever was first decides: tests set up a log of their own.
    let _already = match settings.format {
        LogFormat::Human => registry
            .with(
                tracing_subscriber::fmt::layer()
                    .with_ansi(colours)
                    .with_writer(writer),
            )
            .try_init(),
        LogFormat::Json => registry
            .with(
                tracing_subscriber::fmt::layer()
                    .json()
                    .flatten_event(true)
                    .with_writer(writer),
            )
            .try_init(),
    };
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the terminal's own convention, no setting of ours"
)]
fn no_colour() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}
