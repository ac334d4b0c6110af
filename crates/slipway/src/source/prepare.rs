//! Making a repository in which the commit to deploy stands.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;

use super::git::Git;
use super::heads::Heads;
use super::{Source, SourceError};

/// What is never taken from a directory without a repository: dependencies, which the build
/// installs itself, and the platform's own data.
const NEVER_TAKEN: &str = "node_modules/\n.venv/\n__pycache__/\n.slipway/\n";

/// A commit that is ready to be pushed.
#[derive(Debug)]
pub(super) struct Ready {
    /// The repository that has it.
    pub(super) repository: PathBuf,
    /// The commit, in full hex.
    pub(super) commit: String,
    /// The branch that it is of.
    pub(super) branch: String,
    /// What the person should know.
    pub(super) warnings: Vec<String>,
}

/// Finds or makes the commit, with `scratch` as room.
pub(super) async fn prepare(source: &Source, scratch: &Path) -> Result<Ready, SourceError> {
    match source {
        Source::Directory(directory) if directory.join(".git").exists() => {
            of_repository(directory).await
        }
        Source::Directory(directory) => of_files(directory, scratch).await,
        Source::Bundle(file) => of_bundle(file, scratch).await,
        Source::Remote(url) => of_remote(url, scratch).await,
    }
}

async fn of_repository(directory: &Path) -> Result<Ready, SourceError> {
    let git = Git::in_repository(directory);
    let head = git
        .run(
            "rev-parse",
            &["rev-parse", "--quiet", "--verify", "HEAD^{commit}"],
        )
        .await;
    let commit = match head {
        Ok(commit) => commit,
        // Silent by --quiet: there is no such commit. Otherwise git has said what is wrong.
        Err(SourceError::Git { complaint, .. }) if complaint.is_empty() => {
            return Err(SourceError::NoCommits(directory.display().to_string()));
        }
        Err(error) => return Err(error),
    };
    let branch = match git
        .run(
            "symbolic-ref",
            &["symbolic-ref", "--quiet", "--short", "HEAD"],
        )
        .await
    {
        Ok(branch) => branch,
        Err(SourceError::Git { .. }) => "main".to_owned(),
        Err(error) => return Err(error),
    };
    let status = git
        .run("status", &["status", "--porcelain", "--ignore-submodules"])
        .await?;
    let short: String = commit.chars().take(8).collect();
    let warnings = match status.lines().count() {
        0 => Vec::new(),
        1 => vec![format!(
            "1 change is not committed and not deployed; deploying {short}"
        )],
        count => vec![format!(
            "{count} changes are not committed and not deployed; deploying {short}"
        )],
    };
    Ok(Ready {
        repository: directory.to_owned(),
        commit,
        branch,
        warnings,
    })
}

async fn of_files(directory: &Path, scratch: &Path) -> Result<Ready, SourceError> {
    let repository = init(scratch).await?;
    let exclude = repository.join("info");
    let disk = |source| SourceError::Disk {
        path: exclude.clone(),
        source,
    };
    std::fs::create_dir_all(&exclude).map_err(disk)?;
    std::fs::write(exclude.join("exclude"), NEVER_TAKEN).map_err(disk)?;
    let git = plain(directory)
        .env("GIT_DIR", repository.display().to_string())
        .env("GIT_WORK_TREE", directory.display().to_string())
        .set("user.name", "slipway deploy")
        .set("user.email", "deploy@slipway.localhost")
        .set("core.bare", "false")
        .set("advice.addEmbeddedRepo", "false");
    git.run("add", &["add", "--all", "--", "."]).await?;
    if git
        .run("ls-files", &["ls-files", "--cached"])
        .await?
        .is_empty()
    {
        return Err(SourceError::Empty(directory.to_owned()));
    }
    git.run(
        "commit",
        &[
            "commit",
            "--quiet",
            "--no-verify",
            "--message",
            "Deploy this directory",
        ],
    )
    .await?;
    let commit = git.run("rev-parse", &["rev-parse", "HEAD"]).await?;
    Ok(Ready {
        repository,
        commit,
        branch: "main".to_owned(),
        warnings: Vec::new(),
    })
}

