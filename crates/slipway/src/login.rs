//! `slipway login` and `slipway logout`.

use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use common::time::Clock;

use crate::api::{Api, ApiError, Tokens};
use crate::cli::{LoginArgs, LogoutArgs};
use crate::credentials::{Actor, Store, Stored};
use crate::environment;
use crate::output;

/// By how much longer one waits who has polled too fast (RFC 8628, section 3.5).
const SLOWER: Duration = Duration::from_secs(5);

/// Has a person let this program in, and keeps what comes of it.
pub(crate) async fn run(arguments: LoginArgs) -> anyhow::Result<ExitCode> {
    let store = Store::open().context("there is no home directory to keep a sign-in in")?;
    let actor = if arguments.admin {
        Actor::Admin
    } else {
        Actor::Euser
    };
    let api = Api::new(arguments.url.clone())?;
    let asked = api.ask_for_device(actor.as_str()).await?;
    output::note(format_args!(
        "Open {} in a browser, and check that it shows the code {}.\n(Or open {} and enter it.)",
        asked.verification_uri_complete, asked.user_code, asked.verification_uri
    ));
    if !arguments.no_browser {
        show(&asked.verification_uri_complete);
    }
    let mut pause = Duration::from_secs(asked.interval.max(1));
    let waiting = async {
        loop {
            tokio::time::sleep(pause).await;
            match api.poll_device(&asked.device_code).await {
                Ok(tokens) => return Ok(tokens),
                Err(error) if error.is("authorization_pending") => {}
                Err(error) if error.is("slow_down") => pause += SLOWER,
                // It may have been only for a moment, and the code is still good.
                Err(error) if error.is_passing() => {}
                Err(error) => return Err(explain(error)),
            }
        }
    };
    let patience = Duration::from_secs(asked.expires_in);
    let tokens = tokio::time::timeout(patience, waiting)
        .await
        .map_err(|_elapsed| anyhow::anyhow!("nobody has answered in time; start again"))??;
    store.put(&arguments.url, actor, stored(tokens))?;
    output::line(format_args!(
        "Signed in at {}",
        arguments.url.as_str().trim_end_matches('/')
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// Ends what is kept for a platform, there and here.
pub(crate) async fn log_out(arguments: LogoutArgs) -> anyhow::Result<ExitCode> {
    let store = Store::open().context("there is no home directory that a sign-in could be in")?;
    let removed = store.remove(&arguments.url)?;
    let url = arguments.url.as_str().trim_end_matches('/').to_owned();
    if removed.is_empty() {
        output::note(format_args!("Not signed in at {url}."));
        return Ok(ExitCode::SUCCESS);
    }
    let api = Api::new(arguments.url)?;
    for stored in removed {
        api.revoke(&stored.refresh_token).await.with_context(|| {
            format!("it is forgotten here, but {url} could not be told to end it")
        })?;
    }
    output::line(format_args!("Signed out of {url}"))?;
    Ok(ExitCode::SUCCESS)
}

/// What is kept of tokens.
pub(crate) fn stored(tokens: Tokens) -> Stored {
    Stored {
        refresh_token: tokens.refresh_token,
        access_token: tokens.access_token,
        expires_at: Clock::system().now().unix() + tokens.expires_in,
    }
}

fn explain(error: ApiError) -> anyhow::Error {
    if error.is("access_denied") {
        anyhow::anyhow!("the person has not let this program in")
    } else if error.is("expired_token") {
        anyhow::anyhow!("the code has ended; start again")
    } else {
        error.into()
    }
}

/// Opens the page where a person sits before the terminal and something can open it.
fn show(url: &str) {
    let opener = environment::search_path()
        .into_iter()
        .map(|dir| dir.join("xdg-open"))
        .find(|program| program.is_file());
    if let Some(program) = opener.filter(|_| output::is_watched()) {
        let opened = Command::new(program)
            .arg(url)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        if let Err(error) = opened {
            output::note(format_args!("xdg-open can't be started: {error}"));
        }
    }
}
