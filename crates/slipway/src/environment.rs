//! What commands read from the process's environment beside the settings.

use secrecy::SecretString;

/// A person's token for the platform, `SLIPWAY_TOKEN`.
pub(crate) fn token() -> Option<SecretString> {
    text("SLIPWAY_TOKEN").map(SecretString::from)
}

/// The admin's address and password, where both are set.
pub(crate) fn admin() -> Option<(String, SecretString)> {
    Some((
        text("SLIPWAY_ADMIN_EMAIL")?,
        SecretString::from(text("SLIPWAY_ADMIN_PASSWORD")?),
    ))
}

/// The directories that programs are looked for in.
pub(crate) fn search_path() -> Vec<std::path::PathBuf> {
    text("PATH")
        .map(|path| std::env::split_paths(&path).collect())
        .unwrap_or_default()
}

/// A variable that is set and not empty.
#[expect(
    clippy::disallowed_methods,
    reason = "these are no settings of the platform but of one command"
)]
pub(crate) fn text(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The names of all variables.
#[expect(
    clippy::disallowed_methods,
    reason = "names only, to keep them from a child"
)]
pub(crate) fn names() -> impl Iterator<Item = String> {
    std::env::vars_os().filter_map(|(name, _)| name.into_string().ok())
}
