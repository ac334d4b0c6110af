//! Fetching exactly one commit over HTTP into an empty directory.
//!
//! The tree that comes out holds no `.git`, no link out of itself, and no trace of the credential.

mod error;
mod git;
mod submodule;
mod tree;

pub use error::CheckoutError;
pub use git::Credential;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use common::time::Time;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::build::{Masker, Operator};
use crate::process::{Host, Limits, Owner, chown};
use git::{Bound, Git};
use tree::Listing;

/// How many submodules may be inside one another.
const DEEPEST: usize = 3;

/// What a checkout may take.
#[derive(Clone, Debug)]
pub struct CheckoutLimits {
    /// The most time for all of it.
    pub time: Duration,
    /// The most bytes to fetch.
    pub fetched_bytes: u64,
    /// The most bytes of all files together.
    pub tree_bytes: u64,
    /// The most files.
    pub files: usize,
    /// Memory and processes of git.
    pub group: Limits,
}

impl Default for CheckoutLimits {
    fn default() -> Self {
        Self {
            time: Duration::from_mins(5),
            fetched_bytes: 1 << 30,
            tree_bytes: 2 << 30,
            files: 200_000,
            group: Limits {
                memory_bytes: Some(2 << 30),
                processes: Some(100),
            },
        }
    }
}

/// What to check out, and where to.
#[derive(Debug)]
pub struct CheckoutJob<'a> {
    /// The build's id: letters, digits, `_`, `-`.
    pub id: &'a str,
    /// Where the repository is; `http` or `https`, without user or password.
    pub url: &'a str,
    /// The full id of the commit.
    pub commit: &'a str,
    /// What opens the repository.
    pub credential: Option<&'a Credential>,
    /// An empty or missing directory, in which the files will be.
    pub tree: &'a Path,
    /// A directory of this checkout's own, which may be removed afterwards.
    pub scratch: &'a Path,
    /// The user that git runs as and that the files belong to.
    pub owner: Option<Owner>,
}

/// Who made a commit, and what they said about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitInfo {
    /// The commit's full id.
    pub id: String,
    /// The author's name.
    pub author: String,
    /// When it was written.
    pub at: Time,
    /// The first line of its message.
    pub subject: String,
    /// The whole message.
    pub message: String,
    /// How many files the tree has, submodules not counted.
    pub files: usize,
    /// Their size in bytes.
    pub bytes: u64,
}

/// Fetches and writes the commit. On failure the tree is left as it is, to be removed by the caller.
pub async fn checkout(
    host: &Arc<Host>,
    operator: &Operator,
    job: &CheckoutJob<'_>,
    limits: &CheckoutLimits,
    cancel: &CancellationToken,
) -> Result<CommitInfo, CheckoutError> {
    let url = parse_url(job.url)?;
    parse_commit(job.commit)?;
    for dir in [job.tree, job.scratch] {
        std::fs::create_dir_all(dir)?;
        job.owner.map_or(Ok(()), |owner| chown(dir, owner))?;
    }
    let git = Git {
        host,
        operator,
        id: job.id,
        home: job.scratch,
        owner: job.owner,
        limits: limits.group,
        masker: Masker::new(
            job.credential
                .map(Credential::secret)
                .into_iter()
                .chain(operator.secrets()),
        ),
        deadline: Instant::now() + limits.time,
        time: limits.time,
        cancel,
        calls: AtomicU32::new(0),
    };
    let mut open = vec![Part {
        url: url.clone(),
        commit: job.commit.to_owned(),
        prefix: String::new(),
        depth: 0,
    }];
    let (mut files, mut bytes, mut number) = (0, 0, 0);
    let mut info = None;
    while let Some(part) = open.pop() {
        number += 1;
        let store = job.scratch.join(format!("git{number}"));
        let tree = if part.prefix.is_empty() {
            job.tree.to_owned()
        } else {
            job.tree.join(&part.prefix)
        };
        // The credential is for one repository; submodules are fetched without.
        let credential = job.credential.filter(|_| part.depth == 0);
        let listing = fetch(
            &git,
            &part,
            &store,
            &tree,
            credential,
            limits,
            (files, bytes),
        )
        .await?;
        files += listing.files;
        bytes += listing.bytes;
        if info.is_none() {
            info = Some(describe(&git, &store, &part.commit, &listing).await?);
        }
        open.extend(submodule::find(&git, &part, &tree, &listing, &url).await?);
        std::fs::remove_dir_all(&store)?;
    }
    info.ok_or_else(|| CheckoutError::Commit(job.commit.to_owned()))
}

