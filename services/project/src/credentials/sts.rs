//! Asking AWS whose credentials are: its Security Token Service says, and refuses wrong ones.
//!
//! Requests are signed by AWS's own crate. Answers are asked for as JSON, which the service gives as
//! well as XML.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use chassis::outbound::{configured, read_limited};
use common::time::Clock;
use common::{ExposeSecret as _, SecretString};
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use serde_json::Value;
use url::{Url, form_urlencoded};

use super::Given;
use super::check::Checked;
use crate::settings::AwsSection;

/// How long AWS may take to answer one question.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The longest answer that is read.
const LONGEST: usize = 64 * 1024;
/// The version of the interface: there has been no other.
const VERSION: &str = "2011-06-15";
const FORM: &str = "application/x-www-form-urlencoded";
/// What AWS says of a key that isn't good, whatever it is used for.
const BAD_KEY: [&str; 6] = [
    "InvalidClientTokenId",
    "SignatureDoesNotMatch",
    "ExpiredToken",
    "ExpiredTokenException",
    "UnrecognizedClientException",
    "IncompleteSignature",
];
/// What it says when it is asked too much.
const THROTTLED: [&str; 3] = ["Throttling", "ThrottlingException", "RequestLimitExceeded"];

/// A key that signs.
struct Key {
    id: String,
    secret: SecretString,
    token: Option<SecretString>,
}

/// Asks AWS. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Sts {
    client: reqwest::Client,
    settings: AwsSection,
    clock: Clock,
}

impl std::fmt::Debug for Sts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sts")
    }
}

/// Why there is no answer that says whose credentials are.
enum Trouble {
    /// AWS refuses them, with this code of its own.
    Refused(String),
    /// Nobody knows.
    Unknown(String),
}

fn unknown(why: &str) -> Trouble {
    Trouble::Unknown(why.to_owned())
}

impl Sts {
    /// One that goes by these settings.
    pub(crate) fn new(settings: AwsSection, clock: Clock) -> anyhow::Result<Self> {
        Ok(Self {
            client: configured(TIMEOUT)?,
            settings,
            clock,
        })
    }

    /// Finds out whose credentials are. A role is taken on with the project's external id, and asked for
    /// as itself.
    pub(crate) async fn check(&self, given: &Given, region: &str, external_id: &str) -> Checked {
        if !self.settings.check {
            return Checked::Unchecked {
                problem: "the platform doesn't check credentials".to_owned(),
            };
        }
        match self.ask(given, region, external_id).await {
            Ok(checked) => checked,
            Err(Trouble::Refused(code)) => Checked::Refused { code },
            Err(Trouble::Unknown(problem)) => Checked::Unchecked { problem },
        }
    }

    async fn ask(
        &self,
        given: &Given,
        region: &str,
        external_id: &str,
    ) -> Result<Checked, Trouble> {
        let key = match given {
            Given::Key {
                access_key_id,
                secret_access_key,
            } => Key {
                id: access_key_id.clone(),
                secret: secret_access_key.clone(),
                token: None,
            },
            Given::Role { role_arn } => self.take_on(role_arn, region, external_id).await?,
        };
        let answer = self.call(&key, region, "GetCallerIdentity", &[]).await?;
        let of = |name: &str| {
            let result = answer.pointer("/GetCallerIdentityResponse/GetCallerIdentityResult");
            let text = result.and_then(|result| result.get(name)?.as_str());
            text.map(str::to_owned).ok_or_else(unreadable)
        };
        Ok(Checked::Verified {
            account_id: of("Account")?,
            arn: of("Arn")?,
        })
    }

    /// The key of a role, for a quarter of an hour.
    async fn take_on(
        &self,
        role_arn: &str,
        region: &str,
        external_id: &str,
    ) -> Result<Key, Trouble> {
        let (Some(id), Some(secret)) = (
            &self.settings.access_key_id,
            &self.settings.secret_access_key,
        ) else {
            return Err(unknown("the platform has no key to take on roles with"));
        };
        let own = Key {
            id: id.clone(),
            secret: secret.to_secret_string(),
            token: None,
        };
        let wanted = [
            ("RoleArn", role_arn),
            ("RoleSessionName", "slipway"),
            ("ExternalId", external_id),
            ("DurationSeconds", "900"),
        ];
        let answer = match self.call(&own, region, "AssumeRole", &wanted).await {
            Err(Trouble::Refused(code)) if BAD_KEY.contains(&code.as_str()) => {
                tracing::warn!(aws.code = code, "AWS refuses the platform's own key");
                return Err(unknown("AWS refuses the platform's own key"));
            }
            other => other?,
        };
        let of = |name: &str| {
            let result = answer.pointer("/AssumeRoleResponse/AssumeRoleResult/Credentials");
            let text = result.and_then(|result| result.get(name)?.as_str());
            text.map(str::to_owned).ok_or_else(unreadable)
        };
        Ok(Key {
            id: of("AccessKeyId")?,
            secret: of("SecretAccessKey")?.into(),
            token: Some(of("SessionToken")?.into()),
        })
    }

