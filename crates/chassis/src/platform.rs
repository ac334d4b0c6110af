//! Starting services: one for a process of its own, or all of them in one.
//!
//! Nothing but [`Launch`] tells the two ways apart.

use std::collections::BTreeMap;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use common::random;
use common::time::Clock;
use secrecy::SecretString;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::auth::{KeySource, Verifier};
use crate::calls::{Address, Calls, Directory};
use crate::context::{Context, Readiness};
use crate::db::{Database, Location, own_migrations};
use crate::events::{AmqpOptions, Bus, Handlers};
use crate::feed;
use crate::http::{Description, Listeners, Routes, Server, ServerParts};
use crate::jobs;
use crate::members::Members;
use crate::metrics::Metrics;
use crate::seal::Sealer;
use crate::service::{Assembly, Service};
use crate::settings::{AmqpSettings, Core, DatabaseSettings, Named, ServiceSettings, Settings};

/// The services of the platform, with the port that each takes where it runs by itself;
/// its private listener is 1000 above.
pub const SERVICES: [(&str, u16); 6] = [
    ("v1api", 8080),
    ("auth", 8081),
    ("account", 8082),
    ("project", 8083),
    ("github", 8084),
    ("provisioner", 8085),
];

/// How long running work may take to end when the process stops.
const TASK_GRACE: Duration = Duration::from_secs(15);

/// What to start, and how.
#[derive(Debug)]
pub struct Launch {
    /// The services of this process.
    pub services: Vec<Service>,
    /// All settings.
    pub settings: Settings,
    /// The time.
    pub clock: Clock,
    /// Whether these are all the services there are: then they find one another by themselves and
    /// events stay inside, unless a broker is configured.
    pub embedded: bool,
}

/// Running services.
pub struct Platform {
    directory: Directory,
    servers: Vec<Server>,
    tasks: JoinSet<()>,
    shutdown: CancellationToken,
    contexts: Vec<Context>,
    tls_addresses: BTreeMap<&'static str, std::net::SocketAddr>,
}

impl std::fmt::Debug for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Platform({:?})", self.directory)
    }
}

/// What all services of the process share.
struct Ground {
    core: Core,
    settings: Settings,
    clock: Clock,
    directory: Directory,
    secrets: BTreeMap<String, SecretString>,
    bus: Bus,
    sealer: Sealer,
    shutdown: CancellationToken,
    embedded: bool,
}

/// Starts services: binds their sockets, prepares their tables, then serves.
pub async fn start(launch: Launch) -> anyhow::Result<Platform> {
    let Launch {
        services,
        settings,
        clock,
        embedded,
    } = launch;
    crate::install_tls();
    let core = Core::read(&settings)?;
    for service in &services {
        service.show_settings(&settings)?;
    }
    let data_dir = settings.data_dir();
    make_private(&data_dir)?;
    let sealer = Sealer::open_or_create(&core.secrets, &data_dir)?;
    let mut listeners = BTreeMap::new();
    for service in &services {
        listeners.insert(service.name, bind(service.name, &core.services, embedded)?);
    }
    let directory = directory(&core.services, &listeners)?;
    let secrets = secrets(&core.services, embedded);
    let shutdown = CancellationToken::new();
    let bus = bus(&core.amqp)?;
    let ground = Arc::new(Ground {
        core,
        settings: with_secrets(settings, &secrets)?,
        clock,
        directory: directory.clone(),
        secrets,
        bus: bus.clone(),
        sealer,
        shutdown: shutdown.clone(),
        embedded,
    });
    let mut platform = Platform {
        directory,
        servers: Vec::new(),
        tasks: JoinSet::new(),
        shutdown: shutdown.clone(),
        contexts: Vec::new(),
        tls_addresses: BTreeMap::new(),
    };
    for service in services {
        let name = service.name;
        let sockets = listeners
            .remove(name)
            .context("a service without sockets")?;
        if let Err(error) = platform.add(&ground, service, sockets).await {
            platform.stop().await;
            return Err(error.context(format!("the {name} service can't start")));
        }
    }
    // Only now, when each consumer has said what it wants: nobody misses anything.
    platform.tasks.spawn(bus.run(shutdown));
    Ok(platform)
}

