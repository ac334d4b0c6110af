//! Answers and refusals in Medusa's words.

use chassis::http::ApiError;
use common::id::{IdentityId, MfaChallengeId, MfaFactorId};
use common::problem::Problem;
use common::time::Time;
use serde::Serialize;

use super::challenges::MOST_ATTEMPTS;
use super::store::{Challenge, Factor};
use super::{FactorProvider, FactorStatus, Method, MfaError};
use crate::identities::Provider;

/// A factor, without its secret.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct FactorView {
    id: MfaFactorId,
    auth_identity_id: IdentityId,
    provider: FactorProvider,
    status: FactorStatus,
    label: Option<String>,
    metadata: FactorMetadata,
    created_at: Time,
    updated_at: Time,
}

/// Where clients of a Medusa server look for the label.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct FactorMetadata {
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
}

impl From<Factor> for FactorView {
    fn from(factor: Factor) -> Self {
        Self {
            id: factor.id,
            auth_identity_id: factor.identity_id,
            provider: factor.provider,
            status: factor.status,
            metadata: FactorMetadata {
                label: factor.label.clone(),
            },
            label: factor.label,
            created_at: factor.created_at,
            updated_at: factor.updated_at,
        }
    }
}

/// What completes a login.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ChallengeView {
    id: MfaChallengeId,
    auth_identity_id: IdentityId,
    auth_provider: Provider,
    /// What it takes.
    methods: Vec<Method>,
    expires_at: Time,
    attempts: i64,
    max_attempts: i64,
    completed_at: Option<Time>,
}

impl ChallengeView {
    /// A challenge that takes these.
    pub(crate) fn new(challenge: &Challenge, methods: Vec<Method>) -> Self {
        Self {
            id: challenge.id.clone(),
            auth_identity_id: challenge.identity_id.clone(),
            auth_provider: challenge.provider,
            methods,
            expires_at: challenge.expires_at,
            attempts: challenge.attempts,
            max_attempts: MOST_ATTEMPTS,
            completed_at: challenge.completed_at,
        }
    }
}

/// A rule that says no, which is a 400 with Medusa.
pub(super) fn not_allowed(detail: impl Into<String>) -> Problem {
    Problem::bad_request("not_allowed", detail.into())
}

/// A method that no challenge takes.
pub(super) fn unsupported(method: &str) -> Problem {
    let cut: String = method.chars().take(40).collect();
    let detail = format!("MFA challenge does not support method \"{cut}\"");
    Problem::bad_request("invalid_data", detail)
}

impl From<MfaError> for ApiError {
    fn from(error: MfaError) -> Self {
        let missing = |what: &str, id: &str| {
            Problem::new(
                404,
                "not_found",
                format!("{what} with id \"{id}\" was not found"),
            )
        };
        match error {
            MfaError::NoFactor(id) => missing("MFA factor", id.as_str()).into(),
            MfaError::NoChallenge(id) => missing("MFA challenge", id.as_str()).into(),
            MfaError::Closed(why) => not_allowed(why.to_string()).into(),
            MfaError::Method(method) => unsupported(method.as_str()).into(),
            MfaError::WrongChallengeCode => not_allowed("Invalid MFA challenge code").into(),
            MfaError::WrongSetupCode => not_allowed("Invalid TOTP code").into(),
            MfaError::WrongCode => not_allowed("Invalid MFA verification code").into(),
            MfaError::NoCode => Problem {
                detail: "Type a code of your second factor as well".into(),
                ..Problem::unauthorized()
            }
            .into(),
            MfaError::Stale => Problem::forbidden(
                "sign_in_too_old",
                "Changing second factors needs a sign-in of the last ten minutes, or a code",
            )
            .into(),
            MfaError::Exists => {
                not_allowed("An active TOTP factor already exists for this auth identity").into()
            }
            MfaError::Disabled => not_allowed("Disabled MFA factors cannot be verified").into(),
            MfaError::NothingEnabled => {
                not_allowed("Recovery codes require an enabled MFA factor").into()
            }
            MfaError::Refused => Problem::unauthorized().into(),
            MfaError::Blocked(blocked) => {
                let detail = "Too many wrong codes; wait before the next one";
                Problem::new(429, "too_many_attempts", detail)
                    .retry_after(blocked.retry_after)
                    .into()
            }
            MfaError::Seal(error) => Self::internal(error),
            MfaError::Totp(error) => Self::internal(error),
            MfaError::Key(error) => Self::internal(error),
            MfaError::Db(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Closed;
    use super::*;
    use crate::pacing::Blocked;

    #[test]
    fn what_went_wrong_decides_status_and_words() {
        let told = |error: MfaError| {
            let error = ApiError::from(error);
            let problem = error.problem();
            (
                problem.status,
                problem.code.to_string(),
                problem.detail.to_string(),
            )
        };
        let says = |status, code: &str, detail: &str| (status, code.to_owned(), detail.to_owned());
        assert_eq!(
            told(MfaError::WrongChallengeCode),
            says(400, "not_allowed", "Invalid MFA challenge code")
        );
        assert_eq!(
            told(MfaError::Closed(Closed::Attempts)),
            says(
                400,
                "not_allowed",
                "MFA challenge has too many failed attempts"
            )
        );
        assert_eq!(
            told(MfaError::Method(Method::RecoveryCode)),
            says(
                400,
                "invalid_data",
                "MFA challenge does not support method \"recovery_code\""
            )
        );
        assert_eq!(told(MfaError::Refused).0, 401);
        assert_eq!(told(MfaError::NoCode).0, 401);
        assert_eq!(told(MfaError::Stale).0, 403);
        assert_eq!(told(MfaError::Blocked(Blocked { retry_after: 30 })).0, 429);
        let id = MfaFactorId::new(Time::EPOCH);
        assert_eq!(told(MfaError::NoFactor(id)).0, 404);
    }
}
