//! Telling the provisioner which apps were asked for.

use std::sync::Arc;
use std::time::Duration;

use chassis::calls::Calls;
use common::api::provisioner::{Activity as Told, ActivityReport};
use serde_json::Value;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Activity, Seen};
use crate::table::Table;

/// How often is told, if there is news: much more often than the shortest sleep that can be asked for.
const PERIOD: Duration = Duration::from_secs(2);

/// Tells of this process's requests.
pub(crate) struct Reporter {
    routes: watch::Receiver<Arc<Table>>,
    calls: Calls,
}

impl Reporter {
    /// Tells of requests to these routes.
    pub(crate) fn new(routes: watch::Receiver<Arc<Table>>, calls: Calls) -> Self {
        Self { routes, calls }
    }

    /// Tells now and then, until the service stops.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        let mut failing = false;
        while tokio::time::timeout(PERIOD, shutdown.cancelled())
            .await
            .is_err()
        {
            match self.tell().await {
                Ok(()) => failing = false,
                Err(error) if !failing => {
                    failing = true;
                    tracing::warn!(error = %error, "the provisioner can't be told which apps are asked for");
                }
                Err(_still) => {}
            }
        }
    }

    async fn tell(&self) -> Result<(), chassis::calls::CallError> {
        let (report, seen) = self.report();
        if report.apps.is_empty() {
            return Ok(());
        }
        let _nothing: Value = self
            .calls
            .post("provisioner", "/internal/activity", &report)
            .await?;
        for (activity, seen) in seen {
            activity.told(seen);
        }
        Ok(())
    }

    fn report(&self) -> (ActivityReport, Vec<(Arc<Activity>, Seen)>) {
        let table = Arc::clone(&self.routes.borrow());
        let (mut apps, mut all) = (Vec::new(), Vec::new());
        for route in table.apps() {
            let Some(activity) = &route.activity else {
                continue;
            };
            let Some(seen) = activity.news() else {
                continue;
            };
            apps.push(Told {
                environment_id: route.environment_id.clone(),
                idle_ms: seen.idle_ms,
            });
            all.push((Arc::clone(activity), seen));
        }
        (ActivityReport { apps }, all)
    }
}
