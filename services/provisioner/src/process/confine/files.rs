//! Files and other processes, by Landlock (`landlock(7)`). Also where everything runs as one user,
//! what is confined reads neither Slipway's data nor another app's, looks into no process but its
//! own, and signals no other.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, BitFlags, CompatLevel, Compatible as _, PathBeneath, PathFd,
    Ruleset, RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _, RulesetError, Scope,
};

use super::Confinement;

/// The newest kernel interface whose rules we know; of an older one what it has is used.
const NEWEST: ABI = ABI::V6;

/// What every program needs of a system: programs and libraries, settings, what the kernel tells, names
/// of hosts, certificates, fonts. Not `/home`, `/root`, `/tmp`, `/var` or `/run` as such.
const SYSTEM: [&str; 17] = [
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/usr",
    "/etc",
    "/opt",
    "/nix",
    "/gnu",
    "/proc",
    "/sys",
    "/run/systemd/resolve",
    "/run/resolvconf",
    "/var/lib/ca-certificates",
    "/var/cache/fontconfig",
];

/// Directories of programs whose parent holds what the programs need.
const BESIDE_THEIR_NEEDS: [&str; 3] = ["bin", "sbin", "shims"];
/// Parents that hold much else, secrets among it.
const TOO_MUCH: [&str; 2] = [".local", ".cargo"];

/// Whether this kernel keeps files apart.
pub(crate) fn kept() -> bool {
    created(|rules| rules.handle_access(AccessFs::from_all(ABI::V1)))
}

/// Whether this kernel keeps signals apart.
pub(crate) fn signals_are_kept() -> bool {
    created(|rules| rules.scope(Scope::Signal))
}

fn created(ask: impl FnOnce(Ruleset) -> Result<Ruleset, RulesetError>) -> bool {
    let strict = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
    ask(strict).and_then(Ruleset::create).is_ok()
}

/// The rules, for `landlock_restrict_self`; none where the kernel knows no Landlock.
pub(super) fn rules(confinement: &Confinement) -> Result<Option<OwnedFd>, RulesetError> {
    let read = AccessFs::from_read(NEWEST);
    let all = AccessFs::from_all(NEWEST);
    let devices = read | AccessFs::WriteFile | AccessFs::Truncate | AccessFs::IoctlDev;
    let mut rules = Ruleset::default()
        .handle_access(all)?
        .scope(Scope::from_all(NEWEST))?
        .create()?;
    for path in SYSTEM {
        rules = allow(rules, Path::new(path), read)?;
    }
    rules = allow(rules, Path::new("/dev"), devices)?;
    rules = allow(rules, Path::new("/dev/shm"), all)?;
    for path in &confinement.readable {
        rules = allow(rules, path, read)?;
    }
    for path in &confinement.own {
        rules = allow(rules, path, all)?;
    }
    Ok(rules.into())
}

/// What isn't there needs no rule.
fn allow(
    rules: RulesetCreated,
    path: &Path,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, RulesetError> {
    let Ok(opened) = PathFd::new(path) else {
        return Ok(rules);
    };
    let access = if path.is_dir() {
        access
    } else {
        access & AccessFs::from_file(NEWEST)
    };
    rules.add_rule(PathBeneath::new(opened, access))
}

/// What programs in these directories (a `PATH`) need beside the system: the directories, and where
/// version managers keep the programs that stand for. Never a whole home directory.
pub fn toolchains(path: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::env::split_paths(path) {
        if !entry.is_absolute() || SYSTEM.iter().any(|system| entry.starts_with(system)) {
            continue;
        }
        // A version manager's directory may be a link to the version in use.
        let Ok(directory) = entry.canonicalize() else {
            continue;
        };
        if directory.ends_with(".cargo/bin")
            && let Some(home) = directory.ancestors().nth(2)
        {
            found.push(home.join(".rustup"));
        }
        found.push(needs(&directory).unwrap_or(directory));
    }
    found
}

/// The directory above, if it is a tool's.
fn needs(directory: &Path) -> Option<PathBuf> {
    let parent = directory.parent()?;
    let name = |path: &Path| path.file_name()?.to_str().map(str::to_owned);
    let beside = BESIDE_THEIR_NEEDS.contains(&name(directory)?.as_str());
    let too_much = TOO_MUCH.contains(&name(parent)?.as_str()) || is_home(parent);
    (beside && !too_much).then(|| parent.to_owned())
}

/// Whether people's own files are in there: `/root`, `/home/<name>`, and what is above.
fn is_home(directory: &Path) -> bool {
    directory == Path::new("/root")
        || directory.parent() == Some(Path::new("/home"))
        || directory.components().count() <= 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_is_found_with_its_needs_and_no_home_is() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path().canonicalize().unwrap();
        for path in [".pyenv/shims", ".cargo/bin", ".local/bin", "node/v22/bin"] {
            std::fs::create_dir_all(home.join(path)).unwrap();
        }
        std::os::unix::fs::symlink(home.join("node/v22/bin"), home.join("current")).unwrap();
        let path = |name: &str| toolchains(home.join(name).to_str().unwrap());
        assert_eq!(path(".pyenv/shims"), [home.join(".pyenv")]);
        assert_eq!(path("current"), [home.join("node/v22")]);
        assert_eq!(path(".local/bin"), [home.join(".local/bin")]);
        assert_eq!(
            path(".cargo/bin"),
            [home.join(".rustup"), home.join(".cargo/bin")]
        );
        let ada = Path::new("/home").join("ada");
        assert!(is_home(Path::new("/root")) && is_home(&ada) && !is_home(&ada.join(".volta")));
        assert_eq!(
            toolchains("/usr/bin:relative:/no/such/bin"),
            [""; 0].map(PathBuf::from)
        );
    }
}
