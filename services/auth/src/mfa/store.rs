//! Queries of factors, recovery codes and challenges.

use chassis::db::Db;
use chassis::on_backend;
use common::id::{IdentityId, MfaChallengeId, MfaFactorId};
use common::time::Time;
use common::token::ActorType;
use diesel::prelude::*;

use super::{FactorProvider, FactorStatus};
use crate::identities::Provider;
use crate::schema::{mfa_challenges, mfa_factors, mfa_recovery_codes};

/// A factor.
#[derive(Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = mfa_factors)]
pub struct Factor {
    /// Its id.
    pub id: MfaFactorId,
    /// Whose it is.
    pub identity_id: IdentityId,
    /// How its codes are made.
    pub provider: FactorProvider,
    /// Where it stands.
    pub status: FactorStatus,
    /// What its owner calls it.
    pub label: Option<String>,
    /// What its codes are made from; nothing once it is disabled.
    pub sealed_secret: Vec<u8>,
    /// The last step of time whose code was taken.
    pub last_step: i64,
    /// When it was made.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
}

impl std::fmt::Debug for Factor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Factor({}, {}, ***)", self.id, self.status)
    }
}

/// A login that waits for a second factor.
#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = mfa_challenges)]
pub struct Challenge {
    /// Its id.
    pub id: MfaChallengeId,
    /// Who has shown the first.
    pub identity_id: IdentityId,
    /// As what she means to act.
    pub actor_type: ActorType,
    /// By what she showed it.
    pub provider: Provider,
    /// The identity's generation at that time.
    pub generation: i64,
    /// How many codes have been tried.
    pub attempts: i64,
    /// When it began.
    pub created_at: Time,
    /// Until when it can be completed.
    pub expires_at: Time,
    /// When it was.
    pub completed_at: Option<Time>,
}

/// What ties a sealed secret to its row.
pub(super) fn place(id: &MfaFactorId) -> String {
    format!("mfa_factors/{id}")
}

/// What those lock who change an identity's factors.
pub(super) fn lock_name(identity: &IdentityId) -> String {
    format!("mfa:{identity}")
}

/// All factors of an identity, the oldest first.
pub fn factors(db: &mut Db, identity: &IdentityId) -> QueryResult<Vec<Factor>> {
    mfa_factors::table
        .filter(mfa_factors::identity_id.eq(identity))
        .order(mfa_factors::id)
        .select(Factor::as_select())
        .load(db)
}

/// A factor of this identity.
pub fn factor(db: &mut Db, identity: &IdentityId, id: &MfaFactorId) -> QueryResult<Option<Factor>> {
    mfa_factors::table
        .find(id)
        .filter(mfa_factors::identity_id.eq(identity))
        .select(Factor::as_select())
        .first(db)
        .optional()
}

/// The factor that logins ask for.
pub fn enabled(db: &mut Db, identity: &IdentityId) -> QueryResult<Option<Factor>> {
    mfa_factors::table
        .filter(mfa_factors::identity_id.eq(identity))
        .filter(mfa_factors::status.eq(FactorStatus::Enabled))
        .select(Factor::as_select())
        .first(db)
        .optional()
}

/// Keeps a new factor in the place of those that were never enabled.
pub fn replace_pending(db: &mut Db, factor: &Factor) -> QueryResult<()> {
    diesel::delete(
        mfa_factors::table
            .filter(mfa_factors::identity_id.eq(&factor.identity_id))
            .filter(mfa_factors::status.eq(FactorStatus::Pending)),
    )
    .execute(db)?;
    diesel::insert_into(mfa_factors::table)
        .values(factor)
        .execute(db)
        .map(drop)
}

/// Enables a pending factor, whose code of this step was taken; answers how many rows that changed.
pub fn enable(db: &mut Db, id: &MfaFactorId, step: i64, now: Time) -> QueryResult<usize> {
    diesel::update(mfa_factors::table.find(id))
        .filter(mfa_factors::status.eq(FactorStatus::Pending))
        .set((
            mfa_factors::status.eq(FactorStatus::Enabled),
            mfa_factors::last_step.eq(step),
            mfa_factors::updated_at.eq(now),
        ))
        .execute(db)
}

/// Disables a factor and forgets its secret; answers how many rows that changed.
pub fn disable(db: &mut Db, id: &MfaFactorId, now: Time) -> QueryResult<usize> {
    diesel::update(mfa_factors::table.find(id))
        .filter(mfa_factors::status.ne(FactorStatus::Disabled))
        .set((
            mfa_factors::status.eq(FactorStatus::Disabled),
            mfa_factors::sealed_secret.eq(Vec::<u8>::new()),
            mfa_factors::updated_at.eq(now),
        ))
        .execute(db)
}

