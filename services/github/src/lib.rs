//! Repositories: where they come from, and how commits get in and out.
//!
//! They come from two providers. `local` has the repositories that the operator laid under
//! `<data>/repos`, open to all accounts, and those that accounts push to
//! `/git/<account id>/<repository>.git`. `github` has those that an account's [`installations`] of
//! the GitHub [`app`] reach. Both stand behind one boundary, [`provider`].

mod accounts;
mod app;
mod comments;
mod deliveries;
mod git;
mod installations;
mod provider;
mod reports;
mod repositories;
mod routes;
mod schema;
mod settings;
mod smart;
mod state;
mod storage;

use std::time::Duration;

use chassis::events::Handlers;
use chassis::jobs::Workers;
use chassis::settings::{GithubSettings, PublicUrls};
use common::event::{AccountEvent, ProjectEvent, ProvisionerEvent};
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
        let calls = context.calls.clone();
        let workers = deliveries::work::workers(Workers::new(), state.clone(), calls);
        let urls = PublicUrls::read(&context.settings)?;
        let github = state.provider.github.clone();
        let workers = reports::work::workers(workers, github.clone(), urls.clone());
        let workers = comments::work::workers(workers, github, urls);
        Ok(chassis::Assembly::new()
            .data(state)
            .routes(routes::routes)
            .handlers(handlers())
            .workers(workers)
            .openapi(routes::ApiDoc::openapi())
            .task("care", move |shutdown| care(caring, shutdown)))
    })
    .section::<Settings>(NAME)
    .section::<GithubSettings>(NAME)
}

fn handlers() -> Handlers {
    Handlers::new()
        .on::<AccountEvent>("memberships", chassis::members::handle)
        .on::<AccountEvent>("accounts", accounts::handle)
        .on::<ProjectEvent>("comments", comments::events::on_project)
        .on::<ProjectEvent>("reports", reports::events::on_project)
        .on::<ProvisionerEvent>("reports", reports::events::on_provisioner)
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
