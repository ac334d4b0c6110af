//! Queries of members.

use chassis::db::Db;
use common::id::{AccountId, UserId};
use common::role::Role;
use common::time::Time;
use diesel::dsl::count_star;
use diesel::prelude::*;

use super::Member;
use crate::schema::{accounts, members, users};

#[derive(Queryable, Selectable)]
#[diesel(table_name = members)]
struct Row {
    account_id: AccountId,
    user_id: UserId,
    role: Option<Role>,
    version: i64,
    joined_at: Time,
}

impl From<Row> for Member {
    fn from(row: Row) -> Self {
        Self {
            account_id: row.account_id,
            user_id: row.user_id,
            role: row.role,
            version: row.version,
            joined_at: row.joined_at,
        }
    }
}

/// What is known of a user and an account, also of one who has left.
pub fn find(db: &mut Db, account: &AccountId, user: &UserId) -> QueryResult<Option<Member>> {
    let row = members::table
        .find((account, user))
        .select(Row::as_select())
        .first(db)
        .optional()?;
    Ok(row.map(Into::into))
}

/// What a user may do in an account now: the role, if the account is there still, and the
/// membership's version, 0 if there never was one.
pub fn standing(
    db: &mut Db,
    account: &AccountId,
    user: &UserId,
) -> QueryResult<(Option<Role>, i64)> {
    let found = members::table
        .inner_join(accounts::table)
        .filter(
            members::account_id
                .eq(account)
                .and(members::user_id.eq(user)),
        )
        .select((members::role, members::version, accounts::deleted_at))
        .first::<(Option<Role>, i64, Option<Time>)>(db)
        .optional()?;
    Ok(found.map_or((None, 0), |(role, version, deleted)| {
        (role.filter(|_| deleted.is_none()), version)
    }))
}

/// Up to `limit` members with their addresses, those who came last first, after the member `after`.
pub fn list(
    db: &mut Db,
    account: &AccountId,
    after: Option<&UserId>,
    limit: i64,
) -> QueryResult<Vec<(Member, String)>> {
    let mut query = members::table
        .inner_join(users::table)
        .filter(
            members::account_id
                .eq(account)
                .and(members::role.is_not_null()),
        )
        .select((Row::as_select(), users::email))
        .order((members::joined_at.desc(), members::user_id.desc()))
        .limit(limit)
        .into_boxed();
    if let Some(after) = after {
        let Some(last) = find(db, account, after)? else {
            return Ok(Vec::new());
        };
        query = query.filter(
            members::joined_at.lt(last.joined_at).or(members::joined_at
                .eq(last.joined_at)
                .and(members::user_id.lt(after.clone()))),
        );
    }
    let rows: Vec<(Row, String)> = query.load(db)?;
    Ok(rows
        .into_iter()
        .map(|(row, email)| (row.into(), email))
        .collect())
}

/// Everybody with a role in the account.
pub fn all_of_account(db: &mut Db, account: &AccountId) -> QueryResult<Vec<Member>> {
    let rows = members::table
        .filter(
            members::account_id
                .eq(account)
                .and(members::role.is_not_null()),
        )
        .select(Row::as_select())
        .load(db)?;
    Ok(rows.into_iter().map(Row::into).collect())
}

/// Every membership that a user has, also in accounts that were deleted.
pub fn all_of_user(db: &mut Db, user: &UserId) -> QueryResult<Vec<Member>> {
    let mut all = ever_of_user(db, user)?;
    all.retain(|member| member.role.is_some());
    Ok(all)
}

/// Every membership that a user has or had.
pub fn ever_of_user(db: &mut Db, user: &UserId) -> QueryResult<Vec<Member>> {
    let rows = members::table
        .filter(members::user_id.eq(user))
        .order(members::account_id.desc())
        .select(Row::as_select())
        .load(db)?;
    Ok(rows.into_iter().map(Row::into).collect())
}

/// The accounts that a user is or was a member of.
pub fn accounts_of(db: &mut Db, user: &UserId) -> QueryResult<Vec<AccountId>> {
    members::table
        .filter(members::user_id.eq(user))
        .select(members::account_id)
        .load(db)
}

/// How many owners the account has.
pub fn count_owners(db: &mut Db, account: &AccountId) -> QueryResult<i64> {
    members::table
        .filter(
            members::account_id
                .eq(account)
                .and(members::role.eq(Role::Owner)),
        )
        .select(count_star())
        .first(db)
}

/// Keeps a new member.
pub fn insert(db: &mut Db, member: &Member, now: Time) -> QueryResult<()> {
    diesel::insert_into(members::table)
        .values((
            members::account_id.eq(&member.account_id),
            members::user_id.eq(&member.user_id),
            members::role.eq(member.role),
            members::version.eq(member.version),
            members::joined_at.eq(member.joined_at),
            members::updated_at.eq(now),
        ))
        .execute(db)?;
    Ok(())
}

/// Keeps a changed member, whose version is one above what is kept. Under the account's lock
/// it can't be another.
pub fn update(db: &mut Db, member: &Member, now: Time) -> QueryResult<()> {
    let changed = diesel::update(members::table.find((&member.account_id, &member.user_id)))
        .filter(members::version.eq(member.version - 1))
        .set((
            members::role.eq(member.role),
            members::version.eq(member.version),
            members::joined_at.eq(member.joined_at),
            members::updated_at.eq(now),
        ))
        .execute(db)?;
    if changed == 1 {
        Ok(())
    } else {
        Err(diesel::result::Error::NotFound)
    }
}
