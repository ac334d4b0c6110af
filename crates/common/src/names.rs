//! Names that people choose, parsed at the edge so that inside an invalid one can't exist.

use std::fmt;

/// Why a text can't be such a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidName(pub &'static str);

macro_rules! names {
    ($($(#[$meta:meta])* $name:ident($check:path);)+) => {$(
        $(#[$meta])*
        #[derive(
            Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize,
            diesel::expression::AsExpression, diesel::deserialize::FromSqlRow,
        )]
        #[serde(transparent)]
        #[diesel(sql_type = diesel::sql_types::Text)]
        pub struct $name(String);

        impl $name {
            /// Checks and takes the text.
            pub fn parse(text: &str) -> Result<Self, InvalidName> {
                $check(text).map(Self)
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidName;
            fn from_str(text: &str) -> Result<Self, InvalidName> {
                Self::parse(text)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string" })
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                <String as utoipa::PartialSchema>::schema()
            }
        }

        impl utoipa::ToSchema for $name {}

        impl<DB> diesel::deserialize::FromSql<diesel::sql_types::Text, DB> for $name
        where
            DB: diesel::backend::Backend,
            String: diesel::deserialize::FromSql<diesel::sql_types::Text, DB>,
        {
            fn from_sql(bytes: DB::RawValue<'_>) -> diesel::deserialize::Result<Self> {
                String::from_sql(bytes).map(Self)
            }
        }

        impl<DB> diesel::serialize::ToSql<diesel::sql_types::Text, DB> for $name
        where
            DB: diesel::backend::Backend,
            str: diesel::serialize::ToSql<diesel::sql_types::Text, DB>,
        {
            fn to_sql<'b>(&'b self, out: &mut diesel::serialize::Output<'b, '_, DB>) -> diesel::serialize::Result {
                self.0.as_str().to_sql(out)
            }
        }
    )+};
}

names! {
    /// A gateway service's name: the first segment of `/v1/<name>/…`.
    ServiceName(check_service);
    /// A name for people to read: of an account, a project, a key.
    DisplayName(check_display);
    /// A repository's owner, as GitHub allows them and as local repositories are laid out.
    RepoOwner(check_repo_part);
    /// A repository's name.
    RepoName(check_repo_part);
    /// An environment's name, part of its host label.
    EnvironmentName(check_environment);
    /// A domain as the DNS knows it: letters of other scripts encoded, lower case, no dot at the end.
    DomainName(check_domain);
}

/// First segments under `/v1/` that no service may take: the platform's own, and those kept for growth.
pub const RESERVED_SERVICE_NAMES: &[&str] = &[
    "account",
    "accounts",
    "admin",
    "api",
    "api-keys",
    "apps",
    "audit",
    "auth",
    "billing",
    "builds",
    "clients",
    "deployments",
    "docs",
    "domains",
    "environments",
    "events",
    "forward-keys",
    "generate",
    "git",
    "github",
    "health",
    "healthz",
    "internal",
    "invite",
    "invites",
    "keys",
    "login",
    "logs",
    "me",
    "metrics",
    "openapi",
    "platform",
    "problems",
    "projects",
    "publications",
    "quotas",
    "readyz",
    "realms",
    "releases",
    "search",
    "secrets",
    "services",
    "sessions",
    "settings",
    "slipway",
    "status",
    "system",
    "teams",
    "tokens",
    "usage",
    "users",
    "v1",
    "v2",
    "webhooks",
];

fn check_service(text: &str) -> Result<String, InvalidName> {
    let shaped = (3..=40).contains(&text.len())
        && text
            .bytes()
            .next()
            .is_some_and(|first| first.is_ascii_lowercase())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if !shaped {
        return Err(InvalidName(
            "must be 3 to 40 of a-z, 0-9 and -, beginning with a letter",
        ));
    }
    if RESERVED_SERVICE_NAMES.contains(&text) {
        return Err(InvalidName("is reserved for the platform"));
    }
    Ok(text.to_owned())
}

