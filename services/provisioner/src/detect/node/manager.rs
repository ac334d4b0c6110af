//! Which package manager a repository uses, and how it is called without being installed.
//!
//! The lock file decides: only the manager that wrote it installs what its author tested. Yarn and
//! pnpm come from the repository itself (`.yarn/releases`) or, in the version that the repository
//! names, through `npx`, so that the operator's npm settings serve all of them.

use crate::detect::plan::Command;
use crate::detect::source::Source;

use super::package::Package;

/// A package manager and how to call it.
pub(in crate::detect) struct Manager {
    /// Why it was chosen, for the log.
    pub(in crate::detect) why: String,
    /// What is odd about the choice.
    pub(in crate::detect) warnings: Vec<String>,
    /// The words that call it.
    call: Vec<String>,
    /// The words after `call` that install from the lock file.
    install: Vec<String>,
}

impl Manager {
    /// Installs all dependencies, development ones too: a build needs them.
    pub(in crate::detect) fn install(&self) -> Command {
        // An `engines` mismatch is told as a warning; npm and pnpm would end the build for it.
        Command::argv(self.call.iter().chain(&self.install))
            .with("npm_config_engine_strict", "false")
    }

    /// Runs a script of package.json.
    pub(in crate::detect) fn script(&self, name: &str) -> Command {
        Command::argv(self.call.iter().map(String::as_str).chain(["run", name]))
    }

    /// Chooses by lock file, then by `packageManager`.
    pub(in crate::detect) fn of(source: &Source, package: &Package) -> Self {
        let named = package.manager.as_deref().and_then(parse_named);
        let locks: Vec<&str> = [
            "package-lock.json",
            "npm-shrinkwrap.json",
            "pnpm-lock.yaml",
            "yarn.lock",
            "bun.lock",
            "bun.lockb",
        ]
        .into_iter()
        .filter(|lock| source.has(lock))
        .collect();
        let wanted = named.map(|(name, _)| name);
        let lock = locks
            .iter()
            .copied()
            .find(|lock| wanted == Some(family(lock)))
            .or(locks.first().copied());
        let mut manager = match lock.map(|lock| (family(lock), lock)) {
            Some(("npm", lock)) => Self::npm(
                &format!("{lock}: found, so npm installs exactly what it says"),
                "ci",
            ),
            Some(("pnpm", lock)) => Self::pnpm(source, named, lock),
            Some(("yarn", _)) => Self::yarn(source, named),
            _ => Self::without_lock(source, named),
        };
        if locks.len() > 1 {
            manager.warnings.push(format!(
                "several lock files ({}): keep the one that is meant",
                locks.join(", ")
            ));
        }
        if locks.iter().any(|lock| family(lock) == "bun") {
            manager
                .warnings
                .push("Bun isn't supported: its lock file isn't used".to_owned());
        }
        manager
    }

    fn npm(why: &str, verb: &str) -> Self {
        Self {
            why: why.to_owned(),
            warnings: Vec::new(),
            call: words(&["npm"]),
            install: words(&[verb, "--include=dev", "--no-audit", "--no-fund"]),
        }
    }

    fn pnpm(source: &Source, named: Option<(&str, &str)>, lock: &str) -> Self {
        let (version, from) = match named {
            Some(("pnpm", version)) => (version.to_owned(), "package.json's packageManager"),
            _ => (
                pnpm_of_lock(source).to_owned(),
                "the version of the lock file",
            ),
        };
        Self {
            why: format!("{lock}: found, so pnpm {version} ({from}) installs exactly what it says"),
            warnings: Vec::new(),
            call: vec![
                "npx".to_owned(),
                "--yes".to_owned(),
                format!("pnpm@{version}"),
            ],
            install: words(&["install", "--frozen-lockfile", "--prod=false"]),
        }
    }

