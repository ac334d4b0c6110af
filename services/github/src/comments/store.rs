//! The queries of comments.

use chassis::db::Db;
use common::id::{AccountId, ProjectId};
use diesel::prelude::*;

use super::Comment;
use crate::schema::comments;

/// What is known of a pull request's preview.
pub(crate) fn find(db: &mut Db, project: &ProjectId, number: i64) -> QueryResult<Option<Comment>> {
    comments::table
        .find((project, number))
        .select(Comment::as_select())
        .first(db)
        .optional()
}

/// Keeps how a preview stands.
pub(crate) fn save(db: &mut Db, comment: &Comment) -> QueryResult<()> {
    let row = comments::table.find((&comment.project_id, comment.number));
    if diesel::update(row).set(comment).execute(db)? == 0 {
        diesel::insert_into(comments::table)
            .values(comment)
            .execute(db)?;
    }
    Ok(())
}

/// Keeps which comment tells of it, and the digest of what that says.
pub(crate) fn set_said(
    db: &mut Db,
    (project, number): (&ProjectId, i64),
    comment: i64,
    said: &str,
) -> QueryResult<()> {
    diesel::update(comments::table.find((project, number)))
        .set((comments::comment_id.eq(comment), comments::said.eq(said)))
        .execute(db)
        .map(drop)
}

/// Forgets what an account had.
pub(crate) fn remove_of(db: &mut Db, account: &AccountId) -> QueryResult<()> {
    diesel::delete(comments::table.filter(comments::account_id.eq(account)))
        .execute(db)
        .map(drop)
}
