//! Waiting for a condition instead of for a time.

use std::future::Future;
use std::time::Duration;

/// How long a condition may take to come true. Generous: a slow machine is not a failure.
const LIMIT: Duration = Duration::from_mins(1);

/// How long to wait between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// Waits until `condition` gives a value, and gives that.
///
/// # Panics
/// With `what` when it hasn't after 60 seconds.
#[track_caller]
pub fn eventually<T>(
    what: &str,
    mut condition: impl FnMut() -> Option<T>,
) -> impl Future<Output = T> {
    eventually_async(what, move || std::future::ready(condition()))
}

/// Like [`eventually`], for a condition that has to be awaited.
///
/// # Panics
/// With `what` when it hasn't come true after 60 seconds.
#[track_caller]
pub fn eventually_async<T, F>(
    what: &str,
    mut condition: impl FnMut() -> F,
) -> impl Future<Output = T>
where
    F: Future<Output = Option<T>>,
{
    let caller = std::panic::Location::caller();
    let what = what.to_owned();
    async move {
        let looking = async {
            loop {
                if let Some(value) = condition().await {
                    return value;
                }
                tokio::time::sleep(PAUSE).await;
            }
        };
        let found = tokio::time::timeout(LIMIT, looking).await;
        found.unwrap_or_else(|elapsed| panic!("{caller}: not within {LIMIT:?}: {what} ({elapsed})"))
    }
}
