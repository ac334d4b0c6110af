//! Answers in verte-auth's words: names as its clients know them, and `success`, also misspelt.

use chassis::http::ApiError;
use common::problem::Problem;
use common::time::Time;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::User;
use crate::emailpass::{Credentials, SignInError};
use crate::password::Password;

/// What stands in `DeletedAt` of what isn't deleted.
const NEVER: &str = "0001-01-01T00:00:00Z";

crate::worded::worded_extractor! {
    /// An extractor whose refusals say `success: false` too.
    Verte, failed
}

/// The same error, with `success: false` beside the problem's members.
pub(super) fn failed(error: impl Into<ApiError>) -> ApiError {
    error
        .into()
        .map_problem(|problem| problem.with("success", false).with("sucess", false))
}

/// A sign-up or sign-in that failed, by this interface's statuses: what is taken is a conflict.
pub(super) fn refused(error: SignInError) -> ApiError {
    let error: ApiError = match error {
        SignInError::Taken => Problem::conflict("email_taken", "The email is taken").into(),
        other => other.into(),
    };
    failed(error)
}

/// What a client sends; other fields are passed over.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
pub struct EmailAndPassword {
    /// The address.
    #[serde(default, alias = "username")]
    #[schema(value_type = String, example = "verte.fra@gmail.com")]
    email: Value,
    /// The password.
    #[serde(default)]
    #[schema(value_type = String, format = Password)]
    password: Value,
}

impl EmailAndPassword {
    /// Reads both; `complete` makes credentials of them.
    pub(super) fn read(
        &self,
        complete: impl FnOnce(common::email::EmailAddress, Password) -> Credentials,
    ) -> Result<Credentials, ApiError> {
        let text = |value: &Value, field: &'static str| match value.as_str() {
            Some(text) if !text.is_empty() => Ok(text.to_owned()),
            _ => Err(failed(Problem::invalid_field(
                field,
                "must be a text that isn't empty",
            ))),
        };
        let (email, password) = (
            text(&self.email, "email")?,
            text(&self.password, "password")?,
        );
        let email = common::email::EmailAddress::parse(&email)
            .map_err(|why| failed(Problem::invalid_field("email", why)))?;
        Ok(complete(email, Password::new(&password)))
    }
}

/// A user as its client knows her. The key is shown once; there is never a password.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(super) struct UserView {
    #[serde(rename = "ID")]
    id: i64,
    #[schema(value_type = String, format = DateTime)]
    created_at: Time,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Time,
    deleted_at: &'static str,
    #[serde(rename = "email")]
    email: String,
    #[serde(rename = "password")]
    password: &'static str,
    #[serde(rename = "key")]
    key: String,
}

impl UserView {
    pub(super) fn new(user: &User, key: &str) -> Self {
        Self {
            id: user.number,
            created_at: user.created_at,
            updated_at: user.updated_at,
            deleted_at: NEVER,
            email: user.identity.email.clone().unwrap_or_default(),
            password: "",
            key: key.to_owned(),
        }
    }
}

/// An account as its project's server knows it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "PascalCase")]
pub(super) struct AccountView {
    #[serde(rename = "ID")]
    id: i64,
    #[schema(value_type = String, format = DateTime)]
    created_at: Time,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Time,
    deleted_at: &'static str,
    #[serde(rename = "username")]
    username: String,
    #[serde(rename = "password")]
    password: &'static str,
    #[serde(rename = "ownerID")]
    owner_id: i64,
    #[serde(rename = "disabled")]
    disabled: bool,
    #[serde(rename = "key", skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(rename = "token", skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

impl AccountView {
    pub(super) fn new(account: &User, owner: i64) -> Self {
        Self {
            id: account.number,
            created_at: account.created_at,
            updated_at: account.updated_at,
            deleted_at: NEVER,
            username: account.identity.email.clone().unwrap_or_default(),
            password: "",
            owner_id: owner,
            disabled: account.identity.disabled_at.is_some(),
            key: None,
            token: None,
        }
    }

    /// With the key that the caller sent, and the account's token.
    pub(super) fn signed_in(mut self, key: &str, token: &str) -> Self {
        self.key = Some(key.to_owned());
        self.token = Some(token.to_owned());
        self
    }
}