fn check_display(text: &str) -> Result<String, InvalidName> {
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Err(InvalidName("must not be empty"));
    }
    if trimmed.chars().count() > 100 {
        return Err(InvalidName("must have at most 100 characters"));
    }
    if trimmed.chars().any(char::is_control) {
        return Err(InvalidName("must not contain control characters"));
    }
    Ok(trimmed.to_owned())
}

fn check_repo_part(text: &str) -> Result<String, InvalidName> {
    let shaped = (1..=100).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    if !shaped {
        return Err(InvalidName(
            "must be 1 to 100 of letters, digits, -, _ and .",
        ));
    }
    // A leading dash would be read as an option by git; dots alone name directories;
    // git itself refuses what ends in .lock, and .git is a suffix of ours.
    let ends_badly = [".lock", ".git"].iter().any(|end| text.ends_with(end));
    if text.starts_with('-') || text.starts_with('.') || ends_badly {
        return Err(InvalidName(
            "must not begin with - or ., nor end in .lock or .git",
        ));
    }
    Ok(text.to_owned())
}

fn check_environment(text: &str) -> Result<String, InvalidName> {
    let shaped = (1..=32).contains(&text.len())
        && text
            .bytes()
            .next()
            .is_some_and(|first| first.is_ascii_lowercase())
        && !text.ends_with('-')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if shaped {
        Ok(text.to_owned())
    } else {
        Err(InvalidName(
            "must be 1 to 32 of a-z, 0-9 and -, beginning with a letter",
        ))
    }
}

fn check_domain(text: &str) -> Result<String, InvalidName> {
    let part = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    let top = text.rsplit('.').next().unwrap_or_default();
    // A number at the end makes an address of it, in one spelling or another.
    let named = top.bytes().any(|byte| byte.is_ascii_lowercase()) && !top.starts_with("0x");
    let parts = text.split('.').count();
    if text.len() <= 253 && parts >= 2 && named && text.split('.').all(part) {
        Ok(text.to_owned())
    } else {
        Err(InvalidName("must be a domain's name, such as shop.example"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserved_service_name_is_refused() {
        assert!(ServiceName::parse("location").is_ok());
        for name in ["users", "x", "1abc", "Upper", "a_b", "api-keys"] {
            assert!(ServiceName::parse(name).is_err(), "{name}");
        }
    }

    #[test]
    fn repository_names_that_git_could_misread_are_refused() {
        assert!(RepoName::parse("medusa-starter-default").is_ok());
        for name in [
            "..",
            ".",
            "-oProxyCommand=x",
            "a/b",
            "a b",
            "",
            "x.lock",
            "x.git",
            "é",
        ] {
            assert!(RepoName::parse(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_domain_is_a_name_of_the_dns_in_the_one_way_it_is_written() {
        for name in ["shop.example", "xn--bcher-kva.example", "a.b-c.d1.io"] {
            assert!(DomainName::parse(name).is_ok(), "{name}");
        }
        for name in [
            "",
            "localhost",
            "Shop.example",
            "shop.example.",
            ".shop.example",
            "a..b",
            "127.0.0.1",
            "127.1",
            "a.0x7f",
            "[::1]",
            "*.shop.example",
            "_x.shop.example",
            "-a.example",
            "a-.example",
            "b\u{fc}cher.example",
            "shop.example:80",
            "shop.example/x",
            &format!("{}.example", "a".repeat(64)),
            &format!("{}example", "a.".repeat(130)),
        ] {
            assert!(DomainName::parse(name).is_err(), "{name}");
        }
    }

    #[test]
    fn display_names_are_trimmed_and_hold_no_control_characters() {
        assert_eq!(
            DisplayName::parse("  My Store ").unwrap().as_str(),
            "My Store"
        );
        for name in ["", "  ", "a\nb", &"x".repeat(101)] {
            assert!(DisplayName::parse(name).is_err(), "{name:?}");
        }
    }
}
