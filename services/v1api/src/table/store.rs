//! The routes as the database has them.

use std::net::SocketAddr;
use std::sync::Arc;

use chassis::db::Db;
use chassis::on_backend;
use common::event::{
    Deployment, DomainChallenge, DomainState, EnvironmentState, ServicePublication, Visibility,
};
use common::id::{AccountId, EnvironmentId, ProjectId};
use common::names::ServiceName;
use common::scope::Verb;
use common::time::Time;
use diesel::prelude::*;

use super::{AppRoute, Change, DomainRoute, Service, Target, origins};
use crate::schema::{app_routes, domain_routes, route_changes, services};
use crate::services::rules::Rules;

/// Takes the next number of a change. Whoever has it writes alone until the transaction ends, so
/// that numbers become visible in their order.
pub(crate) fn next_seq(db: &mut Db) -> QueryResult<i64> {
    diesel::update(route_changes::table)
        .set(route_changes::seq.eq(route_changes::seq + 1))
        .execute(db)?;
    route_changes::table.select(route_changes::seq).first(db)
}

/// Notes that some membership is another.
pub(crate) fn members_changed(db: &mut Db) -> QueryResult<()> {
    diesel::update(route_changes::table)
        .set(route_changes::members.eq(route_changes::members + 1))
        .execute(db)
        .map(drop)
}

/// The last numbers: of routes, and of memberships.
pub(crate) fn last_change(db: &mut Db) -> QueryResult<(i64, i64)> {
    route_changes::table
        .select((route_changes::seq, route_changes::members))
        .first(db)
}

#[expect(
    clippy::struct_excessive_bools,
    reason = "columns of a row, independent of one another"
)]
#[derive(Queryable)]
struct AppRow {
    environment_id: EnvironmentId,
    label: String,
    deleted: bool,
    upstreams: String,
    hold_until: Option<Time>,
    sleeps: bool,
    asleep: bool,
    maintenance: bool,
}

#[derive(Queryable)]
struct DomainRow {
    domain: String,
    environment_id: EnvironmentId,
    challenge_name: String,
    challenge_content: String,
    dropped: bool,
}

/// A service's row.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = services)]
pub(crate) struct ServiceRow {
    /// The name.
    pub(crate) name: ServiceName,
    /// `named` by an admin, or `published` by its account.
    pub(crate) origin: String,
    /// A named one's addresses, as a JSON list of `host:port`.
    pub(crate) upstreams: Option<String>,
    /// A published one's environment.
    pub(crate) environment_id: Option<EnvironmentId>,
    /// Whose it is.
    pub(crate) account_id: Option<AccountId>,
    /// Who may call it, as JSON.
    pub(crate) visibility: String,
    /// The verbs that scopes may name, divided by spaces.
    pub(crate) scopes: String,
    /// What holds for its calls, as JSON.
    pub(crate) rules: String,
    /// Whether an admin still has to approve it.
    pub(crate) pending_approval: bool,
    /// Since when it is gone.
    pub(crate) withdrawn_at: Option<Time>,
    /// The admin who named it.
    pub(crate) created_by: Option<String>,
    /// When it was made.
    pub(crate) created_at: Time,
    /// Its version.
    pub(crate) version: i64,
    /// The change that made it so.
    pub(crate) seq: i64,
}

impl ServiceRow {
    /// A named one's addresses, as `host:port`.
    pub(crate) fn upstreams(&self) -> Option<Vec<String>> {
        serde_json::from_str(self.upstreams.as_deref()?).ok()
    }
}

/// `named`.
pub(crate) const NAMED: &str = "named";
/// `published`.
pub(crate) const PUBLISHED: &str = "published";

