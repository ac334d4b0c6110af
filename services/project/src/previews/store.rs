//! The queries of previews and their settings.

use chassis::db::Db;
use chassis::on_backend;
use common::event::PreviewStatus;
use common::id::{AccountId, BuildId, ProjectId};
use diesel::prelude::*;

use super::Preview;
use super::settings::PreviewSettings;
use crate::schema::{preview_settings, previews};

/// A project's settings, or what holds without.
pub(crate) fn settings(db: &mut Db, project: &ProjectId) -> QueryResult<PreviewSettings> {
    let kept = preview_settings::table
        .find(project)
        .select(PreviewSettings::as_select())
        .first(db)
        .optional()?;
    match kept {
        Some(kept) => Ok(kept),
        None => PreviewSettings::unset(project),
    }
}

/// Keeps settings, in the place of earlier ones.
pub(crate) fn put_settings(db: &mut Db, settings: &PreviewSettings) -> QueryResult<()> {
    on_backend!(db, conn => diesel::insert_into(preview_settings::table)
        .values(settings)
        .on_conflict(preview_settings::project_id)
        .do_update()
        .set(settings)
        .execute(conn))
    .map(drop)
}

/// A pull request's preview.
pub(crate) fn find(db: &mut Db, project: &ProjectId, number: i64) -> QueryResult<Option<Preview>> {
    previews::table
        .find((project, number))
        .select(Preview::as_select())
        .first(db)
        .optional()
}

/// The preview whose newest build this is.
pub(crate) fn of_build(db: &mut Db, build: &BuildId) -> QueryResult<Option<Preview>> {
    previews::table
        .filter(previews::build_id.eq(build))
        .select(Preview::as_select())
        .first(db)
        .optional()
}

/// A project's previews, newest pull request first; of an account's project only.
pub(crate) fn page(
    db: &mut Db,
    (account, project): (&AccountId, &ProjectId),
    after: Option<i64>,
    limit: i64,
) -> QueryResult<Vec<Preview>> {
    let mut query = previews::table
        .filter(previews::project_id.eq(project))
        .filter(previews::account_id.eq(account))
        .select(Preview::as_select())
        .order(previews::number.desc())
        .limit(limit)
        .into_boxed();
    if let Some(after) = after {
        query = query.filter(previews::number.lt(after));
    }
    query.load(db)
}

/// A project's previews that aren't over, oldest pull request first.
pub(crate) fn open(db: &mut Db, project: &ProjectId) -> QueryResult<Vec<Preview>> {
    previews::table
        .filter(previews::project_id.eq(project))
        .filter(previews::status.ne(PreviewStatus::Closed))
        .select(Preview::as_select())
        .order(previews::number.asc())
        .load(db)
}

/// A project's previews that wait for something, oldest pull request first.
pub(crate) fn waiting(db: &mut Db, project: &ProjectId) -> QueryResult<Vec<Preview>> {
    previews::table
        .filter(previews::project_id.eq(project))
        .filter(previews::status.eq(PreviewStatus::Waiting))
        .select(Preview::as_select())
        .order(previews::number.asc())
        .load(db)
}

/// How many of a project's previews have an environment.
pub(crate) fn running(db: &mut Db, project: &ProjectId) -> QueryResult<i64> {
    previews::table
        .filter(previews::project_id.eq(project))
        .filter(previews::environment_id.is_not_null())
        .count()
        .get_result(db)
}

/// Keeps a preview. The caller holds the project's lock.
pub(crate) fn save(db: &mut Db, preview: &Preview) -> QueryResult<()> {
    let row = previews::table.find((&preview.project_id, preview.number));
    if diesel::update(row).set(preview).execute(db)? == 0 {
        diesel::insert_into(previews::table)
            .values(preview)
            .execute(db)?;
    }
    Ok(())
}

/// Removes all that a project has of them.
pub(crate) fn remove_all(db: &mut Db, project: &ProjectId) -> QueryResult<()> {
    diesel::delete(previews::table.filter(previews::project_id.eq(project))).execute(db)?;
    diesel::delete(preview_settings::table.find(project))
        .execute(db)
        .map(drop)
}
