//! Why a repository can't be planned for.

use thiserror::Error;

use super::Provider;

/// Why there is no plan. Each text is meant for the person whose repository it is.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DetectError {
    /// A file that decides how to build can't be understood.
    #[error("{file}, line {line}{}: {message}", key.as_ref().map(|key| format!(", key `{key}`")).unwrap_or_default())]
    Invalid {
        /// The file, relative to the app's directory.
        file: String,
        /// The line, counted from 1.
        line: usize,
        /// The key at fault, with its table, where there is one.
        key: Option<String>,
        /// What is wrong with it.
        message: String,
    },
    /// A path leads out of the repository.
    #[error("the path `{path}` isn't inside the repository; it must be relative and without `..`")]
    Outside {
        /// The path.
        path: String,
    },
    /// The app's directory doesn't exist.
    #[error("there is no directory `{path}` in the repository")]
    NoDirectory {
        /// The path.
        path: String,
    },
    /// The settings name a provider that doesn't fit.
    #[error("slipway.toml says the provider is `{provider}`, but that needs {needs}")]
    NotThatKind {
        /// The provider.
        provider: Provider,
        /// What it looks for.
        needs: &'static str,
    },
    /// It is known what the app is, but not how it starts.
    #[error(
        "no start command: {looked_at}. Give one in slipway.toml (`[run]`, `start = \"…\"`) or a Procfile (`web: …`)"
    )]
    NoStart {
        /// What was looked at in vain.
        looked_at: String,
    },
    /// It is a kind of app that isn't supported.
    #[error(
        "the repository has {what} ({file}); give the commands in slipway.toml (`[build]`, `[run]`)"
    )]
    Unsupported {
        /// The file that shows it.
        file: String,
        /// What it shows.
        what: String,
    },
    /// Nothing in the repository tells what it is.
    #[error(
        "nothing here tells how to run it: no slipway.toml, Procfile, package.json, requirements.txt, \
         pyproject.toml, Cargo.toml or index.html among: {}", if names.is_empty() { "(no files)" } else { names }
    )]
    Unknown {
        /// The first names at the top of the tree.
        names: String,
    },
}

impl DetectError {
    /// An [`Invalid`](Self::Invalid) at a byte offset of `text`.
    pub(super) fn at(
        file: &str,
        text: &str,
        offset: usize,
        key: Option<String>,
        message: &str,
    ) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        Self::Invalid {
            file: file.to_owned(),
            line: before.matches('\n').count() + 1,
            key,
            message: message.lines().next().unwrap_or_default().to_owned(),
        }
    }
}