/// What has changed after a number.
pub(crate) fn changes_after(db: &mut Db, seq: i64) -> QueryResult<Vec<Change>> {
    use app_routes::dsl as a;
    use domain_routes::dsl as d;
    let apps = a::app_routes
        .filter(a::seq.gt(seq))
        .order(a::seq)
        .select((
            a::environment_id,
            a::label,
            a::deleted,
            a::upstreams,
            a::hold_until,
            a::sleeps,
            a::asleep,
            a::maintenance,
        ))
        .load::<AppRow>(db)?;
    let changed = services::table
        .filter(services::seq.gt(seq))
        .order(services::seq)
        .select(ServiceRow::as_select())
        .load::<ServiceRow>(db)?;
    let domains = d::domain_routes
        .filter(d::seq.gt(seq))
        .order(d::seq)
        .select((
            d::domain,
            d::environment_id,
            d::challenge_name,
            d::challenge_content,
            d::dropped,
        ))
        .load::<DomainRow>(db)?;
    Ok(apps
        .into_iter()
        .map(app_change)
        .chain(changed.into_iter().map(service_change))
        .chain(domains.into_iter().map(domain_change))
        .collect())
}

fn domain_change(row: DomainRow) -> Change {
    if row.dropped {
        return Change::DomainGone(row.domain);
    }
    let route = DomainRoute {
        environment_id: row.environment_id,
        challenge: DomainChallenge {
            name: row.challenge_name,
            content: row.challenge_content,
        },
    };
    Change::Domain(row.domain, route)
}

/// Notes where a domain leads.
pub(crate) fn put_domain(db: &mut Db, state: &DomainState) -> QueryResult<()> {
    use domain_routes::dsl as d;
    let seq = next_seq(db)?;
    let values = (
        d::environment_id.eq(&state.environment_id),
        d::challenge_name.eq(&state.challenge.name),
        d::challenge_content.eq(&state.challenge.content),
        d::dropped.eq(state.dropped),
        d::seq.eq(seq),
    );
    on_backend!(db, conn => diesel::insert_into(d::domain_routes)
        .values((d::domain.eq(state.domain.as_str()), values))
        .on_conflict(d::domain)
        .do_update()
        .set(values)
        .execute(conn))
    .map(drop)
}

fn app_change(row: AppRow) -> Change {
    if row.deleted {
        return Change::AppGone(row.environment_id);
    }
    let addresses: Vec<SocketAddr> = serde_json::from_str(&row.upstreams).unwrap_or_default();
    Change::App(AppRoute {
        environment_id: row.environment_id,
        label: row.label,
        origins: origins(&addresses),
        hold_until: row.hold_until,
        asleep: row.asleep,
        maintenance: row.maintenance,
        // What was seen before is taken over from the route before.
        activity: row.sleeps.then(Arc::default),
    })
}

fn service_change(row: ServiceRow) -> Change {
    let gone = Change::ServiceGone(row.name.as_str().to_owned());
    if row.withdrawn_at.is_some() {
        return gone;
    }
    let target = match (row.upstreams(), &row.environment_id) {
        (Some(upstreams), _) => Target::Upstreams(upstreams.into_iter().map(Arc::from).collect()),
        (None, Some(environment)) => Target::Environment(environment.clone()),
        (None, None) => return gone,
    };
    // What can't be read lets nobody in.
    let Ok(rules) = serde_json::from_str(&row.rules) else {
        tracing::error!(service.name = %row.name, "a service's rules can't be read: it isn't served");
        return gone;
    };
    let visibility =
        serde_json::from_str(&row.visibility).unwrap_or(Visibility::Accounts(Vec::new()));
    let label = row.name.as_str().into();
    Change::Service(Arc::new(Service {
        label,
        target,
        account_id: row.account_id,
        visibility,
        verbs: verbs(&row.scopes),
        rules: Rules::new(rules),
        pending_approval: row.pending_approval,
        name: row.name,
    }))
}

/// Verbs from their text.
pub(crate) fn verbs(text: &str) -> Vec<Verb> {
    text.split_ascii_whitespace()
        .filter_map(|verb| verb.parse().ok())
        .collect()
}

