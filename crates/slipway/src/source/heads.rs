//! Which branch of somebody's repository is meant.

use std::collections::BTreeMap;

use super::SourceError;

/// How many branches are named where one has to be chosen.
const NAMED: usize = 10;

/// What `ls-remote --symref` and `bundle list-heads` tell of a repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Heads {
    /// The branch that HEAD names.
    symbolic: Option<String>,
    /// The commit that HEAD is.
    head: Option<String>,
    /// The commits of the branches.
    branches: BTreeMap<String, String>,
}

impl Heads {
    /// Reads lines of `<commit> <name>` and `ref: <name> HEAD`, with spaces or tabs.
    pub(super) fn read(text: &str) -> Self {
        let mut heads = Self::default();
        for line in text.lines() {
            let words: Vec<_> = line.split_ascii_whitespace().collect();
            match words.as_slice() {
                ["ref:", name, "HEAD"] => {
                    heads.symbolic = name.strip_prefix("refs/heads/").map(str::to_owned);
                }
                [commit, "HEAD"] => heads.head = Some((*commit).to_owned()),
                [commit, name] => {
                    if let Some(branch) = name.strip_prefix("refs/heads/") {
                        heads
                            .branches
                            .insert(branch.to_owned(), (*commit).to_owned());
                    }
                }
                _ => {}
            }
        }
        heads
    }

    /// The default branch and its commit: the one HEAD names, else one that is where HEAD is, else
    /// the only one, else `main`, else `master`.
    pub(super) fn default_branch(
        &self,
        source_name: &str,
    ) -> Result<(String, String), SourceError> {
        let named = |name: &str| self.branches.get_key_value(name);
        let at_head = || {
            self.branches
                .iter()
                .find(|(_, commit)| Some(*commit) == self.head.as_ref())
        };
        let only = || {
            if self.branches.len() == 1 {
                self.branches.iter().next()
            } else {
                None
            }
        };
        let found = self
            .symbolic
            .as_deref()
            .and_then(named)
            .or_else(at_head)
            .or_else(only);
        match found.or_else(|| named("main")).or_else(|| named("master")) {
            Some((branch, commit)) => Ok((branch.clone(), commit.clone())),
            None if self.branches.is_empty() => Err(SourceError::NoCommits(source_name.to_owned())),
            None => {
                let branches: Vec<_> = self.branches.keys().take(NAMED).cloned().collect();
                Err(SourceError::NoDefaultBranch {
                    source_name: source_name.to_owned(),
                    branches: branches.join(", "),
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn default_of(text: &str) -> Option<String> {
        Heads::read(text)
            .default_branch("x")
            .ok()
            .map(|(branch, _)| branch)
    }

    #[test]
    fn the_default_branch_is_found_with_and_without_a_head() {
        assert_eq!(
            default_of(
                "ref: refs/heads/next\tHEAD\naa\tHEAD\naa\trefs/heads/main\naa\trefs/heads/next"
            )
            .as_deref(),
            Some("next")
        );
        assert_eq!(
            default_of("bb HEAD\naa refs/heads/main\nbb refs/heads/dev").as_deref(),
            Some("dev")
        );
        assert_eq!(default_of("aa refs/heads/trunk").as_deref(), Some("trunk"));
        assert_eq!(
            default_of("aa refs/heads/a\nbb refs/heads/master\ncc refs/tags/v1").as_deref(),
            Some("master")
        );
        assert_eq!(default_of("aa refs/heads/a\nbb refs/heads/b"), None);
        assert_eq!(default_of(""), None);
    }
}
