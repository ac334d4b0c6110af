//! What a service is given to work with.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, RwLock};

use common::time::Clock;
use tokio_util::sync::CancellationToken;

use crate::auth::Verifier;
use crate::calls::Calls;
use crate::db::Database;
use crate::events::Signals;
use crate::members::Members;
use crate::metrics::Metrics;
use crate::seal::Sealer;
use crate::settings::Settings;

/// A service's surroundings; cheap to clone.
#[derive(Clone, Debug)]
pub struct Context {
    /// The service's name.
    pub service: &'static str,
    /// The time.
    pub clock: Clock,
    /// The service's own database.
    pub db: Database,
    /// Calls to the other services.
    pub calls: Calls,
    /// Verification of tokens.
    pub verifier: Verifier,
    /// Who is a member of which account.
    pub members: Members,
    /// All settings.
    pub settings: Settings,
    /// Hints to the other processes that something they keep in memory has changed.
    pub signals: Signals,
    /// Seals and opens secrets.
    pub sealer: Sealer,
    /// Counters for `/metrics`.
    pub metrics: Metrics,
    /// What must be there before the service is ready.
    pub readiness: Readiness,
    /// Fires when the process stops.
    pub shutdown: CancellationToken,
    /// Where the platform keeps its files.
    pub data_dir: PathBuf,
    /// Whether all services run in this one process.
    pub embedded: bool,
}

type Check = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = bool> + Send>> + Send + Sync>;

/// Named conditions of being ready.
#[derive(Clone, Default)]
pub struct Readiness(Arc<RwLock<Vec<(&'static str, Check)>>>);

impl std::fmt::Debug for Readiness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Readiness")
    }
}

impl Readiness {
    /// Adds a condition.
    pub fn require<F, R>(&self, name: &'static str, check: F)
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = bool> + Send + 'static,
    {
        let check: Check = Arc::new(move || Box::pin(check()));
        self.0
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .push((name, check));
    }

    /// The conditions that don't hold.
    pub(crate) async fn missing(&self, context: &Context) -> Vec<&'static str> {
        let checks = self
            .0
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone();
        let mut missing = Vec::new();
        if context.db.ping().await.is_err() {
            missing.push("database");
        }
        if !context.verifier.has_keys() && context.verifier.refresh().await.is_err() {
            missing.push("keys");
        }
        if !context.verifier.is_fresh() {
            missing.push("revocations");
        }
        for (name, check) in checks {
            if !check().await {
                missing.push(name);
            }
        }
        missing
    }
}
