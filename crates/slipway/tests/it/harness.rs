//! Platforms for tests: one inside the test's own process, one as `slipway up` in a process of its own.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use chassis::platform::{Platform, SERVICES};
use chassis::settings::Sources;
use common::random;
use common::time::Clock;
use serde_json::Value;
use slipway::platform::{Options, prepare, start};
use slipway_provisioner::process::{Host, apps_directory, end_orphans};
use tempfile::TempDir;
use testkit::Backend;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

const PATIENCE: Duration = Duration::from_mins(1);
/// The user who owns nothing.
const NOBODY: u32 = 65_534;

/// A platform inside the test's process, for tests that look into it.
pub(crate) struct InProcess {
    pub(crate) platform: Platform,
    pub(crate) url: String,
    _leftovers: Leftovers,
    _backend: Option<Backend>,
}

impl InProcess {
    pub(crate) async fn start() -> Self {
        let backend = Backend::sqlite();
        let platform = Self::on(&backend, &[]).await;
        Self {
            _backend: Some(backend),
            ..platform
        }
    }

    /// On this backend, which must outlive it.
    pub(crate) async fn on(backend: &Backend, values: &[(&str, &str)]) -> Self {
        let (platform, url) = Self::boot(backend, values).await;
        Self {
            platform,
            url,
            _leftovers: Leftovers(backend.directory().join("data")),
            _backend: None,
        }
    }

    async fn boot(backend: &Backend, values: &[(&str, &str)]) -> (Platform, String) {
        let mut overrides: BTreeMap<String, String> = values
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        if let Some(url) = backend.postgres_url() {
            overrides.insert("database.url".into(), url);
            overrides.insert("database.pool".into(), "4".into());
        }
        if let Some((url, prefix)) = backend.amqp() {
            overrides.insert("amqp.url".into(), url);
            overrides.insert("amqp.prefix".into(), prefix);
            backend.clean_up_queues_of(&SERVICES.map(|(name, _)| name));
        }
        let sources = Sources {
            file: Some(empty_settings(backend.directory())),
            environment: HashMap::new(),
            overrides,
        };
        let prepared = prepare(Options {
            data_dir: Some(backend.directory().join("data")),
            port: Some(free_port()),
            sources,
        })
        .unwrap();
        let platform = start(&prepared, Clock::system()).await.unwrap();
        platform.wait_until_ready(PATIENCE).await.unwrap();
        (platform, prepared.public_url)
    }
}

/// `slipway up` in a process of its own. What it started ends with it.
pub(crate) struct Up {
    pub(crate) url: String,
    pub(crate) data_dir: PathBuf,
    child: Option<Child>,
    environment: Vec<(String, String)>,
    /// Another user than the test's, and the program where that user reaches it.
    user: Option<(u32, PathBuf)>,
    _leftovers: Leftovers,
    data: TempDir,
}

impl Up {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With these variables in its environment.
    pub(crate) async fn start_with(environment: &[(&str, &str)]) -> Self {
        let mut up = Self::new();
        let owned = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
        up.environment.extend(environment.iter().map(owned));
        up.restart().await;
        up
    }

    /// As whoever runs the tests, or as nobody where that is root.
    pub(crate) async fn start_as_ordinary_user() -> Self {
        let mut up = Self::new();
        if rustix::process::geteuid().is_root() {
            let program = up.data.path().join("slipway");
            std::fs::copy(env!("CARGO_BIN_EXE_slipway"), &program).unwrap();
            up.user = Some((NOBODY, program));
            std::os::unix::fs::chown(up.data.path(), Some(NOBODY), Some(NOBODY)).unwrap();
            let home = up.data.path().to_string_lossy().into_owned();
            up.environment.push(("HOME".to_owned(), home));
        }
        up.restart().await;
        up
    }

    fn new() -> Self {
        let data = tempfile::tempdir().unwrap();
        Self {
            url: String::new(),
            data_dir: data.path().join("data"),
            child: None,
            environment: Vec::new(),
            user: None,
            _leftovers: Leftovers(data.path().join("data")),
            data,
        }
    }

    /// Starts it on its data, anew if it ran before.
    pub(crate) async fn restart(&mut self) {
        self.restart_with(&[]).await;
    }

