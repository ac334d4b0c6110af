//! Repositories: where they come from, and how commits get in and out.
//!
//! Today they come from one provider, `local`: repositories that the operator laid under
//! `<data>/repos`, open to all accounts, and those that accounts push to
//! `/git/<account id>/<repository>.git`. Others stand behind the same boundary, [`provider`].

mod accounts;
mod git;
mod provider;
mod repositories;
mod routes;
mod schema;
mod settings;
mod smart;
mod state;
mod storage;

use std::time::Duration;

use chassis::events::Handlers;
use common::event::AccountEvent;
use tokio_util::sync::CancellationToken;
use utoipa::OpenApi as _;

pub use settings::Settings;
pub(crate) use state::State;

/// The service's name.
pub const NAME: &str = "github";

/// How often is looked for what was left undone.
const CARE_INTERVAL: Duration = Duration::from_mins(1);

/// The service, ready to be run.
#[must_use]
pub fn service() -> chassis::Service {
    let migrations = chassis::migrations!(
        "../../migrations/github/postgres",
        "../../migrations/github/sqlite"
    );
    chassis::Service::new(NAME, migrations, |context: chassis::Context| async move {
        let settings: Settings = context.settings.section("github")?;
        let state = State::open(&context, &settings).await?;
        let caring = state.clone();
        Ok(chassis::Assembly::new()
            .data(state)
            .routes(routes::routes)
            .handlers(handlers())
            .openapi(routes::ApiDoc::openapi())
            .task("care", move |shutdown| care(caring, shutdown)))
    })
    .section::<Settings>("github")
}

fn handlers() -> Handlers {
    Handlers::new()
        .on::<AccountEvent>("memberships", chassis::members::handle)
        .on::<AccountEvent>("accounts", accounts::handle)
}

/// Tells what a crash has left untold, and removes what was kept for long enough: at once, and
/// then again and again.
async fn care(state: State, shutdown: CancellationToken) {
    loop {
        if let Err(error) = state.care().await {
            tracing::warn!(error = %error, cause = ?std::error::Error::source(&error), "repositories could not be cared for");
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(CARE_INTERVAL) => {}
        }
    }
}
