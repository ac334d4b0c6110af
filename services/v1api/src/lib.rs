//! The gateway: the platform's one public address.
//!
//! The host of a request decides first. An app's host, `<label>.<apps domain>`, belongs to the app:
//! all its paths, its cookies, its `Authorization`, its CORS; so does a domain of an account's own that
//! has been verified. On the platform's own host (that of the
//! public URL, `localhost`, or an IP literal) the table in `platform` says which service answers,
//! and `/v1/<name>/…` reaches whatever is named or published under that name. Any other host: 421.
//!
//! A published service learns who calls from the header `Slipway-Identity`, a `forward+jwt` of at
//! most a minute with the audience `service:<name>`, to be verified with the keys at
//! `/.well-known/forward-jwks.json`, as the crate `slipway-forward` does for actix-web. It never sees
//! the caller's own credentials. What a publication says of its endpoints, of other origins' pages, of
//! time and size, holds here.
//!
//! An API key is the JWT itself. Secret scanners find it by its head, which begins with
//! `"typ":"key+jwt"`: `eyJ0eXAiOiJrZXkrand0Iiwi[A-Za-z0-9_-]+\.eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{86}`.

mod access_log;
mod acme;
mod docs;
mod edge;
mod front;
mod health;
mod hosts;
mod keys;
mod limits;
mod metrics;
mod network;
mod platform;
mod proxy;
mod ready;
mod routes;
mod rules;
mod schema;
mod services;
pub mod settings;
mod sleep;
mod state;
mod table;
pub mod tls;
mod usage;
mod view;

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::Context as _;
use chassis::events::Handlers;
use chassis::jobs::Workers;
use chassis::settings::{AppsSection, HttpSettings, PublicUrls, TokenSettings};
use chassis::{Assembly, Context, Service};
use common::event::{AccountEvent, AuthEvent, ProjectEvent, ProvisionerEvent};
use url::Url;
use utoipa::OpenApi as _;

use crate::access_log::{AccessLog, AccessLogSettings};
use crate::acme::Acme;
pub use crate::acme::failing as failing_orders;
use crate::edge::cors::Cors;
use crate::edge::forward::ForwardSigner;
use crate::front::{Gateway, Secure, Trusted, Worker};
use crate::health::{Checker, Health};
use crate::hosts::Hosts;
use crate::limits::broker::Meters;
use crate::metrics::{Failures, Instances, InstancesCollector, Traffic};
use crate::proxy::{HeadLimits, Limits};
use crate::rules::Rules;
use crate::settings::{CorsSettings, GatewaySettings};
use crate::sleep::{Reporter, Waker};
use crate::state::State;
use crate::table::{events, loader::Loader};
use crate::usage::endpoints::fetch::Fetcher;
use crate::usage::flush::Flusher;
use crate::usage::{CountFile, Tallies};

/// The service's name.
pub const NAME: &str = "v1api";

/// The service.
#[must_use]
pub fn service() -> Service {
    let migrations = chassis::migrations!(
        "../../migrations/v1api/postgres",
        "../../migrations/v1api/sqlite"
    );
    Service::new(NAME, migrations, assemble)
        .section::<GatewaySettings>("gateway")
        .section::<AppsSection>("apps")
        .section::<CorsSettings>("cors")
        .section::<AccessLogSettings>("access_log")
}

async fn assemble(context: Context) -> anyhow::Result<Assembly> {
    let settings: GatewaySettings = context.settings.section("gateway")?;
    let urls = PublicUrls::read(&context.settings)?;
    let cors: CorsSettings = context.settings.section("cors")?;
    let log: AccessLogSettings = context.settings.section("access_log")?;
    let http: HttpSettings = context.settings.section("http")?;
    let tokens: TokenSettings = context.settings.section("tokens")?;
    let issuer: Arc<str> = tokens.issuer.into();
    let health = Health::new();
    let rotation = settings.rotation();
    let (db, sealer, clock) = (&context.db, &context.sealer, &context.clock);
    let signer = ForwardSigner::open(db, sealer, clock, &issuer, rotation).await?;
    let loader = Loader::start(context.db.clone()).await?;
    let staleness = tokens.max_staleness.0;
    let rules = Rules::start(context.db.clone(), context.clock.clone(), staleness).await?;
    let (meters, broker) = Meters::new(context.db.clone(), context.clock.clone());
    let figures = figures(&context, &loader, &health);
    let (tallies, flusher) = counting(&context, &settings, figures.traffic)?;
    let fetcher = Fetcher::new(loader.subscribe(), settings.endpoints_refresh.0)?;
    let own_host = settings.public_url.host_str();
    let (certificates, tls, watcher) = tls::start(&settings.tls, own_host, &context.clock)?;
    let acme = Acme::new(&settings.acme, own_host, &context, &certificates)?;
    let apps_authority = urls.apps_authority();
    let checker = Checker::new(
        loader.subscribe(),
        health.clone(),
        context.clock.clone(),
        &apps_authority,
    )?;
    let (access_log, log_keeper) = AccessLog::open(&log, &context.metrics)
        .with_context(|| format!("the access log can't be written to {}", log.output))?;
    let gateway = Gateway {
        hosts: Hosts::new(own_host, urls.apps_domain()),
        cors: Cors::new(
            cors.origins.0,
            settings.public_url.origin().ascii_serialization(),
        ),
        routes: loader.subscribe(),
        limits: limits(&settings),
        max_body: settings.max_body,
        signer: signer.clone(),
        rules: rules.clone(),
        meters,
        tallies,
        published: fetcher.subscribe(),
        services: origins(&context)?,
        trusted: Trusted::parse(&http.trusted_proxies.0)?,
        apps_authority,
        health: health.clone(),
        access_log,
        instances: figures.instances,
        failures: figures.failures,
        issuer: Arc::clone(&issuer),
        secure: Secure::new(&settings, certificates),
        acme: acme.clone(),
        waker: Waker::new(context.calls.clone(), settings.hold()),
        context: context.clone(),
    };
    let reporter = Reporter::new(loader.subscribe(), context.calls.clone());
    let document = routes::ApiDoc::openapi();
    let (db, clock) = (context.db.clone(), context.clock.clone());
    let state = State {
        rules: rules.clone(),
        routes: loader.subscribe(),
        loader: Arc::clone(&loader),
        issuer,
        signer: signer.clone(),
        health,
        documents: docs::Documents::new(serde_json::to_value(&document)?),
        readiness: ready::Readiness::default(),
        context,
    };
    let assembly = certified(Assembly::new(), watcher, acme);
    Ok(assembly
        .tls(tls)
        .data(state)
        .routes(routes::routes)
        .front(move || Worker::new(&gateway))
        .handlers(handlers())
        .openapi(document)
        .task("routes", |shutdown| loader.run(shutdown))
        .task("rules", |shutdown| rules.run(shutdown))
        .task("quotas", |shutdown| broker.run(shutdown))
        .task("rotations", |shutdown| {
            keys::rotate::run(db, clock, shutdown)
        })
        .task("forward keys", |shutdown| signer.run(shutdown))
        .task("health", |shutdown| checker.run(shutdown))
        .task("access log", |shutdown| log_keeper.run(shutdown))
        .task("usage", |shutdown| flusher.run(shutdown))
        .task("activity", |shutdown| reporter.run(shutdown))
        .task("endpoints", |shutdown| fetcher.run(shutdown)))
}

