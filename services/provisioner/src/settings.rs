//! The provisioner's settings.
//!
//! | variable | meaning |
//! |---|---|
//! | `SLIPWAY_BUILDS__CONCURRENCY` | how many builds run their commands at once on this machine |
//! | `SLIPWAY_BUILDS__PHASE_TIMEOUT` | the most time for one command of a build |
//! | `SLIPWAY_BUILDS__CHECKOUT_TIMEOUT` | the most time for fetching a commit |
//! | `SLIPWAY_BUILDS__MEMORY` | memory of all processes of one command, in bytes |
//! | `SLIPWAY_BUILDS__PROCESSES` | processes and threads of one command |
//! | `SLIPWAY_BUILDS__NICENESS` | from 0 to 19: how far builds stand back behind apps |
//! | `SLIPWAY_BUILDS__LOG_BYTES` | how much output of a build is kept |
//! | `SLIPWAY_BUILDS__KEEP_RELEASES` | how many releases of an environment are kept, the live one included |
//! | `SLIPWAY_BUILDS__LEASE` | how long a dead worker's build lies still before another takes it |
//! | `SLIPWAY_APPS__DOMAIN` | the domain under which apps have their names |
//! | `SLIPWAY_APPS__POSTGRES_URL` | the server on which environments get their databases |
//! | `SLIPWAY_APPS__CONNECTIONS` | how many connections one app may hold to its database |
//! | `SLIPWAY_APPS__FIRST_PORT`, `…__LAST_PORT` | the ports that apps are given |
//! | `SLIPWAY_APPS__FIRST_UID`, `…__UIDS` | where accounts' user ids begin, and how many there are (as root) |
//! | `SLIPWAY_APPS__READABLE` | files and directories that all apps and builds may read, beside the system's |
//! | `SLIPWAY_APPS__WRITABLE` | those that they may also write, as far as their users may |
//! | `SLIPWAY_APPS__MEMORY` | memory of all processes of one app, in bytes |
//! | `SLIPWAY_APPS__PROCESSES` | processes and threads of one app |
//! | `SLIPWAY_APPS__MAX_INSTANCES` | how many instances of one app may run |
//! | `SLIPWAY_APPS__HEALTH_TIMEOUT` | how long an app may take to become healthy |
//! | `SLIPWAY_APPS__GRACE` | how long an app may take to end after being asked to |
//! | `SLIPWAY_APPS__DRAIN` | how long an old release goes on answering after the switch |
//! | `SLIPWAY_APPS__HOLD` | how long requests wait where the old release must stop before the new can start |
//! | `SLIPWAY_APPS__OUTPUT_BYTES` | how much of an app's output its own file keeps |
//! | `SLIPWAY_APPS__LOG_LINES` | how many lines of an app's output can be read back |
//! | `SLIPWAY_APPS__KEEP_DELETED` | how long the data of a deleted environment is kept |

use std::path::PathBuf;

use chassis::settings::{Duration, List, Secret, Section};
use serde::{Deserialize, Serialize};

use crate::build::BuildLimits;
use crate::process::{Confinement, Limits};

/// `[builds]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BuildsSettings {
    /// How many builds run their commands at once on this machine.
    pub concurrency: usize,
    /// The most time for one command.
    pub phase_timeout: Duration,
    /// The most time for fetching a commit.
    pub checkout_timeout: Duration,
    /// Memory of all processes of one command, in bytes.
    pub memory: u64,
    /// Processes and threads of one command.
    pub processes: u32,
    /// From 0 to 19: how far builds stand back behind apps.
    pub niceness: i32,
    /// How much output of a build is kept, in bytes.
    pub log_bytes: u64,
    /// How many releases of an environment are kept, the live one included.
    pub keep_releases: usize,
    /// How long a dead worker's build lies still before another takes it.
    pub lease: Duration,
}

impl Default for BuildsSettings {
    fn default() -> Self {
        Self {
            concurrency: 1,
            phase_timeout: Duration::secs(15 * 60),
            checkout_timeout: Duration::secs(5 * 60),
            memory: 4 << 30,
            processes: 1_000,
            niceness: 10,
            log_bytes: 4 << 20,
            keep_releases: 5,
            lease: Duration::secs(15),
        }
    }
}

impl Section for BuildsSettings {
    fn validate(&self) -> Result<(), String> {
        if self.concurrency == 0 || self.keep_releases == 0 {
            return Err("`concurrency` and `keep_releases` must be at least 1".into());
        }
        if !(0..=19).contains(&self.niceness) {
            return Err("`niceness` must be from 0 to 19".into());
        }
        if self.lease.0.as_secs() < 3 {
            return Err("`lease` must be at least 3s".into());
        }
        Ok(())
    }
}

