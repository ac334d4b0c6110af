//! The queries of domains.

use chassis::db::Db;
use chassis::on_backend;
use common::id::EnvironmentId;
use common::names::DomainName;
use common::time::Time;
use diesel::prelude::*;

use super::{Domain, DomainStatus};
use crate::schema::{domain_versions, domains};

/// Keeps a new claim.
pub(crate) fn insert(db: &mut Db, claim: &Domain) -> QueryResult<()> {
    diesel::insert_into(domains::table)
        .values(claim)
        .execute(db)
        .map(drop)
}

/// Keeps what has become of a claim.
pub(crate) fn update(db: &mut Db, claim: &Domain) -> QueryResult<()> {
    diesel::update(domains::table.find((&claim.environment_id, &claim.domain)))
        .set(claim)
        .execute(db)
        .map(drop)
}

/// Removes a claim.
pub(crate) fn remove(db: &mut Db, claim: &Domain) -> QueryResult<()> {
    diesel::delete(domains::table.find((&claim.environment_id, &claim.domain)))
        .execute(db)
        .map(drop)
}

/// An environment's claim of a domain.
pub(crate) fn find(
    db: &mut Db,
    environment: &EnvironmentId,
    domain: &DomainName,
) -> QueryResult<Option<Domain>> {
    domains::table
        .find((environment, domain))
        .select(Domain::as_select())
        .first(db)
        .optional()
}

/// An environment's claims after a domain, in the order of the domains.
pub(crate) fn page(
    db: &mut Db,
    environment: &EnvironmentId,
    after: Option<&DomainName>,
    limit: i64,
) -> QueryResult<Vec<Domain>> {
    let mut query = domains::table
        .filter(domains::environment_id.eq(environment))
        .select(Domain::as_select())
        .order(domains::domain.asc())
        .limit(limit)
        .into_boxed();
    if let Some(after) = after {
        query = query.filter(domains::domain.gt(after));
    }
    query.load(db)
}

/// All claims of an environment, in the order of their domains, in which they are locked.
pub(crate) fn all(db: &mut Db, environment: &EnvironmentId) -> QueryResult<Vec<Domain>> {
    page(db, environment, None, i64::MAX)
}

/// How many claims an environment has.
pub(crate) fn count(db: &mut Db, environment: &EnvironmentId) -> QueryResult<i64> {
    domains::table
        .filter(domains::environment_id.eq(environment))
        .count()
        .get_result(db)
}

/// The claim for which a domain is served, whosever it is.
pub(crate) fn served(db: &mut Db, domain: &DomainName) -> QueryResult<Option<Domain>> {
    domains::table
        .filter(domains::domain.eq(domain))
        .filter(domains::status.eq(DomainStatus::Verified))
        .select(Domain::as_select())
        .first(db)
        .optional()
}

/// Some of the domains that are served and due to be looked at.
pub(crate) fn due(db: &mut Db, now: Time, limit: i64) -> QueryResult<Vec<Domain>> {
    domains::table
        .filter(domains::status.eq(DomainStatus::Verified))
        .filter(domains::next_check_at.le(now))
        .order(domains::next_check_at.asc())
        .select(Domain::as_select())
        .limit(limit)
        .load(db)
}

/// Puts a look off to a later time; false if somebody else has done so since.
pub(crate) fn put_off(db: &mut Db, claim: &Domain, until: Time) -> QueryResult<bool> {
    let row = domains::table
        .find((&claim.environment_id, &claim.domain))
        .filter(domains::next_check_at.eq(claim.next_check_at));
    diesel::update(row)
        .set(domains::next_check_at.eq(until))
        .execute(db)
        .map(|changed| changed == 1)
}

/// The number of what is told next of a domain.
pub(crate) fn next_version(db: &mut Db, domain: &DomainName) -> QueryResult<i64> {
    let row = (
        domain_versions::domain.eq(domain),
        domain_versions::version.eq(0),
    );
    on_backend!(db, conn => diesel::insert_into(domain_versions::table)
        .values(row)
        .on_conflict_do_nothing()
        .execute(conn))?;
    diesel::update(domain_versions::table.find(domain))
        .set(domain_versions::version.eq(domain_versions::version + 1))
        .execute(db)?;
    domain_versions::table
        .find(domain)
        .select(domain_versions::version)
        .first(db)
}
