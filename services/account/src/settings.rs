//! `[accounts]`: who may make accounts, and how long invites live.

use chassis::settings::{Duration, Section};
use serde::{Deserialize, Serialize};

/// `[accounts]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Whether external users may make accounts of their own; else only admins do.
    pub self_service: bool,
    /// How long an invite lives unless it says otherwise.
    pub invite_lifetime: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            self_service: false,
            invite_lifetime: Duration::secs(7 * 86_400),
        }
    }
}

impl Section for Settings {
    fn validate(&self) -> Result<(), String> {
        crate::invites::Lifetime::new(self.invite_lifetime)
            .map(drop)
            .map_err(|why| format!("`invite_lifetime` {why}"))
    }
}
