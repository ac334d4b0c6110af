//! Releases: what builds made, and which of them are kept.

pub(crate) mod store;

use std::path::PathBuf;

use common::id::{AccountId, BuildId, EnvironmentId, ReleaseId};
use common::time::Time;

use crate::detect::Plan;

/// What a build made.
#[derive(Clone, Debug)]
pub(crate) struct Release {
    pub(crate) id: ReleaseId,
    pub(crate) environment_id: EnvironmentId,
    pub(crate) account_id: AccountId,
    pub(crate) build_id: BuildId,
    pub(crate) node: String,
    pub(crate) directory: PathBuf,
    pub(crate) plan: Plan,
    pub(crate) commit_id: String,
    pub(crate) message: String,
    pub(crate) created_at: Time,
}