impl Platform {
    async fn add(
        &mut self,
        ground: &Arc<Ground>,
        service: Service,
        sockets: Listeners,
    ) -> anyhow::Result<()> {
        let name = service.name;
        let db = Database::new(location(ground, name), tokio::runtime::Handle::current());
        db.migrate(vec![own_migrations(), service.migrations])
            .await?;
        if !db.is_postgres() {
            // The file is this process's alone: whoever had jobs in hand is dead.
            let now = ground.clock.now();
            db.write(move |db| jobs::end_leases(db, now)).await?;
        }
        let mut context = ground.context(&service, db)?;
        let assembly = (service.assemble)(context.clone()).await?;
        if let Some(members) = &assembly.members {
            context.members = members.clone();
        }
        self.contexts.push(context.clone());
        let Assembly {
            data,
            routes,
            handlers,
            workers,
            openapi,
            feeds,
            tasks,
            members: _,
            front,
            tls,
        } = assembly;
        if let Some(tls) = &tls {
            self.tls_addresses.insert(name, tls.address()?);
        }
        self.spawn_events(ground, &context, handlers);
        let workers_done = workers.run(
            context.db.clone(),
            context.clock.clone(),
            self.shutdown.clone(),
        );
        self.tasks.spawn(workers_done);
        for (_, run) in tasks {
            self.tasks.spawn(run(self.shutdown.clone()));
        }
        self.follow_revocations(ground, &context, service.issues_tokens);
        let define = routes.unwrap_or_else(|| Arc::new(|_: &mut Routes| {}));
        let openapi = openapi.map(serde_json::to_value).transpose()?;
        let description = Description {
            routes: Routes::of(&*define).list(),
            openapi,
            feeds,
        };
        let settings = ground.core.http.clone();
        let parts = ServerParts {
            context,
            define,
            data,
            description,
            settings,
            front,
            tls,
        };
        self.servers.push(Server::start(parts, sockets)?);
        Ok(())
    }

    fn spawn_events(&mut self, ground: &Ground, context: &Context, handlers: Handlers) {
        let (db, clock, bus) = (
            context.db.clone(),
            context.clock.clone(),
            ground.bus.clone(),
        );
        let events = bus.service(context.service, db.clone(), handlers, clock.clone());
        self.tasks.spawn(events.run(self.shutdown.clone()));
        self.tasks
            .spawn(feed::clean(db, clock, self.shutdown.clone()));
        context
            .readiness
            .require("broker", move || std::future::ready(bus.ready()));
    }

    /// Keeps the verifier's list of revocations: auth from its own table, the others over HTTP.
    fn follow_revocations(&mut self, ground: &Ground, context: &Context, own: bool) {
        let verifier = context.verifier.clone();
        let (db, calls, clock) = (
            context.db.clone(),
            context.calls.clone(),
            context.clock.clone(),
        );
        let fetch = move |since: i64| {
            let (db, calls, clock) = (db.clone(), calls.clone(), clock.clone());
            async move {
                if own {
                    let now = clock.now();
                    return feed::local_page(&db, "revocations", since, now).await;
                }
                let path = format!("/internal/feeds/revocations?since={since}");
                Ok(calls.get("auth", &path).await?)
            }
        };
        let max_staleness = ground.core.tokens.max_staleness.0;
        let follower = feed::Follower::new(
            "revocations",
            context.signals.clone(),
            max_staleness,
            fetch,
            move |entry| verifier.revoke(entry),
        );
        context.verifier.set_freshness(follower.freshness());
        self.tasks.spawn(follower.run(self.shutdown.clone()));
    }

    /// Where the services are.
    #[must_use]
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Where a service of this process listens for TLS, if it does.
    #[must_use]
    pub fn tls_address(&self, service: &str) -> Option<std::net::SocketAddr> {
        self.tls_addresses.get(service).copied()
    }

    /// The surroundings of a service of this process, for tests and the command line.
    #[must_use]
    pub fn context(&self, service: &str) -> Option<&Context> {
        self.contexts
            .iter()
            .find(|context| context.service == service)
    }

    /// Waits until every service of this process is ready.
    ///
    /// # Errors
    /// When that takes longer than `patience`: what is missing.
    pub async fn wait_until_ready(&self, patience: Duration) -> anyhow::Result<()> {
        let waiting = async {
            for context in &self.contexts {
                while !context.readiness.missing(context).await.is_empty() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
        };
        if tokio::time::timeout(patience, waiting).await.is_ok() {
            return Ok(());
        }
        let mut missing = Vec::new();
        for context in &self.contexts {
            let of_service = context.readiness.missing(context).await;
            missing.extend(
                of_service
                    .into_iter()
                    .map(|what| format!("{}: {what}", context.service)),
            );
        }
        anyhow::bail!("not ready after {patience:?}: {}", missing.join(", "))
    }

    /// Stops accepting, drains requests, stops consumers and workers, within bounds.
    pub async fn stop(mut self) {
        let servers = self.servers.drain(..).map(Server::stop);
        futures_util::future::join_all(servers).await;
        self.shutdown.cancel();
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(TASK_GRACE, ended).await.is_err() {
            tracing::warn!("some work did not end in time and is cut off");
            self.tasks.shutdown().await;
        }
    }
}

impl Ground {
    fn context(&self, service: &Service, db: Database) -> anyhow::Result<Context> {
        let name = service.name;
        let secret = self.secrets.get(name).cloned().with_context(|| {
            format!(
                "no secret for the {name} service: set SLIPWAY_SERVICES__{}__SECRET",
                name.to_uppercase()
            )
        })?;
        let calls = Calls::new(name, secret, self.directory.clone(), self.clock.clone())?;
        let source = if service.issues_tokens {
            KeySource::Own
        } else {
            KeySource::Remote
        };
        Ok(Context {
            service: name,
            clock: self.clock.clone(),
            members: Members::copy(db.clone(), calls.clone()),
            db,
            verifier: Verifier::new(
                self.core.tokens.issuer.clone(),
                self.clock.clone(),
                source,
                calls.clone(),
            ),
            calls,
            settings: self.settings.clone(),
            signals: self.bus.signals().clone(),
            sealer: self.sealer.clone(),
            metrics: Metrics::new(name),
            readiness: Readiness::default(),
            shutdown: self.shutdown.clone(),
            data_dir: self.settings.data_dir(),
            embedded: self.embedded,
        })
    }
}

/// Makes a directory that is nobody else's.
fn make_private(dir: &Path) -> anyhow::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .and_then(|()| std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700)))
        .with_context(|| format!("the data directory {} can't be made", dir.display()))
}

