//! Accounts and how one becomes a member.

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::json;

use super::{Account, Api, ApiError, Invite, Role};

#[derive(Deserialize)]
struct AccountAnswer {
    account: Account,
}

impl Api {
    /// Makes an account, as an admin.
    pub(crate) async fn create_account(&self, name: &str) -> Result<Account, ApiError> {
        let answer: AccountAnswer = self.post("/v1/accounts", &json!({ "name": name })).await?;
        Ok(answer.account)
    }

    /// Makes an invitation; its token is what is handed over.
    pub(crate) async fn invite(
        &self,
        account_id: &str,
        role: Role,
    ) -> Result<SecretString, ApiError> {
        let path = format!("/v1/accounts/{account_id}/invite");
        let invite: Invite = self.post(&path, &json!({ "role": role.as_str() })).await?;
        Ok(invite.token)
    }

    /// Accepts an invitation.
    pub(crate) async fn accept_invite(&self, token: &SecretString) -> Result<Account, ApiError> {
        let answer: AccountAnswer = self
            .post(
                "/v1/invite/accept",
                &json!({ "token": token.expose_secret() }),
            )
            .await?;
        Ok(answer.account)
    }
}
