//! Where lines come from, and what is known of the build or environment they are of.

use chassis::calls::{CallError, Calls};
use chassis::db::Database;
use common::api::provisioner::LogPage;
use common::event::BuildState;
use common::id::{BuildId, EnvironmentId};

use crate::{builds, environments};

/// How many lines one page has at most.
pub(super) const PAGE: usize = 500;

/// How long the provisioner waits for a line before it answers that there is none.
const WAIT_MS: u64 = 10_000;

/// Whose log it is.
#[derive(Clone, Debug)]
pub(super) enum Subject {
    /// A build's.
    Build(BuildId),
    /// The running app's.
    Environment(EnvironmentId),
}

/// How things stand with the subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// More lines may come.
    Going(Option<BuildState>),
    /// None will come but those that are there.
    Over(Option<BuildState>),
}

impl Standing {
    /// The build's state, as text.
    pub(super) fn state(self) -> Option<&'static str> {
        let (Self::Going(state) | Self::Over(state)) = self;
        state.map(BuildState::as_str)
    }
}

impl Subject {
    /// The lines after a number; waits for one if there is none and `wait` is set. A log that the
    /// provisioner doesn't know yet is an empty one.
    pub(super) async fn page(
        &self,
        calls: &Calls,
        after: i64,
        wait: bool,
    ) -> Result<LogPage, CallError> {
        let path = match self {
            Self::Build(id) => format!("/internal/builds/{id}/log"),
            Self::Environment(id) => format!("/internal/environments/{id}/log"),
        };
        let wait_ms = if wait { WAIT_MS } else { 0 };
        let path = format!("{path}?after={after}&limit={PAGE}&wait_ms={wait_ms}");
        let page = calls.get_opt("provisioner", &path).await?;
        Ok(page.unwrap_or(LogPage {
            lines: Vec::new(),
            ended: false,
            last: 0,
        }))
    }

    /// How things stand, by what is known here.
    pub(super) async fn standing(&self, db: &Database) -> Result<Standing, diesel::result::Error> {
        match self.clone() {
            Self::Build(id) => {
                let state = db.read(move |db| builds::store::state(db, &id)).await?;
                let over = state.is_none_or(BuildState::is_final);
                Ok(if over {
                    Standing::Over(state)
                } else {
                    Standing::Going(state)
                })
            }
            Self::Environment(id) => {
                let found = db
                    .read(move |db| environments::store::find_any(db, &id))
                    .await?;
                Ok(if found.is_some() {
                    Standing::Going(None)
                } else {
                    Standing::Over(None)
                })
            }
        }
    }
}