/// Takes the code of a step of time, if it is later than any that was taken; answers how many rows
/// that changed. Of two who show it at once, one changes the row.
pub fn use_step(db: &mut Db, id: &MfaFactorId, step: i64) -> QueryResult<usize> {
    diesel::update(mfa_factors::table.find(id))
        .filter(mfa_factors::status.eq(FactorStatus::Enabled))
        .filter(mfa_factors::last_step.lt(step))
        .set(mfa_factors::last_step.eq(step))
        .execute(db)
}

/// Replaces an identity's recovery codes.
pub fn replace_recovery_codes(
    db: &mut Db,
    identity: &IdentityId,
    digests: &[String],
    now: Time,
) -> QueryResult<()> {
    remove_recovery_codes(db, identity)?;
    let rows: Vec<_> = digests
        .iter()
        .map(|digest| {
            (
                mfa_recovery_codes::identity_id.eq(identity),
                mfa_recovery_codes::digest.eq(digest),
                mfa_recovery_codes::created_at.eq(now),
            )
        })
        .collect();
    on_backend!(db, conn => diesel::insert_into(mfa_recovery_codes::table).values(&rows).execute(conn))?;
    Ok(())
}

/// Removes an identity's recovery codes.
pub fn remove_recovery_codes(db: &mut Db, identity: &IdentityId) -> QueryResult<usize> {
    diesel::delete(mfa_recovery_codes::table.filter(mfa_recovery_codes::identity_id.eq(identity)))
        .execute(db)
}

/// Uses a recovery code up; answers how many rows that changed.
pub fn use_recovery_code(db: &mut Db, identity: &IdentityId, digest: &str) -> QueryResult<usize> {
    diesel::delete(mfa_recovery_codes::table.find((identity, digest))).execute(db)
}

/// Whether an identity has a recovery code left.
pub fn has_recovery_code(db: &mut Db, identity: &IdentityId) -> QueryResult<bool> {
    let found = mfa_recovery_codes::table
        .filter(mfa_recovery_codes::identity_id.eq(identity))
        .select(mfa_recovery_codes::digest)
        .first::<String>(db)
        .optional()?;
    Ok(found.is_some())
}

/// Keeps a new challenge.
pub fn insert_challenge(db: &mut Db, challenge: &Challenge) -> QueryResult<()> {
    diesel::insert_into(mfa_challenges::table)
        .values(challenge)
        .execute(db)
        .map(drop)
}

/// A challenge of this identity.
pub fn challenge(
    db: &mut Db,
    id: &MfaChallengeId,
    identity: &IdentityId,
) -> QueryResult<Option<Challenge>> {
    mfa_challenges::table
        .find(id)
        .filter(mfa_challenges::identity_id.eq(identity))
        .select(Challenge::as_select())
        .first(db)
        .optional()
}

/// Counts a try, if the challenge takes one more; answers how many rows that changed. It is counted
/// before the code is looked at, so that many at once are no more than that many.
pub fn count_attempt(db: &mut Db, id: &MfaChallengeId, most: i64, now: Time) -> QueryResult<usize> {
    diesel::update(mfa_challenges::table.find(id))
        .filter(mfa_challenges::completed_at.is_null())
        .filter(mfa_challenges::expires_at.gt(now))
        .filter(mfa_challenges::attempts.lt(most))
        .set(mfa_challenges::attempts.eq(mfa_challenges::attempts + 1))
        .execute(db)
}

/// Notes that a challenge has been completed; answers how many rows that changed.
pub fn complete(db: &mut Db, id: &MfaChallengeId, now: Time) -> QueryResult<usize> {
    diesel::update(mfa_challenges::table.find(id))
        .filter(mfa_challenges::completed_at.is_null())
        .set(mfa_challenges::completed_at.eq(now))
        .execute(db)
}

/// Removes factors that were never enabled since then.
pub fn remove_pending(db: &mut Db, before: Time) -> QueryResult<usize> {
    diesel::delete(
        mfa_factors::table
            .filter(mfa_factors::status.eq(FactorStatus::Pending))
            .filter(mfa_factors::created_at.lt(before)),
    )
    .execute(db)
}

/// Removes challenges that ended before then.
pub fn remove_challenges(db: &mut Db, before: Time) -> QueryResult<usize> {
    diesel::delete(mfa_challenges::table.filter(mfa_challenges::expires_at.lt(before))).execute(db)
}
