//! Names in a repository, and the commits that they stand for.

#[cfg(test)]
mod fuzz;

use std::collections::BTreeMap;

use super::command::{Git, GitError};
use crate::storage::GitDir;

/// A name that somebody gave for a branch, a tag or a commit, safe to hand to git.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RefName(String);

/// A text that can't name a branch, a tag or a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be the name of a branch or a tag, or a commit in hex")]
pub(crate) struct InvalidRef;

impl RefName {
    /// Checks the text: what `git check-ref-format` allows, and nothing that git reads as an
    /// expression.
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidRef> {
        let plain = (1..=255).contains(&text.len())
            && !text.starts_with(['-', '/', '.', '@'])
            && !text.ends_with(['/', '.'])
            && text
                .split('/')
                .all(|part| part.strip_suffix(".lock").is_none())
            && !text.contains("..")
            && !text.contains("@{")
            && !text.contains("//")
            && !text.contains("/.")
            && !text.chars().any(|c| {
                c.is_control() || matches!(c, ' ' | '~' | '^' | ':' | '?' | '*' | '[' | '\\')
            });
        if plain {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidRef)
        }
    }

    /// The text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    fn is_hex(&self) -> bool {
        self.0.bytes().all(|byte| byte.is_ascii_hexdigit())
    }

    /// What to ask git for, in order, each with what it would be.
    fn candidates(&self) -> Vec<(String, Named)> {
        let name = self.as_str();
        if self.is_hex() && matches!(name.len(), 40 | 64) {
            return vec![(name.to_owned(), Named::Commit)];
        }
        let mut candidates = vec![
            (format!("refs/heads/{name}"), Named::Branch(name.to_owned())),
            (format!("refs/tags/{name}"), Named::Tag(name.to_owned())),
        ];
        if let Some(branch) = name.strip_prefix("refs/heads/") {
            candidates.push((name.to_owned(), Named::Branch(branch.to_owned())));
        }
        if let Some(tag) = name.strip_prefix("refs/tags/") {
            candidates.push((name.to_owned(), Named::Tag(tag.to_owned())));
        }
        if self.is_hex() && name.len() >= 4 {
            candidates.push((name.to_owned(), Named::Commit));
        }
        candidates
    }
}

/// By what a commit was named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// By a branch.
    Branch(String),
    /// By a tag.
    Tag(String),
    /// By itself, in full or abbreviated.
    Commit,
}

/// What a name turned out to stand for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// This commit, in full hex.
    Commit(String, Named),
    /// More than one commit.
    Ambiguous,
    /// None.
    Nothing,
}

/// A repository's branches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Branches {
    /// The branch that HEAD names, if there is such a branch.
    pub(crate) head: Option<String>,
    /// The commits, in full hex, by branch.
    pub(crate) commits: BTreeMap<String, String>,
}

impl Branches {
    /// The branch that is built unless told: the one HEAD names, else `pushed` (the one pushed
    /// last), else the only one, else `main`.
    pub(crate) fn default_branch(&self, pushed: Option<&str>) -> Option<&str> {
        let known = |name: &str| {
            self.commits
                .get_key_value(name)
                .map(|(name, _)| name.as_str())
        };
        let only = || {
            if self.commits.len() == 1 {
                self.commits.keys().next().map(String::as_str)
            } else {
                None
            }
        };
        self.head
            .as_deref()
            .or_else(|| pushed.and_then(known))
            .or_else(only)
            .or_else(|| known("main"))
    }
}

impl Git {
    /// A repository's branches.
    pub(crate) async fn branches(&self, repository: &GitDir) -> Result<Branches, GitError> {
        let format = "--format=%(HEAD)%(objectname) %(refname:lstrip=2)";
        let output = self
            .ask(
                repository,
                &["for-each-ref", format, "refs/heads/"],
                Vec::new(),
            )
            .await?;
        let mut branches = Branches::default();
        for line in String::from_utf8_lossy(&output).lines() {
            let Some((commit, name)) = line.get(1..).and_then(|rest| rest.split_once(' ')) else {
                continue;
            };
            if line.starts_with('*') {
                branches.head = Some(name.to_owned());
            }
            branches.commits.insert(name.to_owned(), commit.to_owned());
        }
        Ok(branches)
    }

