//! Settings, in layers from lowest to highest: defaults, `slipway.toml`, environment, flags.
//!
//! Environment variables are `SLIPWAY_<SECTION>__<KEY>`, lists divided by commas. A section is
//! one struct of the service that uses it. A key or section that nobody knows stops the start.

mod core;
mod github;
mod public;
mod values;

pub use self::core::{
    AmqpSettings, Core, DatabaseSettings, HttpSettings, LogFormat, LogSettings, SecretsSettings,
    ServiceSettings, TokenSettings,
};
pub use github::{GithubClient, GithubSettings};
pub use public::{AppsSection, PublicUrls};
pub use values::{Duration, List, Secret};

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use ::config::{Config, ConfigError, Environment, File, FileFormat};
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Sections that exist in some service; one that isn't here is a mistake.
const SECTIONS: &[&str] = &[
    "access_log",
    "accounts",
    "amqp",
    "apps",
    "auth",
    "aws",
    "builds",
    "cors",
    "data_dir",
    "database",
    "domains",
    "gateway",
    "github",
    "http",
    "log",
    "mail",
    "project",
    "provisioner",
    "secrets",
    "services",
    "tokens",
    "webhooks",
];

/// Variables under our prefix that are no settings: the command line's, and the tests'.
const NOT_SETTINGS: &[&str] = &["url", "token", "failpoint", "fixtures"];

/// Short variables, and the ones they stand for where those aren't set.
const SHORT: &[(&str, &str)] = &[
    ("SLIPWAY_ADMIN_EMAIL", "SLIPWAY_AUTH__ADMIN_EMAIL"),
    ("SLIPWAY_ADMIN_PASSWORD", "SLIPWAY_AUTH__ADMIN_PASSWORD"),
    ("CLIENT_TTL", "SLIPWAY_AUTH__CLIENTS__LIFETIME"),
    ("PASSWORD_TTL", "SLIPWAY_AUTH__CLIENTS__RESET_LIFETIME"),
    ("MEDUSA_GH_APP_PRIVATE_KEY", "SLIPWAY_GITHUB__PRIVATE_KEY"),
    ("MEDUSA_GH_APP_ID", "SLIPWAY_GITHUB__APP_ID"),
    ("MEDUSA_GH_APP_CLIENT_ID", "SLIPWAY_GITHUB__CLIENT_ID"),
    (
        "MEDUSA_GH_APP_CLIENT_SECRET",
        "SLIPWAY_GITHUB__CLIENT_SECRET",
    ),
    (
        "MEDUSA_GH_APP_WEBHOOK_SECRET",
        "SLIPWAY_GITHUB__WEBHOOK_SECRET",
    ),
];

/// One section of the settings, as the service that uses it sees it.
pub trait Section: DeserializeOwned + Serialize + Default {
    /// Checks what types can't; the text names the key and what is wrong with its value.
    fn validate(&self) -> Result<(), String> {
        Ok(())
    }
}

/// Why the settings can't be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A file or value can't be read; the text names key and place.
    #[error("{0}")]
    Unreadable(#[from] ConfigError),
    /// A key that nobody knows.
    #[error("unknown setting `{0}` (known sections: {sections})", sections = SECTIONS.join(", "))]
    Unknown(String),
    /// A section whose values can't be.
    #[error("in section [{section}]: {why}")]
    Invalid {
        /// The section.
        section: String,
        /// What is wrong.
        why: String,
    },
}

/// Where settings come from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The file, which must be there; none takes `slipway.toml` of the working directory if it is there.
    pub file: Option<PathBuf>,
    /// The environment.
    pub environment: HashMap<String, String>,
    /// Values from flags and the like, by dotted key.
    pub overrides: BTreeMap<String, String>,
}

impl Sources {
    /// The process's own environment and this file.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "this is where the settings read it"
    )]
    pub fn of_process(file: Option<PathBuf>) -> Self {
        Self {
            file,
            environment: std::env::vars().collect(),
            overrides: BTreeMap::new(),
        }
    }
}

/// All settings, read but not yet typed.
#[derive(Clone, Debug)]
pub struct Settings(Config);

impl Settings {
    /// Reads all layers and refuses unknown sections.
    pub fn load(sources: Sources) -> Result<Self, SettingsError> {
        let mut builder = Config::builder();
        builder = match &sources.file {
            Some(path) => builder.add_source(
                File::from(path.as_path())
                    .format(FileFormat::Toml)
                    .required(true),
            ),
            None => builder.add_source(
                File::from(Path::new("slipway.toml"))
                    .format(FileFormat::Toml)
                    .required(false),
            ),
        };
        let environment = Environment::with_prefix("SLIPWAY")
            .prefix_separator("_")
            .separator("__")
            .ignore_empty(true)
            .source(Some(
                settings_only(sources.environment).into_iter().collect(),
            ));
        builder = builder.add_source(environment);
        for (key, value) in sources.overrides {
            builder = builder.set_override(key, value)?;
        }
        let settings = Self(builder.build()?);
        settings.refuse_unknown_sections()?;
        Ok(settings)
    }

    fn refuse_unknown_sections(&self) -> Result<(), SettingsError> {
        let table = self
            .0
            .clone()
            .try_deserialize::<BTreeMap<String, ::config::Value>>()?;
        match table.keys().find(|key| !SECTIONS.contains(&key.as_str())) {
            Some(key) => Err(SettingsError::Unknown(key.clone())),
            None => Ok(()),
        }
    }

