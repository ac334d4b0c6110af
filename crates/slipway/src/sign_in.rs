//! Who a command acts for.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use common::time::Clock;
use secrecy::SecretString;
use serde::Deserialize;

use crate::api::{Account, Api, ApiError};
use crate::cli::PlatformArgs;
use crate::credentials::{Actor, Store, Stored};
use crate::{environment, login};

/// How many seconds before its end a token is renewed.
const MARGIN: i64 = 60;

/// An address and its password, as the first start leaves them in the data directory.
#[derive(Debug, Deserialize)]
pub(crate) struct Credentials {
    pub(crate) email: String,
    pub(crate) password: SecretString,
}

/// Where the right to act comes from.
#[derive(Debug)]
enum Authority {
    /// A person's token.
    Token(SecretString),
    /// What `slipway login` has kept.
    Kept(Store, Stored),
    /// The admin's address and password, and where they were found.
    Admin(Credentials, String),
}

/// A person who is signed in, with the admin's credentials where these were the way in.
#[derive(Debug)]
pub(crate) struct Person {
    /// The platform, as this person.
    pub(crate) api: Api,
    /// The accounts that the person is a member of.
    pub(crate) accounts: Vec<Account>,
    credentials: Option<Credentials>,
}

impl Person {
    /// The platform, as the admin whom this person is too; `None` for who came with a token.
    pub(crate) async fn as_admin(&self) -> anyhow::Result<Option<Api>> {
        match &self.credentials {
            Some(credentials) => Ok(Some(sign_in(&self.api, "admin", credentials).await?)),
            None => Ok(None),
        }
    }

    /// What a new account is called where nothing else is said: the address's part before the `@`.
    pub(crate) fn account_name(&self) -> &str {
        self.credentials
            .as_ref()
            .and_then(|known| known.email.split('@').next())
            .unwrap_or("default")
    }

    /// The account that is meant: by name or id, else the only one; `None` where there is none at all.
    pub(crate) fn account(&self, wanted: Option<&str>) -> anyhow::Result<Option<&Account>> {
        choose(&self.accounts, wanted)
    }
}

/// The file in which the first start leaves the admin's credentials.
pub(crate) fn credentials_file(data_dir: &Path) -> PathBuf {
    data_dir.join("admin-credentials.json")
}

/// Reads the admin's credentials from a data directory; `None` where it has none.
pub(crate) fn read_credentials(data_dir: &Path) -> anyhow::Result<Option<Credentials>> {
    let file = credentials_file(data_dir);
    let text = match std::fs::read(&file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => {
            return Err(error).with_context(|| format!("{} can't be read", file.display()));
        }
    };
    let credentials = serde_json::from_slice(&text);
    credentials
        .map(Some)
        .with_context(|| format!("{} holds no credentials", file.display()))
}

/// Signs in by `SLIPWAY_TOKEN`, by what `slipway login` has kept, else as the admin, and makes the person's user if there is none yet.
pub(crate) async fn person(platform: &PlatformArgs) -> anyhow::Result<Person> {
    let api = Api::new(platform.url.clone())?;
    match authority(platform, Actor::Euser)? {
        Authority::Token(token) => of_token(api.with_token(token)).await,
        Authority::Kept(store, stored) => {
            let token = fresh(&api, &store, stored, Actor::Euser).await?;
            of_token(api.with_token(token)).await
        }
        Authority::Admin(credentials, origin) => {
            let api = sign_in(&api, "euser", &credentials)
                .await
                .with_context(|| format!("signing in as {} with {origin}", credentials.email))?;
            let user = match api.me().await {
                Err(error) if error.is("user_required") || error.has_status(404) => {
                    api.become_user(&credentials.email).await?;
                    api.me().await?
                }
                other => other?,
            };
            Ok(Person {
                api,
                accounts: user.accounts,
                credentials: Some(credentials),
            })
        }
    }
}

async fn of_token(api: Api) -> anyhow::Result<Person> {
    let user = api.me().await.map_err(explain_missing_user)?;
    Ok(Person {
        api,
        accounts: user.accounts,
        credentials: None,
    })
}

/// The platform, as an operator: by the same ways.
pub(crate) async fn admin(platform: &PlatformArgs) -> anyhow::Result<Api> {
    let api = Api::new(platform.url.clone())?;
    match authority(platform, Actor::Admin)? {
        Authority::Token(token) => Ok(api.with_token(token)),
        Authority::Kept(store, stored) => {
            let token = fresh(&api, &store, stored, Actor::Admin).await?;
            Ok(api.with_token(token))
        }
        Authority::Admin(credentials, origin) => sign_in(&api, "admin", &credentials)
            .await
            .with_context(|| format!("signing in as {} with {origin}", credentials.email)),
    }
}

/// A token that has a while to live: the one that is kept, or the next one.
async fn fresh(
    api: &Api,
    store: &Store,
    stored: Stored,
    actor: Actor,
) -> anyhow::Result<SecretString> {
    if stored.expires_at - MARGIN > Clock::system().now().unix() {
        return Ok(stored.access_token);
    }
    let tokens = api.refresh(&stored.refresh_token).await;
    let tokens = tokens.map_err(|error| {
        if error.is("invalid_grant") {
            anyhow::anyhow!("this sign-in has ended: `slipway login` begins another")
        } else {
            error.into()
        }
    })?;
    let next = login::stored(tokens);
    let token = next.access_token.clone();
    store.put(api.base(), actor, next)?;
    Ok(token)
}

