//! What a build takes over from the machine it runs on: an allow-list, and the operator's own
//! settings for package managers (registries, proxies, certificates).

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::process::{Owner, chown};

/// Variables taken over as they are.
const EXACT: [&str; 20] = [
    "LANG",
    "LC_ALL",
    "TZ",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "RUSTUP_HOME",
    "RUSTUP_TOOLCHAIN",
    "PYENV_ROOT",
];
/// Beginnings of the names of package managers' settings.
const PREFIXES: [&str; 9] = [
    "npm_config_",
    "pip_",
    "yarn_",
    "uv_",
    "poetry_",
    "corepack_",
    "cargo_net_",
    "cargo_http_",
    "cargo_registr",
];
/// Settings files, relative to the home directory.
const FILES: [&str; 7] = [
    ".npmrc",
    ".yarnrc",
    ".yarnrc.yml",
    ".config/pip/pip.conf",
    ".pip/pip.conf",
    ".config/uv/uv.toml",
    ".config/pypoetry/config.toml",
];
/// Larger files aren't settings.
const LARGEST_FILE: u64 = 1 << 20;

/// The operator's environment, as far as builds see it.
#[derive(Clone, Default)]
pub struct Operator {
    variables: BTreeMap<String, String>,
    files: Vec<(&'static str, String)>,
    path: Vec<PathBuf>,
}

impl Operator {
    /// Picks from the variables of this process, and reads the settings files in `home`.
    pub fn new(variables: impl IntoIterator<Item = (String, String)>, home: Option<&Path>) -> Self {
        let mut operator = Self::default();
        for (name, value) in variables {
            let lower = name.to_ascii_lowercase();
            if name == "PATH" {
                operator.path = std::env::split_paths(&value)
                    .filter(|dir| dir.is_absolute())
                    .collect();
            } else if EXACT.contains(&name.as_str())
                || PREFIXES.iter().any(|prefix| lower.starts_with(prefix))
            {
                operator.variables.insert(name, value);
            }
        }
        if let Some(home) = home {
            operator.files = FILES
                .into_iter()
                .filter_map(|file| Some((file, read(&home.join(file))?)))
                .collect();
            let rustup = home.join(".rustup");
            if rustup.is_dir() {
                // A build has a home of its own, where rustup would find no toolchain.
                operator
                    .variables
                    .entry("RUSTUP_HOME".to_owned())
                    .or_insert(rustup.to_string_lossy().into_owned());
            }
        }
        operator
    }

    /// What this process was started with.
    #[expect(
        clippy::disallowed_methods,
        reason = "builds need the operator's own settings, which stand here"
    )]
    pub fn of_this_process() -> Self {
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        Self::new(variables, std::env::home_dir().as_deref())
    }

    /// The variables, without `PATH`.
    pub(super) fn variables(&self) -> &BTreeMap<String, String> {
        &self.variables
    }

    /// The directories of `PATH`.
    pub(crate) fn path(&self) -> &[PathBuf] {
        &self.path
    }

    /// The variables that `git` needs to reach the outside: proxies and certificates.
    pub(crate) fn network(&self) -> impl Iterator<Item = (&String, &String)> {
        self.variables.iter().filter(|(name, _)| {
            let lower = name.to_ascii_lowercase();
            lower.ends_with("_proxy")
                || name.starts_with("SSL_CERT_")
                || *name == "GIT_SSL_CAINFO"
                || *name == "CURL_CA_BUNDLE"
        })
    }

    /// Writes the settings files into a build's home directory, readable by its owner only.
    pub(super) fn install(&self, home: &Path, owner: Option<Owner>) -> io::Result<()> {
        for (file, text) in &self.files {
            let path = home.join(file);
            let mut made = Vec::new();
            for dir in path.ancestors().skip(1).take_while(|dir| *dir != home) {
                if !dir.exists() {
                    made.push(dir.to_owned());
                }
            }
            fs::create_dir_all(path.parent().unwrap_or(home))?;
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut out = fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)?;
            out.write_all(text.as_bytes())?;
            for path in made.iter().chain([&path]) {
                owner.map_or(Ok(()), |owner| chown(path, owner))?;
            }
        }
        Ok(())
    }

    /// The values to hide in logs: of the variables what may be a credential or an address, of the
    /// files what looks like a credential.
    pub fn secrets(&self) -> Vec<&str> {
        let of_variables = self
            .variables
            .iter()
            .filter(|(name, value)| is_secret(name, value));
        let mut secrets: Vec<&str> = of_variables.map(|(_, value)| value.as_str()).collect();
        for (_, text) in &self.files {
            for line in text.lines() {
                let Some((key, value)) = line.split_once('=').or_else(|| line.split_once(": "))
                else {
                    continue;
                };
                let value = value.trim().trim_matches(['"', '\'']);
                if names_secret(key) || value.contains('@') {
                    secrets.push(value);
                }
            }
        }
        let passwords: Vec<&str> = secrets.iter().filter_map(|value| password(value)).collect();
        secrets.extend(passwords);
        secrets
    }
}

/// Whether a setting is hidden: not flags, numbers and paths, which tell nothing and explain much.
fn is_secret(name: &str, value: &str) -> bool {
    if ["LANG", "LC_ALL", "TZ", "RUSTUP_TOOLCHAIN"].contains(&name) {
        return false;
    }
    names_secret(name) || value.contains("://") || value.contains('@')
}

fn names_secret(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    ["token", "auth", "pass", "secret", "key", "credential"]
        .iter()
        .any(|word| lower.contains(word))
}

/// The password in a URL with one.
fn password(value: &str) -> Option<&str> {
    let (_, rest) = value.split_once("://")?;
    let (user, _) = rest.split('/').next()?.rsplit_once('@')?;
    Some(user.split_once(':').map_or(user, |(_, password)| password))
}

fn read(path: &Path) -> Option<String> {
    let about = fs::metadata(path).ok()?;
    if !about.is_file() || about.len() > LARGEST_FILE {
        return None;
    }
    fs::read_to_string(path).ok()
}

impl std::fmt::Debug for Operator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Operator")
            .field("variables", &self.variables.keys())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operator() -> Operator {
        let variables = [
            ("PATH", "/usr/bin:relative:/bin"),
            ("PIP_INDEX_URL", "https://me:pa55word@pypi.example/simple"),
            ("npm_config_registry", "https://npm.example/"),
            ("NPM_CONFIG_FUND", "false"),
            ("AWS_SECRET_ACCESS_KEY", "no"),
            ("SLIPWAY_MASTER_KEY", "no"),
            ("DATABASE_URL", "no"),
        ];
        Operator::new(
            variables.map(|(name, value)| (name.to_owned(), value.to_owned())),
            None,
        )
    }

    #[test]
    fn only_what_is_listed_is_taken_over() {
        let operator = operator();
        let names: Vec<_> = operator.variables().keys().map(String::as_str).collect();
        assert_eq!(
            names,
            ["NPM_CONFIG_FUND", "PIP_INDEX_URL", "npm_config_registry"]
        );
        assert_eq!(
            operator.path(),
            [PathBuf::from("/usr/bin"), PathBuf::from("/bin")]
        );
    }

    #[test]
    fn addresses_and_passwords_are_hidden_and_flags_are_not() {
        let operator = operator();
        let secrets = operator.secrets();
        assert!(secrets.contains(&"pa55word"));
        assert!(secrets.contains(&"https://npm.example/"));
        assert!(!secrets.contains(&"false"));
    }
}
