//! Being let in by a person in a browser (RFC 8628), and the tokens that come of it.

use reqwest::Method;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Api, ApiError, TIMEOUT};

/// Under which the platform knows this program.
const CLIENT: &str = "slipway-cli";
const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// What to show the person, and what to poll with.
#[derive(Debug, Deserialize)]
pub(crate) struct DeviceCode {
    pub(crate) device_code: SecretString,
    pub(crate) user_code: String,
    pub(crate) verification_uri: String,
    pub(crate) verification_uri_complete: String,
    pub(crate) expires_in: u64,
    pub(crate) interval: u64,
}

/// Tokens.
#[derive(Debug, Deserialize)]
pub(crate) struct Tokens {
    pub(crate) access_token: SecretString,
    pub(crate) refresh_token: SecretString,
    pub(crate) expires_in: i64,
}

impl Api {
    /// Asks that a person lets this program in, as this actor.
    pub(crate) async fn ask_for_device(&self, actor: &str) -> Result<DeviceCode, ApiError> {
        let fields = [("client_id", CLIENT), ("actor_type", actor)];
        self.form("/oauth/device_authorization", &fields).await
    }

    /// The tokens, once the person has let this program in; until then `authorization_pending`.
    pub(crate) async fn poll_device(&self, code: &SecretString) -> Result<Tokens, ApiError> {
        let fields = [
            ("grant_type", DEVICE_CODE),
            ("device_code", code.expose_secret()),
            ("client_id", CLIENT),
        ];
        self.form("/oauth/token", &fields).await
    }

    /// The next tokens.
    pub(crate) async fn refresh(&self, token: &SecretString) -> Result<Tokens, ApiError> {
        let fields = [
            ("grant_type", "refresh_token"),
            ("refresh_token", token.expose_secret()),
            ("client_id", CLIENT),
        ];
        self.form("/oauth/token", &fields).await
    }

    /// Ends a refresh token and all that hangs on it.
    pub(crate) async fn revoke(&self, token: &SecretString) -> Result<(), ApiError> {
        let fields = [("token", token.expose_secret())];
        self.form::<serde_json::Value>("/oauth/revoke", &fields)
            .await
            .map(drop)
    }

    async fn form<T: DeserializeOwned>(
        &self,
        path: &str,
        fields: &[(&str, &str)],
    ) -> Result<T, ApiError> {
        let request = self
            .request(Method::POST, path)
            .timeout(TIMEOUT)
            .form(fields);
        let response = self.send(request, &Method::POST, path).await?;
        let text = response.bytes().await.map_err(|error| self.lost(&error))?;
        serde_json::from_slice(&text).map_err(|source| ApiError::Unreadable {
            what: format!("POST {path}"),
            source: source.into(),
        })
    }
}