    async fn call(
        &self,
        key: &Key,
        region: &str,
        action: &str,
        parameters: &[(&str, &str)],
    ) -> Result<Value, Trouble> {
        let url = self.settings.endpoint(region).map_err(Trouble::Unknown)?;
        let body = form_urlencoded::Serializer::new(String::new())
            .append_pair("Action", action)
            .append_pair("Version", VERSION)
            .extend_pairs(parameters)
            .finish();
        let mut request = self
            .client
            .post(url.clone())
            .header(CONTENT_TYPE, FORM)
            .header(ACCEPT, "application/json");
        for (name, value) in self.sign(key, region, &url, &body)? {
            request = request.header(name, value);
        }
        let exchange = async {
            let answer = request.body(body).send().await?;
            let status = answer.status();
            Ok::<_, reqwest::Error>((status, read_limited(answer, LONGEST).await?))
        };
        let (status, body) = exchange.await.map_err(|error| {
            tracing::info!(error = %error.without_url(), "AWS can't be asked");
            unknown("AWS can't be reached")
        })?;
        let body = body.and_then(|body| serde_json::from_slice::<Value>(&body).ok());
        if status.is_success() {
            return body.ok_or_else(unreadable);
        }
        Err(refusal(status.as_u16(), body.as_ref()))
    }

    /// The headers that sign a request.
    fn sign(
        &self,
        key: &Key,
        region: &str,
        url: &Url,
        body: &str,
    ) -> Result<Vec<(String, String)>, Trouble> {
        let token = key
            .token
            .as_ref()
            .map(|token| token.expose_secret().to_owned());
        let secret = key.secret.expose_secret();
        let identity = Credentials::new(key.id.clone(), secret, token, None, "slipway").into();
        let since = u64::try_from(self.clock.now().unix()).unwrap_or_default();
        let unsigned = |error: &dyn std::error::Error| {
            tracing::error!(error = %error, "a request to AWS can't be signed");
            unknown("AWS can't be asked")
        };
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(region)
            .name("sts")
            .time(SystemTime::UNIX_EPOCH + Duration::from_secs(since))
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| unsigned(&error))?
            .into();
        let headers = std::iter::once(("content-type", FORM));
        let body = SignableBody::Bytes(body.as_bytes());
        let request = SignableRequest::new("POST", url.as_str(), headers, body);
        let request = request.map_err(|error| unsigned(&error))?;
        let (signed, _signature) = sign(request, &parameters)
            .map_err(|error| unsigned(&error))?
            .into_parts();
        let headers = signed.headers();
        Ok(headers
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect())
    }
}

fn unreadable() -> Trouble {
    unknown("AWS's answer can't be read")
}

/// What a refusal says. What isn't about the credentials says nothing of them.
fn refusal(status: u16, body: Option<&Value>) -> Trouble {
    let error = body.map_or(&Value::Null, |body| &body["Error"]);
    let message = error["Message"].as_str().unwrap_or_default();
    let code = error["Code"].as_str().filter(|code| is_code(code));
    match code {
        Some(code) if THROTTLED.contains(&code) => unknown("AWS is asked too much"),
        _ if status == 429 => unknown("AWS is asked too much"),
        // The same code as that of a wrong key.
        Some("SignatureDoesNotMatch")
            if message.starts_with("Signature expired")
                || message.starts_with("Signature not yet current") =>
        {
            unknown("AWS has another time than the platform")
        }
        Some(code) if (400..500).contains(&status) => Trouble::Refused(code.to_owned()),
        _ => Trouble::Unknown(format!("AWS answers {status}")),
    }
}

/// Whether it looks like a code: it is shown to people.
fn is_code(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_'))
}
