//! The service with doubles around it: a project service that asks for builds, a Git server with what is built,
//! and a listener that notes what the provisioner tells.

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chassis::db::{Db, own_migrations};
use chassis::events::{Handlers, emit};
use chassis::{Assembly, Service};
use common::api::provisioner::{LogLine, LogPage};
use common::event::{
    BuildProgress, BuildRequested, BuildState, Deployment, Envelope, EnvironmentKind,
    EnvironmentState, ProjectEvent, ProvisionerEvent, Source,
};
use common::id::{AccountId, BuildId, EnvironmentId, ProjectId};
use common::time::Clock;
use reqwest::Method;
use serde_json::json;
use slipway_provisioner::process::{Host, apps_directory, end_orphans};
use testkit::{Asked, Backend, Builder, Double, Harness, eventually, expect};

use crate::git_server::GitServer;
use crate::running::roles;
use crate::running::support::get;
use crate::tree::Tree;

const TOKEN: &str = "canary-of-the-one-repository";
/// A secret variable of the environment.
pub(crate) const SECRET: &str = "canary/secret+of the project";

type Told = Arc<Mutex<Vec<(i64, ProvisionerEvent)>>>;

/// One account with one environment, and its repository.
pub(crate) struct World<'a> {
    backend: &'a Backend,
    pub(crate) harness: Option<Harness>,
    pub(crate) environment: EnvironmentState,
    pub(crate) app: Tree,
    settings: Vec<(String, String)>,
    git: Git,
    told: Told,
    variables: Arc<Mutex<BTreeMap<String, String>>>,
}

struct Git {
    _repositories: Tree,
    server: GitServer,
}

impl<'a> World<'a> {
    /// The service, with these files as the repository's first commit.
    pub(crate) async fn new(backend: &'a Backend, files: &[(&str, &str)]) -> Self {
        Self::with(backend, files, &[]).await
    }

    pub(crate) async fn with(
        backend: &'a Backend,
        files: &[(&str, &str)],
        settings: &[(&str, &str)],
    ) -> Self {
        let app = Tree::new(files);
        app.commit("First");
        let repositories = Tree::new(&[]);
        repositories.link("app.git", app.path().join(".git").to_str().unwrap());
        let server = GitServer::start(repositories.path(), Some(TOKEN)).await;
        app.git(&["config", "uploadpack.allowAnySHA1InWant", "true"]);
        let now = Clock::system().now();
        let environment = EnvironmentState {
            environment_id: EnvironmentId::new(now),
            project_id: ProjectId::new(now),
            account_id: AccountId::new(now),
            name: "production".into(),
            kind: EnvironmentKind::Standard,
            label: "shop-production".into(),
            database: false,
            sleep_after: None,
            instances: 1,
            maintenance: false,
            deleted: false,
        };
        let settings = settings
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        let mut world = Self {
            backend,
            harness: None,
            environment,
            app,
            settings,
            git: Git {
                _repositories: repositories,
                server,
            },
            told: Arc::default(),
            variables: Arc::default(),
        };
        world.boot().await;
        world
    }

    /// Starts the services; again, after [`World::halt`].
    pub(crate) async fn boot(&mut self) {
        let (app, url) = (self.app.path().to_owned(), self.git.server.url("app.git"));
        let github = Double::new("github", move |asked: &Asked| checkout(&app, &url, asked));
        let (environment, variables) = (
            self.environment.environment_id.clone(),
            Arc::clone(&self.variables),
        );
        let project = Double::new("project", move |_: &Asked| {
            let variables = variables.lock().unwrap().clone();
            (
                200,
                json!({ "environment_id": environment, "variables": variables, "secrets": { "API_SECRET": SECRET } }),
            )
        });
        let mut builder = Builder::new(self.backend)
            .double(&github)
            .double(&project)
            .service(listener(&self.told))
            .service(slipway_provisioner::service_with(|settings| {
                settings.static_server = roles::command();
                settings.backoff.first = Duration::from_millis(50);
            }))
            .setting("apps.health_timeout", "20s")
            .setting("apps.drain", "200ms")
            .setting("apps.keep_deleted", "0s")
            .setting("builds.concurrency", "2");
        for (key, value) in &self.settings {
            builder = builder.setting(key, value);
        }
        self.harness = Some(builder.start().await);
    }

    /// Stops the services; apps run on.
    pub(crate) async fn halt(&mut self) {
        self.harness.take().unwrap().stop().await;
    }

    pub(crate) fn set(&self, name: &str, value: &str) {
        self.variables
            .lock()
            .unwrap()
            .insert(name.to_owned(), value.to_owned());
    }

    fn harness(&self) -> &Harness {
        self.harness.as_ref().unwrap()
    }

    /// Has the project service tell something.
    pub(crate) async fn tell(&self, event: ProjectEvent, version: i64) {
        let project = self
            .harness()
            .platform()
            .context("project")
            .unwrap()
            .clone();
        let now = project.clock.now();
        let told = project
            .db
            .write(move |db: &mut Db| emit(db, event, version, now));
        told.await.unwrap();
    }

