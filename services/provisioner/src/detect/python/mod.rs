//! Python apps: a virtual environment in the tree, and the WSGI or ASGI application found in it.

mod deps;
mod django;
mod entry;

use super::DetectError;
use super::draft::Draft;
use super::plan::{Command, Provider, RelPath};
use super::source::Source;
use deps::{Dependencies, Installer};
use entry::{Entry, Kind};

/// The interpreter of the virtual environment. Tools are called as its modules, since the scripts
/// beside it hold absolute paths.
const PYTHON: &str = ".venv/bin/python";

/// A Python app, if its dependencies are listed.
pub(super) fn plan(source: &Source) -> Result<Option<Draft>, DetectError> {
    let Some(dependencies) = Dependencies::read(source)? else {
        return Ok(None);
    };
    let mut draft = Draft::new(Provider::Python);
    draft.because(dependencies.why.clone());
    draft.path.extend(RelPath::parse(".venv/bin"));
    draft.phase("venv", Command::argv(["python3", "-m", "venv", ".venv"]));
    install(&mut draft, &dependencies);
    // Output that waits in a buffer is missing from the log just when the app has died.
    draft
        .run_env
        .insert("PYTHONUNBUFFERED".to_owned(), "1".to_owned());

    if django::plan(&mut draft, source, &dependencies) {
        return Ok(Some(draft));
    }
    match entry::find(source, &dependencies) {
        Some(entry) => {
            draft.because(format!("{}: {}", entry.file, entry.what));
            serve(&mut draft, &entry, &dependencies);
        }
        None => {
            draft.no_start.push_str("no Flask, FastAPI, Django or other WSGI or ASGI application was found in the Python files");
        }
    }
    Ok(Some(draft))
}

fn install(draft: &mut Draft, dependencies: &Dependencies) {
    let pip = |words: &[&str]| {
        let front = [
            PYTHON,
            "-m",
            "pip",
            "install",
            "--no-input",
            "--disable-pip-version-check",
        ];
        Command::argv(front.into_iter().chain(words.iter().copied()))
    };
    match &dependencies.installer {
        Installer::Requirements(file) => draft.phase("install", pip(&["-r", file])),
        Installer::Project => draft.phase("install", pip(&["."])),
        Installer::Listed(list) if list.is_empty() => {}
        Installer::Listed(list) => draft.phase(
            "install",
            pip(&list.iter().map(String::as_str).collect::<Vec<_>>()),
        ),
        Installer::Uv => {
            draft.phase("tool", pip(&["uv"]));
            let sync = [
                PYTHON,
                "-m",
                "uv",
                "sync",
                "--frozen",
                "--no-dev",
                "--inexact",
                "--no-python-downloads",
            ];
            draft.phase("install", Command::argv(sync));
        }
        Installer::Poetry => {
            // Poetry stands apart: its own dependencies mustn't meet the app's.
            draft.phase("tool", Command::shell(
                "python3 -m venv .slipway/poetry && .slipway/poetry/bin/python -m pip install --no-input --disable-pip-version-check poetry",
            ));
            let words = [
                ".slipway/poetry/bin/python",
                "-m",
                "poetry",
                "install",
                "--only",
                "main",
                "--no-root",
                "--no-interaction",
            ];
            draft.phase(
                "install",
                Command::argv(words).with("POETRY_VIRTUALENVS_IN_PROJECT", "true"),
            );
        }
    }
}

/// Starts an application with gunicorn or uvicorn: the one that the app itself asks for, else the
/// usual one for its kind, installed beside it.
fn serve(draft: &mut Draft, entry: &Entry, dependencies: &Dependencies) {
    let server = match entry.kind {
        Kind::Wsgi => "gunicorn",
        Kind::Asgi => "uvicorn",
    };
    if dependencies.has(server) {
        draft.because(format!(
            "{}: asks for {server}, so that runs it",
            dependencies.file
        ));
    } else {
        draft.because(format!(
            "{}: asks for no server, so {server} is installed",
            dependencies.file
        ));
        let pip = [
            PYTHON,
            "-m",
            "pip",
            "install",
            "--no-input",
            "--disable-pip-version-check",
            server,
        ];
        draft.phase("server", Command::argv(pip));
    }
    if let Some(dir) = entry.python_path {
        draft
            .run_env
            .insert("PYTHONPATH".to_owned(), dir.to_owned());
    }
    let factory = entry.factory;
    let target = format!("{}:{}", entry.module, entry.variable);
    let text = match entry.kind {
        Kind::Wsgi => {
            let call = if factory { "()" } else { "" };
            format!(
                "exec {PYTHON} -m gunicorn --bind \"${{HOST:-127.0.0.1}}:$PORT\" --workers \"${{WEB_CONCURRENCY:-2}}\" \
                 --threads 4 --access-logfile - '{target}{call}'"
            )
        }
        Kind::Asgi => {
            let flag = if factory { " --factory" } else { "" };
            format!(
                "exec {PYTHON} -m uvicorn --host \"${{HOST:-127.0.0.1}}\" --port \"$PORT\" --proxy-headers{flag} '{target}'"
            )
        }
    };
    draft.start(Command::shell(text));
    let own = match entry.kind {
        Kind::Wsgi if dependencies.has("flask") => Some("FLASK_RUN_PORT"),
        Kind::Wsgi => None,
        Kind::Asgi => Some("UVICORN_PORT"),
    };
    draft.port_variables.extend(own.map(str::to_owned));
}
