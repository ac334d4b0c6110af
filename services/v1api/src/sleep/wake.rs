//! Requests for apps that sleep: one wish to wake each app, however many wait for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chassis::calls::Calls;
use chassis::http::ApiError;
use common::api::provisioner::{Standing, StandingAnswer, Wake};
use common::id::EnvironmentId;
use common::problem::Problem;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::table::Table;

/// How long one call to the provisioner waits for the app.
const ONE_CALL: Duration = Duration::from_secs(10);
/// How long to wait before asking again, where the app is said to be live and its address isn't known yet, or
/// the provisioner doesn't answer.
const ASK_AGAIN: Duration = Duration::from_millis(250);
/// For how long an app that could not be started isn't started again.
const REST: Duration = Duration::from_secs(5);
/// When to come back, in seconds.
const RETRY_AFTER: u32 = 5;

/// How requests wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hold {
    /// How long each waits at most.
    pub(crate) longest: Duration,
    /// How many wait for one app.
    pub(crate) per_app: usize,
    /// How many wait for all apps together.
    pub(crate) together: usize,
}

/// Has apps woken; the same for all workers of the process.
#[derive(Clone)]
pub(crate) struct Waker(Arc<Shared>);

struct Shared {
    calls: Calls,
    hold: Hold,
    apps: Mutex<Apps>,
}

#[derive(Default)]
struct Apps {
    by_environment: HashMap<EnvironmentId, App>,
    waiting: usize,
}

/// An app that is being woken, or that couldn't be a moment ago.
struct App {
    waiting: usize,
    /// Whether a task asks for it.
    asked_for: bool,
    failed: watch::Sender<bool>,
    rests_until: Option<Instant>,
}

impl App {
    fn rests(&self, now: Instant) -> bool {
        self.rests_until.is_some_and(|until| now < until)
    }
}

impl Waker {
    /// Asks by these calls.
    pub(crate) fn new(calls: Calls, hold: Hold) -> Self {
        Self(Arc::new(Shared {
            calls,
            hold,
            apps: Mutex::default(),
        }))
    }

    /// Has a request wait for an app, which is woken unless it is being woken already.
    pub(crate) fn wait(&self, environment: &EnvironmentId) -> Result<Waiting, ApiError> {
        let (shared, now) = (&self.0, Instant::now());
        let mut apps = shared.apps();
        apps.by_environment
            .retain(|_, app| app.waiting > 0 || app.asked_for || app.rests(now));
        let known = apps.by_environment.get(environment);
        if known.is_some_and(|app| app.rests(now)) {
            return Err(not_woken());
        }
        let of_app = known.map_or(0, |app| app.waiting);
        if of_app >= shared.hold.per_app || apps.waiting >= shared.hold.together {
            return Err(too_many());
        }
        let is_first = known.is_none_or(|app| !app.asked_for);
        apps.waiting += 1;
        let app = apps
            .by_environment
            .entry(environment.clone())
            .or_insert_with(App::new);
        app.waiting += 1;
        if is_first {
            app.asked_for = true;
            app.failed = watch::Sender::new(false);
            app.rests_until = None;
        }
        let failed = app.failed.subscribe();
        drop(apps);
        if is_first {
            tokio::spawn(Arc::clone(shared).wake(environment.clone()));
        }
        Ok(Waiting {
            shared: Arc::clone(shared),
            environment: environment.clone(),
            failed,
            until: now + shared.hold.longest,
        })
    }
}

impl App {
    fn new() -> Self {
        Self {
            waiting: 0,
            asked_for: false,
            failed: watch::Sender::new(false),
            rests_until: None,
        }
    }
}

impl Shared {
    fn apps(&self) -> MutexGuard<'_, Apps> {
        self.apps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether somebody still waits; if nobody does, nobody asks for the app any more either.
    fn is_waited_for(&self, environment: &EnvironmentId) -> bool {
        let mut apps = self.apps();
        let Some(app) = apps.by_environment.get_mut(environment) else {
            return false;
        };
        app.asked_for = app.waiting > 0;
        app.asked_for
    }

    /// Asks until the app is live where requests find it, can't be started, or nobody waits any more.
    async fn wake(self: Arc<Self>, environment: EnvironmentId) {
        let path = format!("/internal/environments/{environment}/wake");
        let body = Wake {
            wait_ms: u64::try_from(ONE_CALL.as_millis()).unwrap_or(0),
        };
        while self.is_waited_for(&environment) {
            let answer: Result<StandingAnswer, _> =
                self.calls.post("provisioner", &path, &body).await;
            match answer.map(|answer| answer.standing) {
                Ok(Standing::Failed | Standing::Empty) => return self.failed(&environment),
                Ok(Standing::Waking | Standing::Awake | Standing::Asleep) => {}
                Err(error) if error.is_not_found() => return self.failed(&environment),
                Err(error) => {
                    tracing::warn!(environment.id = %environment, error = %error, "an app can't be woken yet");
                }
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    fn failed(&self, environment: &EnvironmentId) {
        if let Some(app) = self.apps().by_environment.get_mut(environment) {
            app.asked_for = false;
            app.rests_until = Some(Instant::now() + REST);
            app.failed.send_replace(true);
        }
    }
}

/// A request that waits for an app.
pub(crate) struct Waiting {
    shared: Arc<Shared>,
    environment: EnvironmentId,
    failed: watch::Receiver<bool>,
    until: Instant,
}

impl Waiting {
    /// Waits until the routes are others, which may be those of the woken app. An error: it isn't woken, or
    /// not in time.
    pub(crate) async fn for_news(
        &mut self,
        routes: &mut watch::Receiver<Arc<Table>>,
    ) -> Result<(), ApiError> {
        tokio::select! {
            _changed = routes.changed() => Ok(()),
            _failed = self.failed.wait_for(|failed| *failed) => Err(not_woken()),
            () = tokio::time::sleep_until(self.until) => Err(too_slow()),
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut apps = self.shared.apps();
        apps.waiting = apps.waiting.saturating_sub(1);
        if let Some(app) = apps.by_environment.get_mut(&self.environment) {
            app.waiting = app.waiting.saturating_sub(1);
        }
    }
}

fn not_woken() -> ApiError {
    let detail = "This app was asleep, and could not be started";
    Problem::unavailable("app_not_woken", detail)
        .retry_after(RETRY_AFTER)
        .into()
}

fn too_slow() -> ApiError {
    let detail = "This app was asleep, and is still being started";
    Problem::unavailable("app_waking", detail)
        .retry_after(RETRY_AFTER)
        .into()
}

fn too_many() -> ApiError {
    let detail = "This app was asleep and is being started; too many wait for it already";
    Problem::unavailable("app_waking", detail)
        .retry_after(RETRY_AFTER)
        .into()
}
