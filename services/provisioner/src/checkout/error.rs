//! Why a commit can't be checked out.

use std::io;
use std::time::Duration;

use thiserror::Error;

/// Why there is no tree. The texts hold no token.
#[derive(Debug, Error)]
pub enum CheckoutError {
    /// The address can't be fetched from.
    #[error("the repository's address can't be used: {why}")]
    Url {
        /// What is wrong with it.
        why: &'static str,
    },
    /// Not a full commit id.
    #[error("`{0}` isn't a full commit id")]
    Commit(String),
    /// Git failed.
    #[error("{doing} failed: git ended with {exit}{}", last(lines))]
    Git {
        /// What was being done, such as `fetching the commit`.
        doing: String,
        /// How git ended.
        exit: String,
        /// The last lines it printed.
        lines: Vec<String>,
    },
    /// It took too long.
    #[error("the checkout was ended after {} s, the most it may take", .0.as_secs())]
    TimedOut(Duration),
    /// More was sent, or would be written, than is allowed.
    #[error("the repository is too large: {what} is more than {limit} bytes")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// The limit in bytes.
        limit: u64,
    },
    /// More files than allowed.
    #[error("the repository has {count} files, and at most {limit} are taken")]
    TooManyFiles {
        /// How many there are.
        count: usize,
        /// The limit.
        limit: usize,
    },
    /// A symbolic link that leads out of the repository.
    #[error("the symbolic link `{path}` leads out of the repository (to `{target}`)")]
    Link {
        /// The link.
        path: String,
        /// What it points to.
        target: String,
    },
    /// A submodule that isn't fetched.
    #[error("the submodule `{path}` can't be fetched from `{url}`: {why}")]
    Submodule {
        /// Its path.
        path: String,
        /// Its address as the repository gives it.
        url: String,
        /// Why not.
        why: &'static str,
    },
    /// The build was cancelled.
    #[error("the checkout was cancelled")]
    Cancelled,
    /// The disk or the processes failed.
    #[error("the checkout could not be done")]
    Io(#[from] io::Error),
}

fn last(lines: &[String]) -> String {
    lines
        .last()
        .map(|line| format!(": {line}"))
        .unwrap_or_default()
}
