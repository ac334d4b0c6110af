//! Domains of accounts' own under which environments are reached.
//!
//! Anybody may say that a domain is theirs; it is served only once somebody has shown it, by a
//! record in the domain's own zone or a file at its address. A claim that hasn't been shown holds up
//! no other. What has been shown is looked at again and again, and served no more when the proof has
//! been gone for longer than a grace time: domains are sold, and forgotten.

mod certificate;
pub(crate) mod check;
pub(crate) mod http;
pub(crate) mod name;
pub(crate) mod recheck;
pub(crate) mod store;

use chassis::db::Db;
use chassis::events::emit;
use common::digest::sha256_hex;
use common::event::{DomainChallenge, DomainState, ProjectEvent};
use common::id::{AccountId, EnvironmentId};
use common::names::DomainName;
use common::random;
use common::time::{Span, Time};
use diesel::prelude::*;

use crate::environments::{Environment, EnvironmentError};
use crate::schema::domains;
use check::Missing;

/// The most domains of one environment.
pub(crate) const MOST: i64 = 100;

/// What stands before a domain in the name of the record that proves it.
pub(crate) const RECORD_PREFIX: &str = "_slipway-challenge.";

/// Where the file that proves a domain is.
pub(crate) const FILE_PREFIX: &str = "/.well-known/slipway-challenge/";

/// How many characters name the file.
const FILE_NAME: usize = 32;

common::text_enum! {
    /// What is known of a claim.
    pub(crate) enum DomainStatus {
        /// Nobody has shown it yet.
        Pending = "pending",
        /// It was shown, and is served.
        Verified = "verified",
        /// It was shown, and the proof has been gone for too long since.
        Lapsed = "lapsed",
    }
}

common::text_enum! {
    /// By what a domain was shown to be somebody's.
    pub(crate) enum Method {
        /// A TXT record.
        Dns = "dns",
        /// A file.
        File = "file",
    }
}

/// A claim of a domain for an environment.
#[derive(Clone, Debug, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = domains, primary_key(environment_id, domain), treat_none_as_null = true)]
pub(crate) struct Domain {
    pub(crate) environment_id: EnvironmentId,
    pub(crate) domain: DomainName,
    pub(crate) account_id: AccountId,
    pub(crate) proof: String,
    pub(crate) status: DomainStatus,
    pub(crate) method: Option<Method>,
    /// Why the last check failed.
    pub(crate) problem: Option<String>,
    pub(crate) created_at: Time,
    pub(crate) checked_at: Option<Time>,
    pub(crate) verified_at: Option<Time>,
    pub(crate) failing_since: Option<Time>,
    pub(crate) next_check_at: Time,
}

impl Domain {
    /// The file that proves it. Its name says nothing of what it holds, so that a server that answers
    /// every path with the path proves nothing.
    pub(crate) fn challenge(&self) -> DomainChallenge {
        let mut name = sha256_hex(&self.proof);
        name.truncate(FILE_NAME);
        DomainChallenge {
            name,
            content: self.proof.clone(),
        }
    }

    fn state(&self) -> DomainState {
        DomainState {
            domain: self.domain.clone(),
            account_id: self.account_id.clone(),
            environment_id: self.environment_id.clone(),
            challenge: self.challenge(),
            dropped: self.status != DomainStatus::Verified,
        }
    }
}

