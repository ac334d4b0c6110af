//! Setting a factor up, enabling and disabling it.

use chassis::audit::{self, Entry};
use chassis::auth::Person;
use chassis::db::Db;
use chassis::http::ClientAddress;
use common::ExposeSecret as _;
use common::event::TokensRevoked;
use common::id::{IdentityId, MfaFactorId};
use common::time::Time;

use super::proof::{self, Allowance, Proof, allow};
use super::store::{self, Factor};
use super::{FactorProvider, FactorStatus, Method, MfaError, totp};
use crate::sessions;
use crate::state::State;

/// Who would never show a code: no step is as early.
const NO_STEP: i64 = -1;
/// Under which name apps show the account, unless told.
const ISSUER: &str = "Slipway";
/// The longest name of a factor or issuer, in characters.
pub(super) const LONGEST_NAME: usize = 100;

/// What somebody wants to set up.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// What she calls it.
    pub label: Option<String>,
    /// Under which name her app shows it.
    pub issuer: Option<String>,
}

/// A factor that waits to be shown to work.
#[derive(Debug)]
pub struct Started {
    /// The factor.
    pub factor: Factor,
    /// The secret in base32, shown once.
    pub secret: String,
    /// The same as an app reads it.
    pub otpauth_url: String,
}

fn record(
    db: &mut Db,
    person: &Person,
    action: &'static str,
    id: &MfaFactorId,
    address: ClientAddress,
    now: Time,
) -> Result<(), MfaError> {
    let entry = Entry::by(&person.claims, action, id.as_str(), address);
    Ok(audit::record(db, &entry, now)?)
}

/// Sets a factor up. One that was begun before and never enabled is forgotten.
pub async fn start(
    state: &State,
    person: Person,
    wish: Wish,
    allowance: Allowance,
    address: ClientAddress,
) -> Result<Started, MfaError> {
    let now = state.clock.now();
    let secret = totp::new_secret();
    let id = MfaFactorId::new(now);
    let account = wish.label.as_deref().unwrap_or(person.identity_id.as_str());
    let issuer = wish.issuer.as_deref().unwrap_or(ISSUER);
    let told = totp::enrolment(&secret, issuer, account)?;
    let factor = Factor {
        sealed_secret: state.sealer.seal(&secret, &store::place(&id))?,
        id,
        identity_id: person.identity_id.clone(),
        provider: FactorProvider::Totp,
        status: FactorStatus::Pending,
        label: wish.label,
        last_step: NO_STEP,
        created_at: now,
        updated_at: now,
    };
    let (kept, sealer) = (factor.clone(), state.sealer.clone());
    state
        .db
        .write(move |db| {
            let identity = &person.identity_id;
            chassis::db::lock(db, &store::lock_name(identity))?;
            if store::enabled(db, identity)?.is_some() {
                return Err(MfaError::Exists);
            }
            if let Err(refused) = allow(db, &sealer, &person.claims, &allowance, address, now)? {
                return Ok(Err(refused));
            }
            store::replace_pending(db, &kept)?;
            record(db, &person, "mfa.factor_started", &kept.id, address, now)?;
            Ok(Ok(()))
        })
        .await??;
    Ok(Started {
        factor,
        secret: told.secret,
        otpauth_url: told.url,
    })
}

/// Enables a factor with a first code of it, which is used up by that. One that is enabled already is
/// only shown to work.
pub async fn verify(
    state: &State,
    person: Person,
    id: MfaFactorId,
    proof: Proof,
    address: ClientAddress,
) -> Result<Factor, MfaError> {
    let (sealer, now) = (state.sealer.clone(), state.clock.now());
    state
        .db
        .write(move |db| {
            let identity = &person.identity_id;
            chassis::db::lock(db, &store::lock_name(identity))?;
            let factor = find(db, identity, &id)?;
            let right = match factor.status {
                FactorStatus::Disabled => return Err(MfaError::Disabled),
                FactorStatus::Enabled => proof::check(db, &sealer, identity, &proof, address, now)?,
                FactorStatus::Pending => {
                    let secret = proof::open(&sealer, &factor)?;
                    let step = totp::step_of(&secret, proof.code.expose_secret(), now)?;
                    if let Some(step) = step {
                        store::enable(db, &id, step, now)?;
                        record(db, &person, "mfa.factor_enabled", &id, address, now)?;
                    }
                    step.is_some()
                }
            };
            if right {
                find(db, identity, &id).map(Ok)
            } else {
                Ok(Err(MfaError::WrongSetupCode))
            }
        })
        .await?
}

/// Disables a factor. With the one that logins asked for go its recovery codes and all sessions but
/// the one that asks.
pub async fn disable(
    state: &State,
    person: Person,
    id: MfaFactorId,
    allowance: Allowance,
    address: ClientAddress,
) -> Result<(Factor, Vec<TokensRevoked>), MfaError> {
    let (sealer, now) = (state.sealer.clone(), state.clock.now());
    let token_life = state.issuer.access_lifetime;
    state
        .db
        .write(move |db| {
            let identity = &person.identity_id;
            chassis::db::lock(db, &store::lock_name(identity))?;
            let factor = find(db, identity, &id)?;
            if factor.status == FactorStatus::Disabled {
                return Ok(Ok((factor, Vec::new())));
            }
            if let Err(refused) = allow(db, &sealer, &person.claims, &allowance, address, now)? {
                return Ok(Err(refused));
            }
            store::disable(db, &id, now)?;
            record(db, &person, "mfa.factor_disabled", &id, address, now)?;
            let mut ended = Vec::new();
            if factor.status == FactorStatus::Enabled {
                store::remove_recovery_codes(db, identity)?;
                let current = person.claims.session_id();
                ended = sessions::end_others(db, identity, current.as_ref(), token_life, now)?;
            }
            Ok::<_, MfaError>(Ok((find(db, identity, &id)?, ended)))
        })
        .await?
}

/// A factor of an identity.
fn find(db: &mut Db, identity: &IdentityId, id: &MfaFactorId) -> Result<Factor, MfaError> {
    store::factor(db, identity, id)?.ok_or_else(|| MfaError::NoFactor(id.clone()))
}

/// A code for setting up, which an app's must be.
pub(super) fn of_app(code: common::SecretString) -> Proof {
    Proof {
        method: Method::Totp,
        code,
    }
}