    /// One section, typed and checked; its defaults if nothing is set.
    pub fn section<T: Section>(&self, name: &str) -> Result<T, SettingsError> {
        let invalid = |why: String| SettingsError::Invalid {
            section: name.to_owned(),
            why,
        };
        let section: T = match self.0.get::<::config::Value>(name) {
            Ok(value) => serde_path_to_error::deserialize(value).map_err(|error| {
                let key = error.path().to_string();
                invalid(format!("`{key}`: {}", error.into_inner()))
            })?,
            Err(ConfigError::NotFound(key)) if key == name => T::default(),
            Err(error) => return Err(invalid(error.to_string())),
        };
        section.validate().map_err(invalid)?;
        Ok(section)
    }

    /// Where the platform keeps what it must not lose: `.slipway` in the working directory unless set.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        self.0
            .get_string("data_dir")
            .map_or_else(|_| PathBuf::from(".slipway"), PathBuf::from)
    }

    /// The same settings, with the services' secrets that a process has made up for itself.
    pub(crate) fn with_service_secrets(
        &self,
        secrets: &BTreeMap<String, SecretString>,
    ) -> Result<Self, SettingsError> {
        let mut builder = Config::builder().add_source(self.0.clone());
        for (service, secret) in secrets {
            builder = builder
                .set_override(format!("services.{service}.secret"), secret.expose_secret())?;
        }
        Ok(Self(builder.build()?))
    }

    /// One section as JSON, secrets redacted, for people to look at.
    pub fn show<T: Section>(&self, name: &str) -> Result<serde_json::Value, SettingsError> {
        let section = self.section::<T>(name)?;
        serde_json::to_value(section).map_err(|error| SettingsError::Invalid {
            section: name.to_owned(),
            why: error.to_string(),
        })
    }
}

/// A free-form section, for those whose keys are names that people choose.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Named<T>(pub BTreeMap<String, T>);

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T: DeserializeOwned + Serialize> Section for Named<T> {}

/// Drops what is under our prefix but no setting, and writes short variables in full.
fn settings_only(mut environment: HashMap<String, String>) -> HashMap<String, String> {
    for (short, full) in SHORT {
        if let Some(value) = environment.remove(*short) {
            environment.entry((*full).to_owned()).or_insert(value);
        }
    }
    environment
        .into_iter()
        .filter(|(name, _)| {
            let Some(rest) = name.strip_prefix("SLIPWAY_") else {
                return false;
            };
            let rest = rest.to_ascii_lowercase();
            !NOT_SETTINGS.contains(&rest.as_str()) && !rest.starts_with("test_")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(environment: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        let environment = environment
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        Settings::load(Sources {
            environment,
            ..Sources::default()
        })
    }

    #[test]
    fn the_environment_sets_sections_and_keys() {
        let settings = load(&[
            ("SLIPWAY_LOG__FORMAT", "json"),
            ("SLIPWAY_HTTP__MAX_BODY", "1024"),
        ])
        .unwrap();
        assert_eq!(
            settings.section::<LogSettings>("log").unwrap().format,
            LogFormat::Json
        );
        assert_eq!(
            settings.section::<HttpSettings>("http").unwrap().max_body,
            1024
        );
    }

    #[test]
    fn a_short_variable_stands_for_one_in_full_unless_that_is_set() {
        let email = |environment: &[(&str, &str)]| {
            let settings = load(environment).unwrap();
            settings.0.get_string("auth.admin_email").unwrap()
        };
        let short = ("SLIPWAY_ADMIN_EMAIL", "short@x.dev");
        let full = ("SLIPWAY_AUTH__ADMIN_EMAIL", "full@x.dev");
        assert_eq!(email(&[short]), "short@x.dev");
        assert_eq!(email(&[short, full]), "full@x.dev");
        let settings = load(&[("CLIENT_TTL", "3600"), ("PASSWORD_TTL", "30m")]).unwrap();
        let lifetime = |key| settings.0.get_string(key).unwrap();
        assert_eq!(lifetime("auth.clients.lifetime"), "3600");
        assert_eq!(lifetime("auth.clients.reset_lifetime"), "30m");
        let app = load(&[
            ("MEDUSA_GH_APP_PRIVATE_KEY", "-----BEGIN\\n"),
            ("MEDUSA_GH_APP_ID", "12"),
            ("MEDUSA_GH_APP_CLIENT_ID", "Iv1"),
            ("MEDUSA_GH_APP_CLIENT_SECRET", "s"),
            ("MEDUSA_GH_APP_WEBHOOK_SECRET", "sixteen characters"),
        ]);
        let app = app.unwrap().section::<GithubSettings>("github").unwrap();
        assert_eq!(
            (app.app_id, app.private_key.unwrap().expose()),
            (Some(12), "-----BEGIN\\n")
        );
    }

    #[test]
    fn an_unknown_section_or_key_stops_the_start_and_is_named() {
        let error = load(&[("SLIPWAY_GATWAY__PORT", "1")])
            .unwrap_err()
            .to_string();
        assert!(error.contains("gatway"), "{error}");
        let settings = load(&[("SLIPWAY_LOG__FORMATT", "json")]).unwrap();
        let error = settings
            .section::<LogSettings>("log")
            .unwrap_err()
            .to_string();
        assert!(error.contains("formatt"), "{error}");
    }

    #[test]
    fn a_bad_value_is_named() {
        let settings = load(&[("SLIPWAY_HTTP__MAX_BODY", "lots")]).unwrap();
        let error = settings
            .section::<HttpSettings>("http")
            .unwrap_err()
            .to_string();
        assert!(error.contains("max_body"), "{error}");
    }

    #[test]
    fn a_secret_is_not_shown() {
        let settings = load(&[("SLIPWAY_AMQP__URL", "amqp://u:hunter2@host")]).unwrap();
        let shown = settings.show::<AmqpSettings>("amqp").unwrap().to_string();
        assert!(
            !shown.contains("hunter2") && shown.contains("***"),
            "{shown}"
        );
    }
}
