//! What a plan says: data only, so that it can be stored with its build and read by any driver.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::DetectError;

/// How a repository is built, released and run.
///
/// Every path in it is relative to [`Plan::root`], which is itself relative to the checkout.
/// A built tree is run where it was built: virtual environments hold absolute paths.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// What kind of app it is.
    pub provider: Provider,
    /// What was found and what follows from it, in the order it was looked at: the first lines of the build log.
    pub reasons: Vec<String>,
    /// What is odd about the repository but stops nothing.
    pub warnings: Vec<String>,
    /// The app's directory inside the checkout.
    pub root: RelPath,
    /// The steps of the build, in order.
    pub phases: Vec<Phase>,
    /// Variables for every phase; the project's own variables win over them.
    pub build_env: BTreeMap<String, String>,
    /// Run once per release, with the app's own variables, before traffic goes to it (migrations).
    pub release: Option<Command>,
    /// The process that answers HTTP.
    pub web: Web,
    /// Further processes, by the name the Procfile or the settings give them.
    pub processes: BTreeMap<String, Command>,
    /// Variables for the release command and all processes; the project's own variables win over them.
    pub run_env: BTreeMap<String, String>,
    /// Directories to put in front of `PATH`, while building and while running.
    pub path: Vec<RelPath>,
    /// The path to ask for when deciding whether the app is healthy.
    pub health: Option<String>,
    /// Whether the app can't run without a PostgreSQL database in `DATABASE_URL`.
    pub needs_database: bool,
    /// Variables that must have a value before anything is built.
    pub required: Vec<Required>,
    /// Secrets to make once per environment, where the project sets none of that name.
    pub generated_secrets: Vec<String>,
    /// The variables to put the port in: always `PORT`, and the framework's own.
    pub port_variables: Vec<String>,
    /// The most time one phase may take, in seconds, where the repository asks for less than the operator allows.
    pub phase_seconds: Option<u64>,
}

impl Plan {
    /// The app's directory, given where the checkout stands.
    pub fn base(&self, checkout: &Path) -> PathBuf {
        self.root.under(checkout)
    }

    /// The required variables that `has` doesn't know, each with why it is needed.
    pub fn missing(&self, has: impl Fn(&str) -> bool) -> Vec<&Required> {
        self.required
            .iter()
            .filter(|required| !has(&required.name))
            .collect()
    }
}

/// The kind of app a plan is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Provider {
    /// A Medusa 2 store.
    Medusa,
    /// A Node app.
    Node,
    /// A Python app in a virtual environment.
    Python,
    /// A Rust binary.
    Rust,
    /// Files served as they are.
    Static,
    /// Only commands from the settings or the Procfile; nothing is installed.
    Commands,
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Medusa => "medusa",
            Self::Node => "node",
            Self::Python => "python",
            Self::Rust => "rust",
            Self::Static => "static",
            Self::Commands => "commands",
        })
    }
}

/// One named step of a build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Phase {
    /// Its name in logs and errors, such as `install`.
    pub name: String,
    /// What it runs.
    pub command: Command,
}

impl Phase {
    /// A phase called `name` that runs `command`.
    pub fn new(name: &str, command: Command) -> Self {
        Self {
            name: name.to_owned(),
            command,
        }
    }
}

/// A command with its directory and its own variables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// What to run.
    pub run: Run,
    /// The directory to run it in.
    pub cwd: RelPath,
    /// Variables for this command only.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
}

impl Command {
    /// A program with its arguments, run without a shell.
    pub fn argv<S: Into<String>>(words: impl IntoIterator<Item = S>) -> Self {
        Self::of(Run::Argv(words.into_iter().map(Into::into).collect()))
    }

    /// A text for `sh -c`.
    pub fn shell(text: impl Into<String>) -> Self {
        Self::of(Run::Shell(text.into()))
    }

    fn of(run: Run) -> Self {
        Self {
            run,
            cwd: RelPath::here(),
            env: BTreeMap::new(),
        }
    }

    /// The same command in another directory.
    #[must_use]
    pub fn within(self, cwd: RelPath) -> Self {
        Self { cwd, ..self }
    }

    /// The same command with one more variable.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    /// The words to execute: a shell text becomes `/bin/sh -c text`.
    pub fn words(&self) -> Vec<String> {
        match &self.run {
            Run::Argv(words) => words.clone(),
            Run::Shell(text) => vec!["/bin/sh".to_owned(), "-c".to_owned(), text.clone()],
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.run {
            Run::Argv(words) => f.write_str(&words.join(" ")),
            Run::Shell(text) => f.write_str(text),
        }
    }
}

/// Words for the kernel or a text for a shell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Run {
    /// A program, looked up in the command's own `PATH`, and its arguments.
    Argv(Vec<String>),
    /// A text for `sh -c`.
    Shell(String),
}

/// What answers HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Web {
    /// A process of the app's own.
    Command(Command),
    /// A directory of files, served by Slipway itself.
    Static {
        /// The directory.
        dir: RelPath,
        /// Whether an unknown path is answered with `index.html`, as single-page apps expect.
        single_page: bool,
    },
}

/// A variable that an app can't do without.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Required {
    /// Its name.
    pub name: String,
    /// What to do about it, as a sentence for a person.
    pub why: String,
}

/// A relative path that stays inside the directory it is joined to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RelPath(String);

impl RelPath {
    /// The directory itself.
    pub fn here() -> Self {
        Self(".".to_owned())
    }

    /// Takes `text` if it is a relative path without `..`.
    pub fn parse(text: &str) -> Result<Self, DetectError> {
        let mut parts = Vec::new();
        for part in Path::new(text).components() {
            match part {
                Component::CurDir => {}
                Component::Normal(name) => parts.push(name.to_string_lossy().into_owned()),
                Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                    return Err(DetectError::Outside {
                        path: text.to_owned(),
                    });
                }
            }
        }
        Ok(if parts.is_empty() {
            Self::here()
        } else {
            Self(parts.join("/"))
        })
    }

    /// The path as text; `.` for the directory itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// This path inside `dir`.
    pub fn under(&self, dir: &Path) -> PathBuf {
        if self.0 == "." {
            dir.to_owned()
        } else {
            dir.join(&self.0)
        }
    }
}

impl TryFrom<String> for RelPath {
    type Error = DetectError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<RelPath> for String {
    fn from(path: RelPath) -> Self {
        path.0
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
