//! Calling the system's `git`, which sees no configuration but what is given here.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use common::{ExposeSecret as _, SecretString};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::error::CheckoutError;
use crate::build::exec::{self, Ended};
use crate::build::{Masker, Operator};
use crate::process::{Host, Limits, Output, Owner, ProcessSpec};

/// No answer of git that is read here is longer; it would be cut.
const LONGEST_ANSWER: usize = 64 << 20;
/// As much is kept of what git says on standard error, in bytes.
const LONGEST_WORDS: usize = 1 << 20;
/// How often the size of what is being fetched is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// How many lines of git's own words are kept.
const TAIL: usize = 10;

/// What opens a repository.
#[derive(Clone, Debug)]
pub enum Credential {
    /// `Authorization: Bearer …`.
    Bearer(SecretString),
    /// `Authorization: Basic …`, which is what GitHub takes for an installation's token.
    Basic {
        /// The user's name.
        user: String,
        /// The password or token.
        password: SecretString,
    },
}

impl Credential {
    fn header(&self) -> String {
        match self {
            Self::Bearer(token) => format!("Authorization: Bearer {}", token.expose_secret()),
            Self::Basic { user, password } => {
                let pair = STANDARD.encode(format!("{user}:{}", password.expose_secret()));
                format!("Authorization: Basic {pair}")
            }
        }
    }

    /// The part that must be seen nowhere.
    pub fn secret(&self) -> &str {
        match self {
            Self::Bearer(secret)
            | Self::Basic {
                password: secret, ..
            } => secret.expose_secret(),
        }
    }
}

/// Everything that one checkout's calls of git have in common.
pub(super) struct Git<'a> {
    pub(super) host: &'a Arc<Host>,
    pub(super) operator: &'a Operator,
    pub(super) id: &'a str,
    pub(super) home: &'a Path,
    pub(super) owner: Option<Owner>,
    pub(super) limits: Limits,
    pub(super) masker: Masker,
    pub(super) deadline: Instant,
    pub(super) time: Duration,
    pub(super) cancel: &'a CancellationToken,
    pub(super) calls: AtomicU32,
}

/// Why a call of git was stopped.
enum Stop {
    Late,
    Cancelled,
    Large,
}

/// A bound on a directory that git writes to.
pub(super) struct Bound<'a> {
    pub(super) dir: &'a Path,
    pub(super) bytes: u64,
}

