//! What handlers work with.

use chassis::calls::Calls;
use chassis::db::Database;
use common::time::Clock;

use crate::settings::Settings;

/// The service's parts; cheap to clone.
#[derive(Clone, Debug)]
pub struct State {
    /// The database.
    pub db: Database,
    /// The time.
    pub clock: Clock,
    /// Calls to the other services.
    pub calls: Calls,
    /// Who may do what, and for how long.
    pub settings: Settings,
}