/// One repository of a checkout: the named one, or a submodule.
struct Part {
    url: Url,
    commit: String,
    /// Where it goes in the tree; empty for the named one.
    prefix: String,
    depth: usize,
}

async fn fetch(
    git: &Git<'_>,
    part: &Part,
    store: &Path,
    tree: &Path,
    credential: Option<&Credential>,
    limits: &CheckoutLimits,
    (files, bytes): (usize, u64),
) -> Result<Listing, CheckoutError> {
    let store_text = store.to_string_lossy();
    let (git_dir, work_tree) = (
        format!("--git-dir={store_text}"),
        format!("--work-tree={}", tree.display()),
    );
    let format = if part.commit.len() == 64 {
        "--object-format=sha256"
    } else {
        "--object-format=sha1"
    };
    git.run(
        "preparing the checkout",
        &[
            "init",
            "--quiet",
            "--bare",
            "--template=",
            format,
            &store_text,
        ],
        None,
        None,
    )
    .await?;

    let fetch = [
        &git_dir,
        "fetch",
        "--quiet",
        "--no-tags",
        "--depth=1",
        "--no-write-fetch-head",
        "--no-recurse-submodules",
        "--",
        part.url.as_str(),
        &part.commit,
    ];
    let bound = Bound {
        dir: store,
        bytes: limits.fetched_bytes,
    };
    let remote = credential.map(|credential| (&part.url, credential));
    git.run(
        &format!("fetching commit {}", part.commit),
        &fetch,
        remote,
        Some(bound),
    )
    .await?;
    if git::size(store) > limits.fetched_bytes {
        return Err(CheckoutError::TooLarge {
            what: "what is fetched",
            limit: limits.fetched_bytes,
        });
    }

    let list = [
        &git_dir,
        "ls-tree",
        "-r",
        "-l",
        "-z",
        "--full-tree",
        &part.commit,
    ];
    let listing = Listing::parse(&git.run("reading the commit", &list, None, None).await?);
    if files + listing.files > limits.files {
        return Err(CheckoutError::TooManyFiles {
            count: files + listing.files,
            limit: limits.files,
        });
    }
    if bytes.saturating_add(listing.bytes) > limits.tree_bytes {
        return Err(CheckoutError::TooLarge {
            what: "the size of all files",
            limit: limits.tree_bytes,
        });
    }
    let write = [
        &git_dir,
        &work_tree,
        "checkout",
        "--quiet",
        "--force",
        "--detach",
        &part.commit,
    ];
    git.run("writing the files", &write, None, None).await?;
    // Git itself writes nothing through a link; until here nobody else has read the tree.
    tree::check_links(tree, &listing.links)?;
    Ok(listing)
}

async fn describe(
    git: &Git<'_>,
    store: &Path,
    commit: &str,
    listing: &Listing,
) -> Result<CommitInfo, CheckoutError> {
    let git_dir = format!("--git-dir={}", store.display());
    let words = [
        &git_dir,
        "log",
        "-1",
        "--no-show-signature",
        "--format=%an%x00%at%x00%B",
        commit,
    ];
    let answer = git.run("reading the commit", &words, None, None).await?;
    let text = String::from_utf8_lossy(&answer);
    let mut parts = text.splitn(3, '\0');
    let author = parts.next().unwrap_or_default().to_owned();
    let at = Time::from_unix(parts.next().and_then(|at| at.parse().ok()).unwrap_or(0));
    let message = parts.next().unwrap_or_default().trim().to_owned();
    let subject = message.lines().next().unwrap_or_default().to_owned();
    Ok(CommitInfo {
        id: commit.to_owned(),
        author,
        at,
        subject,
        message,
        files: listing.files,
        bytes: listing.bytes,
    })
}

fn parse_url(text: &str) -> Result<Url, CheckoutError> {
    let wrong = |why| CheckoutError::Url { why };
    let url = Url::parse(text).map_err(|_invalid| wrong("it isn't a URL"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("only http and https are fetched from"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong(
            "it holds a user or a password, which would be seen on a command line",
        ));
    }
    if url.host_str().is_none_or(|host| host.starts_with('-')) {
        return Err(wrong("it names no host"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("it has a query or a fragment"));
    }
    Ok(url)
}

fn parse_commit(text: &str) -> Result<(), CheckoutError> {
    let fine = matches!(text.len(), 40 | 64)
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if fine {
        Ok(())
    } else {
        Err(CheckoutError::Commit(text.chars().take(80).collect()))
    }
}