    fn yarn(source: &Source, named: Option<(&str, &str)>) -> Self {
        let modern = source
            .text("yarn.lock")
            .is_some_and(|text| text.contains("__metadata:"));
        let install = if modern {
            words(&["install", "--immutable"])
        } else {
            words(&[
                "install",
                "--frozen-lockfile",
                "--non-interactive",
                "--production=false",
                "--ignore-engines",
            ])
        };
        let (call, why) = match (own_yarn(source), named) {
            (Some(path), _) => (
                vec!["node".to_owned(), path.clone()],
                format!(
                    "yarn.lock: found, so the repository's own Yarn ({path}) installs exactly what it says"
                ),
            ),
            (None, named) => {
                let version = match named {
                    Some(("yarn", version)) => version,
                    _ if modern => "4",
                    _ => "1.22.22",
                };
                let package = if version.starts_with("1.") {
                    "yarn"
                } else {
                    "@yarnpkg/cli-dist"
                };
                (
                    vec![
                        "npx".to_owned(),
                        "--yes".to_owned(),
                        format!("--package={package}@{version}"),
                        "yarn".to_owned(),
                    ],
                    format!("yarn.lock: found, so Yarn {version} installs exactly what it says"),
                )
            }
        };
        Self {
            why,
            warnings: Vec::new(),
            call,
            install,
        }
    }

    fn without_lock(source: &Source, named: Option<(&str, &str)>) -> Self {
        let mut manager = match named {
            Some(("pnpm", _)) => Self {
                install: words(&["install", "--prod=false"]),
                ..Self::pnpm(source, named, "")
            },
            Some(("yarn", _)) => Self {
                install: words(&["install"]),
                ..Self::yarn(source, named)
            },
            _ => Self::npm("", "install"),
        };
        let name = named.map_or("npm", |(name, _)| name);
        manager.why =
            format!("no lock file: {name} installs the newest versions that package.json allows");
        manager
            .warnings
            .push("there is no lock file: two builds of the same commit may differ".to_owned());
        manager
    }
}

fn family(lock: &str) -> &'static str {
    match lock {
        "pnpm-lock.yaml" => "pnpm",
        "yarn.lock" => "yarn",
        "bun.lock" | "bun.lockb" => "bun",
        _ => "npm",
    }
}

/// `pnpm@9.1.0+sha512.…` as name and version; `None` if it isn't one of the managers known here.
fn parse_named(text: &str) -> Option<(&str, &str)> {
    let (name, version) = text.split_once('@')?;
    let version = version.split('+').next()?;
    let fine = version.starts_with(|c: char| c.is_ascii_digit())
        && version
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-');
    (fine && ["npm", "pnpm", "yarn"].contains(&name)).then_some((name, version))
}

/// The newest pnpm that reads the lock file's version and runs the install scripts of dependencies.
fn pnpm_of_lock(source: &Source) -> &'static str {
    let text = source.text("pnpm-lock.yaml").unwrap_or_default();
    let version = text
        .lines()
        .find_map(|line| line.strip_prefix("lockfileVersion:"))
        .unwrap_or_default();
    match version.trim().trim_matches(['\'', '"']).split('.').next() {
        Some("5") => "7",
        Some("6") => "8",
        _ => "9",
    }
}

/// The Yarn that the repository carries: what `.yarnrc.yml` names, else the last of `.yarn/releases`.
fn own_yarn(source: &Source) -> Option<String> {
    let settings = source.text(".yarnrc.yml").unwrap_or_default();
    let named = settings
        .lines()
        .find_map(|line| line.strip_prefix("yarnPath:"));
    let named = named.map(|path| path.trim().trim_matches(['\'', '"']).to_owned());
    named.filter(|path| source.has(path)).or_else(|| {
        let releases = source.names(".yarn/releases");
        let last = releases
            .iter()
            .rfind(|name| name.starts_with("yarn-") && (name.ends_with("js")))?;
        Some(format!(".yarn/releases/{last}"))
    })
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}
