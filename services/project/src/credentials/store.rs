//! The queries of AWS credentials.

use chassis::db::Db;
use chassis::on_backend;
use common::id::ProjectId;
use common::time::Time;
use diesel::prelude::*;

use super::AwsCredentials;
use super::check::Check;
use crate::schema::aws_credentials;

/// A project's credentials.
pub(crate) fn find(db: &mut Db, project: &ProjectId) -> QueryResult<Option<AwsCredentials>> {
    aws_credentials::table
        .find(project)
        .select(AwsCredentials::as_select())
        .first(db)
        .optional()
}

/// Keeps credentials, in the place of earlier ones.
pub(crate) fn put(db: &mut Db, credentials: &AwsCredentials) -> QueryResult<()> {
    on_backend!(db, conn => diesel::insert_into(aws_credentials::table)
        .values(credentials)
        .on_conflict(aws_credentials::project_id)
        .do_update()
        .set(credentials)
        .execute(conn))
    .map(drop)
}

/// Removes a project's credentials; false if there were none.
pub(crate) fn remove(db: &mut Db, project: &ProjectId) -> QueryResult<bool> {
    diesel::delete(aws_credentials::table.find(project))
        .execute(db)
        .map(|removed| removed == 1)
}

/// Keeps what AWS has said of credentials, unless others have taken their place since.
pub(crate) fn set_check(
    db: &mut Db,
    project: &ProjectId,
    updated_at: Time,
    check: &Check,
) -> QueryResult<bool> {
    let asked_about = aws_credentials::table
        .find(project)
        .filter(aws_credentials::updated_at.eq(updated_at));
    diesel::update(asked_about)
        .set(check)
        .execute(db)
        .map(|changed| changed == 1)
}