    pub(crate) fn request(&self) -> BuildRequested {
        let now = Clock::system().now();
        BuildRequested {
            build_id: BuildId::new(now),
            environment: self.environment.clone(),
            source: Source {
                owner: "acme".into(),
                repo: "app".into(),
            },
            git_ref: None,
            settings_ref: None,
            requested_by: None,
            requested_at: now,
            cancel: false,
            rollback_to: None,
        }
    }

    /// Asks for a build of what is in the repository now.
    pub(crate) async fn ask(&self) -> BuildRequested {
        let request = self.request();
        self.tell(ProjectEvent::BuildRequested(request.clone()), 1)
            .await;
        request
    }

    /// Asks for a build and waits for its end.
    pub(crate) async fn build(&self) -> BuildProgress {
        let request = self.ask().await;
        self.end_of(&request.build_id).await
    }

    /// Builds what must go well; the deployment that comes of it.
    pub(crate) async fn deploy(&self) -> (BuildProgress, Deployment) {
        let build = self.build().await;
        let log = self.log_text(&build.build_id).await;
        assert_eq!(build.state, BuildState::Live, "{:?}\n{log}", build.reason);
        let live = self
            .wait("the deployment", |event| match event {
                ProvisionerEvent::DeploymentLive(deployment) => (deployment.build_id.as_ref()
                    == Some(&build.build_id)
                    && deployment.hold_until.is_none())
                .then(|| deployment.clone()),
                _ => None,
            })
            .await;
        (build, live)
    }

    /// Commits a change of one file.
    pub(crate) fn change(&self, path: &str, text: &str) {
        self.app.write(path, text);
        self.app.commit("Change");
    }

    pub(crate) async fn end_of(&self, id: &BuildId) -> BuildProgress {
        self.state(id, BuildState::is_final).await
    }

    /// Waits until the build is said to be in such a state.
    pub(crate) async fn state(
        &self,
        id: &BuildId,
        wanted: impl Fn(BuildState) -> bool,
    ) -> BuildProgress {
        self.wait("a state of a build", |event| {
            progress(event)
                .filter(|build| build.build_id == *id && wanted(build.state))
                .cloned()
        })
        .await
    }

    /// Waits until something is told.
    pub(crate) async fn wait<T>(
        &self,
        what: &str,
        wanted: impl Fn(&ProvisionerEvent) -> Option<T>,
    ) -> T {
        let mut rounds = 0;
        loop {
            let look = || {
                self.told
                    .lock()
                    .unwrap()
                    .iter()
                    .find_map(|(_, event)| wanted(event))
            };
            // Builds may take longer than a condition may.
            let found = tokio::time::timeout(Duration::from_secs(25), eventually(what, look)).await;
            if let Ok(found) = found {
                return found;
            }
            assert!(rounds < 4, "waited too long for {what}: {:?}", self.told());
            rounds += 1;
        }
    }

    pub(crate) fn told(&self) -> Vec<(i64, ProvisionerEvent)> {
        self.told.lock().unwrap().clone()
    }

    /// Where the environment of a deployment was said to be live last.
    pub(crate) fn newest(&self, deployment: &Deployment) -> Deployment {
        let told = self.told();
        let live = told.iter().filter_map(|(version, event)| match event {
            ProvisionerEvent::DeploymentLive(live) => {
                (live.environment_id == deployment.environment_id).then_some((version, live))
            }
            _ => None,
        });
        let newest = live.max_by_key(|(version, _)| **version);
        newest.map_or_else(|| deployment.clone(), |(_, live)| live.clone())
    }

    /// The states that a build was said to be in.
    pub(crate) fn states(&self, id: &BuildId) -> Vec<BuildState> {
        let told = self.told();
        told.iter()
            .filter_map(|(_, event)| progress(event))
            .filter(|b| b.build_id == *id)
            .map(|b| b.state)
            .collect()
    }

    /// A page of a log, as project asks for it.
    pub(crate) async fn page(&self, path: &str, after: i64, wait_ms: u64) -> LogPage {
        let path = format!("/internal/{path}/log?after={after}&limit=500&wait_ms={wait_ms}");
        let token = self
            .harness()
            .issuer()
            .service_token("project", "provisioner");
        let request = self
            .harness()
            .private(Method::GET, "provisioner", &path)
            .bearer_auth(token);
        serde_json::from_value(expect(200, request).await).unwrap()
    }

    /// Asks a private route of the provisioner, as another service.
    pub(crate) async fn post(
        &self,
        service: &str,
        path: &str,
        body: serde_json::Value,
    ) -> serde_json::Value {
        let token = self
            .harness()
            .issuer()
            .service_token(service, "provisioner");
        let request = self
            .harness()
            .private(Method::POST, "provisioner", path)
            .bearer_auth(token)
            .json(&body);
        expect(200, request).await
    }