    /// Whether there is any branch or tag.
    pub(crate) async fn is_empty(&self, repository: &GitDir) -> Result<bool, GitError> {
        let arguments = [
            "for-each-ref",
            "--count=1",
            "--format=%(objectname)",
            "refs/heads/",
            "refs/tags/",
        ];
        Ok(self
            .ask(repository, &arguments, Vec::new())
            .await?
            .is_empty())
    }

    /// Makes HEAD name a branch.
    pub(crate) async fn set_head(&self, repository: &GitDir, branch: &str) -> Result<(), GitError> {
        let target = format!("refs/heads/{branch}");
        self.ask(repository, &["symbolic-ref", "HEAD", &target], Vec::new())
            .await
            .map(drop)
    }

    /// The commit that a name stands for: a branch's before a tag's before an abbreviation's.
    pub(crate) async fn find(
        &self,
        repository: &GitDir,
        name: &RefName,
    ) -> Result<Found, GitError> {
        let candidates = name.candidates();
        let mut questions = String::new();
        for (question, _) in &candidates {
            questions.push_str(question);
            questions.push_str("^{commit}\n");
        }
        let arguments = ["cat-file", "--batch-check=%(objectname)"];
        let output = self
            .ask(repository, &arguments, questions.into_bytes())
            .await?;
        let answers = String::from_utf8_lossy(&output).into_owned();
        let mut ambiguous = false;
        for ((_, named), answer) in candidates.into_iter().zip(answers.lines()) {
            ambiguous |= answer.ends_with(" ambiguous");
            if matches!(answer.len(), 40 | 64)
                && answer.bytes().all(|byte| byte.is_ascii_hexdigit())
            {
                return Ok(Found::Commit(answer.to_owned(), named));
            }
        }
        Ok(if ambiguous {
            Found::Ambiguous
        } else {
            Found::Nothing
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn branches(head: Option<&str>, names: &[&str]) -> Branches {
        let commits = names
            .iter()
            .map(|name| ((*name).to_owned(), "c".repeat(40)))
            .collect();
        Branches {
            head: head.map(str::to_owned),
            commits,
        }
    }

    #[test]
    fn what_git_would_read_as_more_than_a_name_is_refused() {
        for text in [
            "main",
            "feature/x-1",
            "v1.0",
            "refs/tags/v1.0",
            "0123abc",
            "größe",
        ] {
            assert!(RefName::parse(text).is_ok(), "{text}");
        }
        for text in [
            "",
            "-x",
            "--upload-pack=x",
            "a..b",
            "a b",
            "a\nb",
            "HEAD~1",
            "a^{tree}",
            "@{u}",
            "main:x",
            "/x",
            "x/",
            "a//b",
            "x.lock",
            "x.lock/y",
            "@",
        ] {
            assert!(RefName::parse(text).is_err(), "{text:?}");
        }
        assert!(RefName::parse(&"x".repeat(256)).is_err());
    }

    #[test]
    fn without_a_head_the_pushed_branch_is_built_else_the_only_one_else_main() {
        assert_eq!(
            branches(Some("trunk"), &["main", "trunk"]).default_branch(Some("main")),
            Some("trunk")
        );
        assert_eq!(
            branches(None, &["main", "next"]).default_branch(Some("next")),
            Some("next")
        );
        assert_eq!(
            branches(None, &["trunk"]).default_branch(None),
            Some("trunk")
        );
        assert_eq!(
            branches(None, &["a", "main"]).default_branch(Some("gone")),
            Some("main")
        );
        assert_eq!(branches(None, &["a", "b"]).default_branch(None), None);
        assert_eq!(branches(None, &[]).default_branch(None), None);
    }
}