/// Where calls are counted, in a new file, and what brings the counts to the database.
fn counting(
    context: &Context,
    settings: &GatewaySettings,
    traffic: Traffic,
) -> anyhow::Result<(Tallies, Flusher)> {
    let directory = settings.usage_dir(&context.data_dir);
    let file = CountFile::create(&directory);
    let file = file.with_context(|| {
        let directory = directory.display();
        format!("no file to count calls in can be made in {directory}")
    })?;
    let tallies = Tallies::new(file);
    let (db, clock) = (context.db.clone(), context.clock.clone());
    let flusher = Flusher::new(db, clock, tallies.clone(), directory).telling(traffic);
    Ok((tallies, flusher))
}

/// What looks after certificates.
fn certified(
    mut assembly: Assembly,
    watcher: Option<tls::Watcher>,
    acme: Option<Acme>,
) -> Assembly {
    if let Some(watcher) = watcher {
        assembly = assembly.task("certificates", |shutdown| watcher.run(shutdown));
    }
    if let Some(acme) = acme {
        let orders = acme.clone();
        let order = move |job, cx| {
            let orders = orders.clone();
            async move { orders.order(job, cx).await }
        };
        assembly = assembly
            .workers(Workers::new().worker(acme::ORDER, 1, acme::ATTEMPTS, order))
            .task("acme", |shutdown| acme.run(shutdown));
    }
    assembly
}

/// What is done on others' events.
fn handlers() -> Handlers {
    Handlers::new()
        .on::<ProjectEvent>("routes", events::on_project)
        .on::<ProvisionerEvent>("routes", events::on_provisioner)
        .on::<AccountEvent>("memberships", events::on_account)
        .on::<AuthEvent>("keys", keys::events::on_auth)
}

/// What shows in `/metrics`.
struct Figures {
    traffic: Traffic,
    instances: Instances,
    failures: Arc<Failures>,
}

fn figures(context: &Context, loader: &Loader, health: &Health) -> Figures {
    let (traffic, instances) = (Traffic::default(), Instances::default());
    let failures = Arc::new(Failures::default());
    let metrics = &context.metrics;
    metrics.collect(traffic.clone());
    let routes = loader.subscribe();
    let by_service = InstancesCollector::new(instances.clone(), routes, health.clone());
    metrics.collect(by_service);
    metrics.register(
        "gateway_upstream_failures",
        "Requests that got no answer from their upstream",
        failures.family(),
    );
    Figures {
        traffic,
        instances,
        failures,
    }
}

/// How long upstreams are waited for, and how much of them is taken and kept.
fn limits(settings: &GatewaySettings) -> Limits {
    Limits {
        connect: settings.connect_timeout.0,
        head: settings.upstream_timeout.0,
        idle: settings.idle_timeout.0,
        idle_per_upstream: settings.idle_connections,
        heads: HeadLimits {
            headers: settings.max_response_headers,
            bytes: settings.max_response_head,
        },
    }
}

/// The platform services' addresses, as `host:port`.
fn origins(context: &Context) -> anyhow::Result<HashMap<&'static str, Arc<str>>> {
    let mut origins = HashMap::new();
    for service in platform::SERVICES {
        let address = context
            .calls
            .directory()
            .get(service)
            .with_context(|| format!("no address of the {service} service"))?;
        let url: Url = address
            .api
            .parse()
            .with_context(|| format!("the address of the {service} service"))?;
        let host = url
            .host_str()
            .with_context(|| format!("the address of the {service} service has no host"))?;
        origins.insert(
            *service,
            format!("{host}:{}", url.port_or_known_default().unwrap_or(80)).into(),
        );
    }
    Ok(origins)
}
