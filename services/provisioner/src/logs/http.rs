//! `GET /internal/builds/{build_id}/log` and `GET /internal/environments/{environment_id}/log`.

use std::time::Duration;

use actix_web::web;
use chassis::auth::ServiceCaller;
use chassis::db::Db;
use chassis::http::{ApiError, Path, Query};
use common::api::provisioner::{LogPage, LogQuery};
use common::id::{BuildId, EnvironmentId};
use common::problem::Problem;
use diesel::QueryResult;
use tokio::time::Instant;

use super::store;
use crate::state::State;
use crate::{builds, deployments};

/// The most lines of one answer.
const MOST: i64 = 1_000;
/// The longest that a caller may wait for a line.
const LONGEST_WAIT: Duration = Duration::from_secs(25);
/// How often is looked for lines that another process has written.
const LOOK: Duration = Duration::from_millis(500);

/// Lines of a build.
pub(crate) async fn build(
    caller: ServiceCaller,
    state: web::Data<State>,
    Path(id): Path<BuildId>,
    Query(query): Query<LogQuery>,
) -> Result<web::Json<LogPage>, ApiError> {
    caller.require(&["project"])?;
    let over = move |db: &mut Db| {
        Ok(builds::store::find(db, &id)?.map(|build| (id.to_string(), build.state.is_final())))
    };
    answer(&state, query, over).await
}

/// Lines of an environment's running app.
pub(crate) async fn environment(
    caller: ServiceCaller,
    state: web::Data<State>,
    Path(id): Path<EnvironmentId>,
    Query(query): Query<LogQuery>,
) -> Result<web::Json<LogPage>, ApiError> {
    caller.require(&["project"])?;
    let over = move |db: &mut Db| {
        Ok(deployments::store::find(db, &id)?
            .map(|deployment| (id.to_string(), deployment.deleted_at.is_some())))
    };
    answer(&state, query, over).await
}

/// Reads, and where there is nothing yet waits. `subject` answers the log's name and whether no more
/// lines will come, and is asked before the lines are read.
async fn answer(
    state: &State,
    query: LogQuery,
    subject: impl Fn(&mut Db) -> QueryResult<Option<(String, bool)>> + Clone + Send + 'static,
) -> Result<web::Json<LogPage>, ApiError> {
    let limit = usize::try_from(query.limit.unwrap_or(MOST).clamp(1, MOST)).unwrap_or(1);
    let until =
        Instant::now() + Duration::from_millis(query.wait_ms.unwrap_or(0)).min(LONGEST_WAIT);
    let mut commits = state.db.commits();
    loop {
        commits.mark_unchanged();
        let subject = subject.clone();
        let read = state.db.read(move |db| {
            let Some((stream, over)) = subject(db)? else {
                return Ok(None);
            };
            Ok::<_, diesel::result::Error>(Some((
                store::page(db, &stream, query.after, limit)?,
                over,
                store::last_number(db, &stream)?,
            )))
        });
        let (lines, over, last) = read.await?.ok_or_else(|| Problem::not_found("log"))?;
        let ended = over && lines.len() < limit;
        if !lines.is_empty() || ended || Instant::now() >= until {
            return Ok(web::Json(LogPage { lines, ended, last }));
        }
        let look_again = until.min(Instant::now() + LOOK);
        let _changed = tokio::time::timeout_at(look_again, commits.changed()).await;
    }
}
