//! The statements that give an environment its database, and take it away.

use diesel::connection::SimpleConnection as _;
use diesel::sql_types::{BigInt, Bool, Text};
use diesel::{
    Connection as _, OptionalExtension as _, PgConnection, QueryableByName, RunQueryDsl as _,
    sql_query,
};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::{AppDatabase, AppDbError, DatabaseName, Password};

/// How many connections one app may hold, where the operator doesn't say.
const CONNECTIONS: u32 = 40;

/// The PostgreSQL server of `apps.postgres_url`.
#[derive(Clone, Debug)]
pub struct DatabaseServer {
    url: SecretString,
    connections: u32,
}

#[derive(QueryableByName)]
struct Role {
    #[diesel(sql_type = Bool)]
    privileged: bool,
}

#[derive(QueryableByName)]
struct Named {
    #[diesel(sql_type = Text)]
    name: String,
}

#[derive(QueryableByName)]
struct Flag {
    #[diesel(sql_type = Bool)]
    flag: bool,
}

impl DatabaseServer {
    /// A server by the URL of a role that may create roles and databases on it.
    pub fn new(url: SecretString) -> Result<Self, AppDbError> {
        parse(&url)?;
        Ok(Self {
            url,
            connections: CONNECTIONS,
        })
    }

    /// The same server with another bound on the connections of each app.
    #[must_use]
    pub fn with_connections(self, connections: u32) -> Self {
        Self {
            connections,
            ..self
        }
    }

    /// Sees to it that the environment has its database and that its role has this password.
    ///
    /// Keep the password before calling: then a retry after a crash comes to the same end.
    pub async fn ensure(
        &self,
        environment_id: &str,
        password: &Password,
    ) -> Result<AppDatabase, AppDbError> {
        let name = DatabaseName::of_environment(environment_id)?;
        let url = self.app_url(&name, password)?;
        let (role, verifier, connections) = (name.clone(), password.verifier(), self.connections);
        self.on_server(move |server| {
            ensure_role(server, &role, &verifier, connections)?;
            ensure_database(server, &role)
        })
        .await?;
        Ok(AppDatabase { name, url })
    }

    /// Gives the environment's role another password and answers the new URL. Open connections stay.
    pub async fn rotate(
        &self,
        environment_id: &str,
        password: &Password,
    ) -> Result<AppDatabase, AppDbError> {
        self.ensure(environment_id, password).await
    }

    /// Removes the environment's database and role with all that is in them, if they are there.
    pub async fn remove(&self, environment_id: &str) -> Result<(), AppDbError> {
        let name = DatabaseName::of_environment(environment_id)?;
        self.on_server(move |server| {
            lock(server, &name)?;
            let name = name.quoted();
            // FORCE ends the connections of an app that still runs.
            run(
                server,
                "drop a database",
                &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
            )?;
            run(
                server,
                "drop a role",
                &format!("DROP ROLE IF EXISTS {name}"),
            )
        })
        .await
    }

    /// The databases of the server that every role, so every app, may connect to. For `doctor`: they
    /// are the operator's to close.
    pub async fn open_databases(&self) -> Result<Vec<String>, AppDbError> {
        const QUERY: &str = "SELECT datname::text AS name FROM pg_database \
             WHERE datallowconn AND has_database_privilege('public', oid, 'CONNECT') ORDER BY 1";
        let open = self.on_server(|server| {
            sql_query(QUERY)
                .load::<Named>(server)
                .map_err(|source| AppDbError::Query {
                    doing: "list databases",
                    source,
                })
        });
        Ok(open
            .await?
            .into_iter()
            .map(|database| database.name)
            .collect())
    }

    fn app_url(
        &self,
        name: &DatabaseName,
        password: &Password,
    ) -> Result<SecretString, AppDbError> {
        let mut url = parse(&self.url)?;
        url.set_username(name.as_str())
            .map_err(|()| AppDbError::Url)?;
        url.set_password(Some(password.secret().expose_secret()))
            .map_err(|()| AppDbError::Url)?;
        url.set_path(name.as_str());
        Ok(String::from(url).into())
    }

    async fn on_server<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut PgConnection) -> Result<T, AppDbError> + Send + 'static,
    ) -> Result<T, AppDbError> {
        let mut url = parse(&self.url)?;
        if !url.query_pairs().any(|(name, _)| name == "connect_timeout") {
            url.query_pairs_mut().append_pair("connect_timeout", "5");
        }
        let span = tracing::Span::current();
        let task = tokio::task::spawn_blocking(move || {
            let _entered = span.entered();
            let mut server = PgConnection::establish(url.as_str()).map_err(AppDbError::Connect)?;
            run(
                &mut server,
                "set time limits",
                "SET statement_timeout = '60s'; SET lock_timeout = '20s'",
            )?;
            work(&mut server)
        });
        task.await.map_err(AppDbError::Ended)?
    }
}

