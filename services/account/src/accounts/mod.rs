//! Accounts: organisations and individuals that own projects.

pub mod http;
pub mod store;

use chassis::audit::{self, Entry};
use chassis::db::Db;
use chassis::http::ClientAddress;
use common::event::{AccountEvent, AccountState};
use common::id::{AccountId, UserId};
use common::names::DisplayName;
use common::role::Role;
use common::time::Time;
use common::token::Claims;
use diesel::result::Error;

use crate::members;

/// An account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The account.
    pub id: AccountId,
    /// Its name.
    pub name: String,
    /// Goes up with each change.
    pub version: i64,
    /// When it was made.
    pub created_at: Time,
    /// When it was changed last.
    pub updated_at: Time,
    /// When it was deleted: it can be brought back for a while.
    pub deleted_at: Option<Time>,
}

impl Account {
    fn state(&self) -> AccountState {
        AccountState {
            account_id: self.id.clone(),
            name: self.name.clone(),
            deleted: self.deleted_at.is_some(),
        }
    }
}

/// Why an account can't be changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// There is none, or none any more.
    #[error("no such account")]
    Unknown,
    /// It was changed since the caller looked.
    #[error("the account was changed meanwhile")]
    Stale,
    /// The database failed.
    #[error("the account could not be changed")]
    Db(#[from] Error),
}

/// On whose behalf, and from where, something is changed.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Who.
    pub claims: Claims,
    /// From where.
    pub address: ClientAddress,
}

/// Makes an account, with its first owner where it has one from the start.
pub fn create(
    db: &mut Db,
    name: &DisplayName,
    owner: Option<&UserId>,
    origin: &Origin,
    now: Time,
) -> Result<Account, Error> {
    let account = Account {
        id: AccountId::new(now),
        name: name.as_str().to_owned(),
        version: 1,
        created_at: now,
        updated_at: now,
        deleted_at: None,
    };
    store::insert(db, &account)?;
    chassis::events::emit(
        db,
        AccountEvent::AccountCreated(account.state()),
        account.version,
        now,
    )?;
    record(db, &account.id, "account.created", origin, now)?;
    if let Some(owner) = owner {
        members::join(db, &account.id, owner, Role::Owner, now)?;
    }
    Ok(account)
}

/// Gives an account another name, if it still has the version that the caller saw.
pub fn rename(
    db: &mut Db,
    id: &AccountId,
    name: &DisplayName,
    seen: Option<i64>,
    origin: &Origin,
    now: Time,
) -> Result<Account, ChangeError> {
    let mut account = lock_and_find(db, id)?;
    check_seen(&account, seen)?;
    if account.name == name.as_str() {
        return Ok(account);
    }
    name.as_str().clone_into(&mut account.name);
    bump(db, &mut account, now)?;
    chassis::events::emit(
        db,
        AccountEvent::AccountUpdated(account.state()),
        account.version,
        now,
    )?;
    record(db, id, "account.renamed", origin, now)?;
    Ok(account)
}

/// Deletes an account. Its members keep their roles for the case that it is brought back, but
/// are told to be none everywhere.
pub fn delete(
    db: &mut Db,
    id: &AccountId,
    seen: Option<i64>,
    origin: &Origin,
    now: Time,
) -> Result<Account, ChangeError> {
    let mut account = lock_and_find(db, id)?;
    check_seen(&account, seen)?;
    account.deleted_at = Some(now);
    bump(db, &mut account, now)?;
    chassis::events::emit(
        db,
        AccountEvent::AccountDeleted(account.state()),
        account.version,
        now,
    )?;
    members::suspend_all(db, id, now)?;
    record(db, id, "account.deleted", origin, now)?;
    Ok(account)
}

/// The account, with every other change of it kept waiting until the transaction ends.
pub fn lock_and_find(db: &mut Db, id: &AccountId) -> Result<Account, ChangeError> {
    chassis::db::lock(db, &format!("account:{id}"))?;
    store::find(db, id)?.ok_or(ChangeError::Unknown)
}

fn check_seen(account: &Account, seen: Option<i64>) -> Result<(), ChangeError> {
    if seen.is_some_and(|seen| seen != account.version) {
        Err(ChangeError::Stale)
    } else {
        Ok(())
    }
}

fn bump(db: &mut Db, account: &mut Account, now: Time) -> Result<(), ChangeError> {
    let before = account.version;
    account.version += 1;
    account.updated_at = now;
    if store::update(db, account, before)? == 0 {
        Err(ChangeError::Stale)
    } else {
        Ok(())
    }
}

fn record(
    db: &mut Db,
    id: &AccountId,
    action: &'static str,
    origin: &Origin,
    now: Time,
) -> Result<(), Error> {
    audit::record(
        db,
        &Entry::by(&origin.claims, action, id.as_str(), origin.address).of_account(id),
        now,
    )
}
