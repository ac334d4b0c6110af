//! The queries of AWS credentials.

use chassis::db::Db;
use chassis::on_backend;
use common::id::ProjectId;
use diesel::prelude::*;

use super::AwsCredentials;
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
