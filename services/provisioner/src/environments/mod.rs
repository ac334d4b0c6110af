//! What an environment gives to its builds and its app: variables, secrets, a database, a user to run as.

pub(crate) mod store;

use std::collections::BTreeMap;

use chassis::db::Db;
use common::api::project::EnvironmentRuntime;
use common::id::{AccountId, EnvironmentId};
use common::{ExposeSecret as _, SecretString};

use crate::appdb::Password;
use crate::builds::Failure;
use crate::failpoints;
use crate::process::Owner;
use crate::state::State;

/// Variables with their values.
#[derive(Clone, Default)]
pub(crate) struct Variables {
    /// All of them.
    pub(crate) all: BTreeMap<String, String>,
    /// The values that logs must not show.
    pub(crate) secrets: Vec<String>,
}

impl std::fmt::Debug for Variables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.all.keys()).finish()
    }
}

impl Variables {
    fn set(&mut self, name: &str, value: &str) {
        self.all.insert(name.to_owned(), value.to_owned());
    }

    fn set_secret(&mut self, name: &str, value: &SecretString) {
        self.set(name, value.expose_secret());
        self.secrets.push(value.expose_secret().to_owned());
    }
}

/// The variables of an environment as its owners have set them, with a database where it asks for one, and
/// `generated` secrets where its owners have set none of these names.
pub(crate) async fn variables(
    state: &State,
    environment: &EnvironmentId,
    has_database: bool,
    generated: &[String],
) -> Result<Variables, Failure> {
    let path = format!("/internal/environments/{environment}/runtime");
    let asked = state.calls.get("project", &path).await;
    let runtime: EnvironmentRuntime = asked
        .map_err(|error| Failure::of_call("the environment's variables can't be had", error))?;
    let mut variables = Variables::default();
    if has_database {
        add_database(state, environment, &mut variables).await?;
    }
    let is_set =
        |name: &String| runtime.variables.contains_key(name) || runtime.secrets.contains_key(name);
    for name in generated.iter().filter(|name| !is_set(name)) {
        let secret = generated_secret(state, environment, name).await?;
        variables.set_secret(name, &secret);
    }
    for (name, value) in &runtime.variables {
        variables.set(name, value);
    }
    for (name, value) in &runtime.secrets {
        variables.set_secret(name, value);
    }
    Ok(variables)
}

async fn add_database(
    state: &State,
    environment: &EnvironmentId,
    to: &mut Variables,
) -> Result<(), Failure> {
    let Some(server) = &state.postgres else {
        let why = "the environment asks for a database, but this platform has no server for them (setting `apps.postgres_url`)";
        return Err(Failure::Failed(why.to_owned()));
    };
    let place = format!("provisioner/app_databases/{environment}");
    let fresh = Password::random();
    let sealed = state
        .sealer
        .seal(fresh.secret().expose_secret().as_bytes(), &place)?;
    let id = environment.clone();
    let kept = state
        .db
        .write(move |db: &mut Db| store::keep_password(db, &id, &sealed))
        .await?;
    let password = Password::kept(state.sealer.open_text(&kept, &place)?);
    failpoints::pass(failpoints::BEFORE_DATABASE);
    let database = server.ensure(environment.as_str(), &password).await?;
    failpoints::pass(failpoints::AFTER_DATABASE);
    to.set_secret("DATABASE_URL", &database.url);
    // An app may print its parts.
    to.secrets
        .push(password.secret().expose_secret().to_owned());
    Ok(())
}

async fn generated_secret(
    state: &State,
    environment: &EnvironmentId,
    name: &str,
) -> Result<SecretString, Failure> {
    let place = format!("provisioner/generated_secrets/{environment}/{name}");
    let sealed = state
        .sealer
        .seal(common::random::token().as_bytes(), &place)?;
    let (id, name) = (environment.clone(), name.to_owned());
    let kept = state
        .db
        .write(move |db: &mut Db| store::keep_secret(db, &id, &name, &sealed))
        .await?;
    Ok(state.sealer.open_text(&kept, &place)?)
}

/// From now on an environment's builds and app run as a user of their own: what they run is a stranger's,
/// and the account's other apps aren't to be read by it.
pub(crate) async fn own_user(state: &State, environment: &EnvironmentId) -> Result<(), Failure> {
    let environment = environment.clone();
    let numbered = state
        .db
        .write(move |db: &mut Db| store::number(db, environment.as_str()));
    Ok(numbered.await.map(drop)?)
}

/// The user that an environment's builds and app run as: its account's, unless it has one of its own; none
/// where Slipway isn't root.
pub(crate) async fn owner(
    state: &State,
    (account, environment): (&AccountId, &EnvironmentId),
) -> Result<Option<Owner>, Failure> {
    let Some(range) = state.uids() else {
        return Ok(None);
    };
    let (account, environment) = (account.clone(), environment.clone());
    let number = state
        .db
        .write(
            move |db: &mut Db| match store::known_number(db, environment.as_str())? {
                Some(own) => Ok::<_, diesel::result::Error>(own),
                None => store::number(db, account.as_str()),
            },
        )
        .await?;
    let owner = u32::try_from(number)
        .ok()
        .and_then(|number| range.owner(number));
    let used_up = || {
        Failure::Failed(
            "there is no user id left for this account (setting `apps.uids`)".to_owned(),
        )
    };
    owner.map(Some).ok_or_else(used_up)
}
