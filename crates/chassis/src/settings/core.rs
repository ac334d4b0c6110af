//! The sections that every process reads.

use serde::{Deserialize, Serialize};

use super::{Duration, List, Named, Secret, Section, Settings, SettingsError};

/// The sections that the chassis itself uses, read together.
#[derive(Clone, Debug)]
pub struct Core {
    /// `[database]`
    pub database: DatabaseSettings,
    /// `[amqp]`
    pub amqp: AmqpSettings,
    /// `[http]`
    pub http: HttpSettings,
    /// `[log]`
    pub log: LogSettings,
    /// `[secrets]`
    pub secrets: SecretsSettings,
    /// `[tokens]`
    pub tokens: TokenSettings,
    /// `[services.<name>]`
    pub services: Named<ServiceSettings>,
}

impl Core {
    /// Reads and checks them.
    pub fn read(settings: &Settings) -> Result<Self, SettingsError> {
        Ok(Self {
            database: settings.section("database")?,
            amqp: settings.section("amqp")?,
            http: settings.section("http")?,
            log: settings.section("log")?,
            secrets: settings.section("secrets")?,
            tokens: settings.section("tokens")?,
            services: settings.section("services")?,
        })
    }

    /// All of them as JSON by section, secrets redacted.
    pub fn show(
        settings: &Settings,
    ) -> Result<Vec<(&'static str, serde_json::Value)>, SettingsError> {
        Ok(vec![
            ("database", settings.show::<DatabaseSettings>("database")?),
            ("amqp", settings.show::<AmqpSettings>("amqp")?),
            ("http", settings.show::<HttpSettings>("http")?),
            ("log", settings.show::<LogSettings>("log")?),
            ("secrets", settings.show::<SecretsSettings>("secrets")?),
            ("tokens", settings.show::<TokenSettings>("tokens")?),
            (
                "services",
                settings.show::<Named<ServiceSettings>>("services")?,
            ),
        ])
    }
}

/// `[database]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DatabaseSettings {
    /// `postgres://…`; without it each service has a `SQLite` file under the data directory.
    pub url: Option<Secret>,
    /// What stands before the service's name in its schema's name.
    pub schema_prefix: String,
    /// The most connections that one service of one process opens.
    pub pool: u32,
    /// After how long the server ends a statement.
    pub statement_timeout: Duration,
}

impl Default for DatabaseSettings {
    fn default() -> Self {
        Self {
            url: None,
            schema_prefix: String::new(),
            pool: 5,
            statement_timeout: Duration::secs(30),
        }
    }
}

impl Section for DatabaseSettings {
    fn validate(&self) -> Result<(), String> {
        if let Some(url) = &self.url
            && !["postgres://", "postgresql://"]
                .iter()
                .any(|scheme| url.expose().starts_with(scheme))
        {
            return Err("`url` must begin with postgres:// (leave it out for SQLite)".into());
        }
        if !self
            .schema_prefix
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        {
            return Err("`schema_prefix` may hold a-z, 0-9 and _ only".into());
        }
        if self.pool == 0 {
            Err("`pool` must be at least 1".into())
        } else {
            Ok(())
        }
    }
}

/// `[amqp]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AmqpSettings {
    /// `amqp://…`; without it events stay inside the process.
    pub url: Option<Secret>,
    /// What the names of exchanges and queues begin with.
    pub prefix: String,
}

impl Default for AmqpSettings {
    fn default() -> Self {
        Self {
            url: None,
            prefix: "slipway".into(),
        }
    }
}

impl Section for AmqpSettings {}

/// `[http]`: limits of every listener.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpSettings {
    /// Threads that serve requests, for each service.
    pub workers: usize,
    /// The longest body of a JSON request, in bytes.
    pub max_body: usize,
    /// The most connections that one worker holds.
    pub max_connections: usize,
    /// How long a client may take to send its request's head.
    pub head_timeout: Duration,
    /// How long a client may leave unread what it has been sent.
    pub stall_timeout: Duration,
    /// How long a connection without a request is kept.
    pub keep_alive: Duration,
    /// How long a request may take to be answered, long polls and streams aside.
    pub answer_timeout: Duration,
    /// How long requests under way are waited for when the process stops.
    pub drain_timeout: Duration,
    /// Proxies whose `X-Forwarded-For` is believed, as addresses or networks.
    pub trusted_proxies: List,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            workers: 1,
            max_body: 256 * 1024,
            max_connections: 10_000,
            head_timeout: Duration::secs(10),
            stall_timeout: Duration::secs(60),
            keep_alive: Duration::secs(75),
            answer_timeout: Duration::secs(60),
            drain_timeout: Duration::secs(10),
            trusted_proxies: List::default(),
        }
    }
}

impl Section for HttpSettings {
    fn validate(&self) -> Result<(), String> {
        if self.workers == 0 {
            Err("`workers` must be at least 1".into())
        } else {
            Ok(())
        }
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

/// `[log]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogSettings {
    /// How lines look.
    pub format: LogFormat,
    /// What is written: a level, or directives such as `info,slipway_auth=debug`.
    pub level: String,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            format: LogFormat::Human,
            level: "info".into(),
        }
    }
}

impl Section for LogSettings {}

/// `[secrets]`
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SecretsSettings {
    /// The master key: 32 bytes in base64. Without it one is made and kept in the data directory.
    pub master_key: Option<Secret>,
    /// Earlier master keys, still good for opening.
    pub previous_keys: Vec<Secret>,
}

impl Section for SecretsSettings {}

/// `[tokens]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TokenSettings {
    /// The issuer of all tokens.
    pub issuer: String,
    /// How old the list of revocations may be before tokens are refused.
    pub max_staleness: Duration,
}

impl Default for TokenSettings {
    fn default() -> Self {
        Self {
            issuer: "micro".into(),
            max_staleness: Duration::secs(10),
        }
    }
}

impl Section for TokenSettings {}

/// `[services.<name>]`: where a service is, and how it shows who it is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServiceSettings {
    /// The address it listens on for what comes through the gateway; a port of its own on loopback unless set.
    pub listen: Option<String>,
    /// The address of its private listener.
    pub private_listen: Option<String>,
    /// Where the gateway reaches it.
    pub url: Option<String>,
    /// Where the other services reach its private listener.
    pub private_url: Option<String>,
    /// Its secret, known to itself and to auth.
    pub secret: Option<Secret>,
}