fn parse(url: &SecretString) -> Result<Url, AppDbError> {
    // The parser's own error would hold the URL, and so the password.
    let url = Url::parse(url.expose_secret())
        .ok()
        .ok_or(AppDbError::Url)?;
    if matches!(url.scheme(), "postgres" | "postgresql") {
        Ok(url)
    } else {
        Err(AppDbError::Url)
    }
}

fn run(server: &mut PgConnection, doing: &'static str, statement: &str) -> Result<(), AppDbError> {
    server
        .batch_execute(statement)
        .map_err(|source| AppDbError::Query { doing, source })
}

/// Two workers on one environment go one after the other. The lock ends with the connection.
fn lock(server: &mut PgConnection, name: &DatabaseName) -> Result<(), AppDbError> {
    let locked = sql_query("SELECT pg_advisory_lock($1)")
        .bind::<BigInt, _>(lock_key(name))
        .execute(server);
    locked.map(drop).map_err(|source| AppDbError::Query {
        doing: "lock a database's name",
        source,
    })
}

fn lock_key(name: &DatabaseName) -> i64 {
    let digest = ring::digest::digest(&ring::digest::SHA256, name.as_str().as_bytes());
    digest
        .as_ref()
        .first_chunk::<8>()
        .map_or(0, |bytes| i64::from_be_bytes(*bytes))
}

fn ensure_role(
    server: &mut PgConnection,
    name: &DatabaseName,
    verifier: &str,
    connections: u32,
) -> Result<(), AppDbError> {
    const FIND: &str = "SELECT rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls AS privileged \
         FROM pg_roles WHERE rolname = $1";
    lock(server, name)?;
    let found = sql_query(FIND)
        .bind::<Text, _>(name.as_str())
        .get_result::<Role>(server)
        .optional();
    let role = name.quoted();
    match found.map_err(|source| AppDbError::Query {
        doing: "look for a role",
        source,
    })? {
        Some(Role { privileged: true }) => return Err(AppDbError::ForeignRole(name.clone())),
        Some(Role { privileged: false }) => {}
        None => run(
            server,
            "create a role",
            &format!("CREATE ROLE {role} NOSUPERUSER NOCREATEDB NOCREATEROLE"),
        )?,
    }
    // The verifier is base64 and `$:-`, so it can't end the literal.
    let alter =
        format!("ALTER ROLE {role} LOGIN CONNECTION LIMIT {connections} PASSWORD '{verifier}'");
    run(server, "set up a role", &alter)
}

fn ensure_database(server: &mut PgConnection, name: &DatabaseName) -> Result<(), AppDbError> {
    const FIND: &str = "SELECT datname::text AS name FROM pg_database WHERE datname = $1";
    let found = sql_query(FIND)
        .bind::<Text, _>(name.as_str())
        .get_result::<Named>(server)
        .optional();
    let found = found.map_err(|source| AppDbError::Query {
        doing: "look for a database",
        source,
    })?;
    let quoted = name.quoted();
    if found.is_none() {
        if !is_superuser(server)? {
            // Only a member of a role may make it the owner of something.
            run(
                server,
                "join a role",
                &format!("GRANT {quoted} TO CURRENT_USER"),
            )?;
        }
        // Closed to all until it is closed to the public. Nobody is ever connected to template0, so
        // it can be copied at any time.
        let create = format!(
            "CREATE DATABASE {quoted} OWNER {quoted} TEMPLATE template0 ENCODING 'UTF8' ALLOW_CONNECTIONS false"
        );
        run(server, "create a database", &create)?;
    }
    run(
        server,
        "close a database to others",
        &format!("REVOKE ALL ON DATABASE {quoted} FROM PUBLIC"),
    )?;
    run(
        server,
        "open a database to its app",
        &format!("ALTER DATABASE {quoted} ALLOW_CONNECTIONS true"),
    )
}

fn is_superuser(server: &mut PgConnection) -> Result<bool, AppDbError> {
    let query = sql_query("SELECT rolsuper AS flag FROM pg_roles WHERE rolname = CURRENT_USER");
    let row = query.get_result::<Flag>(server);
    row.map(|row| row.flag).map_err(|source| AppDbError::Query {
        doing: "look at its own rights",
        source,
    })
}
