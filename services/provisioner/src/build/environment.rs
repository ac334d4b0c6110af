//! The environment of a build, made from nothing.
//!
//! What it holds: `PATH` (the plan's own directories, then the operator's), `HOME` and `TMPDIR` (the
//! build's own), `LANG`, `CI=true`, `SOURCE_VERSION` (the commit), the caches of package managers,
//! the operator's settings for package managers, proxies and certificates, the plan's variables, and
//! the project's. Nothing else of Slipway's own environment gets in.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use crate::detect::Plan;
use crate::process::{Confinement, Owner, chown, closed_to, toolchains};

use super::BuildJob;
use super::operator::Operator;

/// Variables that a project can't set for its builds: the build stands on them.
const OURS: [&str; 3] = ["HOME", "TMPDIR", "PATH"];
/// Where package managers keep what they have fetched, inside the project's cache directory.
const CACHES: [(&str, &str); 10] = [
    ("npm_config_cache", "npm"),
    ("PNPM_HOME", "pnpm"),
    ("YARN_CACHE_FOLDER", "yarn"),
    ("YARN_GLOBAL_FOLDER", "yarn-global"),
    ("PIP_CACHE_DIR", "pip"),
    ("UV_CACHE_DIR", "uv"),
    ("POETRY_CACHE_DIR", "poetry"),
    ("CARGO_HOME", "cargo"),
    ("XDG_CACHE_HOME", "xdg"),
    ("COREPACK_HOME", "corepack"),
];

/// Variables that say where programs of `PATH` have what they need.
const TOOL_HOMES: [&str; 3] = ["RUSTUP_HOME", "PYENV_ROOT", "NVM_DIR"];

/// Makes the directories of a build, with the owner they need.
pub(super) fn prepare(job: &BuildJob<'_>, operator: &Operator) -> io::Result<()> {
    let tmp = job.home.join("tmp");
    let caches = CACHES.iter().map(|(_, dir)| job.cache.join(dir));
    for dir in [job.home.to_owned(), tmp, job.cache.to_owned()]
        .into_iter()
        .chain(caches)
    {
        make(&dir, job.owner)?;
    }
    operator.install(job.home, job.owner)
}

fn make(dir: &Path, owner: Option<Owner>) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)?;
    owner.map_or(Ok(()), |owner| chown(dir, owner))
}

/// The variables of all phases of a build.
pub(super) fn variables(job: &BuildJob<'_>, operator: &Operator) -> BTreeMap<String, String> {
    let mut variables = operator.variables().clone();
    // Caches are the project's, whatever the operator has for itself.
    for (name, dir) in CACHES {
        variables.retain(|other, _| !other.eq_ignore_ascii_case(name));
        variables.insert(name.to_owned(), text(&job.cache.join(dir)));
    }
    let fixed = [
        ("CI", "true"),
        ("YARN_ENABLE_TELEMETRY", "0"),
        ("NEXT_TELEMETRY_DISABLED", "1"),
        ("npm_config_update_notifier", "false"),
        ("PIP_DISABLE_PIP_VERSION_CHECK", "1"),
        ("SOURCE_VERSION", job.commit),
    ];
    variables.extend(fixed.map(|(name, value)| (name.to_owned(), value.to_owned())));
    variables
        .entry("LANG".to_owned())
        .or_insert_with(|| "C.UTF-8".to_owned());
    variables.extend(job.plan.build_env.clone());
    variables.extend(job.variables.clone());
    for name in OURS {
        variables.remove(name);
    }
    variables.insert("HOME".to_owned(), text(job.home));
    variables.insert("TMPDIR".to_owned(), text(&job.home.join("tmp")));
    variables.insert(
        "PATH".to_owned(),
        path(job.plan, job.checkout, operator, job.owner),
    );
    variables
}

/// `PATH` for a plan's commands: its own directories, then those of the operator's that `owner` can
/// reach (a home directory of root's isn't one).
pub fn path(plan: &Plan, checkout: &Path, operator: &Operator, owner: Option<Owner>) -> String {
    let base = plan.base(checkout);
    let own = plan.path.iter().map(|dir| dir.under(&base));
    let reachable = operator
        .path()
        .iter()
        .filter(|dir| owner.is_none_or(|owner| closed_to(dir, owner).is_none()))
        .cloned();
    std::env::join_paths(own.chain(reachable))
        .unwrap_or_else(|_| OsString::from("/usr/local/bin:/usr/bin:/bin"))
        .to_string_lossy()
        .into_owned()
}

/// What a build's commands may reach: its own directories, and the programs in its `PATH`.
pub(super) fn confinement(job: &BuildJob<'_>, variables: &BTreeMap<String, String>) -> Confinement {
    let path = variables.get("PATH").map(String::as_str);
    let homes = TOOL_HOMES.iter().filter_map(|name| variables.get(*name));
    let mut readable = toolchains(path.unwrap_or_default());
    readable.extend(homes.map(PathBuf::from));
    Confinement {
        own: [job.checkout, job.home, job.cache]
            .map(Path::to_owned)
            .into(),
        readable,
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
