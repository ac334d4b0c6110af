//! The `slipway` program: the whole platform in one process (`slipway up`), and the commands
//! that drive a platform over its public REST API, as everyone else does.
//!
//! | module | what |
//! |---|---|
//! | [`platform`], `up` | all six services in one process |
//! | `api` | a client of the public REST API |
//! | `deploy`, `source` | a path, bundle or Git URL becomes a live app |
//! | `apps`, `logs`, `open` | what runs, what it says, where it is |
//! | `running` | sleep, wake, scale, restart, maintenance |
//! | `usage` | how often one has called what, as bars and as a picture |
//! | `webhooks` | where an account's events are told, and what came of it |
//! | `mail` | what was mailed, where no mail server is set |
//! | `login`, `logout` | signing in by a browser, and out |
//! | `admin` | what operators do: keys, people, the audit log |
//! | `config`, `doctor` | the settings in effect; what is wrong, and what to do about it |
//! | `demo` | the main job from the first registration to the usage count |

mod admin;
mod api;
mod apps;
mod cli;
mod config;
mod credentials;
mod demo;
mod deploy;
mod doctor;
mod environment;
mod lock;
mod login;
mod logs;
mod mail;
mod open;
mod output;
pub mod platform;
mod previews;
mod running;
mod sign_in;
mod source;
mod table;
mod up;
mod usage;
mod webhooks;

use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::{Cli, Command};

/// Runs the command that the process was started with.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    match execute(cli.command) {
        Ok(code) => code,
        Err(error) if output::is_closed(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output::complain(&error);
            ExitCode::FAILURE
        }
    }
}

fn execute(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Up(arguments) => up::run(&arguments),
        Command::Deploy(arguments) => client(deploy::run(arguments)),
        Command::Apps(arguments) => client(apps::run(arguments)),
        Command::Logs(arguments) => client(logs::run(arguments)),
        Command::Open(arguments) => client(open::run(arguments)),
        Command::Previews(arguments) => client(previews::run(arguments)),
        Command::Sleep(arguments) => client(running::sleep(arguments)),
        Command::Wake(arguments) => client(running::wake(arguments)),
        Command::Scale(arguments) => client(running::scale(arguments)),
        Command::Restart(arguments) => client(running::restart(arguments)),
        Command::Maintenance(arguments) => client(running::maintenance(arguments)),
        Command::Usage(arguments) => client(usage::run(arguments)),
        Command::Webhooks(arguments) => client(webhooks::run(arguments)),
        Command::Mail(arguments) => mail::run(&arguments),
        Command::Login(arguments) => client(login::run(arguments)),
        Command::Logout(arguments) => client(login::log_out(arguments)),
        Command::Admin(arguments) => client(admin::run(arguments)),
        Command::Config(arguments) => config::run(&arguments),
        Command::Doctor(arguments) => client(doctor::run(arguments)),
        Command::Demo(arguments) => client(demo::run(arguments)),
        Command::Static { words } => {
            slipway_provisioner::local::static_site::serve_arguments(words)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Runs a command that is a client of a platform.
fn client(work: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let result = runtime.block_on(work);
    // What still waits for an answer that nobody wants any more doesn't hold up the end.
    runtime.shutdown_background();
    result
}
