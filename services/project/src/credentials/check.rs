//! What AWS has said of credentials.

use chassis::seal::{SealError, Sealer};
use common::time::Time;
use diesel::prelude::*;
use serde::Serialize;
use utoipa::ToSchema;

use super::{AwsCredentials, Given};
use crate::schema::aws_credentials;

common::text_enum! {
    /// Whether AWS takes credentials.
    pub(crate) enum CheckStatus {
        /// It does.
        Verified = "verified",
        /// It doesn't any more.
        Refused = "refused",
        /// Nobody knows.
        Unchecked = "unchecked",
    }
}

/// What came of asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Checked {
    /// Whose they are.
    Verified {
        /// The number of the AWS account.
        account_id: String,
        /// Who they speak for.
        arn: String,
    },
    /// AWS doesn't take them.
    Refused {
        /// Its own code for why.
        code: String,
    },
    /// There was no answer that says so.
    Unchecked {
        /// Why not.
        problem: String,
    },
}

/// The same as it is kept and shown.
#[derive(
    Clone, Debug, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset, Serialize, ToSchema,
)]
#[diesel(table_name = aws_credentials, treat_none_as_null = true)]
pub(crate) struct Check {
    /// `verified`, `unchecked` or `refused`
    #[diesel(column_name = check_status)]
    pub(crate) status: CheckStatus,
    /// AWS's own code for why it refuses them.
    #[diesel(column_name = check_code)]
    code: Option<String>,
    /// Why they are unchecked.
    #[diesel(column_name = check_problem)]
    problem: Option<String>,
    /// The number of the AWS account that they are of.
    #[serde(rename = "account_id")]
    aws_account_id: Option<String>,
    /// Who they speak for there.
    arn: Option<String>,
    /// When AWS was asked last.
    checked_at: Option<Time>,
}

impl Check {
    /// What came of asking now.
    pub(crate) fn of(checked: Checked, now: Time) -> Self {
        let nothing = Self {
            status: CheckStatus::Unchecked,
            code: None,
            problem: None,
            aws_account_id: None,
            arn: None,
            checked_at: Some(now),
        };
        match checked {
            Checked::Verified { account_id, arn } => Self {
                status: CheckStatus::Verified,
                aws_account_id: Some(account_id),
                arn: Some(arn),
                ..nothing
            },
            Checked::Refused { code } => Self {
                status: CheckStatus::Refused,
                code: Some(code),
                ..nothing
            },
            Checked::Unchecked { problem } => Self {
                problem: Some(problem),
                ..nothing
            },
        }
    }
}

impl AwsCredentials {
    /// What was given, to be asked about anew.
    pub(crate) fn given(&self, sealer: &Sealer) -> Result<Option<Given>, SealError> {
        if let Some(role_arn) = &self.role_arn {
            let role_arn = role_arn.clone();
            return Ok(Some(Given::Role { role_arn }));
        }
        let (Some(access_key_id), Some(sealed)) = (&self.access_key_id, &self.sealed_secret) else {
            return Ok(None);
        };
        let place = super::place(&self.project_id, access_key_id);
        Ok(Some(Given::Key {
            access_key_id: access_key_id.clone(),
            secret_access_key: sealer.open_text(sealed, &place)?,
        }))
    }
}