    /// The same, with further variables for this once.
    pub(crate) async fn restart_with(&mut self, variables: &[(&str, &str)]) {
        let mut command = self.program(&["up", "--port", &free_port().to_string()]);
        command
            .arg("--data-dir")
            .arg(&self.data_dir)
            .arg("--config")
            .arg(empty_settings(self.data.path()))
            .envs(variables.iter().copied());
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.log_file())
            .unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.as_mut().unwrap());
        tokio::time::timeout(PATIENCE, output.read_line(&mut line))
            .await
            .expect("ready in time")
            .unwrap();
        self.child = Some(child);
        line.split_whitespace()
            .last()
            .unwrap_or_default()
            .clone_into(&mut self.url);
        assert!(
            self.url.starts_with("http://localhost:"),
            "{line:?}\n{}",
            self.log()
        );
    }

    /// What it prints from now on.
    pub(crate) fn take_output(&mut self) -> tokio::process::ChildStdout {
        self.child.as_mut().unwrap().stdout.take().unwrap()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id().unwrap()
    }

    /// Asks it to end and waits until it has.
    pub(crate) async fn stop(&mut self) -> std::process::ExitStatus {
        let pid = rustix::process::Pid::from_raw(self.pid().try_into().unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.end().await.expect("it ends in time")
    }

    /// Ends it at once, as a crash does.
    pub(crate) async fn kill(&mut self) {
        self.child.take().unwrap().kill().await.unwrap();
    }

    /// Waits until it has ended, whyever; `None` if it goes on.
    pub(crate) async fn end(&mut self) -> Option<std::process::ExitStatus> {
        let child = self.child.as_mut().unwrap();
        let status = tokio::time::timeout(PATIENCE, child.wait()).await.ok()?;
        self.child = None;
        Some(status.unwrap())
    }

    /// Runs a command of the `slipway` program against it, as the first admin.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().await.unwrap()
    }

    /// Runs a command of the `slipway` program against it, by a person's token.
    pub(crate) async fn run_as(&self, token: &str, arguments: &[&str]) -> Output {
        let mut command = self.command(arguments);
        command.env("SLIPWAY_TOKEN", token).output().await.unwrap()
    }

    /// The same, to be changed before it runs.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.program(arguments);
        command
            .env("SLIPWAY_URL", &self.url)
            .env("SLIPWAY_DATA_DIR", &self.data_dir);
        command
    }

    /// The program as this platform's user, with its environment.
    fn program(&self, arguments: &[&str]) -> Command {
        let mut command = match &self.user {
            Some((user, program)) => {
                let mut command = without_settings(program, arguments);
                command.uid(*user).gid(*user).current_dir(self.data.path());
                command
            }
            None => slipway(arguments),
        };
        command.envs(self.environment.iter().cloned());
        command
    }

    /// What a command prints, which must succeed.
    pub(crate) async fn result(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments).await;
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(
            output.status.success(),
            "{arguments:?}: {}\n{out}\n{err}\n{}",
            output.status,
            self.log()
        );
        out
    }

    /// What an app answers under its own host name.
    pub(crate) async fn call_app(&self, app_url: &str, path: &str) -> (u16, String) {
        let host = app_url.trim_start_matches("http://").trim_end_matches('/');
        let request = client()
            .get(format!("{}{path}", self.url))
            .header("host", host);
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    fn log_file(&self) -> PathBuf {
        self.data.path().join("platform.log")
    }

    /// All that the platform wrote.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _gone = child.start_kill();
        }
    }
}

/// What the platform on a data directory leaves elsewhere: the processes of apps, and their files. All of
/// it goes with this, which must go before the directory does.
struct Leftovers(PathBuf);

impl Drop for Leftovers {
    fn drop(&mut self) {
        let data_dir = self.0.clone();
        // A runtime of its own, as this is no place to wait on the test's.
        let cleaning = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(end_apps(&data_dir));
        });
        let _clean = cleaning.join();
    }
}

async fn end_apps(data_dir: &Path) {
    if let Ok(node) = std::fs::read_to_string(data_dir.join("provisioner/node")) {
        let _ended = end_orphans(&Host::new(node.trim()), &HashSet::<String>::new()).await;
    }
    if data_dir.exists()
        && let Ok(apps) = apps_directory(data_dir, rustix::process::geteuid().is_root())
    {
        let _removed = std::fs::remove_dir_all(apps);
    }
}

/// The program, with none of our own settings.
pub(crate) fn slipway(arguments: &[&str]) -> Command {
    without_settings(Path::new(env!("CARGO_BIN_EXE_slipway")), arguments)
}

fn without_settings(program: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    for (name, _) in
        std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SLIPWAY_"))
    {
        command.env_remove(name);
    }
    command
}

pub(crate) fn client() -> reqwest::Client {
    let _already = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

/// What an authenticator app of this secret shows, so many steps of time from now.
pub(crate) fn code_of(secret: &str, steps: i64) -> String {
    let app = totp_rs::Builder::new()
        .with_secret(totp_rs::Secret::try_from_base32(secret).unwrap())
        .with_account_name("x")
        .build()
        .unwrap();
    let seconds = Clock::system().now().unix() + 30 * steps;
    app.generate(seconds.try_into().unwrap()).to_string()
}

/// An example app of the repository.
pub(crate) fn example(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../examples")
        .join(name)
        .to_str()
        .unwrap()
        .to_owned()
}

/// The JSON of each line.
pub(crate) fn json_lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A file that keeps a `slipway.toml` of the working directory from being read.
fn empty_settings(directory: &Path) -> PathBuf {
    let file = directory.join("slipway.toml");
    std::fs::write(&file, "").unwrap();
    file
}

/// One below those that the system gives to whoever asks for any: the services of another test
/// may take such a one before it is used here.
pub(crate) fn free_port() -> u16 {
    loop {
        let port = 10_000 + u16::try_from(random::below(20_000)).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
