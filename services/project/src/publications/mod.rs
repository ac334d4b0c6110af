//! Publications: environments that the gateway offers as services, `/v1/<name>/…`.
//!
//! Names are unique across accounts. A withdrawn one stays its account's for 90 days, so
//! that nobody inherits the callers of somebody else's service by being quick.

pub(crate) mod http;
pub(crate) mod store;

use chassis::db::Db;
use chassis::events::emit;
use common::event::{ProjectEvent, ServicePublication, Visibility};
use common::id::{AccountId, EnvironmentId};
use common::names::ServiceName;
use common::rules::ServiceRules;
use common::scope::Verb;
use common::time::{Span, Time};
use diesel::prelude::*;

use crate::environments::{Environment, EnvironmentError};
use crate::schema::publications;

/// For how many days a withdrawn name stays its account's.
const KEPT_DAYS: i64 = 90;

/// A publication, past or present.
#[derive(Clone, Debug, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = publications, primary_key(name), treat_none_as_null = true)]
pub(crate) struct Publication {
    pub(crate) name: ServiceName,
    pub(crate) account_id: AccountId,
    pub(crate) environment_id: EnvironmentId,
    visibility: String,
    scopes: String,
    rules: String,
    approved: bool,
    pub(crate) version: i64,
    pub(crate) created_at: Time,
    pub(crate) updated_at: Time,
    withdrawn_at: Option<Time>,
}

impl Publication {
    /// Who may call it.
    pub(crate) fn visibility(&self) -> Result<Visibility, serde_json::Error> {
        serde_json::from_str(&self.visibility)
    }

    /// What events say of it, and callers see.
    pub(crate) fn state(&self) -> Result<ServicePublication, serde_json::Error> {
        let visibility = self.visibility()?;
        Ok(ServicePublication {
            name: self.name.clone(),
            account_id: self.account_id.clone(),
            environment_id: self.environment_id.clone(),
            pending_approval: visibility == Visibility::Public && !self.approved,
            visibility,
            scopes: serde_json::from_str(&self.scopes)?,
            rules: serde_json::from_str(&self.rules)?,
            withdrawn: self.withdrawn_at.is_some(),
        })
    }
}

/// How an environment is to be published.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) name: ServiceName,
    pub(crate) visibility: Visibility,
    pub(crate) scopes: Vec<Verb>,
    pub(crate) rules: ServiceRules,
}

