//! A role of the test's own on the PostgreSQL server, whose password is a canary.

use std::sync::Mutex;

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, PgConnection};
use url::Url;

use super::canary::Canary;

/// Removed when it is dropped, with the databases that apps got through it.
pub(super) struct Server {
    admin: Url,
    role: String,
    pub(super) password: Canary,
    /// A database of the test's own in which the role has made things.
    platform: Option<String>,
    environments: Mutex<Vec<String>>,
}

impl Server {
    /// `platform` is the URL of the database that the platform itself shall use, if it is on a server.
    pub(super) fn new(platform: Option<String>) -> Self {
        let admin = std::env::var("SLIPWAY_TEST_POSTGRES_URL");
        let admin =
            admin.unwrap_or_else(|_| "postgres://postgres@127.0.0.1:5432/postgres".to_owned());
        let password = Canary::plain("the password of the PostgreSQL server", 28);
        let role = Canary::plain("a name", 20).value;
        let server = Self {
            admin: admin.parse().unwrap(),
            role: format!("slipway_test_{role}"),
            password,
            platform,
            environments: Mutex::default(),
        };
        let make = format!(
            "CREATE ROLE {} SUPERUSER LOGIN PASSWORD '{}'",
            server.role, server.password.value
        );
        execute(server.admin.as_str(), &make);
        server
    }

    /// The server, as the role.
    pub(super) fn url(&self) -> String {
        self.as_role(self.admin.clone())
    }

    /// The platform's own database, as the role.
    pub(super) fn platform_url(&self) -> Option<String> {
        self.platform
            .as_ref()
            .map(|url| self.as_role(url.parse().unwrap()))
    }

    fn as_role(&self, mut url: Url) -> String {
        url.set_username(&self.role).unwrap();
        url.set_password(Some(&self.password.value)).unwrap();
        url.into()
    }

    /// Has this environment's database removed in the end.
    pub(super) fn will_forget(&self, environment: &str) {
        self.environments
            .lock()
            .unwrap()
            .push(environment.to_owned());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for environment in self.environments.lock().unwrap().iter() {
            let name = format!("\"app_{environment}\"");
            execute(
                self.admin.as_str(),
                &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
            );
            execute(self.admin.as_str(), &format!("DROP ROLE IF EXISTS {name}"));
        }
        let role = &self.role;
        if let Some(url) = &self.platform {
            execute(url, &format!("REASSIGN OWNED BY {role} TO CURRENT_USER"));
            execute(url, &format!("DROP OWNED BY {role}"));
        }
        execute(self.admin.as_str(), &format!("DROP ROLE {role}"));
    }
}

fn execute(url: &str, sql: &str) {
    let done = PgConnection::establish(url)
        .map_err(|error| error.to_string())
        .and_then(|mut db| db.batch_execute(sql).map_err(|error| error.to_string()));
    // A test that fails already shall say why, and not this.
    if let Err(error) = done
        && !std::thread::panicking()
    {
        panic!("PostgreSQL (SLIPWAY_TEST_POSTGRES_URL) refuses: {error}");
    }
}
