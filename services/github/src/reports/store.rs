//! The queries of reports.

use chassis::db::Db;
use common::id::BuildId;
use common::time::Time;
use diesel::prelude::*;

use super::Report;
use crate::schema::reports;

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

/// Removes those from before this time.
pub(crate) fn remove_before(db: &mut Db, before: Time) -> QueryResult<usize> {
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
