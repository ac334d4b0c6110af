//! What is read of a delivery ("Webhook events and payloads"): no more than the work needs.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a delivery tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Content {
    /// A branch has a new commit.
    Push(Push),
    /// Something became of a pull request.
    PullRequest(Pull),
    /// Something became of the installation.
    Installation,
    /// A repository is called otherwise, or another owner's.
    Moved(Moved),
    /// The owner of the installation is called otherwise.
    OwnerRenamed(OwnerRenamed),
    /// Nothing that anything is done about.
    Nothing {
        /// Why.
        reason: String,
    },
}

/// A push to a branch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Push {
    pub(crate) owner: String,
    pub(crate) repo: String,
    pub(crate) branch: String,
    pub(crate) commit: String,
    pub(crate) default_branch: String,
}

/// Which pull request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pull {
    pub(crate) owner: String,
    pub(crate) repo: String,
    pub(crate) number: i64,
}

/// Where a repository was, and where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Moved {
    /// Its number, which stays.
    pub(crate) id: u64,
    pub(crate) from_owner: String,
    pub(crate) from_repo: String,
    pub(crate) owner: String,
    pub(crate) repo: String,
}

/// What an owner was called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OwnerRenamed {
    pub(crate) from: String,
}

/// What stands in a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Read {
    pub(crate) action: Option<String>,
    pub(crate) installation: i64,
    pub(crate) repository: Option<String>,
    pub(crate) content: Content,
}

#[derive(Deserialize)]
struct Body {
    action: Option<String>,
    installation: Option<Numbered>,
    repository: Option<Repository>,
    #[serde(rename = "ref")]
    git_ref: Option<String>,
    after: Option<String>,
    number: Option<i64>,
    #[serde(default)]
    deleted: bool,
    #[serde(default)]
    changes: Value,
}

#[derive(Deserialize)]
struct Numbered {
    id: i64,
}

#[derive(Deserialize)]
struct Repository {
    id: u64,
    name: String,
    owner: Owner,
    default_branch: Option<String>,
}

#[derive(Deserialize)]
struct Owner {
    login: Option<String>,
    // The owner of what was pushed to is a Git user as well, who has a `name`: the login.
    name: Option<String>,
}

impl Repository {
    /// Owner and name.
    fn named(&self) -> Option<(&str, &str)> {
        let Owner { login, name } = &self.owner;
        let owner = login.as_deref().or(name.as_deref())?;
        Some((owner, &self.name))
    }
}

/// The longest name of a branch that is kept, in bytes.
const LONGEST_BRANCH: usize = 255;

/// Reads a delivery; none if it is of no installation, or of an event that nothing is done about.
pub(crate) fn read(event: &str, body: &[u8]) -> Result<Option<Read>, serde_json::Error> {
    let known = [
        "push",
        "pull_request",
        "installation",
        "repository",
        "installation_target",
    ];
    if !known.contains(&event) {
        return Ok(None);
    }
    let body: Body = serde_json::from_slice(body)?;
    let Some(installation) = &body.installation else {
        return Ok(None);
    };
    let named = body.repository.as_ref().and_then(Repository::named);
    let content = match (event, named) {
        ("push", Some((owner, repo))) => pushed(&body, owner, repo),
        ("pull_request", Some(named)) => pulled(&body, named),
        ("repository", Some(named)) => moved(&body, named),
        ("installation", _) => Content::Installation,
        ("installation_target", _) => renamed(&body),
        _ => nothing("The delivery names no repository"),
    };
    Ok(Some(Read {
        installation: installation.id,
        repository: named.map(|(owner, repo)| format!("{owner}/{repo}")),
        content,
        action: body.action,
    }))
}

fn nothing(reason: impl Into<String>) -> Content {
    Content::Nothing {
        reason: reason.into(),
    }
}

fn pushed(body: &Body, owner: &str, repo: &str) -> Content {
    let git_ref = body.git_ref.as_deref().unwrap_or_default();
    let Some(branch) = git_ref.strip_prefix("refs/heads/") else {
        return nothing("No branch was pushed: environments follow branches");
    };
    if body.deleted {
        return nothing("The branch was deleted");
    }
    let commit = body.after.as_deref().unwrap_or_default();
    let is_commit =
        matches!(commit.len(), 40 | 64) && commit.bytes().all(|b| b.is_ascii_hexdigit());
    if branch.len() > LONGEST_BRANCH || !is_commit {
        return nothing("The branch or its commit can't be read");
    }
    let default_branch = body
        .repository
        .as_ref()
        .and_then(|r| r.default_branch.clone());
    Content::Push(Push {
        owner: owner.to_owned(),
        repo: repo.to_owned(),
        branch: branch.to_owned(),
        commit: commit.to_owned(),
        default_branch: default_branch.unwrap_or_default(),
    })
}

/// What of a pull request's life has no part in what it comes from, goes to, or whether it is open.
const NO_CHANGE: [&str; 14] = [
    "assigned",
    "unassigned",
    "labeled",
    "unlabeled",
    "locked",
    "unlocked",
    "milestoned",
    "demilestoned",
    "review_requested",
    "review_request_removed",
    "auto_merge_enabled",
    "auto_merge_disabled",
    "enqueued",
    "dequeued",
];

fn pulled(body: &Body, (owner, repo): (&str, &str)) -> Content {
    let action = body.action.as_deref().unwrap_or_default();
    // Whatever else it is, how the pull request stands is asked.
    if NO_CHANGE.contains(&action) {
        return nothing("Nothing that concerns previews has changed");
    }
    match body.number.filter(|number| *number > 0) {
        Some(number) => Content::PullRequest(Pull {
            owner: owner.to_owned(),
            repo: repo.to_owned(),
            number,
        }),
        None => nothing("The delivery names no pull request"),
    }
}

