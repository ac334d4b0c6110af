//! The last moment between "live" and an address that answers.

use std::time::Duration;

use tokio::time::Instant;

use crate::api::{Api, Environment};

/// The gateway learns of a release at the same time as we do; this is far longer than that takes.
const PATIENCE: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(20);

/// Waits until the gateway passes requests on to the app, so that whoever reads the address next
/// can use it. What the app itself answers doesn't matter.
pub(super) async fn wait(api: &Api, environment: &Environment) {
    let Ok(url) = environment.url.parse() else {
        return;
    };
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        match api.call_app(&url, "/").await {
            Err(error) if error.is("unknown_app") || error.is("not_deployed") => {
                tokio::time::sleep(PAUSE).await;
            }
            _ => return,
        }
    }
}
