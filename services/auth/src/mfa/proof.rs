//! Whether a code is right, which it is once only.

use chassis::db::Db;
use chassis::http::ClientAddress;
use chassis::seal::Sealer;
use common::id::IdentityId;
use common::time::Time;
use common::token::Claims;
use common::{ExposeSecret as _, SecretString};

use super::store::{self, Factor};
use super::{Method, MfaError, is_fresh, recovery, totp};
use crate::pacing::{self, Subjects};

/// A code, and what it is said to be.
#[derive(Clone, Debug)]
pub struct Proof {
    /// What it is.
    pub method: Method,
    /// The code.
    pub code: SecretString,
}

/// By what somebody who is signed in may change factors: by a code, or by having signed in just now.
pub type Allowance = Option<Proof>;

/// The secret of a factor.
pub(super) fn open(sealer: &Sealer, factor: &Factor) -> Result<Vec<u8>, MfaError> {
    Ok(sealer.open(&factor.sealed_secret, &store::place(&factor.id))?)
}

/// Whether this is a right code of the identity, which is used up by that. How often wrong ones are
/// taken is counted across all of its logins; the count must be kept, so the caller commits also
/// where the answer is no.
pub(crate) fn check(
    db: &mut Db,
    sealer: &Sealer,
    identity: &IdentityId,
    proof: &Proof,
    address: ClientAddress,
    now: Time,
) -> Result<bool, MfaError> {
    let subjects = Subjects::of_codes(identity, address);
    pacing::check(db, &subjects, now)??;
    let right = match proof.method {
        Method::Totp => uses_step(db, sealer, identity, proof, now)?,
        Method::RecoveryCode => {
            let digest = recovery::digest_of(proof.code.expose_secret());
            store::use_recovery_code(db, identity, &digest)? == 1
        }
    };
    if right {
        pacing::succeeded(db, &subjects)?;
    } else {
        tracing::info!(method = %proof.method, "a code of a second factor was wrong");
        pacing::failed(db, &subjects, now)?;
    }
    Ok(right)
}

fn uses_step(
    db: &mut Db,
    sealer: &Sealer,
    identity: &IdentityId,
    proof: &Proof,
    now: Time,
) -> Result<bool, MfaError> {
    let Some(factor) = store::enabled(db, identity)? else {
        return Ok(false);
    };
    let secret = open(sealer, &factor)?;
    match totp::step_of(&secret, proof.code.expose_secret(), now)? {
        Some(step) => Ok(store::use_step(db, &factor.id, step)? == 1),
        None => Ok(false),
    }
}

/// Whether somebody may change factors now. A refusal that was counted comes as the inner error, so
/// that the count is kept.
pub(super) fn allow(
    db: &mut Db,
    sealer: &Sealer,
    claims: &Claims,
    allowance: &Allowance,
    address: ClientAddress,
    now: Time,
) -> Result<Result<(), MfaError>, MfaError> {
    let identity = claims.auth_identity_id.as_ref().ok_or(MfaError::Refused)?;
    match allowance {
        Some(proof) if check(db, sealer, identity, proof, address, now)? => Ok(Ok(())),
        Some(_) => Ok(Err(MfaError::WrongCode)),
        None if is_fresh(claims, now) => Ok(Ok(())),
        None => Err(MfaError::Stale),
    }
}