fn authority(platform: &PlatformArgs, actor: Actor) -> anyhow::Result<Authority> {
    let data_dir = &platform.data_dir;
    if let Some(token) = environment::token() {
        return Ok(Authority::Token(token));
    }
    if let Some((email, password)) = environment::admin() {
        let origin = "SLIPWAY_ADMIN_EMAIL and SLIPWAY_ADMIN_PASSWORD".to_owned();
        return Ok(Authority::Admin(Credentials { email, password }, origin));
    }
    if let Some(store) = Store::open()
        && let Some(stored) = store.get(&platform.url, actor)?
    {
        return Ok(Authority::Kept(store, stored));
    }
    let file = credentials_file(data_dir).display().to_string();
    match read_credentials(data_dir)? {
        Some(credentials) => Ok(Authority::Admin(credentials, file)),
        None => anyhow::bail!(
            "not signed in: `slipway login`, set SLIPWAY_TOKEN to a person's token, or SLIPWAY_ADMIN_EMAIL and \
             SLIPWAY_ADMIN_PASSWORD, or name the platform's data with --data-dir (there is no {file})"
        ),
    }
}

async fn sign_in(api: &Api, actor: &str, credentials: &Credentials) -> anyhow::Result<Api> {
    match api
        .sign_in(actor, &credentials.email, &credentials.password)
        .await
    {
        Ok(Some(token)) => Ok(api.with_token(token)),
        Ok(None) => anyhow::bail!(
            "this person has a second factor: sign in where it can be asked for, and set SLIPWAY_TOKEN to the token"
        ),
        Err(error) if error.has_status(401) => anyhow::bail!(
            "the platform at {} refuses this address and password: another platform may have made \
             them, or the password was changed since",
            api.base().as_str().trim_end_matches('/')
        ),
        Err(error) => Err(error.into()),
    }
}

fn explain_missing_user(error: ApiError) -> anyhow::Error {
    if error.is("user_required") {
        anyhow::anyhow!(
            "the person has no user yet: POST /v1/users with the person's email makes it"
        )
    } else {
        error.into()
    }
}

fn choose<'a>(
    accounts: &'a [Account],
    wanted: Option<&str>,
) -> anyhow::Result<Option<&'a Account>> {
    let list = || {
        accounts
            .iter()
            .map(|account| format!("{} ({})", account.name, account.id))
            .collect::<Vec<_>>()
            .join(", ")
    };
    match (wanted, accounts) {
        (_, []) => Ok(None),
        (None, [only]) => Ok(Some(only)),
        (None, _) => anyhow::bail!(
            "you are a member of several accounts; choose with --account: {}",
            list()
        ),
        (Some(wanted), _) => {
            let mut found = accounts
                .iter()
                .filter(|account| account.id == wanted || account.name == wanted);
            match (found.next(), found.next()) {
                (Some(account), None) => Ok(Some(account)),
                (Some(_), Some(_)) => anyhow::bail!(
                    "several accounts are called `{wanted}`; give the id: {}",
                    list()
                ),
                (None, _) => anyhow::bail!(
                    "you are a member of no account `{wanted}`; yours: {}",
                    list()
                ),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(id: &str, name: &str) -> Account {
        Account {
            id: id.into(),
            name: name.into(),
            role: None,
        }
    }

    #[test]
    fn the_only_account_is_meant_unless_another_is_named() {
        let one = [account("acc_1", "Acme")];
        assert_eq!(choose(&one, None).unwrap().unwrap().id, "acc_1");
        assert_eq!(choose(&one, Some("acc_1")).unwrap().unwrap().id, "acc_1");
        assert!(choose(&one, Some("acme")).is_err());
        assert!(choose(&[], Some("acme")).unwrap().is_none());
    }

    #[test]
    fn among_several_accounts_one_has_to_be_named_without_doubt() {
        let several = [
            account("acc_1", "Acme"),
            account("acc_2", "Acme"),
            account("acc_3", "Other"),
        ];
        assert!(
            choose(&several, None)
                .unwrap_err()
                .to_string()
                .contains("--account")
        );
        assert!(choose(&several, Some("Acme")).is_err());
        assert_eq!(
            choose(&several, Some("Other")).unwrap().unwrap().id,
            "acc_3"
        );
        assert_eq!(
            choose(&several, Some("acc_2")).unwrap().unwrap().id,
            "acc_2"
        );
    }

    #[test]
    fn credentials_are_read_from_the_data_directory() {
        let dir = tempfile::tempdir().unwrap();
        assert!(read_credentials(dir.path()).unwrap().is_none());
        let text = r#"{"email":"admin@slipway.localhost","password":"x","note":"change it"}"#;
        std::fs::write(credentials_file(dir.path()), text).unwrap();
        assert_eq!(
            read_credentials(dir.path()).unwrap().unwrap().email,
            "admin@slipway.localhost"
        );
        std::fs::write(credentials_file(dir.path()), "{").unwrap();
        assert!(
            read_credentials(dir.path())
                .unwrap_err()
                .to_string()
                .contains("admin-credentials.json")
        );
    }
}