    /// Runs a statement in the provisioner's database.
    pub(crate) async fn execute(&self, statement: String) {
        use diesel::RunQueryDsl as _;
        let context = self.harness().platform().context("provisioner").unwrap();
        let done = context
            .db
            .write(move |db: &mut Db| diesel::sql_query(statement).execute(db));
        assert_eq!(done.await.unwrap(), 1);
    }

    pub(crate) async fn log(&self, id: &BuildId) -> Vec<LogLine> {
        self.page(&format!("builds/{id}"), 0, 0).await.lines
    }

    pub(crate) async fn log_text(&self, id: &BuildId) -> String {
        let lines = self.log(id).await;
        lines
            .iter()
            .map(|line| format!("{} {} {}\n", line.phase, line.stream, line.text))
            .collect()
    }

    /// How the live app answers.
    pub(crate) fn call(deployment: &Deployment, path: &str) -> Option<String> {
        get(*deployment.upstreams.first()?, path)
    }

    /// The build's and app's directories on this machine.
    pub(crate) fn files(&self) -> Vec<String> {
        let root = apps_directory(
            self.backend.directory(),
            rustix::process::geteuid().is_root(),
        )
        .unwrap();
        let mut all = Vec::new();
        for directory in ["releases", "work", "caches"] {
            for entry in std::fs::read_dir(root.join(directory)).unwrap() {
                all.push(format!(
                    "{directory}/{}",
                    entry.unwrap().file_name().to_string_lossy()
                ));
            }
        }
        all.sort();
        all
    }

    /// Stops, where nothing of the environment itself was ever live.
    pub(crate) async fn leave(mut self) {
        self.halt().await;
    }

    /// Deletes the environment and waits until its app is gone; then stops.
    pub(crate) async fn end(mut self) {
        self.tell(
            ProjectEvent::EnvironmentDeleted(self.environment.clone()),
            9,
        )
        .await;
        let wait = self.wait("the stop", |event| {
            matches!(event, ProvisionerEvent::DeploymentStopped(_)).then_some(())
        });
        wait.await;
        self.halt().await;
    }
}

impl Drop for World<'_> {
    /// Nothing is left, also where a test has failed: no process, no file.
    fn drop(&mut self) {
        let data = self.backend.directory().to_owned();
        let Ok(node) = std::fs::read_to_string(data.join("provisioner/node")) else {
            return;
        };
        let ended = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                let host = Host::new(&node);
                let _some_may_be_gone = end_orphans(&host, &HashSet::new()).await;
                if let Ok(directory) = host.apps_directory(&data) {
                    let _half_gone = std::fs::remove_dir_all(directory);
                }
            });
        });
        let _panicked = ended.join();
    }
}

fn progress(event: &ProvisionerEvent) -> Option<&BuildProgress> {
    match event {
        ProvisionerEvent::BuildStarted(build)
        | ProvisionerEvent::BuildProgressed(build)
        | ProvisionerEvent::BuildSucceeded(build)
        | ProvisionerEvent::BuildFailed(build)
        | ProvisionerEvent::BuildCancelled(build) => Some(build),
        _ => None,
    }
}

/// What github answers: the head of the repository, or the commit that was asked for.
fn checkout(app: &std::path::Path, url: &str, asked: &Asked) -> (u16, serde_json::Value) {
    let wanted = asked.body["git_ref"].as_str().unwrap_or("HEAD").to_owned();
    if wanted == "gone" {
        return (
            404,
            json!({ "status": 404, "code": "not_found", "title": "Not Found", "detail": "No such branch", "message": "No such branch" }),
        );
    }
    let commit = crate::tree::git(app, &["rev-parse", &wanted]);
    let answer = json!({
        "url": url, "token": TOKEN, "expires_at": "2100-01-01T00:00:00Z", "commit": commit, "branch": "main",
    });
    (200, answer)
}

fn listener(told: &Told) -> Service {
    let told = Arc::clone(told);
    let note = move |_: &mut Db, envelope: &Envelope<ProvisionerEvent>, _| {
        told.lock()
            .unwrap()
            .push((envelope.aggregateversion, envelope.event.clone()));
        Ok(())
    };
    Service::new("v1api", own_migrations(), move |_| async move {
        Ok(Assembly::new().handlers(Handlers::new().on::<ProvisionerEvent>("note", note)))
    })
}

/// A web app in Python that says `text` at `/`.
pub(crate) fn app(text: &str) -> String {
    format!(
        "TEXT = {text:?}\n{}",
        crate::running::support::WEB_APP.replace("str(os.getpid())", "TEXT + str(os.getpid())")
    )
}

/// What the pid of an answer of [`app`] is, after its text.
pub(crate) fn pid_of(answer: &str) -> String {
    answer.chars().filter(char::is_ascii_digit).collect()
}

/// An address that somebody listens on.
pub(crate) fn answers(address: SocketAddr) -> bool {
    get(address, "/").is_some()
}
