//! `slipway.toml` at the top of a repository: what its owner decides, over all that is found.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::DetectError;
use super::draft::Draft;
use super::plan::{Command, Provider, RelPath, Web};
use super::source::Source;

const FILE: &str = "slipway.toml";

/// The whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    #[serde(default)]
    pub(super) build: Build,
    #[serde(default)]
    run: RunTable,
}

/// `[build]`: how the app is made.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Build {
    /// What kind of app it is, instead of what is found.
    pub(super) provider: Option<Provider>,
    /// The app's directory in the repository.
    pub(super) root: Option<RelPath>,
    /// Installs the dependencies; an empty text leaves the step out.
    install: Option<Words>,
    /// Builds; an empty text leaves the step out.
    command: Option<Words>,
    /// A directory to serve as it is, instead of a process.
    #[serde(rename = "static")]
    static_dir: Option<RelPath>,
    /// Whether unknown paths of `static` get `index.html`.
    #[serde(default)]
    single_page: bool,
    /// The most time one step may take, in seconds.
    timeout: Option<u64>,
    /// Variables while building.
    #[serde(default)]
    env: BTreeMap<String, String>,
}

/// `[run]`: how the app lives.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RunTable {
    start: Option<Words>,
    release: Option<Words>,
    /// The directory to start in, often the build's output.
    directory: Option<RelPath>,
    health: Option<String>,
    database: Option<bool>,
    #[serde(default)]
    secrets: Vec<String>,
    #[serde(default)]
    port_variables: Vec<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    #[serde(default)]
    processes: BTreeMap<String, Words>,
}

/// A command: a text for a shell, or a list of words.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "a command: a text, or a list of texts")]
enum Words {
    Text(String),
    List(Vec<String>),
}

impl Words {
    /// The command, or `None` if it is empty.
    fn command(self) -> Option<Command> {
        match self {
            Self::Text(text) if text.trim().is_empty() => None,
            Self::Text(text) => Some(Command::shell(text)),
            Self::List(words) if words.is_empty() => None,
            Self::List(words) => Some(Command::argv(words)),
        }
    }
}

impl Settings {
    /// Reads the file, if there is one.
    pub(super) fn read(source: &Source) -> Result<Option<Self>, DetectError> {
        let Some(text) = source.text(FILE) else {
            return Ok(None);
        };
        let settings: Self = toml::from_str(&text).map_err(|error| {
            let offset = error.span().map_or(0, |span| span.start);
            DetectError::at(FILE, &text, offset, key_at(&text, offset), error.message())
        })?;
        settings.check(&text)?;
        Ok(Some(settings))
    }

    /// Whether the file says how the app is started or served.
    pub(super) fn has_start(&self) -> bool {
        self.run.start.is_some() || self.build.static_dir.is_some()
    }

    fn check(&self, text: &str) -> Result<(), DetectError> {
        let wrong = |key: &str, message: &str| {
            let last = key.rsplit('.').next().unwrap_or(key);
            let offset = text.find(&format!("\n{last}")).map_or(0, |at| at + 1);
            DetectError::at(FILE, text, offset, Some(key.to_owned()), message)
        };
        if self
            .run
            .health
            .as_ref()
            .is_some_and(|path| !path.starts_with('/'))
        {
            return Err(wrong("run.health", "a path begins with `/`"));
        }
        if self.build.timeout == Some(0) {
            return Err(wrong("build.timeout", "at least one second"));
        }
        let names = [
            ("run.secrets", self.run.secrets.iter().collect::<Vec<_>>()),
            (
                "run.port_variables",
                self.run.port_variables.iter().collect(),
            ),
            ("run.env", self.run.env.keys().collect()),
            ("build.env", self.build.env.keys().collect()),
        ];
        for (key, names) in names {
            if let Some(name) = names.into_iter().find(|name| !is_variable(name)) {
                return Err(wrong(
                    key,
                    &format!("`{name}` can't be the name of a variable"),
                ));
            }
        }
        Ok(())
    }

    /// Puts what the file says over what was found.
    pub(super) fn apply(self, draft: &mut Draft, reasons: &mut Vec<String>) {
        let Self { build, run } = self;
        reasons.push(format!(
            "{FILE}: found, what it says goes before what is found elsewhere"
        ));
        if let Some(provider) = build.provider {
            draft.provider = provider;
            reasons.push(format!("{FILE}: the provider is {provider}"));
        }
        for (name, words) in [("install", build.install), ("build", build.command)] {
            if let Some(words) = words {
                let command = words.command();
                let text = command
                    .as_ref()
                    .map_or_else(|| "left out".to_owned(), |command| format!("`{command}`"));
                reasons.push(format!("{FILE}: {name} is {text}"));
                draft.replace_phase(name, command);
            }
        }
        if let Some(dir) = build.static_dir {
            reasons.push(format!("{FILE}: serves the files in {dir}"));
            draft.web = Some(Web::Static {
                dir,
                single_page: build.single_page,
            });
        }
        draft.build_env.extend(build.env);
        draft.phase_seconds = build.timeout.or(draft.phase_seconds);
        run.apply(draft, reasons);
    }
}

impl RunTable {
    fn apply(self, draft: &mut Draft, reasons: &mut Vec<String>) {
        let dir = self.directory.unwrap_or_else(RelPath::here);
        if let Some(start) = self.start.and_then(Words::command) {
            reasons.push(format!("{FILE}: starts with `{start}`"));
            draft.start(start.within(dir.clone()));
        }
        if let Some(release) = self.release {
            draft.release = release.command().map(|command| command.within(dir.clone()));
            let text = draft
                .release
                .as_ref()
                .map_or_else(|| "left out".to_owned(), |command| format!("`{command}`"));
            reasons.push(format!("{FILE}: release is {text}"));
        }
        for (name, words) in self.processes {
            if let Some(command) = words.command() {
                draft.processes.insert(name, command.within(dir.clone()));
            }
        }
        draft.health = self.health.or(draft.health.take());
        draft.needs_database = self.database.unwrap_or(draft.needs_database);
        for (list, more) in [
            (&mut draft.generated_secrets, self.secrets),
            (&mut draft.port_variables, self.port_variables),
        ] {
            list.extend(more);
            list.dedup();
        }
        draft.run_env.extend(self.env);
    }
}

/// Whether `name` can name an environment variable.
fn is_variable(name: &str) -> bool {
    let mut chars = name.chars();
    chars
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && chars.all(|rest| rest.is_ascii_alphanumeric() || rest == '_')
}

/// The key that stands at `offset`, with the table it belongs to.
fn key_at(text: &str, offset: usize) -> Option<String> {
    let start = text.get(..offset)?.rfind('\n').map_or(0, |at| at + 1);
    let line = text.get(start..)?.lines().next()?.trim();
    if let Some(table) = line.strip_prefix('[') {
        return Some(table.trim_matches(['[', ']']).to_owned());
    }
    let key = line.split_once('=')?.0.trim();
    let table = text
        .get(..start)?
        .lines()
        .rev()
        .find_map(|line| line.trim().strip_prefix('['));
    Some(match table {
        Some(table) => format!("{}.{key}", table.trim_matches(['[', ']'])),
        None => key.to_owned(),
    })
}
