//! Installations of the GitHub App, and the accounts that have proved them.
//!
//! An installation is an account's once a member has shown with her own GitHub login that it is on
//! her, or on an organisation that she owns. The same installation may be proved for more than one
//! account; what one of them does with it touches no other.

pub(crate) mod http;
pub(crate) mod page;
pub(crate) mod state;
pub(crate) mod store;

use chassis::db::Db;
use chassis::events::emit;
use common::event::{GithubEvent, InstallationState};
use common::id::{AccountId, UserId};
use common::time::Time;
use diesel::QueryResult;
use diesel::prelude::*;

use crate::app::{self, OwnerKind};
use crate::schema::installations;

/// An installation, as the database knows it.
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = installations)]
pub(crate) struct Installation {
    /// Its number at GitHub.
    pub(crate) id: i64,
    /// The number of whom it is on.
    pub(crate) owner_id: i64,
    /// Their login.
    pub(crate) owner: String,
    /// Whether that is a person or an organisation.
    pub(crate) owner_kind: OwnerKind,
    /// Whether its tokens don't work at the moment.
    pub(crate) suspended: bool,
    /// Whether it has ended.
    pub(crate) removed: bool,
    /// How often it has changed.
    pub(crate) version: i64,
    /// When it was proved first.
    pub(crate) created_at: Time,
    /// When it changed last.
    pub(crate) updated_at: Time,
}

impl Installation {
    /// What events say of it.
    fn state(&self, accounts: Vec<AccountId>) -> InstallationState {
        InstallationState {
            installation_id: self.id,
            owner: self.owner.clone(),
            accounts,
            suspended: self.suspended,
            removed: self.removed,
        }
    }
}

/// What became of an installation at GitHub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change<'a> {
    /// Its tokens don't work, or do again.
    Suspended(bool),
    /// It has ended.
    Removed,
    /// Its owner is called otherwise.
    Renamed(&'a str),
}

/// Makes an installation that somebody has proved an account's.
pub(crate) fn connect(
    db: &mut Db,
    proved: &app::Installation,
    (account, user): (&AccountId, &UserId),
    now: Time,
) -> QueryResult<Installation> {
    lock(db, proved.id)?;
    let known = store::find(db, proved.id)?;
    let is_new = known.as_ref().is_none_or(|known| known.removed);
    let installation = Installation {
        id: proved.id,
        owner_id: proved.account.id,
        owner: proved.account.login.clone(),
        owner_kind: proved.account.kind,
        suspended: proved.suspended_at.is_some(),
        removed: false,
        version: known.as_ref().map_or(1, |known| known.version + 1),
        created_at: known.as_ref().map_or(now, |known| known.created_at),
        updated_at: now,
    };
    if known.is_some() {
        store::update(db, &installation)?;
    } else {
        store::insert(db, &installation)?;
    }
    store::link(db, installation.id, account, user, now)?;
    let state = installation.state(store::accounts_of(db, installation.id)?);
    let event = if is_new {
        GithubEvent::InstallationCreated(state)
    } else {
        GithubEvent::InstallationChanged(state)
    };
    emit(db, event, installation.version, now)?;
    Ok(installation)
}

/// Ends that an installation is an account's; whether it was.
pub(crate) fn disconnect(
    db: &mut Db,
    id: i64,
    account: &AccountId,
    now: Time,
) -> QueryResult<bool> {
    lock(db, id)?;
    if !store::unlink(db, id, account)? {
        return Ok(false);
    }
    if let Some(installation) = store::find(db, id)? {
        tell(db, installation, now)?;
    }
    Ok(true)
}

/// Keeps what became of an installation; whether that was news. One that nobody has proved is
/// nobody's, and isn't kept.
pub(crate) fn change(db: &mut Db, id: i64, change: Change<'_>, now: Time) -> QueryResult<bool> {
    lock(db, id)?;
    let Some(known) = store::find(db, id)? else {
        return Ok(false);
    };
    let mut changed = known.clone();
    match change {
        Change::Suspended(suspended) => changed.suspended = suspended,
        Change::Removed => changed.removed = true,
        Change::Renamed(owner) => owner.clone_into(&mut changed.owner),
    }
    if changed == known {
        return Ok(false);
    }
    tell(db, changed, now)?;
    if change == Change::Removed {
        // A new installation on the same owner has another number, and is proved anew.
        store::unlink_all(db, id)?;
    }
    Ok(true)
}

fn tell(db: &mut Db, mut installation: Installation, now: Time) -> QueryResult<()> {
    installation.version += 1;
    installation.updated_at = now;
    store::update(db, &installation)?;
    let state = installation.state(store::accounts_of(db, installation.id)?);
    let event = if installation.removed {
        GithubEvent::InstallationDeleted(state)
    } else {
        GithubEvent::InstallationChanged(state)
    };
    emit(db, event, installation.version, now)
}

/// Makes all other transactions that change this installation wait for this one.
fn lock(db: &mut Db, id: i64) -> QueryResult<()> {
    chassis::db::lock(db, &format!("installation:{id}"))
}
