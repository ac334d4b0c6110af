//! What handlers and workers work with.

use std::io;
use std::sync::Arc;

use chassis::calls::Calls;
use chassis::db::Database;
use chassis::seal::Sealer;
use chassis::settings::PublicUrls;
use common::time::Clock;

use crate::appdb::DatabaseServer;
use crate::build::{Builder, Operator};
use crate::driver::Driver;
use crate::local;
use crate::places::Places;
use crate::process::{Host, UidRange};
use crate::settings::{AppsSettings, BuildsSettings};

/// The service's parts; cheap to clone.
#[derive(Clone)]
pub(crate) struct State(Arc<Parts>);

/// See [`State`].
pub(crate) struct Parts {
    /// The database.
    pub(crate) db: Database,
    /// The time.
    pub(crate) clock: Clock,
    /// Calls to the other services.
    pub(crate) calls: Calls,
    /// Seals what is secret.
    pub(crate) sealer: Sealer,
    /// The machine.
    pub(crate) host: Arc<Host>,
    /// What runs releases.
    pub(crate) driver: Arc<dyn Driver>,
    /// What runs builds.
    pub(crate) builder: Builder,
    /// The operator's own settings for builds.
    pub(crate) operator: Operator,
    /// Directories.
    pub(crate) places: Places,
    /// `[builds]`
    pub(crate) builds: BuildsSettings,
    /// `[apps]`
    pub(crate) apps: AppsSettings,
    /// Where apps get their databases.
    pub(crate) postgres: Option<DatabaseServer>,
    /// The version of Node on this machine.
    pub(crate) node_version: Option<String>,
    /// Where apps are reached.
    pub(crate) urls: PublicUrls,
}

impl State {
    pub(crate) fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// This machine's name among provisioners.
    pub(crate) fn node(&self) -> &str {
        self.host.node()
    }

    /// The user ids that accounts' apps run as; none where Slipway isn't root.
    pub(crate) fn uids(&self) -> Option<UidRange> {
        let range = UidRange {
            first: self.apps.first_uid,
            count: self.apps.uids,
        };
        self.host.capabilities().own_users.then_some(range)
    }
}

impl std::ops::Deref for State {
    type Target = Parts;
    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "State({})", self.node())
    }
}

/// Seals what the driver's records hold.
#[derive(Debug)]
pub(crate) struct RecordSealer(pub(crate) Sealer);

/// What the seal of a record is bound to.
const PLACE: &str = "provisioner/instance-records";

impl local::Sealer for RecordSealer {
    fn seal(&self, plain: &[u8]) -> io::Result<Vec<u8>> {
        self.0.seal(plain, PLACE).map_err(io::Error::other)
    }

    fn open(&self, sealed: &[u8]) -> io::Result<Vec<u8>> {
        self.0.open(sealed, PLACE).map_err(io::Error::other)
    }
}
