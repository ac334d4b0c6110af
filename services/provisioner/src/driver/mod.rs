//! How a release runs: what every driver offers to the deployer.
//!
//! An instance is one running copy of a release behind one address. The deployer starts the new
//! release's instances, switches traffic to their addresses, then stops the old ones.

mod error;
mod types;

use futures_util::future::BoxFuture;
use tokio::sync::broadcast;

pub use error::{DriverError, StartError};
pub use types::{
    Adopted, HealthCheck, Instance, InstanceEvent, InstanceSpec, InstanceState, OutputSlice,
    StartCommand,
};

/// Something that runs instances and keeps them running.
pub trait Driver: Send + Sync {
    /// The driver's name in settings, records and logs.
    fn name(&self) -> &'static str;

    /// Starts an instance and answers once it is healthy. One that doesn't become healthy is ended
    /// and its traces removed before the error is given.
    ///
    /// The start goes on when the returned future is dropped; [`stop`](Self::stop) ends it.
    fn start(&self, spec: InstanceSpec) -> BoxFuture<'_, Result<Instance, StartError>>;

    /// Asks an instance to end, waits its grace, and ends it by force if need be. Stopping one that
    /// isn't there succeeds. Its output can be read until [`forget`](Self::forget).
    fn stop<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<(), DriverError>>;

    /// Removes what is kept of a stopped instance.
    fn forget<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<(), DriverError>>;

    /// All instances, in any state.
    fn list(&self) -> BoxFuture<'_, Vec<Instance>>;

    /// Takes up what ran before a restart of Slipway: each instance is adopted or ended. Called once,
    /// before any build or start.
    fn adopt_all(&self) -> BoxFuture<'_, Result<Adopted, DriverError>>;

    /// What happens to instances from now on. A receiver that lags should [`list`](Self::list).
    fn events(&self) -> broadcast::Receiver<InstanceEvent>;

    /// What the instance has printed from byte `offset` on, at most `at_most` bytes. When there is
    /// nothing yet, waits for it up to a second.
    fn output<'a>(
        &'a self,
        id: &'a str,
        offset: u64,
        at_most: usize,
    ) -> BoxFuture<'a, Result<OutputSlice, DriverError>>;
}
