//! The services around this one, as far as it calls and hears them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::{HttpResponse, web};
use chassis::auth::ServiceCaller;
use chassis::db::Migrations;
use chassis::events::Handlers;
use chassis::http::{ApiError, Json, Path, Query, Routes};
use chassis::{Assembly, Context, Service};
use common::api::account::{Membership, UserOfIdentity};
use common::api::github::{Repository, ResolveRepository};
use common::api::provisioner::{LogLine, LogPage, LogQuery, Standing, StandingAnswer};
use common::api::v1api::{CertificateStanding, CertificatesOfEnvironment};
use common::event::{Envelope, ProjectEvent};
use common::id::{AccountId, UserId};
use common::problem::Problem;
use common::random;
use common::role::Role;
use common::time::Time;
use diesel_migrations::EmbeddedMigrations;
use tokio::sync::Notify;

/// What the fakes know; cheap to clone.
#[derive(Clone)]
pub(crate) struct World(Arc<Known>);

pub(crate) struct Known {
    pub(crate) roles: Mutex<HashMap<(AccountId, UserId), Role>>,
    /// `owner/repo` of what github has.
    pub(crate) repositories: Mutex<HashSet<String>>,
    /// By build or environment.
    pub(crate) logs: Mutex<BTreeMap<String, LogPage>>,
    pub(crate) log_changed: Notify,
    /// By domain; nothing where the gateway doesn't answer.
    pub(crate) certificates: Mutex<Option<BTreeMap<String, CertificateStanding>>>,
    /// How apps stand, by environment.
    pub(crate) standings: Mutex<BTreeMap<String, Standing>>,
    /// Logs to which a page is added whenever one is read.
    pub(crate) flooded: Mutex<HashSet<String>>,
    /// What the project service has told, in the order in which it came.
    pub(crate) told: Mutex<Vec<Envelope<ProjectEvent>>>,
}

impl std::ops::Deref for World {
    type Target = Known;
    fn deref(&self) -> &Known {
        &self.0
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Known {
            roles: Mutex::default(),
            repositories: Mutex::new(HashSet::from(
                ["medusajs/medusa-starter-default".to_owned()],
            )),
            logs: Mutex::default(),
            log_changed: Notify::new(),
            certificates: Mutex::new(Some(BTreeMap::new())),
            standings: Mutex::default(),
            flooded: Mutex::default(),
            told: Mutex::default(),
        }))
    }

    /// Adds lines to a log.
    pub(crate) fn write_log(&self, of: &str, texts: &[&str], ended: bool) {
        let mut logs = self.logs.lock().unwrap();
        let page = logs.entry(of.to_owned()).or_insert(LogPage {
            lines: Vec::new(),
            ended: false,
            last: 0,
        });
        for text in texts {
            page.lines.push(LogLine {
                number: i64::try_from(page.lines.len()).unwrap() + 1,
                time: Time::EPOCH,
                phase: "build".into(),
                stream: "stdout".into(),
                text: (*text).to_owned(),
            });
        }
        page.ended = ended;
        page.last = i64::try_from(page.lines.len()).unwrap();
        drop(logs);
        self.log_changed.notify_waiters();
    }

    fn log_page(&self, of: &str, query: LogQuery) -> Option<LogPage> {
        let logs = self.logs.lock().unwrap();
        let whole = logs.get(of)?;
        let limit = usize::try_from(query.limit.unwrap_or(1_000)).unwrap();
        let after = whole.lines.iter().filter(|line| line.number > query.after);
        Some(LogPage {
            lines: after.take(limit).cloned().collect(),
            ended: whole.ended,
            last: whole.last,
        })
    }
}

/// All services that the project service has to do with.
pub(crate) fn services(world: &World) -> Vec<Service> {
    let (account, github, provisioner) = (world.clone(), world.clone(), world.clone());
    let gateway = world.clone();
    vec![
        service("v1api", move |_| {
            Assembly::new().data(gateway).routes(|r: &mut Routes| {
                let path = "/internal/environments/{environment_id}/certificates";
                r.internal_get(path, certificates);
            })
        }),
        service("account", move |_| {
            Assembly::new().data(account).routes(|r: &mut Routes| {
                r.internal_get("/internal/memberships/{account_id}/{user_id}", membership);
                r.internal_get("/internal/identities/{identity_id}/user", no_user);
            })
        }),
        service("github", move |_| {
            Assembly::new().data(github).routes(|r: &mut Routes| {
                r.internal_post("/internal/repositories/resolve", resolve);
            })
        }),
        service("provisioner", move |_| {
            let told = provisioner.clone();
            let handlers =
                Handlers::new().on("told", move |_, envelope: &Envelope<ProjectEvent>, _| {
                    told.told.lock().unwrap().push(envelope.clone());
                    Ok(())
                });
            Assembly::new()
                .data(provisioner)
                .routes(provisioner_routes)
                .handlers(handlers)
        }),
    ]
}

