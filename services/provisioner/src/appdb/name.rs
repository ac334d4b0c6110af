//! Names of databases and roles.

use std::fmt;

use super::AppDbError;

/// PostgreSQL cuts longer names, after which two might be the same.
const LONGEST: usize = 63;

/// The name of an environment's database and role.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct DatabaseName(String);

impl DatabaseName {
    /// The name for an environment's id.
    pub fn of_environment(id: &str) -> Result<Self, AppDbError> {
        let name = format!("app_{id}");
        let fits = !id.is_empty() && name.len() <= LONGEST;
        let plain = id
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        if fits && plain {
            Ok(Self(name))
        } else {
            Err(AppDbError::Name(id.to_owned()))
        }
    }

    /// The name as it stands in the server's catalogue.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as an identifier in a statement.
    pub(crate) fn quoted(&self) -> String {
        format!("\"{}\"", self.0.replace('"', "\"\""))
    }
}

impl fmt::Display for DatabaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for DatabaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_ids_that_fit_become_names() {
        let name = DatabaseName::of_environment("projenv_01h455vb4pex5vsknk084sn02q").unwrap();
        assert_eq!(name.quoted(), "\"app_projenv_01h455vb4pex5vsknk084sn02q\"");
        for bad in [
            "",
            "a\"; DROP DATABASE x; --",
            "a b",
            "Env",
            "é",
            &"a".repeat(60),
        ] {
            assert!(DatabaseName::of_environment(bad).is_err(), "{bad}");
        }
    }
}
