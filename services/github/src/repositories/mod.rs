//! Repositories that accounts have pushed: what is known of them, and what is told of a push.
//!
//! The commits are on the disk, outside of any transaction. So what is told is what differs
//! between the branches on the disk and the branches in the database: it doesn't matter how they
//! came to differ, nor who looks first, nor whether the process ended in between.

pub(crate) mod http;
pub(crate) mod pushing;
mod store;

use std::collections::BTreeMap;

use common::id::{AccountId, UserId};
use common::names::RepoName;
use common::time::Time;

use crate::git::Branches;

pub(crate) use store::{Row, delete_account, page};

/// What the database knows of a branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KnownBranch {
    /// Its commit in hex; none once it was deleted.
    pub(crate) commit: Option<String>,
    /// How often its commit has changed.
    pub(crate) version: i64,
}

/// A branch that has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// The branch.
    pub(crate) branch: String,
    /// Its commit now; none if it is gone.
    pub(crate) commit: Option<String>,
    /// Its version from now on.
    pub(crate) version: i64,
}

/// A push that has begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Push {
    /// Its own name.
    pub(crate) id: String,
    /// The account whose repository it goes to.
    pub(crate) account_id: AccountId,
    /// The repository.
    pub(crate) repository: RepoName,
    /// Who pushes.
    pub(crate) pushed_by: Option<UserId>,
    /// When it began.
    pub(crate) started_at: Time,
}

/// What differs between the branches that are known and those that are there.
pub(crate) fn changes(known: &BTreeMap<String, KnownBranch>, there: &Branches) -> Vec<Change> {
    let version_of = |branch: &str| known.get(branch).map_or(1, |known| known.version + 1);
    let commit_of = |branch: &str| known.get(branch).and_then(|known| known.commit.as_ref());
    let moved = there
        .commits
        .iter()
        .filter(|(branch, commit)| commit_of(branch) != Some(commit))
        .map(|(branch, commit)| Change {
            branch: branch.clone(),
            commit: Some(commit.clone()),
            version: version_of(branch),
        });
    let gone = known
        .iter()
        .filter(|(branch, known)| known.commit.is_some() && !there.commits.contains_key(*branch))
        .map(|(branch, _)| Change {
            branch: branch.clone(),
            commit: None,
            version: version_of(branch),
        });
    moved.chain(gone).collect()
}

/// The branch that HEAD is to name, where it names none and a push has brought some: what one
/// would expect to get from a clone.
pub(crate) fn head_for(there: &Branches, changes: &[Change]) -> Option<String> {
    if there.head.is_some() {
        return None;
    }
    let pushed: Vec<_> = changes
        .iter()
        .filter(|change| change.commit.is_some())
        .map(|change| &change.branch)
        .collect();
    let usual = ["main", "master"]
        .into_iter()
        .find(|usual| pushed.iter().any(|branch| branch == usual));
    usual
        .map(str::to_owned)
        .or_else(|| pushed.first().map(|branch| (*branch).clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there(head: Option<&str>, branches: &[(&str, &str)]) -> Branches {
        let commits = branches
            .iter()
            .map(|(name, commit)| ((*name).into(), (*commit).into()))
            .collect();
        Branches {
            head: head.map(str::to_owned),
            commits,
        }
    }

    fn known(branches: &[(&str, Option<&str>, i64)]) -> BTreeMap<String, KnownBranch> {
        let known = |commit: Option<&str>, version| KnownBranch {
            commit: commit.map(str::to_owned),
            version,
        };
        branches
            .iter()
            .map(|(name, commit, version)| ((*name).to_owned(), known(*commit, *version)))
            .collect()
    }

    fn change(branch: &str, commit: Option<&str>, version: i64) -> Change {
        Change {
            branch: branch.into(),
            commit: commit.map(str::to_owned),
            version,
        }
    }

    #[test]
    fn moved_new_gone_and_returned_branches_are_told_and_others_are_not() {
        let known = known(&[
            ("same", Some("a"), 4),
            ("moved", Some("a"), 1),
            ("gone", Some("a"), 2),
            ("back", None, 7),
            ("long-gone", None, 3),
        ]);
        let there = there(
            None,
            &[("same", "a"), ("moved", "b"), ("new", "c"), ("back", "d")],
        );
        let expected = vec![
            change("back", Some("d"), 8),
            change("moved", Some("b"), 2),
            change("new", Some("c"), 1),
            change("gone", None, 3),
        ];
        assert_eq!(changes(&known, &there), expected);
    }

    #[test]
    fn head_is_set_by_the_first_push_only() {
        let pushed = [change("dev", Some("a"), 1), change("master", Some("a"), 1)];
        assert_eq!(
            head_for(&there(None, &[("dev", "a"), ("master", "a")]), &pushed),
            Some("master".into())
        );
        assert_eq!(
            head_for(&there(None, &[("dev", "a")]), &pushed[..1]),
            Some("dev".into())
        );
        assert_eq!(
            head_for(
                &there(Some("main"), &[("main", "a"), ("dev", "a")]),
                &pushed
            ),
            None
        );
        assert_eq!(head_for(&there(None, &[]), &[change("dev", None, 2)]), None);
    }
}
