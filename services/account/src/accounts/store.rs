//! Queries of accounts. A deleted one is found by none of them.

use chassis::db::Db;
use common::id::{AccountId, UserId};
use common::role::Role;
use common::time::Time;
use diesel::prelude::*;

use super::Account;
use crate::schema::{accounts, members};

#[derive(Queryable, Selectable)]
#[diesel(table_name = accounts)]
struct Row {
    id: AccountId,
    name: String,
    version: i64,
    created_at: Time,
    updated_at: Time,
    deleted_at: Option<Time>,
}

impl From<Row> for Account {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            name: row.name,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
            deleted_at: row.deleted_at,
        }
    }
}

/// What part of the accounts a caller sees.
#[derive(Clone, Debug)]
pub enum Visible {
    /// All: the caller is an admin.
    All,
    /// Those the user is a member of; of these only the one that a key is confined to.
    OfUser(UserId, Option<AccountId>),
}

/// The account of this id.
pub fn find(db: &mut Db, id: &AccountId) -> QueryResult<Option<Account>> {
    let row = accounts::table
        .find(id)
        .filter(accounts::deleted_at.is_null())
        .select(Row::as_select())
        .first(db)
        .optional()?;
    Ok(row.map(Into::into))
}

/// Up to `limit` accounts, newest first, after the account `after`.
pub fn list(
    db: &mut Db,
    visible: &Visible,
    after: Option<&AccountId>,
    limit: i64,
) -> QueryResult<Vec<Account>> {
    let mut query = accounts::table
        .filter(accounts::deleted_at.is_null())
        .select(Row::as_select())
        .order(accounts::id.desc())
        .limit(limit)
        .into_boxed();
    if let Some(after) = after {
        query = query.filter(accounts::id.lt(after));
    }
    if let Visible::OfUser(user, confined) = visible {
        let own = members::table
            .filter(
                members::user_id
                    .eq(user.clone())
                    .and(members::role.is_not_null()),
            )
            .select(members::account_id);
        query = query.filter(accounts::id.eq_any(own));
        if let Some(account) = confined {
            query = query.filter(accounts::id.eq(account));
        }
    }
    Ok(query.load(db)?.into_iter().map(Row::into).collect())
}

/// All accounts that a user is a member of, newest first, with her roles.
pub fn all_of_user(db: &mut Db, user: &UserId) -> QueryResult<Vec<(Account, Role)>> {
    let rows: Vec<(Row, Option<Role>)> = accounts::table
        .inner_join(members::table)
        .filter(
            members::user_id
                .eq(user)
                .and(members::role.is_not_null())
                .and(accounts::deleted_at.is_null()),
        )
        .select((Row::as_select(), members::role))
        .order(accounts::id.desc())
        .load(db)?;
    Ok(rows
        .into_iter()
        .filter_map(|(row, role)| Some((row.into(), role?)))
        .collect())
}

/// Keeps a new account.
pub fn insert(db: &mut Db, account: &Account) -> QueryResult<()> {
    diesel::insert_into(accounts::table)
        .values((
            accounts::id.eq(&account.id),
            accounts::name.eq(&account.name),
            accounts::version.eq(account.version),
            accounts::created_at.eq(account.created_at),
            accounts::updated_at.eq(account.updated_at),
            accounts::deleted_at.eq(account.deleted_at),
        ))
        .execute(db)?;
    Ok(())
}

/// Keeps a changed account, if it has the version `before` still; answers how many rows that changed.
pub fn update(db: &mut Db, account: &Account, before: i64) -> QueryResult<usize> {
    diesel::update(accounts::table.find(&account.id))
        .filter(accounts::version.eq(before))
        .set((
            accounts::name.eq(&account.name),
            accounts::version.eq(account.version),
            accounts::updated_at.eq(account.updated_at),
            accounts::deleted_at.eq(account.deleted_at),
        ))
        .execute(db)
}
