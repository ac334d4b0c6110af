//! `slipway open`.

use std::process::{Command, ExitCode, Stdio};

use crate::apps;
use crate::cli::AppArgs;
use crate::environment;
use crate::output;
use crate::sign_in;

/// Prints an app's address; on a terminal also opens it, where there is something to open it with.
pub(crate) async fn run(arguments: AppArgs) -> anyhow::Result<ExitCode> {
    let person = sign_in::person(&arguments.platform).await?;
    let project = apps::find(&person, &arguments.app, arguments.account.as_deref()).await?;
    let url = &apps::environment(&project, &arguments.env)?.url;
    output::line(url)?;
    if output::is_terminal()
        && environment::search_path()
            .iter()
            .any(|dir| dir.join("xdg-open").is_file())
    {
        let opened = Command::new("xdg-open")
            .arg(url)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        if let Err(error) = opened {
            output::note(format_args!("xdg-open can't be started: {error}"));
        }
    }
    Ok(ExitCode::SUCCESS)
}
