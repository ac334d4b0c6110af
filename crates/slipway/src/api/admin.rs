//! What operators do.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Api, ApiError};

/// A signing key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SigningKey {
    pub(crate) kid: String,
    pub(crate) algorithm: String,
    pub(crate) state: String,
    pub(crate) created_at: String,
    pub(crate) changed_at: String,
}

/// All signing keys.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct SigningKeys {
    pub(crate) keys: Vec<SigningKey>,
}

/// What has come of a wish for another key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Rotated {
    pub(crate) rotated: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rotates_at: Option<String>,
    pub(crate) keys: Vec<SigningKey>,
}

/// What has become of some people.
#[derive(Debug, Deserialize)]
pub(crate) struct Imported {
    pub(crate) results: Vec<ImportResult>,
}

/// What has become of one.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ImportResult {
    pub(crate) status: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}

impl Api {
    pub(crate) async fn signing_keys(&self) -> Result<SigningKeys, ApiError> {
        self.get("/auth/admin/keys").await
    }

    pub(crate) async fn rotate_keys(&self, now: bool) -> Result<Rotated, ApiError> {
        self.post("/auth/admin/keys/rotate", &json!({ "now": now }))
            .await
    }

    pub(crate) async fn revoke_key(&self, kid: &str) -> Result<(), ApiError> {
        let kid = percent_encoding::utf8_percent_encode(kid, percent_encoding::NON_ALPHANUMERIC);
        self.delete(&format!("/auth/admin/keys/{kid}")).await
    }

    pub(crate) async fn import(&self, rows: &[Value]) -> Result<Imported, ApiError> {
        self.post(
            "/auth/admin/identities/import",
            &json!({ "identities": rows }),
        )
        .await
    }
}
