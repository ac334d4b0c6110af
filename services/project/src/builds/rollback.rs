//! Which release a roll-back goes to.

use chassis::db::Db;
use common::event::BuildState;
use common::id::{BuildId, UserId};
use common::time::Time;

use super::{Build, BuildError, Wanted, start, store};
use crate::environments::Environment;
use crate::projects::Project;

/// Asks for an earlier release to run again: the given build's, else the one before the live one.
/// The caller holds the project's lock.
pub(crate) fn request(
    db: &mut Db,
    project: &Project,
    environment: &Environment,
    wanted: Option<&BuildId>,
    requested_by: Option<UserId>,
    now: Time,
) -> Result<Build, BuildError> {
    let live = live_origin(db, environment)?;
    let target = match wanted {
        Some(id) => given(db, environment, id, live.as_ref())?,
        None => previous(db, environment, live.as_ref())?,
    };
    let wanted = Wanted {
        rollback_to: Some(target),
        requested_by,
        ..Wanted::default()
    };
    Ok(start(db, project, environment, wanted, now)?)
}

/// The build that made the live release, whether it was built or rolled back to last.
fn live_origin(db: &mut Db, environment: &Environment) -> Result<Option<BuildId>, BuildError> {
    let Some(live) = &environment.live_build_id else {
        return Ok(None);
    };
    let build = store::find_in_environment(db, &environment.id, live)?;
    Ok(Some(build.map_or_else(
        || live.clone(),
        |build| build.origin().clone(),
    )))
}

fn given(
    db: &mut Db,
    environment: &Environment,
    id: &BuildId,
    live: Option<&BuildId>,
) -> Result<BuildId, BuildError> {
    let build = store::find_in_environment(db, &environment.id, id)?.ok_or(BuildError::NotFound)?;
    if build.state != BuildState::Live {
        return Err(BuildError::NotSucceeded);
    }
    if live == Some(build.origin()) {
        return Err(BuildError::AlreadyLive);
    }
    Ok(build.origin().clone())
}

fn previous(
    db: &mut Db,
    environment: &Environment,
    live: Option<&BuildId>,
) -> Result<BuildId, BuildError> {
    store::last_succeeded(db, &environment.id, live)?.ok_or(BuildError::NoEarlier)
}
