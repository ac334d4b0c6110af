//! Variables of an environment: what its builds and processes find in theirs.
//!
//! All values are sealed. Those said to be secret are never shown again, and are masked in logs.

pub(crate) mod copy;
pub(crate) mod http;
mod input;
pub(crate) mod runtime;
pub(crate) mod store;

use std::fmt;

use chassis::db::Db;
use chassis::seal::{SealError, Sealer};
use common::id::EnvironmentId;
use common::time::Time;
use common::{ExposeSecret as _, SecretString};
use diesel::prelude::*;

use crate::environments::EnvironmentError;
use crate::schema::variables;

/// The longest value, in bytes.
pub(crate) const MAX_VALUE: usize = 64 * 1024;

/// The most variables of one environment.
pub(crate) const MAX_VARIABLES: usize = 256;

const MAX_NAME: usize = 128;

/// A variable's name, as POSIX has them, and none that the platform sets itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct VariableName(String);

/// Why a text is no such name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidVariable {
    /// Not a name that a shell takes.
    #[error("must be 1 to 128 of letters, digits and _, not beginning with a digit")]
    Shape,
    /// One of the platform's.
    #[error("is set by the platform itself")]
    Reserved,
    /// Too long, or with a zero byte.
    #[error("must have a value of at most 65536 bytes without a zero byte")]
    Value,
}

impl VariableName {
    /// Checks and takes the text.
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidVariable> {
        let shaped = (1..=MAX_NAME).contains(&text.len())
            && !text.starts_with(|first: char| first.is_ascii_digit())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !shaped {
            return Err(InvalidVariable::Shape);
        }
        let upper = text.to_ascii_uppercase();
        if upper == "PORT" || upper.starts_with("SLIPWAY_") {
            return Err(InvalidVariable::Reserved);
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for VariableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A variable's value and whether it may be shown.
#[derive(Clone, Debug)]
pub(crate) struct Value {
    value: SecretString,
    secret: bool,
}

impl Value {
    /// Checks and takes a value.
    pub(crate) fn new(value: SecretString, secret: bool) -> Result<Self, InvalidVariable> {
        let text = value.expose_secret();
        if text.len() > MAX_VALUE || text.contains('\0') {
            return Err(InvalidVariable::Value);
        }
        Ok(Self { value, secret })
    }
}

/// A kept variable.
#[derive(Clone, Debug, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = variables)]
pub(crate) struct Variable {
    pub(crate) environment_id: EnvironmentId,
    pub(crate) name: String,
    pub(crate) sealed: Vec<u8>,
    pub(crate) secret: bool,
    pub(crate) updated_at: Time,
}

impl Variable {
    /// Seals a value for its place.
    pub(crate) fn seal(
        sealer: &Sealer,
        environment: &EnvironmentId,
        name: &VariableName,
        value: &Value,
        now: Time,
    ) -> Result<Self, SealError> {
        Ok(Self {
            environment_id: environment.clone(),
            name: name.to_string(),
            sealed: sealer.seal(
                value.value.expose_secret().as_bytes(),
                &place(environment, name.as_str()),
            )?,
            secret: value.secret,
            updated_at: now,
        })
    }

    /// Its value.
    pub(crate) fn open(&self, sealer: &Sealer) -> Result<SecretString, SealError> {
        sealer.open_text(&self.sealed, &place(&self.environment_id, &self.name))
    }
}

impl Variable {
    /// The same variable for another environment.
    fn copied(
        &self,
        sealer: &Sealer,
        environment: &EnvironmentId,
        now: Time,
    ) -> Result<Self, SealError> {
        let value = self.open(sealer)?;
        let place = place(environment, &self.name);
        Ok(Self {
            environment_id: environment.clone(),
            name: self.name.clone(),
            sealed: sealer.seal(value.expose_secret().as_bytes(), &place)?,
            secret: self.secret,
            updated_at: now,
        })
    }
}

/// What ties a sealed value to its row.
fn place(environment: &EnvironmentId, name: &str) -> String {
    format!("variables/{environment}/{name}")
}

/// What is to become of some variables; those not named stay.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changes {
    pub(crate) set: Vec<Variable>,
    pub(crate) remove: Vec<VariableName>,
}

/// Why variables can't be changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VariableError {
    /// There is no such variable.
    #[error("no such variable")]
    NotFound,
    /// It would be a secret that a stranger's commit sees.
    #[error("a fork's preview has no secrets")]
    OfFork,
    /// There would be too many.
    #[error("an environment has at most {MAX_VARIABLES} variables")]
    TooMany,
    /// The environment.
    #[error("the environment is not there")]
    Environment(#[from] EnvironmentError),
    /// The database.
    #[error("the database failed")]
    Db(#[from] diesel::result::Error),
}

/// Applies changes and answers what there is then. The caller holds the project's lock.
pub(crate) fn apply(
    db: &mut Db,
    environment: &EnvironmentId,
    changes: &Changes,
) -> Result<Vec<Variable>, VariableError> {
    for name in &changes.remove {
        store::remove(db, environment, name.as_str())?;
    }
    for variable in &changes.set {
        store::put(db, variable)?;
    }
    let all = store::of_environment(db, environment)?;
    if all.len() > MAX_VARIABLES {
        Err(VariableError::TooMany)
    } else {
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_no_shell_takes_or_the_platform_sets_are_refused() {
        for name in ["DATABASE_URL", "_x", "a1", "PORTAL"] {
            assert!(VariableName::parse(name).is_ok(), "{name}");
        }
        for name in ["", "1A", "A-B", "A B", "A=B", "É", "A\0", &*"A".repeat(129)] {
            assert_eq!(
                VariableName::parse(name),
                Err(InvalidVariable::Shape),
                "{name:?}"
            );
        }
        for name in ["PORT", "port", "SLIPWAY_URL", "slipway_x"] {
            assert_eq!(
                VariableName::parse(name),
                Err(InvalidVariable::Reserved),
                "{name}"
            );
        }
    }

    #[test]
    fn a_value_is_at_most_64_kilobytes_and_has_no_zero_byte() {
        assert!(Value::new("x".repeat(MAX_VALUE).into(), true).is_ok());
        assert!(Value::new("x".repeat(MAX_VALUE + 1).into(), true).is_err());
        assert!(Value::new("a\0b".into(), false).is_err());
        assert!(Value::new("".into(), false).is_ok());
    }
}