/// Verbs as text.
pub(crate) fn verbs_text(verbs: &[Verb]) -> String {
    verbs
        .iter()
        .map(|verb| verb.as_str())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Notes what an environment is; where it is reached stays as it was.
pub(crate) fn put_environment(db: &mut Db, state: &EnvironmentState) -> QueryResult<()> {
    insert_app(
        db,
        &state.environment_id,
        &state.account_id,
        &state.project_id,
        &state.label,
    )?;
    let seq = next_seq(db)?;
    diesel::update(app_routes::table.find(&state.environment_id))
        .set((
            app_routes::label.eq(&state.label),
            app_routes::deleted.eq(state.deleted),
            app_routes::maintenance.eq(state.maintenance),
            app_routes::sleeps.eq(state.sleep_after.is_some()),
            app_routes::seq.eq(seq),
        ))
        .execute(db)
        .map(drop)
}

/// Notes where an environment is reached.
pub(crate) fn put_deployment(db: &mut Db, deployment: &Deployment) -> QueryResult<()> {
    let upstreams = serde_json::json!(deployment.upstreams).to_string();
    insert_app(
        db,
        &deployment.environment_id,
        &deployment.account_id,
        &deployment.project_id,
        &deployment.label,
    )?;
    let seq = next_seq(db)?;
    diesel::update(app_routes::table.find(&deployment.environment_id))
        .set((
            app_routes::upstreams.eq(upstreams),
            app_routes::hold_until.eq(deployment.hold_until),
            app_routes::asleep.eq(deployment.asleep),
            app_routes::seq.eq(seq),
        ))
        .execute(db)
        .map(drop)
}

fn insert_app(
    db: &mut Db,
    environment: &EnvironmentId,
    account: &AccountId,
    project: &ProjectId,
    label: &str,
) -> QueryResult<()> {
    let row = (
        app_routes::environment_id.eq(environment),
        app_routes::account_id.eq(account),
        app_routes::project_id.eq(project),
        app_routes::label.eq(label),
        app_routes::deleted.eq(false),
        app_routes::upstreams.eq("[]"),
        app_routes::seq.eq(0),
    );
    on_backend!(db, conn => {
        diesel::insert_into(app_routes::table).values(row).on_conflict_do_nothing().execute(conn)
    })
    .map(drop)
}

/// A service's row, withdrawn or not.
pub(crate) fn service(db: &mut Db, name: &str) -> QueryResult<Option<ServiceRow>> {
    services::table
        .filter(services::name.eq(name))
        .select(ServiceRow::as_select())
        .first(db)
        .optional()
}

/// Notes what a publication is. A name that an admin has given to an address stays that address's:
/// the answer is then `false`.
pub(crate) fn put_publication(
    db: &mut Db,
    publication: &ServicePublication,
    now: Time,
) -> QueryResult<bool> {
    let known = service(db, publication.name.as_str())?;
    if known
        .as_ref()
        .is_some_and(|row| row.origin == NAMED && row.withdrawn_at.is_none())
    {
        return Ok(false);
    }
    if known.is_some() {
        diesel::delete(services::table.find(&publication.name)).execute(db)?;
    }
    let seq = next_seq(db)?;
    let withdrawn_at = publication
        .withdrawn
        .then(|| known.and_then(|row| row.withdrawn_at).unwrap_or(now));
    let row = ServiceRow {
        name: publication.name.clone(),
        origin: PUBLISHED.into(),
        upstreams: None,
        environment_id: Some(publication.environment_id.clone()),
        account_id: Some(publication.account_id.clone()),
        visibility: serde_json::json!(publication.visibility).to_string(),
        scopes: verbs_text(&publication.scopes),
        rules: serde_json::json!(publication.rules).to_string(),
        pending_approval: publication.pending_approval,
        withdrawn_at,
        created_by: None,
        created_at: now,
        version: 1,
        seq,
    };
    diesel::insert_into(services::table)
        .values(row)
        .execute(db)?;
    Ok(true)
}
