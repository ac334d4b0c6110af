//! The queries of reports.

use chassis::db::Db;
use chassis::on_backend;
use common::id::{BuildId, EnvironmentId};
use common::time::Time;
use diesel::prelude::*;

use super::Report;
use crate::schema::{gone_previews, reports};

/// What is known of a build.
pub(crate) fn find(db: &mut Db, build: &BuildId) -> QueryResult<Option<Report>> {
    reports::table
        .find(build)
        .select(Report::as_select())
        .first(db)
        .optional()
}

/// Keeps what is known but the deployment's number. The caller holds the build's lock.
pub(crate) fn save(db: &mut Db, report: &Report) -> QueryResult<()> {
    let row = reports::table.find(&report.build_id);
    let known = diesel::update(row).set(report).execute(db)?;
    if known == 0 {
        diesel::insert_into(reports::table)
            .values(report)
            .execute(db)?;
    }
    Ok(())
}

/// Keeps the number of a build's deployment at GitHub.
pub(crate) fn set_deployment(db: &mut Db, build: &BuildId, id: i64) -> QueryResult<()> {
    diesel::update(reports::table.find(build))
        .set(reports::deployment_id.eq(id))
        .execute(db)
        .map(drop)
}

/// Keeps that a build's deployment was said to be over.
pub(crate) fn set_ended(db: &mut Db, build: &BuildId) -> QueryResult<()> {
    diesel::update(reports::table.find(build))
        .set(reports::ended.eq(true))
        .execute(db)
        .map(drop)
}

/// The builds of an environment whose deployments aren't over, but this one.
pub(crate) fn undone(
    db: &mut Db,
    environment: &EnvironmentId,
    keep: Option<&BuildId>,
) -> QueryResult<Vec<Report>> {
    let mut query = reports::table
        .filter(reports::environment_id.eq(environment))
        .filter(reports::preview.eq(true))
        .filter(reports::ended.eq(false))
        .filter(reports::deployment_id.is_not_null())
        .select(Report::as_select())
        .order(reports::build_id.asc())
        .into_boxed();
    if let Some(keep) = keep {
        query = query.filter(reports::build_id.lt(keep));
    }
    query.load(db)
}

/// Keeps that a preview's environment is gone.
pub(crate) fn note_gone(db: &mut Db, environment: &EnvironmentId, now: Time) -> QueryResult<()> {
    let row = (
        gone_previews::environment_id.eq(environment),
        gone_previews::gone_at.eq(now),
    );
    on_backend!(db, conn => diesel::insert_into(gone_previews::table)
        .values(row)
        .on_conflict_do_nothing()
        .execute(conn))
    .map(drop)
}

/// Whether a preview's environment is gone.
pub(crate) fn is_gone(db: &mut Db, environment: &EnvironmentId) -> QueryResult<bool> {
    diesel::select(diesel::dsl::exists(gone_previews::table.find(environment))).get_result(db)
}

/// Removes those from before this time.
pub(crate) fn remove_before(db: &mut Db, before: Time) -> QueryResult<usize> {
    diesel::delete(gone_previews::table.filter(gone_previews::gone_at.lt(before))).execute(db)?;
    diesel::delete(reports::table.filter(reports::created_at.lt(before))).execute(db)
}

#[cfg(test)]
mod tests {
    use super::*;
    use common::event::BuildState;
    use common::id::AccountId;
    use common::time::Clock;

    testkit::on_both_backends! {
        async fn what_is_heard_meanwhile_does_not_forget_the_deployment(backend: Backend) {
            let migrations = chassis::migrations!(
                "../../migrations/github/postgres",
                "../../migrations/github/sqlite"
            );
            let database = backend.database("github", Some(migrations)).await;
            let now = Clock::system().now();
            let mut report = Report::new(&BuildId::new(now), &AccountId::new(now), now);
            let kept = database.write(move |db| {
                save(db, &report)?;
                set_deployment(db, &report.build_id, 7)?;
                // Read before the number was there.
                report.state = BuildState::Live;
                save(db, &report)?;
                find(db, &report.build_id)
            });
            let kept = kept.await.unwrap().unwrap();
            assert_eq!((kept.state, kept.deployment_id), (BuildState::Live, Some(7)));
        }
    }
}
