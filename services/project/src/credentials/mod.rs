//! A project's credentials to AWS: an access key, or a role that we may take on.
//!
//! The secret key is sealed and never comes back. Before credentials are kept AWS is asked whose they
//! are; what it refuses isn't kept, and where it doesn't answer they are kept as unchecked.

pub(crate) mod check;
pub(crate) mod http;
pub(crate) mod store;
pub(crate) mod sts;

use chassis::seal::{SealError, Sealer};
use common::id::ProjectId;
use common::time::Time;
use common::{ExposeSecret as _, SecretString};
use diesel::prelude::*;

use crate::schema::aws_credentials;
use check::Check;

/// What a caller gives; its forms have been checked.
#[derive(Clone, Debug)]
pub(crate) enum Given {
    /// A key of an IAM user.
    Key {
        /// Its public half.
        access_key_id: String,
        /// Its secret half.
        secret_access_key: SecretString,
    },
    /// A role of theirs that trusts us under the project's external id.
    Role {
        /// Its ARN.
        role_arn: String,
    },
}

/// Kept credentials.
#[derive(Clone, Debug, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = aws_credentials, primary_key(project_id), treat_none_as_null = true)]
pub(crate) struct AwsCredentials {
    pub(crate) project_id: ProjectId,
    pub(crate) access_key_id: Option<String>,
    sealed_secret: Option<Vec<u8>>,
    pub(crate) role_arn: Option<String>,
    pub(crate) region: String,
    pub(crate) updated_at: Time,
    #[diesel(embed)]
    pub(crate) check: Check,
}

/// The place that a secret key is sealed for.
fn place(project: &ProjectId, access_key_id: &str) -> String {
    format!("aws_credentials/{project}/{access_key_id}")
}

impl AwsCredentials {
    /// Seals what was given for its project.
    pub(crate) fn seal(
        sealer: &Sealer,
        project: &ProjectId,
        given: Given,
        region: String,
        check: Check,
        now: Time,
    ) -> Result<Self, SealError> {
        let (access_key_id, sealed_secret, role_arn) = match given {
            Given::Key {
                access_key_id,
                secret_access_key,
            } => {
                let place = place(project, &access_key_id);
                let secret = sealer.seal(secret_access_key.expose_secret().as_bytes(), &place)?;
                (Some(access_key_id), Some(secret), None)
            }
            Given::Role { role_arn } => (None, None, Some(role_arn)),
        };
        Ok(Self {
            project_id: project.clone(),
            access_key_id,
            sealed_secret,
            role_arn,
            region,
            updated_at: now,
            check,
        })
    }
}

/// Whether this is an access key's id: `AKIA` (of a user) or `ASIA` (for a while) and 12 to 124 more.
pub(crate) fn is_access_key_id(text: &str) -> bool {
    (16..=128).contains(&text.len())
        && (text.starts_with("AKIA") || text.starts_with("ASIA"))
        && text
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

/// Whether this can be a secret key: 40 characters of base64.
pub(crate) fn is_secret_access_key(text: &str) -> bool {
    text.len() == 40
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='))
}

/// Whether this is a role's ARN: `arn:<partition>:iam::<12 digits>:role/<path and name>`.
pub(crate) fn is_role_arn(text: &str) -> bool {
    let parts: Vec<_> = text.splitn(6, ':').collect();
    let [arn, partition, service, region, account, resource] = parts.as_slice() else {
        return false;
    };
    let name = resource.strip_prefix("role/").unwrap_or_default();
    *arn == "arn"
        && (*partition == "aws" || partition.starts_with("aws-"))
        && partition
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'-')
        && *service == "iam"
        && region.is_empty()
        && account.len() == 12
        && account.bytes().all(|byte| byte.is_ascii_digit())
        && (1..=576).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+=,.@_-/".contains(&byte))
        && !name.ends_with('/')
}

/// Whether this is shaped like a region: `eu-central-1`, `us-gov-west-1`.
pub(crate) fn is_region(text: &str) -> bool {
    let parts: Vec<_> = text.split('-').collect();
    let Some((number, words)) = parts.split_last() else {
        return false;
    };
    (2..=4).contains(&words.len())
        && words.iter().all(|word| {
            (2..=12).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_lowercase())
        })
        && (1..=2).contains(&number.len())
        && number.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_aws_credential_is_refused() {
        assert!(is_access_key_id("AKIAIOSFODNN7EXAMPLE"));
        for id in [
            "",
            "AKIA",
            "akiaiosfodnn7example",
            "BKIAIOSFODNN7EXAMPLE",
            "AKIAIOSFODNN7 XAMPLE",
        ] {
            assert!(!is_access_key_id(id), "{id}");
        }
        assert!(is_secret_access_key(
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
        ));
        for key in ["", "short", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKE\n"] {
            assert!(!is_secret_access_key(key), "{key:?}");
        }
    }

    #[test]
    fn what_is_no_role_is_refused() {
        for arn in [
            "arn:aws:iam::123456789012:role/slipway",
            "arn:aws-cn:iam::123456789012:role/path/to/My.Role",
        ] {
            assert!(is_role_arn(arn), "{arn}");
        }
        for arn in [
            "",
            "arn:aws:iam::123:role/x",
            "arn:aws:iam::123456789012:user/x",
            "arn:aws:iam::123456789012:role/",
            "arn:aws:s3::123456789012:role/x",
            "arn:aws:iam:eu-west-1:123456789012:role/x",
            "arn:aws:iam::123456789012:role/x y",
        ] {
            assert!(!is_role_arn(arn), "{arn}");
        }
    }

    #[test]
    fn what_is_no_region_is_refused() {
        for region in ["eu-central-1", "us-gov-west-1", "ap-southeast-2"] {
            assert!(is_region(region), "{region}");
        }
        for region in [
            "",
            "eu",
            "eu-central",
            "EU-central-1",
            "eu-central-1a",
            "eu--1",
            "eu-central-100",
        ] {
            assert!(!is_region(region), "{region}");
        }
    }
}
