//! Queries of users.

use chassis::db::Db;
use common::id::{IdentityId, UserId};
use common::time::Time;
use diesel::prelude::*;

use super::User;
use crate::schema::users;

#[derive(Queryable, Selectable)]
#[diesel(table_name = users)]
struct Row {
    id: UserId,
    identity_id: IdentityId,
    email: String,
    version: i64,
    created_at: Time,
}

impl From<Row> for User {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            identity_id: row.identity_id,
            email: row.email,
            version: row.version,
            created_at: row.created_at,
        }
    }
}

/// The user that an identity has become, unless she was deleted.
pub fn by_identity(db: &mut Db, identity: &IdentityId) -> QueryResult<Option<User>> {
    let row = users::table
        .filter(users::identity_id.eq(identity))
        .filter(users::deleted_at.is_null())
        .select(Row::as_select())
        .first(db)
        .optional()?;
    Ok(row.map(Into::into))
}

/// Gives the user of an identity another address; answers how many rows that changed.
pub fn set_email(db: &mut Db, identity: &IdentityId, email: &str) -> QueryResult<usize> {
    diesel::update(users::table)
        .filter(users::identity_id.eq(identity))
        .filter(users::deleted_at.is_null())
        .set((
            users::email.eq(email),
            users::version.eq(users::version + 1),
        ))
        .execute(db)
}

/// Keeps a new user.
pub fn insert(db: &mut Db, user: &User) -> QueryResult<()> {
    diesel::insert_into(users::table)
        .values((
            users::id.eq(&user.id),
            users::identity_id.eq(&user.identity_id),
            users::email.eq(&user.email),
            users::version.eq(user.version),
            users::created_at.eq(user.created_at),
        ))
        .execute(db)?;
    Ok(())
}

/// Whether this identity had a user who was deleted.
pub fn had_left(db: &mut Db, identity: &IdentityId) -> QueryResult<bool> {
    let found = users::table
        .filter(users::identity_id.eq(identity))
        .filter(users::deleted_at.is_not_null())
        .select(users::id)
        .first::<UserId>(db)
        .optional()?;
    Ok(found.is_some())
}

/// Leaves of a user what others name: not her address. Answers how many rows that changed.
pub fn mark_deleted(db: &mut Db, user: &User, now: Time) -> QueryResult<usize> {
    diesel::update(users::table.find(&user.id))
        .filter(users::deleted_at.is_null())
        .set((
            users::email.eq(""),
            users::version.eq(user.version),
            users::deleted_at.eq(now),
        ))
        .execute(db)
}

/// Makes whoever would make a user a member, or delete her, wait until the transaction ends.
pub fn lock(db: &mut Db, user: &UserId) -> QueryResult<()> {
    chassis::db::lock(db, &format!("user:{user}"))
}

/// Whether the user is there still.
pub fn is_there(db: &mut Db, user: &UserId) -> QueryResult<bool> {
    let found = users::table
        .find(user)
        .filter(users::deleted_at.is_null())
        .select(users::id)
        .first::<UserId>(db)
        .optional()?;
    Ok(found.is_some())
}
