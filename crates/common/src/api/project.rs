//! What project offers to the other services.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret as _, SecretString};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Serialize, Serializer};

use crate::id::EnvironmentId;

fn expose_all<S: Serializer>(
    secrets: &BTreeMap<String, SecretString>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(secrets.len()))?;
    for (name, value) in secrets {
        map.serialize_entry(name, value.expose_secret())?;
    }
    map.end()
}

/// `GET /internal/environments/{id}/runtime`: what an environment's builds and processes get.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EnvironmentRuntime {
    /// The environment.
    pub environment_id: EnvironmentId,
    /// Variables whose values may be shown.
    pub variables: BTreeMap<String, String>,
    /// Variables whose values are masked in logs.
    #[serde(serialize_with = "expose_all")]
    pub secrets: BTreeMap<String, SecretString>,
}
