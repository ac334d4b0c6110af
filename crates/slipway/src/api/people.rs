//! Identities and the platform's users.

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::json;

use super::{Api, ApiError, User};

/// What signing in answers.
#[derive(Debug, Deserialize)]
struct Token {
    token: SecretString,
    #[serde(default)]
    mfa_required: bool,
}

#[derive(Deserialize)]
struct UserAnswer {
    user: User,
}

impl Api {
    /// Makes an identity that can sign in as an external user.
    pub(crate) async fn register(
        &self,
        email: &str,
        password: &SecretString,
    ) -> Result<SecretString, ApiError> {
        let body = json!({ "email": email, "password": password.expose_secret() });
        let answer: Token = self.post("/auth/euser/emailpass/register", &body).await?;
        Ok(answer.token)
    }

    /// Signs in as `euser` or `admin`; `None` where a second factor is asked for.
    pub(crate) async fn sign_in(
        &self,
        actor: &str,
        email: &str,
        password: &SecretString,
    ) -> Result<Option<SecretString>, ApiError> {
        let body = json!({ "email": email, "password": password.expose_secret() });
        let answer: Token = self
            .post(&format!("/auth/{actor}/emailpass"), &body)
            .await?;
        Ok((!answer.mfa_required).then_some(answer.token))
    }

    /// Oneself, with one's accounts.
    pub(crate) async fn me(&self) -> Result<User, ApiError> {
        let answer: UserAnswer = self.get("/v1/users/me").await?;
        Ok(answer.user)
    }

    /// Makes the caller's user. Who is one already, stays it.
    pub(crate) async fn become_user(&self, email: &str) -> Result<(), ApiError> {
        match self
            .post::<_, serde_json::Value>("/v1/users", &json!({ "email": email }))
            .await
        {
            Ok(_) => Ok(()),
            Err(error) if error.has_status(409) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