impl Git<'_> {
    /// Runs git and answers what it printed. `remote` is where the credential is sent, and nowhere else.
    pub(super) async fn run(
        &self,
        doing: &str,
        words: &[&str],
        remote: Option<(&Url, &Credential)>,
        bound: Option<Bound<'_>>,
    ) -> Result<Vec<u8>, CheckoutError> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
        let spec = ProcessSpec {
            id: format!("{}-git{call}", self.id),
            program: "git".into(),
            arguments: words.iter().map(Into::into).collect(),
            directory: self.home.to_owned(),
            environment: self.environment(remote),
            owner: self.owner,
            // Git is ours, and runs nothing of the repository's.
            confinement: None,
            niceness: 0,
            oom_score: Some(800),
            limits: self.limits,
            output: Output::Pipes,
        };
        let stop = async {
            tokio::select! {
                () = self.cancel.cancelled() => Stop::Cancelled,
                () = tokio::time::sleep_until(self.deadline) => Stop::Late,
                () = grown(bound.as_ref()) => Stop::Large,
            }
        };
        let (mut answer, mut words) = (Vec::new(), Vec::new());
        let ended = exec::run(
            self.host,
            spec,
            stop,
            |bytes| take(&mut answer, bytes, LONGEST_ANSWER),
            |bytes| take(&mut words, bytes, LONGEST_WORDS),
        )
        .await?;
        match ended {
            Ended::Exit(exit) if exit.is_success() => Ok(answer),
            Ended::Exit(exit) => Err(CheckoutError::Git {
                doing: doing.to_owned(),
                exit: exit.to_string(),
                lines: self.last(&words),
            }),
            Ended::Stopped(Stop::Cancelled) => Err(CheckoutError::Cancelled),
            Ended::Stopped(Stop::Late) => Err(CheckoutError::TimedOut(self.time)),
            Ended::Stopped(Stop::Large) => Err(CheckoutError::TooLarge {
                what: "what is fetched",
                limit: bound.map_or(0, |bound| bound.bytes),
            }),
        }
    }

    fn last(&self, words: &[u8]) -> Vec<String> {
        let text = self.masker.mask(&String::from_utf8_lossy(words));
        let lines: Vec<&str> = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect();
        lines
            .iter()
            .skip(lines.len().saturating_sub(TAIL))
            .map(|line| (*line).to_owned())
            .collect()
    }

    /// No configuration of the machine's or a person's, no question, no hook, no protocol but HTTP. The credential
    /// is here because command lines and files can be read by others.
    fn environment(&self, remote: Option<(&Url, &Credential)>) -> BTreeMap<String, String> {
        let mut settings: Vec<(String, String)> = [
            ("core.hooksPath", "/dev/null"),
            ("core.fsmonitor", "false"),
            ("core.autocrlf", "false"),
            ("core.symlinks", "true"),
            ("protocol.allow", "never"),
            ("protocol.http.allow", "always"),
            ("protocol.https.allow", "always"),
            // A redirect would take the credential to another host.
            ("http.followRedirects", "false"),
            ("credential.helper", ""),
            ("gc.auto", "0"),
            ("maintenance.auto", "false"),
            ("advice.detachedHead", "false"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
        if let Some((url, credential)) = remote {
            settings.push((format!("http.{url}.extraHeader"), credential.header()));
        }
        let path = std::env::join_paths(self.operator.path()).unwrap_or_default();
        let mut environment: BTreeMap<String, String> = self
            .operator
            .network()
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let fixed = [
            ("PATH", path.to_string_lossy().into_owned()),
            ("HOME", self.home.to_string_lossy().into_owned()),
            ("LC_ALL", "C.UTF-8".to_owned()),
            ("GIT_CONFIG_NOSYSTEM", "1".to_owned()),
            ("GIT_CONFIG_GLOBAL", "/dev/null".to_owned()),
            ("GIT_ATTR_NOSYSTEM", "1".to_owned()),
            ("GIT_TERMINAL_PROMPT", "0".to_owned()),
            ("GIT_ASKPASS", "/bin/false".to_owned()),
            ("GIT_ALLOW_PROTOCOL", "http:https".to_owned()),
            ("GIT_LFS_SKIP_SMUDGE", "1".to_owned()),
            ("GIT_CONFIG_COUNT", settings.len().to_string()),
        ];
        environment.extend(fixed.map(|(name, value)| (name.to_owned(), value)));
        for (number, (key, value)) in settings.into_iter().enumerate() {
            environment.insert(format!("GIT_CONFIG_KEY_{number}"), key);
            environment.insert(format!("GIT_CONFIG_VALUE_{number}"), value);
        }
        environment
    }
}

/// Appends bytes up to a length; the rest is dropped.
fn take(to: &mut Vec<u8>, bytes: &[u8], most: usize) {
    let room = most.saturating_sub(to.len()).min(bytes.len());
    to.extend_from_slice(bytes.get(..room).unwrap_or_default());
}

/// Ends when a directory has become larger than its bound.
async fn grown(bound: Option<&Bound<'_>>) {
    let Some(bound) = bound else {
        return std::future::pending().await;
    };
    loop {
        tokio::time::sleep(LOOK).await;
        if size(bound.dir) > bound.bytes {
            return;
        }
    }
}

/// Bytes of all files in a directory.
pub(super) fn size(dir: &Path) -> u64 {
    let mut bytes = 0;
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(about) if about.is_dir() => open.push(entry.path()),
                Ok(about) => bytes += about.len(),
                Err(_) => {}
            }
        }
    }
    bytes
}
