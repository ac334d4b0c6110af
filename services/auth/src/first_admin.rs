//! The first admin, made at the first start.
//!
//! The address and password come from the settings; without a password a random one is left in
//! `admin-credentials.json` in the data directory, for its owner only.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use chassis::db::Db;
use chassis::http::ClientAddress;
use common::email::EmailAddress;
use common::random;
use common::time::Time;
use common::token::ActorType;
use diesel::result::Error;

use crate::emailpass;
use crate::identities::{self, Identity, Provider, Realm, store};
use crate::password::Password;
use crate::settings::Settings;
use crate::state::State;

const DEFAULT_EMAIL: &str = "admin@slipway.localhost";
const FILE: &str = "admin-credentials.json";

/// Makes the first admin unless there is one.
pub(crate) async fn ensure(
    state: &State,
    settings: &Settings,
    data_dir: &Path,
) -> anyhow::Result<()> {
    if state
        .db
        .read(|db| store::anybody_holds(db, ActorType::Admin))
        .await?
    {
        return Ok(());
    }
    let email = EmailAddress::parse(settings.admin_email.as_deref().unwrap_or(DEFAULT_EMAIL))?;
    let chosen = settings
        .admin_password
        .as_ref()
        .map(|password| password.expose().to_owned());
    let (password, draft) = if let Some(password) = chosen {
        (password, None)
    } else {
        let password = random::token();
        let draft = Draft::write(data_dir, &email, &password)?;
        (password, Some(draft))
    };
    let hash = state.hasher.hash(Password::new(&password)).await?;
    let path = draft.as_ref().map(|draft| draft.path.clone());
    let now = state.clock.now();
    let made = state
        .db
        .write(move |db| {
            chassis::db::lock(db, "first-admin")?;
            if store::anybody_holds(db, ActorType::Admin)? {
                return Ok(false);
            }
            make(db, &email, &hash, now)?;
            // Last, so that the file never names a password that no admin has for longer than
            // it takes to commit; after a crash in between the next start makes both anew.
            draft
                .map_or(Ok(()), Draft::publish)
                .map_err(|error| Error::QueryBuilderError(error.into()))?;
            Ok::<_, Error>(true)
        })
        .await?;
    match path {
        _ if !made => {}
        Some(path) => {
            tracing::info!(path = %path.display(), "the first admin was made; the password is in this file");
        }
        None => tracing::info!("the first admin was made, with the configured password"),
    }
    Ok(())
}

/// Makes the admin. Whoever had registered this address before is not the one that the operator
/// means: the password becomes the operator's, and earlier tokens end.
fn make(db: &mut Db, email: &EmailAddress, hash: &str, now: Time) -> Result<(), Error> {
    let actors = [ActorType::Admin, ActorType::Euser];
    if let Some((identity, _)) =
        store::by_provider(db, &Realm::Platform, Provider::Emailpass, email.as_str())?
    {
        store::set_secret(db, &identity.id, Provider::Emailpass, hash, now)?;
        for actor in actors {
            identities::grant_actor(db, &identity.id, actor, now)?;
        }
        store::set_email_verified(db, &identity.id, now)?;
        identities::revoke_all(db, &identity.id, now)
    } else {
        let mut identity = Identity::new(Realm::Platform, Some(email.as_str().to_owned()), now);
        // It is the operator's word that this is the admin's address.
        identity.email_verified_at = Some(now);
        identity.actors.extend(actors);
        emailpass::keep(db, &identity, hash, ClientAddress(None), now)
    }
}

/// The file under a name that nobody reads yet.
struct Draft {
    draft: PathBuf,
    path: PathBuf,
}

impl Draft {
    fn write(data_dir: &Path, email: &EmailAddress, password: &str) -> anyhow::Result<Self> {
        let path = data_dir.join(FILE);
        let draft = data_dir.join(format!("{FILE}.{}", hex::encode(random::bytes::<8>())));
        let text = serde_json::json!({ "email": email.as_str(), "password": password }).to_string();
        fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&draft)
            .and_then(|mut file| {
                file.write_all(text.as_bytes())
                    .and_then(|()| file.sync_all())
            })
            .with_context(|| format!("cannot write {}", draft.display()))?;
        Ok(Self { draft, path })
    }

    fn publish(self) -> std::io::Result<()> {
        fs::rename(&self.draft, &self.path)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // It is there still only where another process was quicker, or something failed.
        let _gone = fs::remove_file(&self.draft);
    }
}