fn bind(
    name: &str,
    services: &Named<ServiceSettings>,
    embedded: bool,
) -> anyhow::Result<Listeners> {
    let settings = services.0.get(name);
    // In one process only the gateway has a place that people know; it sets that itself.
    let (api_port, private_port) = if embedded {
        (0, 0)
    } else {
        default_ports(name)
    };
    let api = settings
        .and_then(|s| s.listen.clone())
        .unwrap_or_else(|| format!("127.0.0.1:{api_port}"));
    let private = settings
        .and_then(|s| s.private_listen.clone())
        .unwrap_or_else(|| format!("127.0.0.1:{private_port}"));
    Listeners::bind(&api, &private).with_context(|| format!("the {name} service can't listen"))
}

fn default_ports(name: &str) -> (u16, u16) {
    SERVICES
        .iter()
        .find(|(service, _)| *service == name)
        .map_or((0, 0), |(_, port)| (*port, port + 1000))
}

/// Those of this process by their sockets, the others by the settings or their usual ports.
fn directory(
    services: &Named<ServiceSettings>,
    listeners: &BTreeMap<&'static str, Listeners>,
) -> anyhow::Result<Directory> {
    let mut all = BTreeMap::new();
    for (name, port) in SERVICES {
        let settings = services.0.get(name).cloned().unwrap_or_default();
        let (api, private) = match listeners.get(name) {
            Some(own) => (
                reachable(own.api_address()?),
                reachable(own.private_address()?),
            ),
            None => (
                format!("http://127.0.0.1:{port}"),
                format!("http://127.0.0.1:{}", port + 1000),
            ),
        };
        let trimmed = |url: String| url.trim_end_matches('/').to_owned();
        let address = Address {
            api: trimmed(settings.url.unwrap_or(api)),
            private: trimmed(settings.private_url.unwrap_or(private)),
        };
        all.insert(name.to_owned(), address);
    }
    Ok(Directory::new(all))
}

/// How a socket is reached from this machine.
fn reachable(mut address: std::net::SocketAddr) -> String {
    if address.ip().is_unspecified() {
        address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    format!("http://{address}")
}

/// Each service's secret; in one process those that nobody has set are made up.
fn secrets(services: &Named<ServiceSettings>, embedded: bool) -> BTreeMap<String, SecretString> {
    let mut secrets = BTreeMap::new();
    for (name, _) in SERVICES {
        let set = services
            .0
            .get(name)
            .and_then(|settings| settings.secret.as_ref());
        match set {
            Some(secret) => secrets.insert(name.to_owned(), secret.to_secret_string()),
            None if embedded => {
                secrets.insert(name.to_owned(), SecretString::from(random::token()))
            }
            None => None,
        };
    }
    secrets
}

/// Settings in which auth finds the secrets that were made up.
fn with_secrets(
    settings: Settings,
    secrets: &BTreeMap<String, SecretString>,
) -> anyhow::Result<Settings> {
    Ok(settings.with_service_secrets(secrets)?)
}

fn bus(settings: &AmqpSettings) -> anyhow::Result<Bus> {
    let Some(url) = &settings.url else {
        return Ok(Bus::in_process());
    };
    let services = SERVICES
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    let options = AmqpOptions {
        url: url.to_secret_string(),
        prefix: settings.prefix.clone(),
        services,
    };
    Bus::amqp(options).map_err(|why| anyhow::anyhow!("in section [amqp]: {why}"))
}

fn location(ground: &Ground, service: &str) -> Location {
    let data_dir = ground.settings.data_dir();
    location_of(&ground.core.database, &data_dir, service)
}

/// Where a service's tables are.
#[must_use]
pub fn location_of(database: &DatabaseSettings, data_dir: &Path, service: &str) -> Location {
    match &database.url {
        Some(url) => Location::Postgres {
            url: url.to_secret_string(),
            schema: format!("{}{service}", database.schema_prefix),
            pool: database.pool,
            statement_timeout: database.statement_timeout.0,
        },
        None => Location::Sqlite(data_dir.join(format!("{service}.db"))),
    }
}
