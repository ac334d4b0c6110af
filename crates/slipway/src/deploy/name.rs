//! What an app and its environment are called.

use common::names::{EnvironmentName, RepoName};

/// The name that was given, else the source's own.
pub(super) fn choose(given: Option<&str>, suggested: &str) -> anyhow::Result<RepoName> {
    match given {
        Some(given) => {
            RepoName::parse(given).map_err(|why| anyhow::anyhow!("the name `{given}` {why}"))
        }
        None => RepoName::parse(suggested).map_err(|why| {
            anyhow::anyhow!(
                "`{suggested}` can't be the app's name, which {why}; give one with --name"
            )
        }),
    }
}

/// The environment's name.
pub(super) fn environment(given: &str) -> anyhow::Result<EnvironmentName> {
    EnvironmentName::parse(given)
        .map_err(|why| anyhow::anyhow!("the environment's name `{given}` {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_given_name_goes_before_the_source_s_own() {
        assert_eq!(
            choose(Some("My_Store"), "other").unwrap().as_str(),
            "My_Store"
        );
        assert_eq!(choose(None, "my-store").unwrap().as_str(), "my-store");
    }

    #[test]
    fn a_name_that_cannot_be_is_named_with_the_reason() {
        let error = choose(Some("../x"), "x").unwrap_err().to_string();
        assert!(error.contains("../x") && error.contains("must"), "{error}");
        assert!(choose(None, "").unwrap_err().to_string().contains("--name"));
        assert!(
            environment("Production!")
                .unwrap_err()
                .to_string()
                .contains("Production!")
        );
    }
}