/// Why something can't be done with a domain.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DomainError {
    /// The environment has no such domain.
    #[error("the environment has no such domain")]
    NotFound,
    /// The environment has it already.
    #[error("the environment has this domain already")]
    Exists,
    /// It is served for somebody; for whom is nobody's business.
    #[error("the domain is in use")]
    InUse,
    /// There are too many.
    #[error("an environment has at most {MOST} domains")]
    TooMany,
    /// It was looked at a moment ago.
    #[error("the domain was checked a moment ago")]
    TooSoon(Span),
    /// Nothing shows that it is the account's.
    #[error("nothing shows that the domain is this account's: {0}")]
    NotShown(Missing),
    /// The environment.
    #[error("the environment is not there")]
    Environment(#[from] EnvironmentError),
    /// The database.
    #[error("the database failed")]
    Db(#[from] diesel::result::Error),
}

/// Makes all other transactions that decide about this domain wait for this one.
fn lock(db: &mut Db, domain: &DomainName) -> QueryResult<()> {
    chassis::db::lock(db, &format!("domain:{domain}"))
}

/// Notes that a domain is said to be an environment's. The caller holds the project's lock.
pub(crate) fn claim(
    db: &mut Db,
    environment: &Environment,
    domain: DomainName,
    now: Time,
) -> Result<Domain, DomainError> {
    if store::find(db, &environment.id, &domain)?.is_some() {
        return Err(DomainError::Exists);
    }
    let served = store::served(db, &domain)?;
    if served.is_some_and(|other| other.account_id != environment.account_id) {
        return Err(DomainError::InUse);
    }
    if store::count(db, &environment.id)? >= MOST {
        return Err(DomainError::TooMany);
    }
    let claim = Domain {
        environment_id: environment.id.clone(),
        domain,
        account_id: environment.account_id.clone(),
        proof: random::token(),
        status: DomainStatus::Pending,
        method: None,
        problem: None,
        created_at: now,
        checked_at: None,
        verified_at: None,
        failing_since: None,
        next_check_at: now,
    };
    store::insert(db, &claim)?;
    Ok(claim)
}

/// Notes that a claim is about to be checked, so that nobody has us ask the same server all the
/// time.
pub(crate) fn begin_check(
    db: &mut Db,
    environment: &EnvironmentId,
    domain: &DomainName,
    pause: Span,
    now: Time,
) -> Result<Domain, DomainError> {
    let mut claim = store::find(db, environment, domain)?.ok_or(DomainError::NotFound)?;
    let since = claim.checked_at.map_or(pause, |checked| now - checked);
    if since < pause {
        return Err(DomainError::TooSoon(pause - since));
    }
    claim.checked_at = Some(now);
    store::update(db, &claim)?;
    Ok(claim)
}

/// Keeps what a check of a claim has found: a proof has it served, the lack of one has it served
/// no more once that has lasted for longer than `grace`.
///
/// Whatever happened since the check began counts more: a claim that is gone, or was made anew,
/// isn't touched.
pub(crate) fn settle(
    db: &mut Db,
    checked: &Domain,
    found: Result<Method, Missing>,
    pace: Pace,
    now: Time,
) -> Result<Domain, DomainError> {
    lock(db, &checked.domain)?;
    let mut claim = store::find(db, &checked.environment_id, &checked.domain)?
        .filter(|claim| claim.proof == checked.proof)
        .ok_or(DomainError::NotFound)?;
    let before = claim.status;
    claim.checked_at = Some(now);
    claim.next_check_at = now + pace.every;
    match found {
        Ok(method) => {
            if before != DomainStatus::Verified {
                take_over(db, &claim)?;
                claim.verified_at = Some(now);
            }
            claim.status = DomainStatus::Verified;
            claim.method = Some(method);
            claim.problem = None;
            claim.failing_since = None;
        }
        Err(missing) => {
            claim.problem = Some(missing.to_string());
            if before == DomainStatus::Verified {
                let since = *claim.failing_since.get_or_insert(now);
                if now - since > pace.grace {
                    claim.status = DomainStatus::Lapsed;
                }
            }
        }
    }
    store::update(db, &claim)?;
    if claim.status != before {
        tell(db, &claim, now)?;
    }
    Ok(claim)
}

/// Makes room for a claim that has been shown. Within an account a domain moves by one event, so that
/// nobody is refused meanwhile; another account's stays where it is.
fn take_over(db: &mut Db, claim: &Domain) -> Result<(), DomainError> {
    let Some(mut other) = store::served(db, &claim.domain)? else {
        return Ok(());
    };
    if other.account_id != claim.account_id {
        return Err(DomainError::InUse);
    }
    other.status = DomainStatus::Pending;
    other.failing_since = None;
    Ok(store::update(db, &other)?)
}

/// How often what is served is looked at, and for how long it may be without a proof.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) every: Span,
    pub(crate) grace: Span,
}

/// Takes a domain away from an environment. The caller holds the project's lock.
pub(crate) fn remove(db: &mut Db, claim: &Domain, now: Time) -> QueryResult<()> {
    lock(db, &claim.domain)?;
    // A check that was under way may have had it served since it was read.
    let Some(mut claim) = store::find(db, &claim.environment_id, &claim.domain)? else {
        return Ok(());
    };
    store::remove(db, &claim)?;
    if claim.status == DomainStatus::Verified {
        claim.status = DomainStatus::Lapsed;
        tell(db, &claim, now)?;
    }
    Ok(())
}

/// Takes all domains away from an environment. The caller holds the project's lock.
pub(crate) fn remove_of(db: &mut Db, environment: &EnvironmentId, now: Time) -> QueryResult<()> {
    for claim in store::all(db, environment)? {
        remove(db, &claim, now)?;
    }
    Ok(())
}

fn tell(db: &mut Db, claim: &Domain, now: Time) -> QueryResult<()> {
    let version = store::next_version(db, &claim.domain)?;
    let event = if claim.status == DomainStatus::Verified {
        ProjectEvent::DomainVerified(claim.state())
    } else {
        ProjectEvent::DomainDropped(claim.state())
    };
    emit(db, event, version, now)
}
