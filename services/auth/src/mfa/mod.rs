//! Second factors: what somebody shows beside what she knows.
//!
//! There are codes of an authenticator app (TOTP, RFC 6238) and recovery codes for when that is lost.
//! Whoever has enabled a factor gets, for a password alone, a token that is good for completing the
//! login and nothing else.

pub mod answer;
pub mod challenges;
pub mod factors;
pub mod factors_http;
pub mod http;
pub mod proof;
pub mod recovery;
pub mod store;
mod totp;

use chassis::seal::SealError;
use common::id::{MfaChallengeId, MfaFactorId};
use common::time::{Span, Time};
use common::token::{Claims, InvalidKey};

use crate::pacing::Blocked;
use crate::tokens::sign_in_of;

/// How long after a sign-in factors can be changed without a code.
const FRESH: Span = Span::minutes(10);
/// How long a set-up that nobody finished is kept.
const ABANDONED: Span = Span::days(1);
/// How long a login that nobody completed is kept.
const FORGOTTEN: Span = Span::hours(1);

common::text_enum! {
    /// How a code is made.
    pub enum FactorProvider {
        /// By an authenticator app.
        Totp = "totp",
    }
}

common::text_enum! {
    /// Where a factor stands.
    pub enum FactorStatus {
        /// It hasn't been shown to work yet.
        Pending = "pending",
        /// Logins ask for it.
        Enabled = "enabled",
        /// It is no more.
        Disabled = "disabled",
    }
}

common::text_enum! {
    /// What a code can be.
    pub enum Method {
        /// An authenticator app's.
        Totp = "totp",
        /// One of those that were written down.
        RecoveryCode = "recovery_code",
    }
}

/// Why something about second factors can't be done.
#[derive(Debug, thiserror::Error)]
pub enum MfaError {
    /// There is no such factor.
    #[error("no such factor")]
    NoFactor(MfaFactorId),
    /// There is no such challenge of this login.
    #[error("no such challenge")]
    NoChallenge(MfaChallengeId),
    /// The challenge can't be completed any more.
    #[error("the challenge is closed: {0}")]
    Closed(Closed),
    /// The challenge isn't answered by this.
    #[error("the challenge does not take this")]
    Method(Method),
    /// The code of a login is wrong.
    #[error("the code of a login is wrong")]
    WrongChallengeCode,
    /// The code of a set-up is wrong.
    #[error("the code of a set-up is wrong")]
    WrongSetupCode,
    /// The code by which a change was to be allowed is wrong.
    #[error("the code for a change is wrong")]
    WrongCode,
    /// A code is needed beside the password.
    #[error("a code is needed as well")]
    NoCode,
    /// The sign-in is too long ago, and no code was given.
    #[error("the sign-in is too long ago")]
    Stale,
    /// There is one already.
    #[error("there is an enabled factor already")]
    Exists,
    /// A disabled factor can't be enabled again.
    #[error("the factor is disabled")]
    Disabled,
    /// There is no enabled factor.
    #[error("there is no enabled factor")]
    NothingEnabled,
    /// The identity is nobody's any more.
    #[error("the token speaks for nobody any more")]
    Refused,
    /// Too many wrong codes.
    #[error("codes are paced")]
    Blocked(#[from] Blocked),
    /// The secret can't be sealed or opened.
    #[error("the secret can't be sealed or opened")]
    Seal(#[from] SealError),
    /// The secret is no secret of TOTP.
    #[error("the secret is not one of TOTP")]
    Totp(#[from] totp::InvalidSecret),
    /// No token could be signed.
    #[error("the token could not be signed")]
    Key(#[from] InvalidKey),
    /// The database failed.
    #[error("the factors could not be read or kept")]
    Db(#[from] diesel::result::Error),
}

/// Why a challenge can't be completed any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// It has been.
    Completed,
    /// It took too long.
    Expired,
    /// Too many codes have been tried.
    Attempts,
}

impl std::fmt::Display for Closed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Completed => "MFA challenge has already been completed",
            Self::Expired => "MFA challenge has expired",
            Self::Attempts => "MFA challenge has too many failed attempts",
        })
    }
}

/// Whether somebody has signed in only just now.
fn is_fresh(claims: &Claims, now: Time) -> bool {
    sign_in_of(claims).is_some_and(|sign_in| sign_in.at + FRESH > now)
}

/// Removes what nobody went on with.
pub fn clean_up(db: &mut chassis::db::Db, now: Time) -> diesel::QueryResult<usize> {
    let factors = store::remove_pending(db, now - ABANDONED)?;
    Ok(factors + store::remove_challenges(db, now - FORGOTTEN)?)
}
