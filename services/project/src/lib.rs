//! The project service: projects, their environments and variables, what was asked to be
//! built and what came of it, and under which names apps are reached.
//!
//! It decides what is wanted and tells so by events; the provisioner makes it so, and tells
//! in turn what has become of it.

mod answer;
mod builds;
mod credentials;
mod domains;
mod environments;
mod etag;
mod logs;
mod openapi;
mod paths;
mod previews;
mod projects;
mod publications;
mod routes;
mod schema;
mod settings;
mod variables;
mod webhooks;

pub use webhooks::failpoints;

use chassis::calls::Calls;
use chassis::db::{Database, Migrations};
use chassis::events::Handlers;
use chassis::jobs::Workers;
use chassis::members::{self, Members};
use chassis::seal::Sealer;
use chassis::settings::PublicUrls;
use chassis::{Assembly, Context, Service};
use common::event::{AccountEvent, GithubEvent, ProjectEvent, ProvisionerEvent};
use common::time::Clock;
use tokio_util::sync::CancellationToken;
use utoipa::OpenApi as _;

use credentials::sts::Sts;
use domains::check::Checker;
use domains::name::Reserved;
use domains::recheck::Rechecker;
use settings::{AwsSection, DomainsSection, ScaleSection, WebhooksSection};
use webhooks::send::Sender;
use webhooks::worker::Worker;

/// The service's name.
pub const NAME: &str = "project";

/// What handlers work with.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) db: Database,
    pub(crate) clock: Clock,
    pub(crate) calls: Calls,
    pub(crate) members: Members,
    pub(crate) sealer: Sealer,
    pub(crate) urls: PublicUrls,
    /// How many instances of one app may run.
    pub(crate) max_instances: u32,
    pub(crate) domains: Domains,
    pub(crate) webhooks: Sender,
    pub(crate) sts: Sts,
    pub(crate) shutdown: CancellationToken,
}

/// What handlers of domains work with.
#[derive(Clone, Debug)]
pub(crate) struct Domains {
    pub(crate) checker: Checker,
    pub(crate) reserved: Reserved,
    pub(crate) settings: DomainsSection,
}

/// The service's tables.
#[must_use]
pub fn migrations() -> Migrations {
    chassis::migrations!(
        "../../migrations/project/postgres",
        "../../migrations/project/sqlite"
    )
}

/// The service.
#[must_use]
pub fn service() -> Service {
    Service::new(NAME, migrations(), |context: Context| async move {
        let urls = PublicUrls::read(&context.settings)?;
        let domains: DomainsSection = context.settings.section("domains")?;
        let webhooks: WebhooksSection = context.settings.section("webhooks")?;
        let aws: AwsSection = context.settings.section("aws")?;
        let domains = Domains {
            checker: Checker::new(&domains)?,
            reserved: Reserved::new(urls.platform(), urls.apps_domain()),
            settings: domains,
        };
        let rechecker = Rechecker::new(
            context.db.clone(),
            context.clock.clone(),
            domains.checker.clone(),
            &domains.settings,
        );
        let sender = Sender::new(
            &webhooks,
            domains.checker.look_up(),
            context.sealer.clone(),
            context.clock.clone(),
        )?;
        let teller = Worker::new(
            context.db.clone(),
            context.clock.clone(),
            sender.clone(),
            &webhooks,
        )?;
        let scale: ScaleSection = context.settings.section("apps")?;
        let state = State {
            urls,
            max_instances: scale.max_instances,
            domains,
            webhooks: sender,
            sts: Sts::new(aws, context.clock.clone())?,
            db: context.db,
            clock: context.clock,
            calls: context.calls,
            members: context.members,
            sealer: context.sealer,
            shutdown: context.shutdown,
        };
        let workers = projects::purge::workers(Workers::new(), state.clone());
        Ok(Assembly::new()
            .data(state)
            .routes(routes::routes)
            .handlers(handlers())
            .workers(workers)
            .task("domains", |shutdown| rechecker.run(shutdown))
            .task("webhooks", |shutdown| teller.run(shutdown))
            .openapi(openapi::ApiDoc::openapi()))
    })
    .section::<DomainsSection>("domains")
    .section::<WebhooksSection>("webhooks")
    .section::<AwsSection>("aws")
}

/// What the service does on events.
fn handlers() -> Handlers {
    Handlers::new()
        .on::<AccountEvent>("memberships", members::handle)
        .on::<AccountEvent>("closed_accounts", projects::events::on_account)
        .on::<GithubEvent>("moved_repositories", projects::events::on_github)
        .on::<ProvisionerEvent>("progress", builds::events::on_provisioner)
        .on::<ProjectEvent>("webhooks", webhooks::events::on_project)
        .on::<ProvisionerEvent>("webhooks", webhooks::events::on_provisioner)
        .on::<AccountEvent>("webhooks", webhooks::events::on_account)
}
