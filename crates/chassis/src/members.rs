//! Who is a member of which account: each service's own copy, kept by events.
//!
//! A miss, or a role that is too low, is confirmed by one call to account, so that someone who
//! has just accepted an invite is a member everywhere. What comes back is stored by version,
//! like the events, so that an old answer can't undo a newer event.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use common::api::account::Membership;
use common::event::{AccountEvent, Envelope, MemberState};
use common::id::{AccountId, UserId};
use common::role::Role;
use common::time::Time;
use diesel::prelude::*;

use crate::calls::Calls;
use crate::db::{Database, Db};
use crate::events::HandlerError;
use crate::http::ApiError;
use crate::on_backend;
use crate::schema::memberships;

/// A role that is on its way.
pub type Answer<'a> = Pin<Box<dyn Future<Output = Result<Option<Role>, ApiError>> + Send + 'a>>;

/// Where a service learns roles from: its copy, or in account's case the truth.
pub trait Source: Send + Sync + 'static {
    /// The user's role in the account, asked again at the source if it doesn't allow `needed`.
    fn role<'a>(&'a self, account: &'a AccountId, user: &'a UserId, needed: Role) -> Answer<'a>;
}

/// A service's source of roles; cheap to clone.
#[derive(Clone)]
pub struct Members(Arc<dyn Source>);

impl std::fmt::Debug for Members {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Members")
    }
}

impl Members {
    /// Takes roles from here.
    pub fn new(source: impl Source) -> Self {
        Self(Arc::new(source))
    }

    /// The copy in this database.
    pub(crate) fn copy(db: Database, calls: Calls) -> Self {
        Self::new(Copy { db, calls })
    }

    /// The user's role in the account; none if she is no member.
    pub async fn role(
        &self,
        account: &AccountId,
        user: &UserId,
        needed: Role,
    ) -> Result<Option<Role>, ApiError> {
        self.0.role(account, user, needed).await
    }
}

struct Copy {
    db: Database,
    calls: Calls,
}

impl Source for Copy {
    fn role<'a>(&'a self, account: &'a AccountId, user: &'a UserId, needed: Role) -> Answer<'a> {
        Box::pin(async move {
            let (a, u) = (account.clone(), user.clone());
            let known = self.db.read(move |db| find(db, &a, &u)).await?;
            if known.is_some_and(|role| role.allows(needed)) {
                return Ok(known);
            }
            let path = format!("/internal/memberships/{account}/{user}");
            let asked: Membership = self.calls.get("account", &path).await?;
            let role = asked.role;
            if asked.version > 0 {
                self.db.write(move |db| store(db, &asked)).await?;
            }
            Ok(role)
        })
    }
}

/// The stored role.
pub fn find(db: &mut Db, account: &AccountId, user: &UserId) -> QueryResult<Option<Role>> {
    use memberships::dsl as m;
    let role = m::memberships
        .filter(m::account_id.eq(account).and(m::user_id.eq(user)))
        .select(m::role)
        .first::<Option<Role>>(db)
        .optional()?;
    Ok(role.flatten())
}

/// The accounts in which a user has a role, by the service's copy.
pub fn accounts_of(db: &mut Db, user: &UserId) -> QueryResult<Vec<(AccountId, Role)>> {
    use memberships::dsl as m;
    m::memberships
        .filter(m::user_id.eq(user).and(m::role.is_not_null()))
        .select((m::account_id, m::role.assume_not_null()))
        .load(db)
}

/// The users who have a role in an account, by the service's copy.
pub fn of_account(db: &mut Db, account: &AccountId) -> QueryResult<Vec<(UserId, Role)>> {
    use memberships::dsl as m;
    m::memberships
        .filter(m::account_id.eq(account).and(m::role.is_not_null()))
        .select((m::user_id, m::role.assume_not_null()))
        .load(db)
}

/// Stores a membership unless a newer version is there.
fn store(db: &mut Db, membership: &Membership) -> QueryResult<()> {
    use memberships::dsl as m;
    let row = (
        m::account_id.eq(&membership.account_id),
        m::user_id.eq(&membership.user_id),
        m::role.eq(membership.role),
        m::version.eq(membership.version),
    );
    on_backend!(db, conn => diesel::insert_into(m::memberships).values(row).on_conflict_do_nothing().execute(conn))?;
    diesel::update(m::memberships)
        .filter(
            m::account_id
                .eq(&membership.account_id)
                .and(m::user_id.eq(&membership.user_id)),
        )
        .filter(m::version.lt(membership.version))
        .set((
            m::role.eq(membership.role),
            m::version.eq(membership.version),
        ))
        .execute(db)?;
    Ok(())
}

/// Keeps the copy: to be registered under `Handlers::on::<AccountEvent>`.
pub fn handle(
    db: &mut Db,
    envelope: &Envelope<AccountEvent>,
    _now: Time,
) -> Result<(), HandlerError> {
    let (AccountEvent::MemberAdded(state)
    | AccountEvent::MemberChanged(state)
    | AccountEvent::MemberRemoved(state)) = &envelope.event
    else {
        return Ok(());
    };
    Ok(store(db, &of(state, envelope.aggregateversion))?)
}

fn of(state: &MemberState, version: i64) -> Membership {
    Membership {
        account_id: state.account_id.clone(),
        user_id: state.user_id.clone(),
        role: state.role,
        version,
    }
}
