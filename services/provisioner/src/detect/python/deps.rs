//! What a Python app asks for, and what installs it.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::detect::DetectError;
use crate::detect::source::Source;

/// How deep `-r other.txt` is followed.
const DEEPEST_INCLUDE: usize = 4;

/// The names of the packages an app asks for.
pub(super) struct Dependencies {
    /// The file that lists them.
    pub(super) file: &'static str,
    /// What was found, for the log.
    pub(super) why: String,
    /// What installs them.
    pub(super) installer: Installer,
    names: BTreeSet<String>,
}

/// What installs an app's dependencies.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Installer {
    /// pip, from a requirements file.
    Requirements(&'static str),
    /// pip, the project itself by its build system.
    Project,
    /// pip, the dependencies that pyproject.toml lists; the project is no package.
    Listed(Vec<String>),
    /// uv, from its lock file.
    Uv,
    /// Poetry.
    Poetry,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Pyproject {
    project: Option<Project>,
    build_system: Option<toml::Table>,
    tool: Option<toml::Table>,
}

#[derive(Default, Deserialize)]
struct Project {
    #[serde(default)]
    dependencies: Vec<String>,
}

impl Dependencies {
    /// Reads requirements.txt, else pyproject.toml.
    pub(super) fn read(source: &Source) -> Result<Option<Self>, DetectError> {
        if source.has("requirements.txt") {
            let mut names = BTreeSet::new();
            requirements(source, "requirements.txt", DEEPEST_INCLUDE, &mut names);
            return Ok(Some(Self {
                file: "requirements.txt",
                why: "requirements.txt: found, so this is a Python app, installed by pip in a virtual environment".to_owned(),
                installer: Installer::Requirements("requirements.txt"),
                names,
            }));
        }
        let Some(text) = source.text("pyproject.toml") else {
            return Ok(None);
        };
        let file: Pyproject = toml::from_str(&text).map_err(|error| {
            DetectError::at(
                "pyproject.toml",
                &text,
                error.span().map_or(0, |span| span.start),
                None,
                error.message(),
            )
        })?;
        Ok(Self::of_pyproject(source, file))
    }

    /// `None` where pyproject.toml only configures tools.
    fn of_pyproject(source: &Source, file: Pyproject) -> Option<Self> {
        let poetry = file
            .tool
            .as_ref()
            .and_then(|tool| tool.get("poetry"))
            .and_then(toml::Value::as_table);
        let listed = file.project.map(|project| project.dependencies);
        let mut names: BTreeSet<String> = listed
            .iter()
            .flatten()
            .filter_map(|line| name_of(line))
            .collect();
        let poetry_names = poetry
            .and_then(|poetry| poetry.get("dependencies"))
            .and_then(toml::Value::as_table);
        names.extend(
            poetry_names
                .into_iter()
                .flat_map(|table| table.keys().map(|name| normal(name))),
        );
        let (installer, by) = match listed {
            Some(_) if source.has("uv.lock") => (Installer::Uv, "uv from uv.lock"),
            _ if poetry.is_some() => (Installer::Poetry, "Poetry"),
            Some(_) if file.build_system.is_some() => (Installer::Project, "pip as a package"),
            Some(list) => (Installer::Listed(list), "pip, its dependencies only"),
            None => return None,
        };
        Some(Self {
            file: "pyproject.toml",
            why: format!(
                "pyproject.toml: found, so this is a Python app, installed by {by} in a virtual environment"
            ),
            installer,
            names,
        })
    }

    /// Whether the app asks for the package `name` (in lower case, with `-`).
    pub(super) fn has(&self, name: &str) -> bool {
        self.names.contains(name)
    }
}

fn requirements(source: &Source, file: &str, depth: usize, names: &mut BTreeSet<String>) {
    let Some(text) = source.text(file) else {
        return;
    };
    for line in text.lines().map(str::trim) {
        let include = line
            .strip_prefix("-r ")
            .or_else(|| line.strip_prefix("--requirement "));
        if let Some(other) = include {
            let dir = file
                .rsplit_once('/')
                .map_or(String::new(), |(dir, _)| format!("{dir}/"));
            if depth > 0 {
                requirements(source, &format!("{dir}{}", other.trim()), depth - 1, names);
            }
        } else if !line.starts_with(['#', '-']) {
            names.extend(name_of(line));
        }
    }
}

/// The package a requirement asks for, in its normal form.
fn name_of(line: &str) -> Option<String> {
    let end = line
        .find(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c)))
        .unwrap_or(line.len());
    let name = line.get(..end)?;
    (!name.is_empty()).then(|| normal(name))
}

/// Lower case, with `-` for each run of `-`, `_` and `.`, as the package index compares names.
fn normal(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    lower
        .split(['-', '_', '.'])
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("-")
}