async fn of_bundle(file: &Path, scratch: &Path) -> Result<Ready, SourceError> {
    let repository = init(scratch).await?;
    let path = file.display().to_string();
    let git = plain(&repository);
    let heads = Heads::read(
        &git.run("bundle list-heads", &["bundle", "list-heads", &path])
            .await?,
    );
    let (branch, commit) = heads.default_branch(&path)?;
    let refspec = format!("+refs/heads/{branch}:refs/heads/{branch}");
    git.run(
        "fetch",
        &["fetch", "--quiet", "--no-tags", "--", &path, &refspec],
    )
    .await?;
    Ok(Ready {
        repository,
        commit,
        branch,
        warnings: Vec::new(),
    })
}

/// Fetches one commit. Not by `clone`, which would write the address into a configuration.
async fn of_remote(url: &str, scratch: &Path) -> Result<Ready, SourceError> {
    let repository = init(scratch).await?;
    let (url, credentials) = split_credentials(url);
    let mut git = Git::in_repository(&repository);
    if let Some(credentials) = credentials {
        git = git.set(
            format!("http.{url}.extraHeader"),
            format!("Authorization: Basic {credentials}"),
        );
    }
    let told = git
        .run(
            "ls-remote",
            &["ls-remote", "--symref", "--", &url, "HEAD", "refs/heads/*"],
        )
        .await?;
    let (branch, _) = Heads::read(&told).default_branch(&url)?;
    let refspec = format!("+refs/heads/{branch}:refs/heads/{branch}");
    git.run(
        "fetch",
        &[
            "fetch",
            "--quiet",
            "--no-tags",
            "--depth=1",
            "--",
            &url,
            &refspec,
        ],
    )
    .await?;
    let commit = git
        .run("rev-parse", &["rev-parse", &format!("refs/heads/{branch}")])
        .await?;
    Ok(Ready {
        repository,
        commit,
        branch,
        warnings: Vec::new(),
    })
}

async fn init(scratch: &Path) -> Result<PathBuf, SourceError> {
    let repository = scratch.join("repository.git");
    let path = repository.display().to_string();
    plain(scratch)
        .run(
            "init",
            &[
                "init",
                "--quiet",
                "--bare",
                "--template=",
                "--initial-branch=main",
                &path,
            ],
        )
        .await?;
    Ok(repository)
}

/// git without the person's configuration, so that the same files make the same tree everywhere.
fn plain(directory: &Path) -> Git {
    Git::in_repository(directory)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .set("core.hooksPath", "/dev/null")
        .set("safe.directory", "*")
}

/// Takes name and password out of an address of HTTP; they are sent as a header instead, which no
/// list of processes shows.
fn split_credentials(url: &str) -> (String, Option<String>) {
    let parts = url
        .split_once("://")
        .filter(|(scheme, _)| matches!(*scheme, "http" | "https"));
    let Some((scheme, rest)) = parts else {
        return (url.to_owned(), None);
    };
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let Some((credentials, host)) = authority.rsplit_once('@') else {
        return (url.to_owned(), None);
    };
    let pair = if credentials.contains(':') {
        credentials.to_owned()
    } else {
        format!("{credentials}:")
    };
    // In an address a name or password may be written with `%40` and the like.
    let decoded: Vec<u8> = percent_decode_str(&pair).collect();
    let encoded = STANDARD.encode(decoded);
    (format!("{scheme}://{host}{path}"), Some(encoded))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_an_address_becomes_a_header() {
        let (url, credentials) = split_credentials("https://me:s%40cret@example.com/a/b.git");
        assert_eq!(url, "https://example.com/a/b.git");
        let decoded = STANDARD.decode(credentials.unwrap()).unwrap();
        assert_eq!(decoded, b"me:s@cret");
        assert_eq!(
            split_credentials("git@example.com:a/b"),
            ("git@example.com:a/b".to_owned(), None)
        );
        assert_eq!(
            split_credentials("https://example.com/a@b"),
            ("https://example.com/a@b".to_owned(), None)
        );
    }
}