fn moved(body: &Body, (owner, repo): (&str, &str)) -> Content {
    let id = body.repository.as_ref().map(|repository| repository.id);
    let text = |path: &str| {
        body.changes
            .pointer(path)
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    let from = match body.action.as_deref() {
        Some("renamed") => text("/repository/name/from").map(|name| (owner.to_owned(), name)),
        Some("transferred") => text("/owner/from/organization/login")
            .or_else(|| text("/owner/from/user/login"))
            .map(|login| (login, repo.to_owned())),
        _ => return nothing("Nothing that concerns builds has changed"),
    };
    match id.zip(from) {
        Some((id, (from_owner, from_repo))) => Content::Moved(Moved {
            id,
            from_owner,
            from_repo,
            owner: owner.to_owned(),
            repo: repo.to_owned(),
        }),
        None => nothing("The delivery doesn't say where the repository was"),
    }
}

fn renamed(body: &Body) -> Content {
    let from = body.changes.pointer("/login/from").and_then(Value::as_str);
    match from {
        Some(from) => Content::OwnerRenamed(OwnerRenamed {
            from: from.to_owned(),
        }),
        None => Content::Installation,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn content(event: &str, body: &Value) -> Option<Content> {
        let read = read(event, body.to_string().as_bytes()).unwrap();
        read.map(|read| read.content)
    }

    #[test]
    fn a_push_to_a_branch_is_one_and_tags_and_deletions_say_why_they_are_not() {
        let mut body = json!({
            "ref": "refs/heads/feature/x", "after": "a".repeat(40), "deleted": false,
            "repository": { "id": 1, "name": "shop", "owner": { "name": "acme" }, "default_branch": "main" },
            "installation": { "id": 7 },
        });
        let Some(Content::Push(push)) = content("push", &body) else {
            panic!("no push");
        };
        assert_eq!(
            (push.owner.as_str(), push.branch.as_str()),
            ("acme", "feature/x")
        );
        for (field, value) in [
            ("ref", json!("refs/tags/v1")),
            ("deleted", json!(true)),
            ("after", json!("x")),
        ] {
            let mut other = body.clone();
            other[field] = value;
            assert!(
                matches!(content("push", &other), Some(Content::Nothing { .. })),
                "{field}"
            );
        }
        body["installation"] = Value::Null;
        assert_eq!(content("push", &body), None);
        assert_eq!(content("star", &json!({})), None);
        assert!(read("push", b"{").is_err() && read("push", b"[]").is_err());
    }

    /// The example of "Webhook events and payloads", shortened by fields of kinds that others have.
    #[test]
    fn githubs_own_example_of_a_push_is_read() {
        let body = json!({
            "ref": "refs/heads/main",
            "before": "f95f852bd8fca8fcc58a9a2d6c842781e32a215e",
            "after": "6113728f27ae82c7b1a177c8d03f9e96e0adf246",
            "repository": {
                "id": 186_853_002, "node_id": "MDEwOlJlcG9zaXRvcnkxODY4NTMwMDI=",
                "name": "Hello-World", "full_name": "Codertocat/Hello-World", "private": false,
                "owner": {
                    "name": "Codertocat",
                    "email": "21031067+Codertocat@users.noreply.github.com",
                    "login": "Codertocat", "id": 21_031_067, "type": "User", "site_admin": false
                },
                "created_at": 1_557_933_565, "pushed_at": 1_557_933_657,
                "default_branch": "main", "master_branch": "main"
            },
            "pusher": {
                "name": "Codertocat",
                "email": "21031067+Codertocat@users.noreply.github.com"
            },
            "sender": { "login": "Codertocat", "id": 21_031_067, "type": "User" },
            "installation": { "id": 7, "node_id": "MDIzOkludGVncmF0aW9u" },
            "created": false, "deleted": false, "forced": false, "base_ref": null,
            "compare": "https://github.com/Codertocat/Hello-World/compare/f95f852bd8fc...6113728f27ae",
            "commits": [], "head_commit": null
        });
        let read = read("push", body.to_string().as_bytes()).unwrap().unwrap();
        assert_eq!(read.repository.as_deref(), Some("Codertocat/Hello-World"));
        let Content::Push(push) = read.content else {
            panic!("no push");
        };
        assert_eq!(
            (push.owner.as_str(), push.default_branch.as_str()),
            ("Codertocat", "main")
        );
        assert_eq!(push.commit, "6113728f27ae82c7b1a177c8d03f9e96e0adf246");
    }

    #[test]
    fn renames_and_transfers_say_where_the_repository_was() {
        let body = |action: &str, changes: Value| {
            json!({ "action": action, "changes": changes, "installation": { "id": 7 },
                "repository": { "id": 1, "name": "new", "owner": { "login": "acme" } } })
        };
        let from = |body: &Value| match content("repository", body) {
            Some(Content::Moved(moved)) => Some((moved.from_owner, moved.from_repo)),
            _ => None,
        };
        let renamed = body(
            "renamed",
            json!({ "repository": { "name": { "from": "old" } } }),
        );
        assert_eq!(from(&renamed), Some(("acme".into(), "old".into())));
        let given = json!({ "owner": { "from": { "user": { "login": "ada" } } } });
        assert_eq!(
            from(&body("transferred", given)),
            Some(("ada".into(), "new".into()))
        );
        assert_eq!(from(&body("transferred", json!({}))), None);
        assert_eq!(from(&body("edited", json!({}))), None);
    }
}