impl BuildsSettings {
    /// The same, as the builder wants it.
    pub(crate) fn limits(&self) -> BuildLimits {
        BuildLimits {
            phase_time: self.phase_timeout.0,
            group: Limits {
                memory_bytes: Some(self.memory),
                processes: Some(self.processes),
            },
            niceness: self.niceness,
            at_once: self.concurrency,
        }
    }
}

/// `[apps]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AppsSettings {
    /// The domain under which apps have their names.
    pub domain: String,
    /// The PostgreSQL server on which environments get their databases, as a role that may make roles and databases.
    pub postgres_url: Option<Secret>,
    /// How many connections one app may hold to its database.
    pub connections: u32,
    /// The first port that apps are given.
    pub first_port: u16,
    /// The last one.
    pub last_port: u16,
    /// The first user id for accounts' apps; used as root only.
    pub first_uid: u32,
    /// How many user ids there are.
    pub uids: u32,
    /// Files and directories that all apps and builds may read, beside the system's; absolute.
    pub readable: List,
    /// Those that they may also write, as far as their users may.
    pub writable: List,
    /// Memory of all processes of one app, in bytes.
    pub memory: u64,
    /// Processes and threads of one app.
    pub processes: u32,
    /// How many instances of one app may run.
    pub max_instances: u32,
    /// How long an app may take to become healthy.
    pub health_timeout: Duration,
    /// How long an app may take to end after being asked to.
    pub grace: Duration,
    /// How long an old release goes on answering after the switch.
    pub drain: Duration,
    /// How long requests wait where the old release must stop before the new can start.
    pub hold: Duration,
    /// How much of an app's output its own file keeps, in bytes.
    pub output_bytes: u64,
    /// How many lines of an app's output can be read back.
    pub log_lines: i64,
    /// How long the data of a deleted environment is kept.
    pub keep_deleted: Duration,
}

impl Default for AppsSettings {
    fn default() -> Self {
        Self {
            domain: "localhost".into(),
            postgres_url: None,
            connections: 40,
            first_port: 21_000,
            last_port: 25_999,
            first_uid: 200_000,
            uids: 100_000,
            readable: List::default(),
            writable: List::default(),
            memory: 2 << 30,
            processes: 500,
            max_instances: 8,
            health_timeout: Duration::secs(120),
            grace: Duration::secs(10),
            drain: Duration::secs(5),
            hold: Duration::secs(10),
            output_bytes: 10 << 20,
            log_lines: 20_000,
            keep_deleted: Duration::secs(7 * 24 * 3600),
        }
    }
}

impl Section for AppsSettings {
    fn validate(&self) -> Result<(), String> {
        if self.first_port < 1024 || self.first_port > self.last_port {
            return Err("`first_port` must be at least 1024 and not above `last_port`".into());
        }
        if self.first_uid < 1000 || self.first_uid.checked_add(self.uids).is_none() {
            return Err(
                "`first_uid` must be at least 1000, and `uids` more must fit 32 bits".into(),
            );
        }
        for (name, list) in [("readable", &self.readable), ("writable", &self.writable)] {
            if let Some(path) = list.0.iter().find(|path| !path.starts_with('/')) {
                return Err(format!("`{name}`: `{path}` isn't absolute"));
            }
        }
        if !(1..=100).contains(&self.max_instances) {
            return Err("`max_instances` must be 1 to 100".into());
        }
        if self.log_lines < 100 {
            return Err("`log_lines` must be at least 100".into());
        }
        Ok(())
    }
}

impl AppsSettings {
    /// What all apps and builds may reach of the machine's files.
    pub(crate) fn shared(&self) -> Confinement {
        let paths = |list: &List| list.0.iter().map(PathBuf::from).collect();
        Confinement {
            own: paths(&self.writable),
            readable: paths(&self.readable),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_hold() {
        BuildsSettings::default().validate().unwrap();
        AppsSettings::default().validate().unwrap();
    }

    #[test]
    fn values_that_can_not_be_are_refused() {
        assert!(
            BuildsSettings {
                concurrency: 0,
                ..BuildsSettings::default()
            }
            .validate()
            .is_err()
        );
        assert!(
            BuildsSettings {
                niceness: -5,
                ..BuildsSettings::default()
            }
            .validate()
            .is_err()
        );
        assert!(
            AppsSettings {
                first_port: 80,
                ..AppsSettings::default()
            }
            .validate()
            .is_err()
        );
        assert!(
            AppsSettings {
                readable: List(vec!["data".into()]),
                ..AppsSettings::default()
            }
            .validate()
            .is_err()
        );
        assert!(
            AppsSettings {
                first_uid: 0,
                ..AppsSettings::default()
            }
            .validate()
            .is_err()
        );
    }
}