/// Why an environment can't be published or withdrawn.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PublicationError {
    /// The environment isn't published.
    #[error("the environment is not published")]
    NotPublished,
    /// The name is somebody's.
    #[error("the name `{0}` is taken")]
    NameTaken(ServiceName),
    /// It isn't for everyone, so that there is nothing to approve.
    #[error("only a public service needs approval")]
    NotPublic,
    /// The environment.
    #[error("the environment is not there")]
    Environment(#[from] EnvironmentError),
    /// What is kept of it can't be read.
    #[error("the publication cannot be read or written")]
    Kept(#[from] serde_json::Error),
    /// The database.
    #[error("the database failed")]
    Db(#[from] diesel::result::Error),
}

/// Publishes an environment, or changes how it is published: one under another name is withdrawn.
pub(crate) fn publish(
    db: &mut Db,
    environment: &Environment,
    wanted: Wanted,
    now: Time,
) -> Result<Publication, PublicationError> {
    // Two accounts that ask for one name at once: the second waits, and then sees the first.
    chassis::db::lock(db, &format!("service:{}", wanted.name))?;
    let before = store::of_environment(db, &environment.id)?;
    if let Some(other) = before.filter(|before| before.name != wanted.name) {
        withdraw(db, other, now)?;
    }
    let held = store::find(db, &wanted.name)?;
    if let Some(held) = &held
        && is_held(held, environment, now)
    {
        return Err(PublicationError::NameTaken(wanted.name));
    }
    let publication = renewed(held.as_ref(), environment, wanted, now)?;
    store::put(db, &publication)?;
    emit(
        db,
        ProjectEvent::ServicePublished(publication.state()?),
        publication.version,
        now,
    )?;
    Ok(publication)
}

/// Whether a name can't be this environment's.
fn is_held(held: &Publication, environment: &Environment, now: Time) -> bool {
    match held.withdrawn_at {
        None => held.environment_id != environment.id,
        Some(withdrawn) => {
            held.account_id != environment.account_id && now < withdrawn + Span::days(KEPT_DAYS)
        }
    }
}

/// The name's row with what is wanted now. An approval holds as long as the same environment
/// stays public under the name.
fn renewed(
    held: Option<&Publication>,
    environment: &Environment,
    wanted: Wanted,
    now: Time,
) -> Result<Publication, serde_json::Error> {
    let going_on = held.filter(|held| held.withdrawn_at.is_none());
    let approved = match going_on {
        Some(held) => held.approved && wanted.visibility == Visibility::Public,
        None => false,
    };
    let mut scopes = wanted.scopes;
    scopes.sort_unstable();
    scopes.dedup();
    Ok(Publication {
        name: wanted.name,
        account_id: environment.account_id.clone(),
        environment_id: environment.id.clone(),
        visibility: serde_json::to_string(&wanted.visibility)?,
        scopes: serde_json::to_string(&scopes)?,
        rules: serde_json::to_string(&wanted.rules)?,
        approved,
        version: held.map_or(1, |held| held.version + 1),
        created_at: going_on.map_or(now, |held| held.created_at),
        updated_at: now,
        withdrawn_at: None,
    })
}

/// Lets everyone call a public service, as an admin allowed.
pub(crate) fn approve(
    db: &mut Db,
    mut publication: Publication,
    now: Time,
) -> Result<Publication, PublicationError> {
    if publication.visibility()? != Visibility::Public {
        return Err(PublicationError::NotPublic);
    }
    if publication.approved {
        return Ok(publication);
    }
    publication.approved = true;
    publication.version += 1;
    publication.updated_at = now;
    store::put(db, &publication)?;
    emit(
        db,
        ProjectEvent::ServicePublished(publication.state()?),
        publication.version,
        now,
    )?;
    Ok(publication)
}

/// Withdraws a publication and tells so.
pub(crate) fn withdraw(
    db: &mut Db,
    mut publication: Publication,
    now: Time,
) -> Result<(), PublicationError> {
    publication.version += 1;
    publication.approved = false;
    publication.updated_at = now;
    publication.withdrawn_at = Some(now);
    store::put(db, &publication)?;
    emit(
        db,
        ProjectEvent::ServiceWithdrawn(publication.state()?),
        publication.version,
        now,
    )?;
    Ok(())
}

/// Withdraws what an environment is published as, if it is.
pub(crate) fn withdraw_of(db: &mut Db, environment: &EnvironmentId, now: Time) -> QueryResult<()> {
    let Some(publication) = store::of_environment(db, environment)? else {
        return Ok(());
    };
    withdraw(db, publication, now).map_err(|error| match error {
        PublicationError::Db(error) => error,
        other => diesel::result::Error::SerializationError(Box::new(other)),
    })
}

#[cfg(test)]
mod tests {
    use common::names::{DisplayName, RepoName, RepoOwner};
    use testkit::on_both_backends;

    use super::*;
    use crate::projects::{self, NewProject};

    fn environment(db: &mut Db) -> Environment {
        let new = NewProject {
            account_id: AccountId::new(Time::EPOCH),
            name: DisplayName::parse("Shop").unwrap(),
            repo_owner: RepoOwner::parse("a").unwrap(),
            repo_name: RepoName::parse("b").unwrap(),
            created_by: None,
            database: false,
        };
        projects::create(db, new, Time::EPOCH).unwrap().1
    }

    fn wanted() -> Wanted {
        let name = ServiceName::parse("location").unwrap();
        Wanted {
            name,
            visibility: Visibility::Public,
            scopes: vec![Verb::Read],
            rules: ServiceRules::default(),
        }
    }

    on_both_backends! {
        async fn a_withdrawn_name_is_free_for_others_after_ninety_days(backend: Backend) {
            let db = backend.database(crate::NAME, Some(crate::migrations())).await;
            db.write(|db| {
                let (first, second) = (environment(db), environment(db));
                let published = publish(db, &first, wanted(), Time::EPOCH)?;
                let approved = approve(db, published, Time::EPOCH)?;
                withdraw(db, approved, Time::EPOCH)?;
                let days = |days| Time::EPOCH + Span::days(days);
                let refused = publish(db, &second, wanted(), days(89));
                assert!(matches!(refused, Err(PublicationError::NameTaken(_))));
                let taken = publish(db, &second, wanted(), days(90))?;
                assert_eq!(taken.account_id, second.account_id);
                assert_eq!(taken.version, 4, "the name's versions go on");
                assert!(taken.state()?.pending_approval, "the approval was another's");
                let late = publish(db, &first, wanted(), days(91));
                assert!(matches!(late, Err(PublicationError::NameTaken(_))));
                Ok::<_, PublicationError>(())
            })
            .await
            .unwrap();
        }
    }
}
