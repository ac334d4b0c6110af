//! Names of branches, tags and commits.

use std::fmt;

/// A branch, tag or commit as a caller names it, shaped so that git can't take it for anything
/// else (`git check-ref-format`).
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(transparent)]
pub(crate) struct GitRef(String);

/// Why a text is no such name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must name a branch, tag or commit")]
pub(crate) struct InvalidRef;

impl GitRef {
    /// Checks and takes the text.
    #[expect(
        clippy::case_sensitive_file_extension_comparisons,
        reason = "git itself refuses `.lock` in this form only"
    )]
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidRef> {
        let plain = (1..=255).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_graphic() || !byte.is_ascii())
            && !text.contains(['~', '^', ':', '?', '*', '[', '\\']);
        let whole = !text.contains("..") && !text.contains("@{") && text != "@";
        let parts = text.split('/').all(|part| {
            !part.is_empty()
                && !part.starts_with(['.', '-'])
                && !part.ends_with('.')
                && !part.ends_with(".lock")
        });
        if plain && whole && parts {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidRef)
        }
    }

    /// The text.
    pub(crate) fn into_string(self) -> String {
        self.0
    }
}

impl fmt::Display for GitRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for GitRef {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl utoipa::PartialSchema for GitRef {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        <String as utoipa::PartialSchema>::schema()
    }
}

impl utoipa::ToSchema for GitRef {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_could_misread_is_no_reference() {
        for good in [
            "main",
            "feature/a-b_c",
            "v1.2.3",
            "0123456789abcdef0123456789abcdef01234567",
            "größe",
        ] {
            assert!(GitRef::parse(good).is_ok(), "{good}");
        }
        let bad = [
            "",
            "-oProxyCommand=x",
            "a b",
            "a..b",
            "a/-b",
            "/a",
            "a/",
            "a//b",
            ".a",
            "a.lock",
            "a@{1}",
            "a\nb",
            "a:b",
        ];
        for text in bad.into_iter().chain([" main", "@", &*"a".repeat(256)]) {
            assert!(GitRef::parse(text).is_err(), "{text:?}");
        }
    }
}
