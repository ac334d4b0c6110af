//! The settings of AWS.
//!
//! | variable | meaning |
//! |---|---|
//! | `SLIPWAY_AWS__CHECK` | whether AWS is asked whose credentials are when somebody gives them |
//! | `SLIPWAY_AWS__STS_ENDPOINT` | where its Security Token Service is; the one of the credentials' region unless set |
//! | `SLIPWAY_AWS__ACCESS_KEY_ID`, `SLIPWAY_AWS__SECRET_ACCESS_KEY` | the platform's own key, with which roles are taken on |

use chassis::settings::{Secret, Section};
use serde::{Deserialize, Serialize};
use url::Url;

/// `[aws]`
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AwsSection {
    /// Whether AWS is asked whose credentials are.
    pub(crate) check: bool,
    /// Where it is asked.
    pub(crate) sts_endpoint: Option<String>,
    /// The platform's own key, with which roles are taken on.
    pub(crate) access_key_id: Option<String>,
    /// Its secret half.
    pub(crate) secret_access_key: Option<Secret>,
}

impl Default for AwsSection {
    fn default() -> Self {
        Self {
            check: true,
            sts_endpoint: None,
            access_key_id: None,
            secret_access_key: None,
        }
    }
}

impl AwsSection {
    /// Where AWS is asked about credentials for a region, whose form has been checked.
    pub(crate) fn endpoint(&self, region: &str) -> Result<Url, String> {
        let suffix = if region.starts_with("cn-") {
            "amazonaws.com.cn"
        } else {
            "amazonaws.com"
        };
        let text = match &self.sts_endpoint {
            Some(text) => text.clone(),
            None => format!("https://sts.{region}.{suffix}/"),
        };
        let url = Url::parse(&text)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.query().is_none());
        url.ok_or_else(|| "`sts_endpoint` must be an http or https address".to_owned())
    }
}

impl Section for AwsSection {
    fn validate(&self) -> Result<(), String> {
        self.endpoint("us-east-1")?;
        if self.access_key_id.is_some() == self.secret_access_key.is_some() {
            Ok(())
        } else {
            Err("`access_key_id` and `secret_access_key` belong together".into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aws_is_asked_in_the_credentials_own_region_unless_told() {
        let of = |section: &AwsSection, region| section.endpoint(region).unwrap().to_string();
        let section = AwsSection::default();
        assert_eq!(
            of(&section, "eu-central-1"),
            "https://sts.eu-central-1.amazonaws.com/"
        );
        assert_eq!(
            of(&section, "cn-north-1"),
            "https://sts.cn-north-1.amazonaws.com.cn/"
        );
        let section = AwsSection {
            sts_endpoint: Some("http://127.0.0.1:4566".into()),
            ..section
        };
        assert_eq!(of(&section, "eu-central-1"), "http://127.0.0.1:4566/");
    }

    #[test]
    fn a_setting_of_aws_that_cannot_be_is_refused() {
        assert!(AwsSection::default().validate().is_ok());
        for endpoint in ["sts", "ftp://sts.example", "https://sts.example/?x=y"] {
            let wrong = AwsSection {
                sts_endpoint: Some(endpoint.into()),
                ..AwsSection::default()
            };
            assert!(wrong.validate().is_err(), "{endpoint}");
        }
        let half = AwsSection {
            access_key_id: Some("AKIAIOSFODNN7EXAMPLE".into()),
            ..AwsSection::default()
        };
        assert!(half.validate().is_err());
    }
}
