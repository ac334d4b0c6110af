//! How the service is put together.

use std::sync::Arc;

use chassis::jobs::{Job, JobContext, Timing, Workers};
use chassis::settings::PublicUrls;
use chassis::{Assembly, Context, Service};

use crate::appdb::DatabaseServer;
use crate::build::{Builder, Operator};
use crate::driver::Driver;
use crate::local::{LocalSettings, Supervisor};
use crate::places::{self, Places};
use crate::process::Host;
use crate::settings::{AppsSettings, BuildsSettings};
use crate::state::{Parts, RecordSealer, State};
use crate::{builds, deployments, events, logs, routes, teardown};

/// The service's name.
pub const NAME: &str = "provisioner";

/// How many builds beyond those that run commands may be under way: being fetched, or started.
const AHEAD: usize = 2;

/// The tables of the service.
#[must_use]
pub fn migrations() -> chassis::db::Migrations {
    chassis::migrations!(
        "../../migrations/provisioner/postgres",
        "../../migrations/provisioner/sqlite"
    )
}

/// The service.
#[must_use]
pub fn service() -> Service {
    service_with(|_| {})
}

/// The service, with changes to how it runs apps.
#[must_use]
pub fn service_with(adapt: impl FnOnce(&mut LocalSettings) + Send + 'static) -> Service {
    Service::new(NAME, migrations(), |cx| assemble(cx, adapt))
        .section::<BuildsSettings>("builds")
        .section::<AppsSettings>("apps")
}

async fn assemble(
    cx: Context,
    adapt: impl FnOnce(&mut LocalSettings) + Send,
) -> anyhow::Result<Assembly> {
    let state = state(&cx, adapt).await?;
    // Before anything can happen to them.
    let happenings = state.driver.events();
    deployments::recover::take_up(&state).await?;
    let (reconciled, watched, ingested) = (state.clone(), state.clone(), state.clone());
    let idle = state.clone();
    Ok(Assembly::new()
        .data(state.clone())
        .routes(routes::routes)
        .handlers(events::handlers(&state.apps))
        .workers(workers(&state))
        .task("retire", |shutdown| {
            deployments::reconcile::run(reconciled, shutdown)
        })
        .task("watch", |shutdown| {
            deployments::watch::run(watched, happenings, shutdown)
        })
        .task("idle", |shutdown| {
            deployments::rest::run_idle(idle, shutdown)
        })
        .task("output", |shutdown| logs::ingest::run(ingested, shutdown)))
}

async fn state(
    cx: &Context,
    adapt: impl FnOnce(&mut LocalSettings) + Send,
) -> anyhow::Result<State> {
    let (builds, apps): (BuildsSettings, AppsSettings) =
        (cx.settings.section("builds")?, cx.settings.section("apps")?);
    let host = Host::sharing(&places::node(&cx.data_dir)?, apps.shared());
    let places = Places::open(&host, &cx.data_dir)?;
    let mut settings = LocalSettings::new(places.state());
    settings.temporary_directory = places.temporary();
    settings.ports = apps.first_port..=apps.last_port;
    settings.output_bytes = apps.output_bytes;
    adapt(&mut settings);
    let driver: Arc<dyn Driver> = Arc::new(Supervisor::new(
        &host,
        settings,
        Arc::new(RecordSealer(cx.sealer.clone())),
    )?);
    let operator = Operator::of_this_process();
    let server = apps
        .postgres_url
        .as_ref()
        .map(|url| DatabaseServer::new(url.to_secret_string()));
    Ok(State::new(Parts {
        db: cx.db.clone(),
        clock: cx.clock.clone(),
        calls: cx.calls.clone(),
        sealer: cx.sealer.clone(),
        driver,
        builder: Builder::new(Arc::clone(&host), operator.clone(), builds.limits()),
        node_version: node_version().await,
        operator,
        places,
        postgres: server
            .transpose()?
            .map(|server| server.with_connections(apps.connections)),
        urls: PublicUrls::read(&cx.settings)?,
        host,
        builds,
        apps,
    }))
}

/// The version of Node on this machine, such as `20.20.2`.
async fn node_version() -> Option<String> {
    let output = tokio::process::Command::new("node")
        .arg("--version")
        .output()
        .await
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.trim().strip_prefix('v').map(str::to_owned)
}

fn workers(state: &State) -> Workers {
    let (built, adjusted, torn_down) = (state.clone(), state.clone(), state.clone());
    let lease = state.builds.lease.0;
    let timing = Timing {
        lease,
        renew: lease / 3,
        ..Timing::default()
    };
    Workers::new()
        .with_timing(timing)
        .worker(
            builds::JOB,
            state.builds.concurrency + AHEAD,
            builds::worker::ATTEMPTS,
            move |job: Job, cx: JobContext| builds::worker::run(built.clone(), job, cx),
        )
        .on_failed(builds::JOB, builds::worker::on_failed)
        .worker(
            deployments::adjust::JOB,
            8,
            deployments::adjust::ATTEMPTS,
            move |job: Job, _: JobContext| deployments::adjust::run(adjusted.clone(), job),
        )
        .on_failed(deployments::adjust::JOB, deployments::adjust::on_failed)
        .worker(
            teardown::JOB,
            1,
            teardown::ATTEMPTS,
            move |job: Job, _: JobContext| teardown::run(torn_down.clone(), job),
        )
}