fn service(
    name: &'static str,
    assemble: impl FnOnce(Context) -> Assembly + Send + 'static,
) -> Service {
    let none = Migrations {
        postgres: || EmbeddedMigrations::new(&[]),
        sqlite: || EmbeddedMigrations::new(&[]),
    };
    Service::new(name, none, move |cx| async move { Ok(assemble(cx)) })
}

/// Who comes without a user in the token has none.
async fn no_user(_: ServiceCaller) -> HttpResponse {
    HttpResponse::Ok().json(UserOfIdentity { user_id: None })
}

async fn certificates(
    caller: ServiceCaller,
    world: web::Data<World>,
) -> Result<HttpResponse, ApiError> {
    caller.require(&["project"])?;
    let known = world.certificates.lock().unwrap().clone();
    let certificates = known.ok_or_else(|| Problem::unavailable("unavailable", "not now"))?;
    Ok(HttpResponse::Ok().json(CertificatesOfEnvironment { certificates }))
}

async fn membership(
    _: ServiceCaller,
    world: web::Data<World>,
    Path((account_id, user_id)): Path<(AccountId, UserId)>,
) -> HttpResponse {
    let role = world
        .roles
        .lock()
        .unwrap()
        .get(&(account_id.clone(), user_id.clone()))
        .copied();
    let version = i64::from(role.is_some());
    HttpResponse::Ok().json(Membership {
        account_id,
        user_id,
        role,
        version,
    })
}

async fn resolve(
    caller: ServiceCaller,
    world: web::Data<World>,
    Json(wanted): Json<ResolveRepository>,
) -> Result<HttpResponse, ApiError> {
    caller.require(&["project"])?;
    if wanted.owner == "not-installed" {
        return Err(
            Problem::unprocessable("github_app_not_installed", "Install it first")
                .with("install_url", "http://install.example/")
                .into(),
        );
    }
    let name = format!("{}/{}", wanted.owner, wanted.repo);
    if !world.repositories.lock().unwrap().contains(&name) {
        return Err(Problem::not_found("repository").into());
    }
    Ok(HttpResponse::Ok().json(Repository {
        provider: "local".into(),
        owner: wanted.owner,
        repo: wanted.repo,
        default_branch: Some("main".into()),
    }))
}

fn provisioner_routes(r: &mut Routes) {
    r.internal_get("/internal/builds/{id}/log", log);
    r.internal_get("/internal/environments/{id}/log", log);
    r.internal_post("/internal/environments/{id}/sleep", stand);
    r.internal_post("/internal/environments/{id}/wake", stand);
    r.internal_post("/internal/environments/{id}/restart", stand);
}

/// How an app stands, as the provisioner would tell.
async fn stand(
    caller: ServiceCaller,
    world: web::Data<World>,
    Path(id): Path<String>,
) -> Result<HttpResponse, ApiError> {
    caller.require(&["project"])?;
    let standing = world.standings.lock().unwrap().get(&id).copied();
    let standing = standing.ok_or_else(|| Problem::not_found("environment"))?;
    Ok(HttpResponse::Ok().json(StandingAnswer { standing }))
}

async fn log(
    caller: ServiceCaller,
    world: web::Data<World>,
    Path(id): Path<String>,
    Query(query): Query<LogQuery>,
) -> Result<HttpResponse, ApiError> {
    caller.require(&["project"])?;
    if world.flooded.lock().unwrap().contains(&id) {
        world.write_log(&id, &["more"; 500], false);
    }
    let waited = async {
        loop {
            let changed = world.log_changed.notified();
            match world.log_page(&id, query) {
                Some(page) if page.lines.is_empty() && !page.ended => changed.await,
                other => return other,
            }
        }
    };
    let patience = Duration::from_millis(query.wait_ms.unwrap_or(0));
    let page = tokio::time::timeout(patience, waited)
        .await
        .unwrap_or_else(|_| world.log_page(&id, query));
    page.map_or_else(
        || Err(Problem::not_found("log").into()),
        |page| Ok(HttpResponse::Ok().json(page)),
    )
}

/// A name that nobody else has.
pub(crate) fn unique(prefix: &str) -> String {
    format!("{prefix}-{:08x}", u32::from_le_bytes(random::bytes()))
}
