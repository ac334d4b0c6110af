//! Which submodules are fetched: those over HTTP from where the repository itself is.
//!
//! Any other address would let a repository name hosts that only this machine can reach.

use std::collections::BTreeMap;
use std::path::Path;

use url::Url;

use super::error::CheckoutError;
use super::git::Git;
use super::tree::Listing;
use super::{DEEPEST, Part, parse_commit};

/// The submodules of a part, to be fetched next. Refuses the whole checkout for one that can't be.
pub(super) async fn find(
    git: &Git<'_>,
    part: &Part,
    tree: &Path,
    listing: &Listing,
    top: &Url,
) -> Result<Vec<Part>, CheckoutError> {
    let file = tree.join(".gitmodules");
    if !file.is_file() {
        return Ok(Vec::new());
    }
    let file = file.to_string_lossy();
    let words = ["config", "--no-includes", "-z", "--file", &file, "--list"];
    let answer = git.run("reading .gitmodules", &words, None, None).await?;
    let mut parts = Vec::new();
    for (path, text) in declared(&String::from_utf8_lossy(&answer)) {
        let refused = |why| CheckoutError::Submodule {
            path: path.clone(),
            url: text.clone(),
            why,
        };
        let url = address(&text, &part.url).map_err(refused)?;
        if url.origin() != top.origin() {
            return Err(refused("it is on another host than the repository"));
        }
        let Some((_, commit)) = listing.submodules.iter().find(|(place, _)| *place == path) else {
            continue;
        };
        if part.depth == DEEPEST {
            return Err(refused("too many submodules are inside one another"));
        }
        parse_commit(commit)?;
        let prefix = if part.prefix.is_empty() {
            path
        } else {
            format!("{}/{path}", part.prefix)
        };
        parts.push(Part {
            url,
            commit: commit.clone(),
            prefix,
            depth: part.depth + 1,
        });
    }
    Ok(parts)
}

/// Path and address of each submodule in `git config -z --list` of a `.gitmodules`.
fn declared(answer: &str) -> Vec<(String, String)> {
    let mut found: BTreeMap<&str, (Option<&str>, Option<&str>)> = BTreeMap::new();
    for entry in answer.split('\0') {
        let Some((key, value)) = entry.split_once('\n') else {
            continue;
        };
        let Some((name, key)) = key
            .strip_prefix("submodule.")
            .and_then(|key| key.rsplit_once('.'))
        else {
            continue;
        };
        let module = found.entry(name).or_default();
        match key {
            "path" => module.0 = Some(value),
            "url" => module.1 = Some(value),
            _ => {}
        }
    }
    let whole = found
        .into_iter()
        .filter_map(|(name, (path, url))| Some((path.unwrap_or(name).to_owned(), url?.to_owned())));
    whole.collect()
}

/// The address a submodule is fetched from; `./` and `../` are relative to the repository's.
fn address(text: &str, base: &Url) -> Result<Url, &'static str> {
    let url = if text.starts_with("./") || text.starts_with("../") {
        let mut dir = base.clone();
        dir.set_path(&format!("{}/", base.path().trim_end_matches('/')));
        dir.join(text)
            .map_err(|_invalid| "its address can't be read")?
    } else {
        Url::parse(text)
            .map_err(|_invalid| "only addresses with http and https are fetched from")?
    };
    if !matches!(url.scheme(), "http" | "https") {
        return Err("only http and https are fetched from");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("its address holds a user or a password");
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_git_reads_them_and_others_refused() {
        let base = Url::parse("https://host.example/git/acc/repo.git").unwrap();
        let read = |text| address(text, &base).map(String::from);
        assert_eq!(
            read("../other.git").unwrap(),
            "https://host.example/git/acc/other.git"
        );
        assert_eq!(
            read("https://host.example/x.git").unwrap(),
            "https://host.example/x.git"
        );
        for text in [
            "file:///etc",
            "/srv/repo",
            "ssh://host/x",
            "git@host:x",
            "-oProxyCommand=x",
            "ext::sh -c x",
            "https://u:p@host/x",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn submodules_are_read_with_their_paths() {
        let answer = "submodule.lib/a.path\nlib/a\0submodule.lib/a.url\n../a.git\0submodule.lib/a.branch\nmain\0submodule.b.url\nfile:///b\0";
        let expected = [
            ("b".to_owned(), "file:///b".to_owned()),
            ("lib/a".to_owned(), "../a.git".to_owned()),
        ];
        assert_eq!(declared(answer), expected);
    }
}
